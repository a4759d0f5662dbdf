/// Threads of an emulated GPU: what compiled kernels and the emulated driver share.
///
/// The threads of a block are contexts that this thread of the CPU switches between, so they run
/// one after the other from one barrier to the next. Blocks run one after the other.
#ifndef EW_EMULATED_THREADS_H
#define EW_EMULATED_THREADS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { EW_EMULATED_WARP = 32, EW_EMULATED_MAX_THREADS = 1024 };

typedef struct ew_emulated_index {
  unsigned int x, y, z;
} ew_emulated_index;

/// Where the running thread is; kernels read it as threadIdx, blockIdx, blockDim and gridDim.
typedef struct ew_emulated_place {
  ew_emulated_index thread, block, block_size, grid_size;
} ew_emulated_place;

/// What a kernel asks of whoever runs it.
typedef struct ew_emulated_services {
  /// __syncthreads: waits for all threads of the block that have not ended.
  void (*barrier)(void);
  /// Gives `value` to the warp and takes that of `lane`, or its own if there is no such lane.
  uint64_t (*exchange)(uint64_t value, int lane);
  /// Lanes of the warp that have not ended.
  uint32_t (*live_lanes)(void);
} ew_emulated_services;

/// A kernel that was compiled for this machine.
typedef struct ew_emulated_kernel {
  const char* name;
  void (*run)(void** parameters);  ///< of one thread; parameters as cuLaunchKernel has them
  unsigned int num_parameters;
  int waits;                       ///< whether it has a barrier or exchanges values
} ew_emulated_kernel;

/// What a library of kernels exports as ew_emulated_library.
typedef struct ew_emulated_library {
  const ew_emulated_kernel* kernels;
  size_t num_kernels;
  const ew_emulated_services** services;  ///< to be set before a kernel runs
  const ew_emulated_place** place;        ///< to be set whenever another thread runs
  unsigned char* shared_begin;            ///< all shared memory of all kernels
  size_t shared_bytes;
} ew_emulated_library;

/// Runs a whole launch. `reversed` runs the threads of a block in the opposite order, which changes
/// nothing unless a barrier is missing.
/// Returns NULL, or how the kernel misused its threads.
const char* ew_emulated_run(const ew_emulated_library* library, const ew_emulated_kernel* kernel,
                            ew_emulated_index grid, ew_emulated_index block, void** parameters,
                            int reversed);

#ifdef __cplusplus
}
#endif

#endif
