#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "cuda_model.h"

/// Where an address of the caller's lies; the driver knows nothing of pageable memory.
static int memory_type(const ew_model* model, const void* address) {
  unsigned int type = 0;
  const ew_cu_result result = model->driver.pointer_attribute(
      &type, EW_CU_POINTER_MEMORY_TYPE, (ew_cu_pointer)(uintptr_t)address);
  return result == EW_CU_SUCCESS ? (int)type : 0;
}

/// Our own room for a tensor, on the device.
static ew_cu_pointer device_room(const ew_model* model, uint32_t index) {
  const size_t arena_bytes = model->program->base.arena_bytes;
  const size_t slack = EW_CUDA_ALIGNMENT_BYTES - 1;
  const size_t arena = (arena_bytes + slack) / EW_CUDA_ALIGNMENT_BYTES * EW_CUDA_ALIGNMENT_BYTES;
  return model->activations + arena + model->io_offset_bytes[index];
}

static ew_cuda_binding bind_tensor(const ew_model* model, uint32_t index, const void* address) {
  ew_cuda_binding binding;
  memset(&binding, 0, sizeof(binding));
  binding.device = device_room(model, index);
  binding.other = (uintptr_t)address;
  switch (memory_type(model, address)) {
    case EW_CU_MEMORY_HOST: binding.route = EW_CUDA_PINNED; return binding;
    case EW_CU_MEMORY_DEVICE: binding.route = EW_CUDA_COPIED; break;
    default:
      binding.route = EW_CUDA_STAGED;
      binding.other = (uintptr_t)(model->staging + model->io_offset_bytes[index]);
      return binding;
  }
  if ((uintptr_t)address % EW_CUDA_IO_ALIGNMENT_BYTES == 0) {
    binding.route = EW_CUDA_DIRECT;
    binding.device = (ew_cu_pointer)(uintptr_t)address;
    binding.other = 0;
  }
  return binding;
}

ew_status ew_cuda_bind(ew_model* model, const void* const* inputs, void* const* outputs) {
  const ew_cuda_program* program = model->program;
  const uint32_t num_inputs = program->base.num_inputs;
  for (uint32_t i = 0; i < ew_cuda_tensors(program); ++i) {
    const ew_tensor_info* info = ew_cuda_tensor(program, i);
    const void* address = i < num_inputs ? inputs[i] : outputs[i - num_inputs];
    if (address == NULL) {
      snprintf(model->error, sizeof(model->error), "the address of the %s '%s' is NULL.",
               i < num_inputs ? "input" : "output", info->name);
      return EW_INVALID_ARGUMENT;
    }
    model->bound[i] = bind_tensor(model, i, address);
    if (i >= num_inputs) {
      model->outputs[i - num_inputs] = outputs[i - num_inputs];
    } else if (model->bound[i].route == EW_CUDA_STAGED) {
      memcpy(model->staging + model->io_offset_bytes[i], address, info->size_bytes);
    }
  }
  return EW_OK;
}

void ew_cuda_unbind(ew_model* model) {
  const ew_cuda_program* program = model->program;
  const uint32_t num_inputs = program->base.num_inputs;
  for (uint32_t i = num_inputs; i < ew_cuda_tensors(program); ++i) {
    if (model->bound[i].route != EW_CUDA_STAGED) continue;
    memcpy(model->outputs[i - num_inputs], model->staging + model->io_offset_bytes[i],
           ew_cuda_tensor(program, i)->size_bytes);
  }
}

/// Puts the copies of the caller's tensors [first, last) on the stream.
static ew_status enqueue_copies(ew_model* model, uint32_t first, uint32_t last) {
  const ew_cuda_driver* driver = &model->driver;
  const uint32_t num_inputs = model->program->base.num_inputs;
  for (uint32_t i = first; i < last; ++i) {
    const ew_cuda_binding* bound = &model->bound[i];
    const size_t bytes = ew_cuda_tensor(model->program, i)->size_bytes;
    const int is_input = i < num_inputs;
    ew_cu_result result = EW_CU_SUCCESS;
    if (bound->route == EW_CUDA_DIRECT || bytes == 0) continue;
    if (bound->route == EW_CUDA_COPIED) {
      result = is_input ? driver->copy_async(bound->device, bound->other, bytes, model->stream)
                        : driver->copy_async(bound->other, bound->device, bytes, model->stream);
    } else if (is_input) {
      result = driver->copy_to_device_async(bound->device, (const void*)bound->other, bytes,
                                            model->stream);
    } else {
      result = driver->copy_to_host_async((void*)bound->other, bound->device, bytes, model->stream);
    }
    if (result != EW_CU_SUCCESS) return ew_cuda_failed(model, "a copy", result);
  }
  return EW_OK;
}

static ew_cu_pointer resolve(const ew_model* model, const ew_cuda_parameter* parameter) {
  const uint32_t num_inputs = model->program->base.num_inputs;
  switch (parameter->space) {
    case EW_CUDA_INPUT: return model->bound[parameter->index].device;
    case EW_CUDA_OUTPUT: return model->bound[num_inputs + parameter->index].device;
    case EW_CUDA_WEIGHT: return model->weights + parameter->offset_bytes;
    case EW_CUDA_ARENA: break;
  }
  return model->activations + parameter->offset_bytes;
}

static ew_status enqueue_launch(ew_model* model, const ew_cuda_launch* launch) {
  const ew_cuda_program* program = model->program;
  const ew_cuda_parameter* parameters = &program->parameters[launch->first_parameter];
  ew_cu_pointer pointers[EW_CUDA_MAX_PARAMETERS];
  void* arguments[EW_CUDA_MAX_PARAMETERS];
  ew_cu_result result;
  assert(launch->num_parameters <= EW_CUDA_MAX_PARAMETERS);
  for (uint32_t i = 0; i < launch->num_parameters; ++i) {
    pointers[i] = resolve(model, &parameters[i]);
    arguments[i] = &pointers[i];
  }
  if (launch->kernel == EW_CUDA_COPY) {
    result = model->driver.copy_async(pointers[0], pointers[1], parameters[0].size_bytes,
                                      model->stream);
    return result == EW_CU_SUCCESS ? EW_OK : ew_cuda_failed(model, "a copy", result);
  }
  result = model->driver.launch(model->functions[launch->kernel], launch->grid[0], launch->grid[1],
                                launch->grid[2], launch->block[0], launch->block[1],
                                launch->block[2], 0, model->stream, arguments, NULL);
  return result == EW_CU_SUCCESS ? EW_OK
                                 : ew_cuda_failed(model, program->kernels[launch->kernel], result);
}

/// Everything between the caller's inputs and outputs, on the stream.
static ew_status enqueue_plan(ew_model* model) {
  const ew_program* program = &model->program->base;
  ew_status status = enqueue_copies(model, 0, program->num_inputs);
  for (uint32_t i = 0; status == EW_OK && i < program->num_steps; ++i) {
    status = enqueue_launch(model, &model->program->launches[i]);
  }
  if (status != EW_OK) return status;
  return enqueue_copies(model, program->num_inputs, ew_cuda_tensors(model->program));
}

/// Records the plan for the addresses of this run.
static ew_status record_plan(ew_model* model) {
  const ew_cuda_driver* driver = &model->driver;
  ew_cu_graph graph = NULL;
  ew_cu_result result;
  ew_status status;
  if (model->graph != NULL) (void)driver->graph_exec_destroy(model->graph);
  model->graph = NULL;
  result = driver->capture_begin(model->stream, EW_CU_CAPTURE_THREAD_LOCAL);
  if (result != EW_CU_SUCCESS) return ew_cuda_failed(model, "cuStreamBeginCapture", result);
  status = enqueue_plan(model);
  // It must end even if a launch failed, or the stream stays unusable.
  result = driver->capture_end(model->stream, &graph);
  if (status == EW_OK && result != EW_CU_SUCCESS) {
    status = ew_cuda_failed(model, "cuStreamEndCapture", result);
  }
  if (status == EW_OK) {
    result = driver->graph_instantiate(&model->graph, graph, 0);
    if (result != EW_CU_SUCCESS) {
      model->graph = NULL;
      status = ew_cuda_failed(model, "cuGraphInstantiate", result);
    }
  }
  if (graph != NULL) (void)driver->graph_destroy(graph);
  return status;
}

/// One launch between two events, whose distance the step hook is told.
static ew_status time_launch(ew_model* model, uint32_t step) {
  const ew_cuda_driver* driver = &model->driver;
  float elapsed_ms = 0;
  ew_cu_result result = driver->event_record(model->begin, model->stream);
  ew_status status;
  if (result != EW_CU_SUCCESS) return ew_cuda_failed(model, "cuEventRecord", result);
  status = enqueue_launch(model, &model->program->launches[step]);
  if (status != EW_OK) return status;
  result = driver->event_record(model->end, model->stream);
  if (result == EW_CU_SUCCESS) result = driver->event_synchronize(model->end);
  if (result == EW_CU_SUCCESS) result = driver->event_elapsed(&elapsed_ms, model->begin, model->end);
  if (result != EW_CU_SUCCESS) {
    return ew_cuda_failed(model, model->program->base.steps[step].kernel, result);
  }
  model->hook(model->hook_user, step, (uint64_t)((double)elapsed_ms * 1e6));
  return EW_OK;
}

static ew_status enqueue_timed(ew_model* model) {
  const ew_program* program = &model->program->base;
  ew_cu_event* const events[] = {&model->begin, &model->end};
  ew_status status;
  for (size_t i = 0; i < 2; ++i) {
    if (*events[i] != NULL) continue;
    const ew_cu_result result = model->driver.event_create(events[i], 0);
    if (result != EW_CU_SUCCESS) {
      *events[i] = NULL;
      return ew_cuda_failed(model, "cuEventCreate", result);
    }
  }
  status = enqueue_copies(model, 0, program->num_inputs);
  for (uint32_t i = 0; status == EW_OK && i < program->num_steps; ++i) {
    status = time_launch(model, i);
  }
  if (status != EW_OK) return status;
  return enqueue_copies(model, program->num_inputs, ew_cuda_tensors(model->program));
}

ew_status ew_cuda_enqueue(ew_model* model) {
  const size_t bytes = ew_cuda_tensors(model->program) * sizeof(*model->bound);
  ew_status status = EW_OK;
  ew_cu_result result;
  if (model->hook != NULL) return enqueue_timed(model);
  if (model->graph == NULL || memcmp(model->bound, model->recorded, bytes) != 0) {
    status = record_plan(model);
    if (status != EW_OK) return status;
    memcpy(model->recorded, model->bound, bytes);
  }
  result = model->driver.graph_launch(model->graph, model->stream);
  return result == EW_CU_SUCCESS ? EW_OK : ew_cuda_failed(model, "cuGraphLaunch", result);
}
