#ifndef _GNU_SOURCE
#define _GNU_SOURCE  // dlopen's constants, whatever the C library
#endif
#include "emulated_driver.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FATBIN_MAGIC 0xba55ed50u

emulated_state driver;

static int the_context;         // its address is the device's primary context

void misuse(const char* format, ...) {
  va_list arguments;
  fputs("emulated driver: ", stderr);
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputs("\n", stderr);
  fflush(NULL);
  _exit(EW_EMULATED_MISUSE);
}

__attribute__((destructor)) static void check_leaks(void) {
  const size_t memory = memory_count();
  int streams = 0;
  for (int i = 0; i < MAX_STREAMS; ++i) streams += driver.streams[i] != NULL;
  if (memory == 0 && driver.retained == 0 && driver.depth == 0 && streams == 0 &&
      driver.modules == 0 && driver.graphs == 0 && driver.graph_execs == 0 && driver.events == 0) {
    return;
  }
  misuse("left at the end: %zu allocations, %d contexts (%d of them current), %d streams, "
         "%d modules, %d graphs, %d executable graphs, %d events",
         memory, driver.retained, driver.depth, streams, driver.modules, driver.graphs,
         driver.graph_execs, driver.events);
}

long setting(const char* name, long otherwise) {
  const char* given = getenv(name);
  return given != NULL ? strtol(given, NULL, 10) : otherwise;
}

// -- device and context ------------------------------------------------------------------------

int cuInit(unsigned int flags) {
  MAY_FAIL();
  if (flags != 0) return INVALID_VALUE;
  if (setting("EW_EMULATED_DEVICES", 1) == 0) return NO_DEVICE;
  driver.initialized = 1;
  return SUCCESS;
}

int cuDriverGetVersion(int* version) {
  *version = (int)setting("EW_EMULATED_VERSION", 13000);
  return SUCCESS;
}

int cuGetErrorName(int result, const char** name) {
  switch (result) {
    case SUCCESS: *name = "CUDA_SUCCESS"; break;
    case INVALID_VALUE: *name = "CUDA_ERROR_INVALID_VALUE"; break;
    case OUT_OF_MEMORY: *name = "CUDA_ERROR_OUT_OF_MEMORY"; break;
    case NOT_INITIALIZED: *name = "CUDA_ERROR_NOT_INITIALIZED"; break;
    case NO_DEVICE: *name = "CUDA_ERROR_NO_DEVICE"; break;
    case INVALID_IMAGE: *name = "CUDA_ERROR_INVALID_IMAGE"; break;
    case NOT_FOUND: *name = "CUDA_ERROR_NOT_FOUND"; break;
    case FAILED: *name = "CUDA_ERROR_UNKNOWN"; break;
    default: return INVALID_VALUE;
  }
  return SUCCESS;
}

int cuDeviceGetCount(int* count) {
  MAY_FAIL();
  if (!driver.initialized) return NOT_INITIALIZED;
  *count = 1;
  return SUCCESS;
}

int cuDeviceGet(int* device, int ordinal) {
  MAY_FAIL();
  if (!driver.initialized) return NOT_INITIALIZED;
  if (ordinal != 0) return INVALID_VALUE;
  *device = 0;
  return SUCCESS;
}

int cuDeviceGetName(char* name, int length, int device) {
  if (device != 0 || length < 1) return INVALID_VALUE;
  snprintf(name, (size_t)length, "emulated");
  return SUCCESS;
}

int cuDeviceGetAttribute(int* value, int attribute, int device) {
  MAY_FAIL();
  const int capability = (int)setting("EW_EMULATED_CAPABILITY", 87);
  if (device != 0) return INVALID_VALUE;
  if (attribute != 75 && attribute != 76) misuse("device attribute %d is asked for", attribute);
  *value = attribute == 75 ? capability / 10 : capability % 10;
  return SUCCESS;
}

int cuDevicePrimaryCtxRetain(void** context, int device) {
  MAY_FAIL();
  if (!driver.initialized || device != 0) return INVALID_VALUE;
  ++driver.retained;
  *context = &the_context;
  return SUCCESS;
}

int cuDevicePrimaryCtxRelease_v2(int device) {
  if (device != 0 || driver.retained == 0) misuse("a context is released that is not retained");
  --driver.retained;
  return SUCCESS;
}

int cuCtxPushCurrent_v2(void* context) {
  if (context != &the_context || driver.retained == 0) misuse("that is no retained context");
  if (driver.depth == CONTEXT_DEPTH) misuse("contexts are pushed and never popped");
  driver.stack[driver.depth++] = context;
  return SUCCESS;
}

int cuCtxPopCurrent_v2(void** context) {
  if (driver.depth == 0) misuse("a context is popped that was not pushed");
  *context = driver.stack[--driver.depth];
  return SUCCESS;
}

// -- modules -----------------------------------------------------------------------------------

int cuModuleLoadData(void** module, const void* image) {
  MAY_FAIL();
  uint32_t magic;
  void (*open_library)(ew_emulated_library*);
  void* symbol;
  const char* path = getenv("EW_EMULATED_KERNELS");
  NEEDS_CONTEXT();
  memcpy(&magic, image, sizeof(magic));
  if (magic != FATBIN_MAGIC || setting("EW_EMULATED_BAD_IMAGE", 0) != 0) return INVALID_IMAGE;
  driver.library = path != NULL ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
  symbol = driver.library != NULL ? dlsym(driver.library, "ew_emulated_open") : NULL;
  if (symbol == NULL) misuse("EW_EMULATED_KERNELS names no library of kernels: %s", dlerror());
  memcpy(&open_library, &symbol, sizeof(symbol));
  open_library(&driver.kernels);
  ++driver.modules;
  *module = &driver.kernels;
  return SUCCESS;
}

int cuModuleUnload(void* module) {
  NEEDS_CONTEXT();
  if (module != &driver.kernels || driver.modules == 0) misuse("that is no module");
  --driver.modules;
  return SUCCESS;
}

int cuModuleGetFunction(const void** function, void* module, const char* name) {
  MAY_FAIL();
  NEEDS_CONTEXT();
  if (module != &driver.kernels) misuse("that is no module");
  for (size_t i = 0; i < driver.kernels.num_kernels; ++i) {
    *function = &driver.kernels.kernels[i];
    if (strcmp(driver.kernels.kernels[i].name, name) == 0) return SUCCESS;
  }
  return NOT_FOUND;
}

int cuFuncGetAttribute(int* value, int attribute, const void* function) {
  MAY_FAIL();
  NEEDS_CONTEXT();
  if (attribute != 0 || function == NULL) misuse("function attribute %d is asked for", attribute);
  *value = (int)setting("EW_EMULATED_MAX_THREADS", EW_EMULATED_MAX_THREADS);
  return SUCCESS;
}

// -- memory ------------------------------------------------------------------------------------

int cuMemAlloc_v2(unsigned long long* address, size_t bytes) {
  MAY_FAIL();
  NEEDS_CONTEXT();
  if (bytes == 0) return INVALID_VALUE;
  *address = (unsigned long long)(uintptr_t)memory_allocate(bytes, MEMORY_DEVICE);
  return *address != 0 ? SUCCESS : OUT_OF_MEMORY;
}

int cuMemFree_v2(unsigned long long address) {
  NEEDS_CONTEXT();
  memory_free((void*)(uintptr_t)address, MEMORY_DEVICE);
  return SUCCESS;
}

int cuMemHostAlloc(void** address, size_t bytes, unsigned int flags) {
  MAY_FAIL();
  NEEDS_CONTEXT();
  if (bytes == 0 || flags != 0) return INVALID_VALUE;
  *address = memory_allocate(bytes, MEMORY_HOST);
  return *address != NULL ? SUCCESS : OUT_OF_MEMORY;
}

int cuMemFreeHost(void* address) {
  NEEDS_CONTEXT();
  memory_free(address, MEMORY_HOST);
  return SUCCESS;
}

int cuPointerGetAttribute(void* value, int attribute, unsigned long long address) {
  const int type = memory_type((const void*)(uintptr_t)address);
  const unsigned int answer = (unsigned int)type;
  if (attribute != 2) misuse("pointer attribute %d is asked for", attribute);
  if (type == MEMORY_NONE) return INVALID_VALUE;
  memcpy(value, &answer, sizeof(answer));
  return SUCCESS;
}

int cuMemcpyHtoD_v2(unsigned long long to, const void* from, size_t bytes) {
  MAY_FAIL();
  NEEDS_CONTEXT();
  memory_check((void*)(uintptr_t)to, bytes, MEMORY_DEVICE, "cuMemcpyHtoD");
  memory_unlock();
  memcpy((void*)(uintptr_t)to, from, bytes);
  memory_lock();
  return SUCCESS;
}
