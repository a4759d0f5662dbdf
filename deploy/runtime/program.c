#include "program.h"

#include <assert.h>

#define EW_RUNTIME_VERSION "0.1.0"

uint32_t ew_abi_version(void) { return EW_ABI_VERSION; }

const char* ew_version(void) { return EW_RUNTIME_VERSION; }

const char* ew_status_name(ew_status status) {
  switch (status) {
    case EW_OK: return "EW_OK";
    case EW_INVALID_ARGUMENT: return "EW_INVALID_ARGUMENT";
    case EW_ABI_MISMATCH: return "EW_ABI_MISMATCH";
    case EW_OUT_OF_MEMORY: return "EW_OUT_OF_MEMORY";
    case EW_WEIGHTS_MISSING: return "EW_WEIGHTS_MISSING";
    case EW_WEIGHTS_SIZE: return "EW_WEIGHTS_SIZE";
    case EW_WORKSPACE_TOO_SMALL: return "EW_WORKSPACE_TOO_SMALL";
    case EW_THREADS_FAILED: return "EW_THREADS_FAILED";
    case EW_BUSY: return "EW_BUSY";
    case EW_KERNEL_FAILED: return "EW_KERNEL_FAILED";
    case EW_NO_DRIVER: return "EW_NO_DRIVER";
    case EW_NO_DEVICE: return "EW_NO_DEVICE";
    case EW_DEVICE_FAILED: return "EW_DEVICE_FAILED";
  }
  return "EW_UNKNOWN";
}

const char* ew_dtype_name(ew_dtype dtype) {
  switch (dtype) {
    case EW_FLOAT32: return "float32";
    case EW_FLOAT64: return "float64";
    case EW_FLOAT16: return "float16";
    case EW_INT8: return "int8";
    case EW_UINT8: return "uint8";
    case EW_INT16: return "int16";
    case EW_UINT16: return "uint16";
    case EW_INT32: return "int32";
    case EW_UINT32: return "uint32";
    case EW_INT64: return "int64";
    case EW_UINT64: return "uint64";
    case EW_BOOL: return "bool";
  }
  return "unknown";
}

const char* ew_program_name(const ew_program* program) {
  assert(program != NULL);
  return program->name;
}

uint32_t ew_num_inputs(const ew_program* program) {
  assert(program != NULL);
  return program->num_inputs;
}

uint32_t ew_num_outputs(const ew_program* program) {
  assert(program != NULL);
  return program->num_outputs;
}

uint32_t ew_num_steps(const ew_program* program) {
  assert(program != NULL);
  return program->num_steps;
}

const ew_tensor_info* ew_input(const ew_program* program, uint32_t index) {
  assert(program != NULL);
  return index < program->num_inputs ? &program->inputs[index] : NULL;
}

const ew_tensor_info* ew_output(const ew_program* program, uint32_t index) {
  assert(program != NULL);
  return index < program->num_outputs ? &program->outputs[index] : NULL;
}

const ew_step_info* ew_step(const ew_program* program, uint32_t index) {
  assert(program != NULL);
  return index < program->num_steps ? &program->steps[index] : NULL;
}

size_t ew_weights_bytes(const ew_program* program) {
  assert(program != NULL);
  return program->weights_bytes;
}

int ew_weights_embedded(const ew_program* program) {
  assert(program != NULL);
  return program->weights != NULL;
}
