#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L  // clock_gettime, posix_memalign
#endif
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "options.h"
#include "program.h"
#include "thread_pool.h"
#include "weights.h"
#include "workspace_memory.h"

#if EW_HAS_THREADS
#include <stdatomic.h>
#endif

#define EW_ERROR_TEXT_BYTES 512

struct ew_model {
  const ew_program* program;
  ew_weights weights;
  void* allocation;             // the workspace if ew_create allocated it, else NULL
  unsigned char* arena;
  unsigned char* scratch;       // of thread 0; each thread's own, scratch_stride_bytes apart
  size_t scratch_stride_bytes;
  unsigned char* staging;       // copies of inputs, then outputs, that the kernels cannot use
  int32_t threads;
  ew_thread_pool* pool;         // NULL with one thread
  ew_step_hook hook;
  void* hook_user;
#if EW_HAS_THREADS
  atomic_int busy;
#else
  int busy;
#endif
  const void** inputs;          // what the kernels get: the caller's addresses or staged copies
  void** outputs;
  char error[EW_ERROR_TEXT_BYTES];
};

struct ew_run_context {
  ew_model* model;
  ew_frame frame;
};

/// How the workspace is divided, in bytes, each part a multiple of EW_ALIGNMENT_BYTES:
/// slack to align its start | arena | scratch of each thread | staged inputs | staged outputs.
typedef struct workspace_layout {
  size_t arena_bytes;
  size_t scratch_stride_bytes;
  size_t staging_bytes;
  size_t total_bytes;
} workspace_layout;

/// bytes rounded up to EW_ALIGNMENT_BYTES; 0 stays 0. The largest sizes saturate to SIZE_MAX.
static size_t align_up(size_t bytes) {
  if (bytes > SIZE_MAX - (EW_ALIGNMENT_BYTES - 1)) return SIZE_MAX;
  return (bytes + EW_ALIGNMENT_BYTES - 1) / EW_ALIGNMENT_BYTES * EW_ALIGNMENT_BYTES;
}

static size_t add_saturating(size_t a, size_t b) { return a > SIZE_MAX - b ? SIZE_MAX : a + b; }

static size_t multiply_saturating(size_t a, size_t b) {
  return b != 0 && a > SIZE_MAX / b ? SIZE_MAX : a * b;
}

static uint32_t io_alignment_bytes(const ew_program* program) {
  assert(program->io_alignment_bytes <= EW_ALIGNMENT_BYTES);
  return program->io_alignment_bytes != 0 ? program->io_alignment_bytes : EW_ALIGNMENT_BYTES;
}

static workspace_layout plan_workspace(const ew_program* program, int32_t threads) {
  workspace_layout layout;
  size_t scratch_bytes;
  layout.arena_bytes = align_up(program->arena_bytes);
  layout.scratch_stride_bytes = align_up(program->scratch_bytes);
  layout.staging_bytes = 0;
  if (io_alignment_bytes(program) > 1) {
    for (uint32_t i = 0; i < program->num_inputs; ++i) {
      layout.staging_bytes =
          add_saturating(layout.staging_bytes, align_up(program->inputs[i].size_bytes));
    }
    for (uint32_t i = 0; i < program->num_outputs; ++i) {
      layout.staging_bytes =
          add_saturating(layout.staging_bytes, align_up(program->outputs[i].size_bytes));
    }
  }
  scratch_bytes = multiply_saturating(layout.scratch_stride_bytes, (size_t)threads);
  layout.total_bytes = add_saturating(layout.arena_bytes, scratch_bytes);
  layout.total_bytes = add_saturating(layout.total_bytes, layout.staging_bytes);
  // Never 0, which says that something is wrong.
  layout.total_bytes = add_saturating(layout.total_bytes, EW_ALIGNMENT_BYTES);
  return layout;
}

/// NULL, or what is wrong with the arguments of ew_create.
static const char* find_bad_option(const ew_options* given) {
  if (given == NULL) return NULL;
  if (given->struct_bytes < offsetof(ew_options, weights_path)) {
    return "options->struct_bytes is not set; start from EW_OPTIONS_INIT.";
  }
  if (given->threads < 0) return "options->threads is negative; 0 means one for each CPU.";
  if (given->first_cpu < -1 || given->first_cpu > INT32_MAX - EW_MAX_THREADS) {
    return "options->first_cpu is neither a CPU's number nor -1 (not pinned).";
  }
  return NULL;
}

static int32_t count_threads(const ew_options* options) {
  int32_t threads = options->threads;
  if (!EW_HAS_THREADS) return 1;
  if (threads == 0) threads = ew_available_cpus();
  return threads > EW_MAX_THREADS ? EW_MAX_THREADS : threads;
}

size_t ew_workspace_bytes(const ew_program* program, const ew_options* given) {
  if (program == NULL || program->abi_version != EW_ABI_VERSION) return 0;
  if (find_bad_option(given) != NULL) return 0;
  const ew_options options = ew_complete_options(given);
  return plan_workspace(program, count_threads(&options)).total_bytes;
}

static ew_status place_workspace(ew_model* model, const ew_options* options, char* error) {
  const workspace_layout layout = plan_workspace(model->program, model->threads);
  unsigned char* start = options->workspace;
  if (start == NULL) {
    // The layout has slack to align it; a saturated SIZE_MAX fails here, as it should.
    model->allocation = ew_allocate_workspace(layout.total_bytes);
    if (model->allocation == NULL) {
      snprintf(error, EW_ERROR_TEXT_BYTES, "out of memory: the workspace of '%s' takes %llu bytes.",
               model->program->name, (unsigned long long)layout.total_bytes);
      return EW_OUT_OF_MEMORY;
    }
    start = model->allocation;
  } else if (options->workspace_bytes < layout.total_bytes) {
    snprintf(error, EW_ERROR_TEXT_BYTES,
             "the workspace has %llu bytes, but '%s' with %d threads needs %llu. "
             "Ask ew_workspace_bytes with the same options.",
             (unsigned long long)options->workspace_bytes, model->program->name,
             (int)model->threads, (unsigned long long)layout.total_bytes);
    return EW_WORKSPACE_TOO_SMALL;
  }
  start += (EW_ALIGNMENT_BYTES - (uintptr_t)start % EW_ALIGNMENT_BYTES) % EW_ALIGNMENT_BYTES;
  model->arena = start;
  model->scratch = model->arena + layout.arena_bytes;
  model->scratch_stride_bytes = layout.scratch_stride_bytes;
  model->staging = model->scratch + layout.scratch_stride_bytes * (size_t)model->threads;
  return EW_OK;
}

static ew_status start_pool(ew_model* model, const ew_options* options, char* error) {
  if (model->threads == 1) return EW_OK;
  switch (ew_thread_pool_create(model->threads, options->first_cpu, &model->pool)) {
    case EW_POOL_OK: return EW_OK;
    case EW_POOL_OUT_OF_MEMORY:
      snprintf(error, EW_ERROR_TEXT_BYTES, "out of memory: the thread pool.");
      return EW_OUT_OF_MEMORY;
    case EW_POOL_NO_THREAD:
      snprintf(error, EW_ERROR_TEXT_BYTES,
               "the system refused to start %d threads. Ask for fewer, or raise its limit.",
               (int)model->threads - 1);
      return EW_THREADS_FAILED;
    case EW_POOL_NOT_PINNED: break;
  }
  snprintf(error, EW_ERROR_TEXT_BYTES,
           "the threads cannot be pinned to CPUs %d to %d. "
           "Choose CPUs that exist and that this process may use, or first_cpu = -1.",
           (int)options->first_cpu + 1, (int)options->first_cpu + (int)model->threads - 1);
  return EW_THREADS_FAILED;
}

/// Allocates a model with its tables of addresses, all zero; NULL if there is no memory.
static ew_model* allocate_model(const ew_program* program) {
  const size_t tables = (size_t)program->num_inputs + program->num_outputs;
  ew_model* model = calloc(1, sizeof(*model) + tables * sizeof(void*));
  if (model == NULL) return NULL;
  model->program = program;
  model->inputs = (const void**)(model + 1);
  model->outputs = (void**)(model + 1) + program->num_inputs;
  return model;
}

ew_status ew_create(const ew_program* program, const ew_options* given, ew_model** out) {
  char error[EW_ERROR_TEXT_BYTES] = "";
  ew_model* model = NULL;
  ew_status status = EW_INVALID_ARGUMENT;
  const char* const bad = find_bad_option(given);
  const ew_options options = ew_complete_options(bad == NULL ? given : NULL);
  if (out != NULL) *out = NULL;
  if (program == NULL || out == NULL || bad != NULL) {
    snprintf(error, sizeof(error), "%s", bad != NULL ? bad : "program or model is NULL.");
    goto cleanup;
  }
  if (program->abi_version != EW_ABI_VERSION) {
    snprintf(error, sizeof(error),
             "the program is built for version %u of Edgewright's ABI, but this runtime has %u. "
             "Link it with the runtime of its own bundle.",
             (unsigned)program->abi_version, (unsigned)EW_ABI_VERSION);
    status = EW_ABI_MISMATCH;
    goto cleanup;
  }
  model = allocate_model(program);
  if (model == NULL) {
    snprintf(error, sizeof(error), "out of memory: the model's handle.");
    status = EW_OUT_OF_MEMORY;
    goto cleanup;
  }
  model->threads = count_threads(&options);
  status = ew_weights_open(program, &options, &model->weights, error, sizeof(error));
  if (status == EW_OK) status = place_workspace(model, &options, error);
  if (status == EW_OK) status = start_pool(model, &options, error);
  if (status != EW_OK) goto cleanup;
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
  ew_thread_pool_destroy(model->pool);
  ew_weights_close(&model->weights);
  free(model->allocation);
  free(model);
}

/// 1 if the handle was free and is now the caller's.
static int acquire(ew_model* model) {
#if EW_HAS_THREADS
  return atomic_exchange_explicit(&model->busy, 1, memory_order_acquire) == 0;
#else
  if (model->busy) return 0;
  model->busy = 1;
  return 1;
#endif
}

static void release(ew_model* model) {
#if EW_HAS_THREADS
  atomic_store_explicit(&model->busy, 0, memory_order_release);
#else
  model->busy = 0;
#endif
}

/// Fills the tables that the kernels read; copies the inputs that they could not use in place.
/// Returns EW_OK, or EW_INVALID_ARGUMENT with the reason in model->error.
static ew_status bind_tensors(ew_model* model, const void* const* inputs, void* const* outputs) {
  const ew_program* program = model->program;
  const uintptr_t alignment = io_alignment_bytes(program);
  unsigned char* staged = model->staging;
  for (uint32_t i = 0; i < program->num_inputs; ++i) {
    const ew_tensor_info* info = &program->inputs[i];
    if (inputs[i] == NULL) {
      snprintf(model->error, sizeof(model->error), "the address of the input '%s' is NULL.",
               info->name);
      return EW_INVALID_ARGUMENT;
    }
    model->inputs[i] = inputs[i];
    if ((uintptr_t)inputs[i] % alignment != 0) {
      memcpy(staged, inputs[i], info->size_bytes);
      model->inputs[i] = staged;
    }
    staged += align_up(info->size_bytes);
  }
  for (uint32_t i = 0; i < program->num_outputs; ++i) {
    const ew_tensor_info* info = &program->outputs[i];
    if (outputs[i] == NULL) {
      snprintf(model->error, sizeof(model->error), "the address of the output '%s' is NULL.",
               info->name);
      return EW_INVALID_ARGUMENT;
    }
    model->outputs[i] = (uintptr_t)outputs[i] % alignment != 0 ? staged : outputs[i];
    staged += align_up(info->size_bytes);
  }
  return EW_OK;
}

ew_status ew_run(ew_model* model, const void* const* inputs, void* const* outputs) {
  ew_status status;
  if (model == NULL) return EW_INVALID_ARGUMENT;
  if (!acquire(model)) return EW_BUSY;
  const ew_program* program = model->program;
  model->error[0] = '\0';
  if ((inputs == NULL && program->num_inputs > 0) ||
      (outputs == NULL && program->num_outputs > 0)) {
    snprintf(model->error, sizeof(model->error), "inputs or outputs is NULL.");
    status = EW_INVALID_ARGUMENT;
    goto cleanup;
  }
  status = bind_tensors(model, inputs, outputs);
  if (status != EW_OK) goto cleanup;
  ew_run_context context = {model,
                            {model->inputs, model->outputs, model->arena, model->weights.address}};
  status = program->run(&context);
  if (status != EW_OK) goto cleanup;
  for (uint32_t i = 0; i < program->num_outputs; ++i) {
    if (model->outputs[i] != outputs[i]) {
      memcpy(outputs[i], model->outputs[i], program->outputs[i].size_bytes);
    }
  }

cleanup:
  release(model);
  return status;
}

/// One step divided over the threads.
typedef struct launch_job {
  const ew_model* model;
  const ew_frame* frame;
  ew_task_fn fn;
} launch_job;

static int32_t run_tasks(void* argument, int32_t thread, int32_t begin, int32_t end) {
  const launch_job* job = argument;
  unsigned char* scratch =
      job->model->scratch + (size_t)thread * job->model->scratch_stride_bytes;
  return job->fn(job->frame, scratch, begin, end);
}

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

ew_status ew_launch(ew_run_context* context, uint32_t index, ew_task_fn fn, int32_t tasks) {
  assert(context != NULL);
  assert(fn != NULL);
  assert(tasks >= 0);
  ew_model* model = context->model;
  assert(index < model->program->num_steps);
  const uint64_t begin_ns = model->hook != NULL ? now_ns() : 0;
  int32_t code;
  if (model->threads == 1 || tasks <= 1) {
    code = fn(&context->frame, model->scratch, 0, tasks);
  } else {
    launch_job job = {model, &context->frame, fn};
    code = ew_thread_pool_run(model->pool, run_tasks, &job, tasks);
  }
  if (code != 0) {
    const ew_step_info* step = &model->program->steps[index];
    snprintf(model->error, sizeof(model->error),
             "step %u '%s' failed: kernel %s returned %d.", (unsigned)index, step->name,
             step->kernel, (int)code);
    return EW_KERNEL_FAILED;
  }
  if (model->hook != NULL) model->hook(model->hook_user, index, now_ns() - begin_ns);
  return EW_OK;
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
  return model->threads;
}

const ew_program* ew_model_program(const ew_model* model) {
  assert(model != NULL);
  return model->program;
}
