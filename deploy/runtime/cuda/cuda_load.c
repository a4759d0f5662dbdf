#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_model.h"

ew_status ew_cuda_failed(ew_model* model, const char* call, ew_cu_result result) {
  assert(result != EW_CU_SUCCESS);
  snprintf(model->error, sizeof(model->error), "%s failed: %s (%d).", call,
           ew_cuda_result_name(&model->driver, result), result);
  return result == EW_CU_OUT_OF_MEMORY ? EW_OUT_OF_MEMORY : EW_DEVICE_FAILED;
}

static size_t align_up(size_t bytes) {
  const size_t slack = EW_CUDA_ALIGNMENT_BYTES - 1;
  return (bytes + slack) / EW_CUDA_ALIGNMENT_BYTES * EW_CUDA_ALIGNMENT_BYTES;
}

/// Loads the image and finds its kernels.
static ew_status load_kernels(ew_model* model) {
  const ew_cuda_program* program = model->program;
  int version = 0;
  ew_cu_result result = model->driver.module_load(&model->module, program->image);
  if (result != EW_CU_SUCCESS) {
    model->module = NULL;
    (void)model->driver.driver_version(&version);
    snprintf(model->error, sizeof(model->error),
             "the kernels, made for %s by %s, cannot be loaded: %s. The driver is one of CUDA "
             "%d.%d; compile the model with an nvcc no newer than that.",
             program->arch, program->compiler, ew_cuda_result_name(&model->driver, result),
             version / 1000, version % 1000 / 10);
    return result == EW_CU_OUT_OF_MEMORY ? EW_OUT_OF_MEMORY : EW_NO_DEVICE;
  }
  for (uint32_t i = 0; i < program->num_kernels; ++i) {
    result = model->driver.module_function(&model->functions[i], model->module,
                                           program->kernels[i]);
    if (result != EW_CU_SUCCESS) return ew_cuda_failed(model, "cuModuleGetFunction", result);
  }
  return EW_OK;
}

/// Refuses a launch that this device cannot make, before anything runs.
static ew_status check_launches(ew_model* model) {
  const ew_cuda_program* program = model->program;
  for (uint32_t i = 0; i < program->base.num_steps; ++i) {
    const ew_cuda_launch* launch = &program->launches[i];
    int most = 0;
    if (launch->kernel == EW_CUDA_COPY) continue;
    const uint32_t threads = launch->block[0] * launch->block[1] * launch->block[2];
    const ew_cu_result result = model->driver.function_attribute(
        &most, EW_CU_FUNCTION_MAX_THREADS, model->functions[launch->kernel]);
    if (result != EW_CU_SUCCESS) return ew_cuda_failed(model, "cuFuncGetAttribute", result);
    if (most < 0 || threads > (uint32_t)most) {
      snprintf(model->error, sizeof(model->error),
               "kernel %s needs blocks of %u threads, and this device runs %d of it at most.",
               program->kernels[launch->kernel], (unsigned)threads, most);
      return EW_NO_DEVICE;
    }
  }
  return EW_OK;
}

static ew_status place_weights(ew_model* model, const unsigned char* weights) {
  const size_t bytes = model->program->base.weights_bytes;
  ew_cu_result result;
  if (bytes == 0) return EW_OK;
  result = model->driver.memory_allocate(&model->weights, bytes);
  if (result != EW_CU_SUCCESS) {
    model->weights = 0;
    return ew_cuda_failed(model, "cuMemAlloc of the weights", result);
  }
  result = model->driver.copy_to_device(model->weights, weights, bytes);
  return result == EW_CU_SUCCESS ? EW_OK : ew_cuda_failed(model, "cuMemcpyHtoD", result);
}

/// Device memory for the arena and the tensors of the caller, and pinned memory for the latter.
static ew_status place_tensors(ew_model* model) {
  const ew_cuda_program* program = model->program;
  size_t staging_bytes = 0;
  void* staging = NULL;
  ew_cu_result result;
  for (uint32_t i = 0; i < ew_cuda_tensors(program); ++i) {
    model->io_offset_bytes[i] = staging_bytes;
    staging_bytes += align_up(ew_cuda_tensor(program, i)->size_bytes);
  }
  // Neither is ever empty: an allocation of 0 bytes is an error to the driver.
  staging_bytes += EW_CUDA_ALIGNMENT_BYTES;
  model->activations_bytes = align_up(program->base.arena_bytes) + staging_bytes;
  result = model->driver.memory_allocate(&model->activations, model->activations_bytes);
  if (result != EW_CU_SUCCESS) {
    model->activations = 0;
    return ew_cuda_failed(model, "cuMemAlloc of the activations", result);
  }
  result = model->driver.host_allocate(&staging, staging_bytes, 0);
  if (result != EW_CU_SUCCESS) return ew_cuda_failed(model, "cuMemHostAlloc", result);
  model->staging = staging;
  return EW_OK;
}

ew_status ew_cuda_load(ew_model* model, const unsigned char* weights) {
  ew_cu_result result;
  ew_status status = load_kernels(model);
  if (status == EW_OK) status = check_launches(model);
  if (status == EW_OK) status = place_weights(model, weights);
  if (status == EW_OK) status = place_tensors(model);
  if (status != EW_OK) return status;
  result = model->driver.stream_create(&model->stream, EW_CU_STREAM_NON_BLOCKING);
  if (result != EW_CU_SUCCESS) {
    model->stream = NULL;
    return ew_cuda_failed(model, "cuStreamCreate", result);
  }
  return EW_OK;
}

void ew_cuda_unload(ew_model* model) {
  const ew_cuda_driver* driver = &model->driver;
  if (model->stream != NULL) (void)driver->stream_synchronize(model->stream);
  if (model->graph != NULL) (void)driver->graph_exec_destroy(model->graph);
  if (model->begin != NULL) (void)driver->event_destroy(model->begin);
  if (model->end != NULL) (void)driver->event_destroy(model->end);
  if (model->stream != NULL) (void)driver->stream_destroy(model->stream);
  if (model->staging != NULL) (void)driver->host_free(model->staging);
  if (model->activations != 0) (void)driver->memory_free(model->activations);
  if (model->weights != 0) (void)driver->memory_free(model->weights);
  if (model->module != NULL) (void)driver->module_unload(model->module);
}
