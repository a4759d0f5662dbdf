/// The contract between generated programs for GPUs (model.c) and the CUDA runtime.
///
/// The program is an ew_program, so that the functions of edgewright.h that describe one work as
/// for the CPU, with what a GPU needs behind it.
#ifndef EW_CUDA_PROGRAM_H
#define EW_CUDA_PROGRAM_H

#include "program.h"

#ifdef __cplusplus
extern "C" {
#endif

/// base.abi_version of a program for a GPU. No version of the CPU's contract, so that either
/// runtime refuses the other's programs. Any change here raises it by one.
#define EW_CUDA_ABI_VERSION 0x10001u

/// ew_cuda_launch.kernel of a launch that is a copy: its parameters are where to and where from.
#define EW_CUDA_COPY 0xffffffffu

/// Alignment of every tensor in device memory, in bytes.
#define EW_CUDA_ALIGNMENT_BYTES 256u

/// What kernels need of inputs and outputs; the runtime copies a tensor whose address has less.
#define EW_CUDA_IO_ALIGNMENT_BYTES 16u

typedef enum ew_cuda_space {
  EW_CUDA_INPUT = 0,
  EW_CUDA_OUTPUT = 1,
  EW_CUDA_WEIGHT = 2,
  EW_CUDA_ARENA = 3
} ew_cuda_space;

/// One pointer that a kernel takes.
typedef struct ew_cuda_parameter {
  ew_cuda_space space;
  uint32_t index;               ///< which input or output; 0 elsewhere
  size_t offset_bytes;          ///< in the weights or the arena; 0 elsewhere
  size_t size_bytes;            ///< of the tensor there
} ew_cuda_parameter;

/// One launch; the program's step of the same index.
typedef struct ew_cuda_launch {
  uint32_t kernel;              ///< an index into kernels, or EW_CUDA_COPY
  uint32_t grid[3];
  uint32_t block[3];
  uint32_t first_parameter;
  uint32_t num_parameters;
} ew_cuda_launch;

/// The most pointers that a kernel may take.
#define EW_CUDA_MAX_PARAMETERS 256u

typedef struct ew_cuda_program {
  ew_program base;              ///< base.run is NULL, base.scratch_bytes 0
  const unsigned char* image;   ///< a fatbin
  const char* arch;             ///< what it is for: "sm_87"
  const char* compiler;         ///< what made it: "nvcc 13.0"
  const char* const* kernels;   ///< names in the image
  uint32_t num_kernels;
  const ew_cuda_launch* launches;  ///< base.num_steps of them, to be run one after the other
  const ew_cuda_parameter* parameters;
} ew_cuda_program;

#ifdef __cplusplus
}
#endif

#endif
