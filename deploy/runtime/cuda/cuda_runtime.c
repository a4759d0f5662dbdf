/// The functions of edgewright.h for a GPU; program.c has those that only describe a program.
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_model.h"
#include "edgewright_cuda.h"
#include "options.h"
#include "weights.h"

static const ew_cuda_program* of_gpu(const ew_program* program) {
  return (const ew_cuda_program*)(const void*)program;  // base is its first member
}

static const char* find_bad_option(const ew_options* given) {
  if (given == NULL) return NULL;
  if (given->struct_bytes < offsetof(ew_options, weights_path)) {
    return "options->struct_bytes is not set; start from EW_OPTIONS_INIT.";
  }
  if (given->threads < 0) return "options->threads is negative; a GPU takes any other number.";
  return NULL;
}

size_t ew_workspace_bytes(const ew_program* program, const ew_options* given) {
  if (program == NULL || program->abi_version != EW_CUDA_ABI_VERSION) return 0;
  if (find_bad_option(given) != NULL) return 0;
  return EW_ALIGNMENT_BYTES;  // of host memory none is used, and 0 says that something is wrong
}

static ew_model* allocate_model(const ew_cuda_program* program) {
  const size_t tensors = ew_cuda_tensors(program);
  ew_model* model = calloc(1, sizeof(*model));
  if (model == NULL) return NULL;
  model->program = program;
  // One more of each, because calloc may answer NULL for none.
  model->functions = calloc(program->num_kernels + (size_t)1, sizeof(*model->functions));
  model->io_offset_bytes = calloc(tensors + 1, sizeof(*model->io_offset_bytes));
  model->bound = calloc(tensors + 1, sizeof(*model->bound));
  model->recorded = calloc(tensors + 1, sizeof(*model->recorded));
  model->outputs = calloc(tensors + 1, sizeof(*model->outputs));
  if (model->functions != NULL && model->io_offset_bytes != NULL && model->bound != NULL &&
      model->recorded != NULL && model->outputs != NULL) {
    return model;
  }
  ew_destroy(model);
  return NULL;
}

/// The first device, if the image is for its architecture or an older one of the same major.
static ew_status choose_device(ew_model* model) {
  const ew_cuda_driver* driver = &model->driver;
  const ew_cuda_program* program = model->program;
  int count = 0, major = 0, minor = 0;
  char name[128] = "";
  ew_cu_result result = driver->init(0);
  if (result == EW_CU_SUCCESS) result = driver->device_count(&count);
  if (result == EW_CU_NO_DEVICE || (result == EW_CU_SUCCESS && count == 0)) {
    snprintf(model->error, sizeof(model->error),
             "NVIDIA's driver finds no GPU. Check CUDA_VISIBLE_DEVICES, or use a bundle for the "
             "CPU.");
    return EW_NO_DEVICE;
  }
  if (result == EW_CU_SUCCESS) result = driver->device_get(&model->device, 0);
  if (result == EW_CU_SUCCESS) {
    result = driver->device_attribute(&major, EW_CU_DEVICE_CAPABILITY_MAJOR, model->device);
  }
  if (result == EW_CU_SUCCESS) {
    result = driver->device_attribute(&minor, EW_CU_DEVICE_CAPABILITY_MINOR, model->device);
  }
  if (result != EW_CU_SUCCESS) return ew_cuda_failed(model, "asking for the GPU", result);
  const int made_for = atoi(program->arch + strlen("sm_"));
  if (made_for / 10 != major || made_for % 10 > minor) {
    (void)driver->device_name(name, (int)sizeof(name), model->device);
    snprintf(model->error, sizeof(model->error),
             "the kernels are for %s, and the GPU '%s' is sm_%d%d. Compile the model for it, with "
             "--target cuda:sm_%d%d.",
             program->arch, name, major, minor, major, minor);
    return EW_NO_DEVICE;
  }
  result = driver->context_retain(&model->context, model->device);
  if (result == EW_CU_SUCCESS) return EW_OK;
  model->context = NULL;
  return ew_cuda_failed(model, "cuDevicePrimaryCtxRetain", result);
}

static ew_status enter(ew_model* model) {
  const ew_cu_result result = model->driver.context_push(model->context);
  return result == EW_CU_SUCCESS ? EW_OK : ew_cuda_failed(model, "cuCtxPushCurrent", result);
}

static void leave(ew_model* model) {
  ew_cu_context popped = NULL;
  (void)model->driver.context_pop(&popped);
}

/// Makes everything that a model needs on the GPU; on failure model->error says why.
static ew_status make_model(ew_model* model, const ew_options* options) {
  ew_weights weights;
  ew_status status = ew_weights_open(&model->program->base, options, &weights, model->error,
                                     sizeof(model->error));
  if (status != EW_OK) return status;
  if (ew_cuda_driver_open(&model->driver, model->error, sizeof(model->error)) != 0) {
    status = EW_NO_DRIVER;
  }
  if (status == EW_OK) status = choose_device(model);
  if (status == EW_OK) status = enter(model);
  if (status == EW_OK) {
    status = ew_cuda_load(model, weights.address);
    leave(model);
  }
  ew_weights_close(&weights);  // the GPU has its own copy
  return status;
}

ew_status ew_create(const ew_program* program, const ew_options* given, ew_model** out) {
  char error[EW_CUDA_ERROR_TEXT_BYTES] = "";
  ew_model* model = NULL;
  ew_status status = EW_INVALID_ARGUMENT;
  const char* const bad = find_bad_option(given);
  const ew_options options = ew_complete_options(bad == NULL ? given : NULL);
  if (out != NULL) *out = NULL;
  if (program == NULL || out == NULL || bad != NULL) {
    snprintf(error, sizeof(error), "%s", bad != NULL ? bad : "program or model is NULL.");
    goto cleanup;
  }
  if (program->abi_version != EW_CUDA_ABI_VERSION) {
    snprintf(error, sizeof(error),
             "the program is built for version %u of Edgewright's ABI, but this runtime, for GPUs, "
             "has %u. Link it with the runtime of its own bundle.",
             (unsigned)program->abi_version, (unsigned)EW_CUDA_ABI_VERSION);
    status = EW_ABI_MISMATCH;
    goto cleanup;
  }
  model = allocate_model(of_gpu(program));
  if (model == NULL) {
    snprintf(error, sizeof(error), "out of memory: the model's handle.");
    status = EW_OUT_OF_MEMORY;
    goto cleanup;
  }
  status = make_model(model, &options);
  if (status != EW_OK) {
    memcpy(error, model->error, sizeof(error));
    goto cleanup;
  }
  *out = model;
  model = NULL;

cleanup:
  ew_destroy(model);
  if (options.error_text != NULL && options.error_text_bytes > 0) {
    snprintf(options.error_text, options.error_text_bytes, "%s", error);
  }
  return status;
}

void ew_destroy(ew_model* model) {
  if (model == NULL) return;
  if (model->context != NULL) {
    if (model->driver.context_push(model->context) == EW_CU_SUCCESS) {
      ew_cuda_unload(model);
      leave(model);
    }
    (void)model->driver.context_release(model->device);
  }
  ew_cuda_driver_close(&model->driver);
  free(model->functions);
  free(model->io_offset_bytes);
  free(model->bound);
  free(model->recorded);
  free(model->outputs);
  free(model);
}

/// 1 if the handle was free and is now the caller's.
static int acquire(ew_model* model) {
  return atomic_exchange_explicit(&model->busy, 1, memory_order_acquire) == 0;
}

static void release(ew_model* model) {
  atomic_store_explicit(&model->busy, 0, memory_order_release);
}

/// Waits for the stream and completes the outputs.
static ew_status finish(ew_model* model) {
  ew_cu_result result;
  const ew_status status = enter(model);
  if (status != EW_OK) return status;
  result = model->driver.stream_synchronize(model->stream);
  leave(model);
  if (result != EW_CU_SUCCESS) return ew_cuda_failed(model, "an inference", result);
  ew_cuda_unbind(model);
  return EW_OK;
}

/// Begins an inference on a model that the caller has acquired.
static ew_status begin(ew_model* model, const void* const* inputs, void* const* outputs) {
  const ew_program* program = &model->program->base;
  ew_status status;
  model->error[0] = '\0';
  if ((inputs == NULL && program->num_inputs > 0) ||
      (outputs == NULL && program->num_outputs > 0)) {
    snprintf(model->error, sizeof(model->error), "inputs or outputs is NULL.");
    return EW_INVALID_ARGUMENT;
  }
  status = enter(model);
  if (status != EW_OK) return status;
  status = ew_cuda_bind(model, inputs, outputs);
  if (status == EW_OK) status = ew_cuda_enqueue(model);
  leave(model);
  return status;
}

ew_status ew_run(ew_model* model, const void* const* inputs, void* const* outputs) {
  ew_status status;
  if (model == NULL) return EW_INVALID_ARGUMENT;
  if (!acquire(model)) return EW_BUSY;
  status = begin(model, inputs, outputs);
  if (status == EW_OK) status = finish(model);
  release(model);
  return status;
}

ew_status ew_cuda_start(ew_model* model, const void* const* inputs, void* const* outputs) {
  ew_status status;
  if (model == NULL) return EW_INVALID_ARGUMENT;
  if (!acquire(model)) return EW_BUSY;
  status = begin(model, inputs, outputs);
  model->started = status == EW_OK;
  if (status != EW_OK) release(model);
  return status;
}

ew_status ew_cuda_wait(ew_model* model) {
  ew_status status;
  if (model == NULL || !model->started) return EW_INVALID_ARGUMENT;
  model->started = 0;
  status = finish(model);
  release(model);
  return status;
}

void* ew_cuda_stream(const ew_model* model) { return model != NULL ? model->stream : NULL; }

size_t ew_cuda_device_bytes(const ew_model* model) {
  return model != NULL ? model->activations_bytes + model->program->base.weights_bytes : 0;
}

const char* ew_last_error(const ew_model* model) { return model != NULL ? model->error : ""; }

ew_status ew_set_step_hook(ew_model* model, ew_step_hook hook, void* user) {
  if (model == NULL) return EW_INVALID_ARGUMENT;
  if (!acquire(model)) return EW_BUSY;
  model->hook = hook;
  model->hook_user = user;
  release(model);
  return EW_OK;
}

int32_t ew_num_threads(const ew_model* model) {
  assert(model != NULL);
  (void)model;
  return 1;
}

const ew_program* ew_model_program(const ew_model* model) {
  assert(model != NULL);
  return &model->program->base;
}
