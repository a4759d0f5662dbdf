/// A model on a GPU: what the files of the CUDA runtime share.
#ifndef EW_CUDA_MODEL_H
#define EW_CUDA_MODEL_H

#include <stdatomic.h>

#include "cuda_driver.h"
#include "cuda_program.h"

#define EW_CUDA_ERROR_TEXT_BYTES 512

/// How a tensor of the caller's reaches the kernels.
typedef enum ew_cuda_route {
  EW_CUDA_STAGED = 0,           ///< pageable host memory: through our pinned memory
  EW_CUDA_PINNED = 1,           ///< pinned host memory: copied from or to where it is
  EW_CUDA_DIRECT = 2,           ///< device memory: used where it is
  EW_CUDA_COPIED = 3            ///< device memory of too little alignment: copied on the device
} ew_cuda_route;

/// One input or output of a run. Zeroed before it is filled, so that two can be compared as bytes.
typedef struct ew_cuda_binding {
  ew_cu_pointer device;         ///< where the kernels find it
  uintptr_t other;              ///< where it is copied from or to; 0 for none
  uintptr_t route;              ///< an ew_cuda_route
} ew_cuda_binding;

struct ew_model {
  const ew_cuda_program* program;
  ew_cuda_driver driver;
  ew_cu_device device;
  ew_cu_context context;        ///< the device's primary one; NULL if not retained
  ew_cu_module module;
  ew_cu_function* functions;    ///< of the program's kernels
  ew_cu_stream stream;
  ew_cu_pointer weights;        ///< 0 if the program has none
  ew_cu_pointer activations;    ///< the arena, then room for each input and output
  size_t activations_bytes;
  unsigned char* staging;       ///< pinned: room for each input and output
  size_t* io_offset_bytes;      ///< of each input and output, in the room on either side
  ew_cuda_binding* bound;       ///< of the run in progress: inputs, then outputs
  ew_cuda_binding* recorded;    ///< what the graph was recorded for
  ew_cu_graph_exec graph;       ///< NULL before the first run
  void** outputs;               ///< the caller's, of the run in progress
  ew_cu_event begin;            ///< for the step hook
  ew_cu_event end;
  ew_step_hook hook;
  void* hook_user;
  atomic_int busy;
  int started;                  ///< whether ew_cuda_start waits for ew_cuda_wait
  char error[EW_CUDA_ERROR_TEXT_BYTES];
};

/// The number of inputs and outputs.
static inline uint32_t ew_cuda_tensors(const ew_cuda_program* program) {
  return program->base.num_inputs + program->base.num_outputs;
}

/// The input, or behind the inputs the output, of that number.
static inline const ew_tensor_info* ew_cuda_tensor(const ew_cuda_program* program, uint32_t index) {
  const uint32_t inputs = program->base.num_inputs;
  return index < inputs ? &program->base.inputs[index] : &program->base.outputs[index - inputs];
}

/// Says in model->error which call failed and why.
/// Returns EW_OUT_OF_MEMORY where the driver has none left, else EW_DEVICE_FAILED.
ew_status ew_cuda_failed(ew_model* model, const char* call, ew_cu_result result);

/// Loads the image, places the weights, allocates memory; the context is current.
/// On failure model->error says why, and ew_cuda_unload frees what was made.
ew_status ew_cuda_load(ew_model* model, const unsigned char* weights);

/// Frees what ew_cuda_load made; the context is current.
void ew_cuda_unload(ew_model* model);

/// Finds out where the caller's tensors lie and fills model->bound; copies pageable inputs.
ew_status ew_cuda_bind(ew_model* model, const void* const* inputs, void* const* outputs);

/// Copies outputs that the caller wants in pageable memory, when the stream is done.
void ew_cuda_unbind(ew_model* model);

/// Puts one inference on the stream: the recorded plan or, with a step hook, launch by launch.
ew_status ew_cuda_enqueue(ew_model* model);

#endif
