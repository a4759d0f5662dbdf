/// The contract between generated code (model.c) and the runtime. Applications need edgewright.h.
///
/// Generated model.c defines one function, declared in NAME.h:
///
///   const ew_program* NAME_program(void);
///
/// Compiled with -DEW_EXECUTABLE it also defines the name by which selftest.c and bench.c find it:
///
///   #ifdef EW_EXECUTABLE
///   const ew_program* ew_selected_program(void) { return NAME_program(); }
///   #endif
///
/// Any change here is a new EW_ABI_VERSION (see edgewright.h).
#ifndef EW_PROGRAM_H
#define EW_PROGRAM_H

#include "edgewright.h"

#ifdef __cplusplus
extern "C" {
#endif

/// The addresses of one inference.
typedef struct ew_frame {
  const void* const* inputs;
  void* const* outputs;
  unsigned char* arena;         ///< aligned to EW_ALIGNMENT_BYTES
  const unsigned char* weights; ///< aligned to EW_ALIGNMENT_BYTES
} ew_frame;

/// One ew_run in progress; only the runtime looks inside.
typedef struct ew_run_context ew_run_context;

/// Runs tasks [begin, end) of one step.
///
/// scratch is this thread's own: program->scratch_bytes long, aligned to EW_ALIGNMENT_BYTES, of any
/// content. Tasks of one step run in any order and at the same time. Returns 0, or a kernel's own
/// code on failure.
typedef int32_t (*ew_task_fn)(const ew_frame* frame, unsigned char* scratch, int32_t begin,
                              int32_t end);

struct ew_program {
  uint32_t abi_version;         ///< EW_ABI_VERSION when the code was generated
  const char* name;
  uint32_t num_inputs;
  uint32_t num_outputs;
  uint32_t num_steps;
  const ew_tensor_info* inputs;
  const ew_tensor_info* outputs;
  const ew_step_info* steps;
  size_t arena_bytes;
  size_t weights_bytes;
  size_t scratch_bytes;         ///< for each thread
  /// Embedded weights, aligned to EW_ALIGNMENT_BYTES, or NULL: they come from a file.
  const unsigned char* weights;
  /// Straight-line: ew_launch for each step, in order; returns the first status that is not EW_OK.
  ew_status (*run)(ew_run_context* context);
  /// Alignment that the kernels need of inputs and outputs, a power of two up to
  /// EW_ALIGNMENT_BYTES; the runtime copies a tensor whose address has less. 0 means
  /// EW_ALIGNMENT_BYTES.
  uint32_t io_alignment_bytes;
};

/// Runs the tasks [0, tasks) of step `index` on the model's threads, each a contiguous share.
/// One thread or one task is a plain call. Calls the step hook, if there is one.
/// Returns EW_OK, or EW_KERNEL_FAILED with the reason in ew_last_error.
ew_status ew_launch(ew_run_context* context, uint32_t index, ew_task_fn fn, int32_t tasks);

/// The program that an executable runs; see above.
const ew_program* ew_selected_program(void);

#ifdef __cplusplus
}
#endif

#endif
