/// Edgewright's C API: run a compiled model.
///
///   ew_options options = EW_OPTIONS_INIT;
///   options.threads = 4;
///   options.weights_path = "weights.bin";
///   ew_model* model = NULL;
///   ew_status status = ew_create(NAME_program(), &options, &model);
///   if (status == EW_OK) status = ew_run(model, inputs, outputs);
///   ew_destroy(model);
///
/// There is no global state: any number of models may live in one process, and different handles
/// may be used by different threads at the same time. One handle serves one ew_run at a time; a
/// second one that arrives meanwhile is refused with EW_BUSY.
#ifndef EDGEWRIGHT_H
#define EDGEWRIGHT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Version of the contract between this runtime, generated code and callers.
///
/// Rule: it rises by one whenever a struct of edgewright.h or program.h changes its layout or
/// meaning, or a function its signature. One thing is exempt: ew_options may grow at its end,
/// because its struct_bytes says which fields the caller knows. ew_create refuses a program built
/// for another version with EW_ABI_MISMATCH.
#define EW_ABI_VERSION 1u

/// Alignment of the arena, the scratch and the weights, in bytes.
#define EW_ALIGNMENT_BYTES 64u

/// The most threads one model uses.
#define EW_MAX_THREADS 64

typedef enum ew_status {
  EW_OK = 0,
  EW_INVALID_ARGUMENT = 1,
  EW_ABI_MISMATCH = 2,
  EW_OUT_OF_MEMORY = 3,
  EW_WEIGHTS_MISSING = 4,       ///< no weights were given, or their file cannot be read
  EW_WEIGHTS_SIZE = 5,          ///< the weights are not those of this program
  EW_WORKSPACE_TOO_SMALL = 6,
  EW_THREADS_FAILED = 7,        ///< a thread could not be started or pinned
  EW_BUSY = 8,                  ///< the handle is in use by another thread
  EW_KERNEL_FAILED = 9,
  EW_NO_DRIVER = 10,            ///< the model is for a GPU, and NVIDIA's driver is not there
  EW_NO_DEVICE = 11,            ///< no GPU, or none that the kernels are for
  EW_DEVICE_FAILED = 12         ///< the driver reported an error
} ew_status;

typedef enum ew_dtype {
  EW_FLOAT32 = 0,
  EW_FLOAT64 = 1,
  EW_FLOAT16 = 2,
  EW_INT8 = 3,
  EW_UINT8 = 4,
  EW_INT16 = 5,
  EW_UINT16 = 6,
  EW_INT32 = 7,
  EW_UINT32 = 8,
  EW_INT64 = 9,
  EW_UINT64 = 10,
  EW_BOOL = 11                  ///< one byte, 0 or 1
} ew_dtype;

/// One dense tensor in row-major order.
typedef struct ew_tensor_info {
  const char* name;             ///< its name in the ONNX model
  ew_dtype dtype;
  uint32_t rank;
  const int64_t* shape;         ///< rank extents, outermost first
  size_t size_bytes;
} ew_tensor_info;

/// One step of a program: one launch of one kernel.
typedef struct ew_step_info {
  const char* name;             ///< the first ONNX node that it computes
  const char* kernel;
} ew_step_info;

/// A compiled model: constant data and code. NAME.h declares the function that returns it.
typedef struct ew_program ew_program;

/// A program made ready to run: weights, workspace and threads.
typedef struct ew_model ew_model;

/// How to make a model. Start from EW_OPTIONS_INIT.
typedef struct ew_options {
  /// sizeof(ew_options) as the caller knows it; EW_OPTIONS_INIT sets it.
  size_t struct_bytes;
  /// Threads that share the work, the one that calls ew_run included. 0: as many as there are CPUs
  /// that this process may use. Clamped to EW_MAX_THREADS, and to 1 in a library built without
  /// threads (armv6 and older).
  int32_t threads;
  /// First CPU to pin to, or -1 for none. The pool's thread i (1, 2, ...) goes to CPU
  /// first_cpu + i. The calling thread is never touched: pin it to first_cpu yourself.
  int32_t first_cpu;
  /// File that holds the weights. It is mapped read-only and must not shrink while the model lives.
  const char* weights_path;
  /// Weights in memory instead of a file: weights_bytes bytes, aligned to EW_ALIGNMENT_BYTES, which
  /// must outlive the model. Takes precedence over weights_path; with neither, the embedded serve.
  const void* weights;
  size_t weights_bytes;
  /// Memory to work in: workspace_bytes bytes of any alignment, at least ew_workspace_bytes(),
  /// which must outlive the model and be used by nothing else. NULL: ew_create allocates it.
  void* workspace;
  size_t workspace_bytes;
  /// Where ew_create writes why it failed, always with a final NUL. May be NULL.
  char* error_text;
  size_t error_text_bytes;
} ew_options;

#define EW_OPTIONS_INIT {sizeof(ew_options), 1, -1, NULL, NULL, 0, NULL, 0, NULL, 0}

/// Called after each step, on the thread that called ew_run. It must not use the model.
typedef void (*ew_step_hook)(void* user, uint32_t step, uint64_t elapsed_ns);

/// EW_ABI_VERSION of this library.
uint32_t ew_abi_version(void);

/// This runtime's version as text, such as "0.1.0".
const char* ew_version(void);

/// The status's name, such as "EW_BUSY"; "EW_UNKNOWN" for a value that is none.
const char* ew_status_name(ew_status status);

/// The dtype's name, such as "float32"; "unknown" for a value that is none.
const char* ew_dtype_name(ew_dtype dtype);

/// What a program takes, gives and does. An index out of range answers NULL.
const char* ew_program_name(const ew_program* program);
uint32_t ew_num_inputs(const ew_program* program);
uint32_t ew_num_outputs(const ew_program* program);
uint32_t ew_num_steps(const ew_program* program);
const ew_tensor_info* ew_input(const ew_program* program, uint32_t index);
const ew_tensor_info* ew_output(const ew_program* program, uint32_t index);
const ew_step_info* ew_step(const ew_program* program, uint32_t index);

/// Bytes that the weights must have, exactly.
size_t ew_weights_bytes(const ew_program* program);

/// 1 if the weights are part of the library, else 0.
int ew_weights_embedded(const ew_program* program);

/// Bytes of workspace that a model made with these options needs; options may be NULL.
/// 0 if the arguments are invalid or the program is built for another ABI version.
size_t ew_workspace_bytes(const ew_program* program, const ew_options* options);

/// Makes a model; options may be NULL (one thread, embedded weights, allocated workspace).
/// On failure *model is NULL and options->error_text, if given, says why.
ew_status ew_create(const ew_program* program, const ew_options* options, ew_model** model);

/// Runs one inference.
///
/// inputs and outputs hold one address for each input and output of the program, in its order, of
/// dense row-major tensors. Addresses may have any alignment (those that the kernels cannot use are
/// copied), must not be NULL, and no output may overlap an input or another output.
/// On failure, except EW_BUSY, ew_last_error says why and the outputs hold nothing of meaning.
ew_status ew_run(ew_model* model, const void* const* inputs, void* const* outputs);

/// Why the last ew_run on this handle failed, or "" if it did not; valid until the next ew_run.
/// EW_BUSY leaves it alone: it then belongs to the thread that is running.
const char* ew_last_error(const ew_model* model);

/// Sets what is called after each step, or NULL for nothing. EW_BUSY while the model runs.
ew_status ew_set_step_hook(ew_model* model, ew_step_hook hook, void* user);

/// The threads that the model uses, the calling one included.
int32_t ew_num_threads(const ew_model* model);

/// The program that the model was made from.
const ew_program* ew_model_program(const ew_model* model);

/// Ends the model's threads and frees what ew_create allocated. NULL is allowed. The model must not
/// be running.
void ew_destroy(ew_model* model);

#ifdef __cplusplus
}
#endif

#endif
