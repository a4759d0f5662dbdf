/// What edgewright.h does not say of models on a GPU.
///
/// ew_run works as on the CPU. Any address that it is given may also be one of device memory (of
/// the first device's primary context, which PyTorch and the CUDA runtime use) or of pinned host
/// memory: it is then used as it is, without a copy of ours in between, if it is aligned to
/// 16 bytes. The plan is recorded for the addresses of the first run; a run with other device or
/// pinned addresses records it anew, so alternate between few of them, or use pageable memory.
///
/// The GPU is the first that CUDA_VISIBLE_DEVICES leaves visible.
#ifndef EDGEWRIGHT_CUDA_H
#define EDGEWRIGHT_CUDA_H

#include "edgewright.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Begins one inference and returns; ew_cuda_wait ends it. Until then the model is busy, inputs in
/// device or pinned memory must not change, and no output may be read. The addresses themselves
/// are kept by value.
ew_status ew_cuda_start(ew_model* model, const void* const* inputs, void* const* outputs);

/// Waits for what ew_cuda_start began and completes its outputs. EW_INVALID_ARGUMENT if nothing
/// was begun.
ew_status ew_cuda_wait(ew_model* model);

/// The stream that the model runs on, a CUstream, so that other work can be ordered with it or
/// events recorded around it.
void* ew_cuda_stream(const ew_model* model);

/// Bytes of device memory that the model holds.
size_t ew_cuda_device_bytes(const ew_model* model);

#ifdef __cplusplus
}
#endif

#endif
