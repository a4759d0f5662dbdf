#ifndef _GNU_SOURCE
#define _GNU_SOURCE  // dlopen's constants, whatever the C library
#endif
#include "cuda_driver.h"

#include <assert.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

int ew_cuda_driver_open(ew_cuda_driver* driver, char* error_text, size_t error_text_bytes) {
  assert(driver != NULL);
  assert(error_text != NULL && error_text_bytes > 0);
  memset(driver, 0, sizeof(*driver));
  // The driver has threads of its own, which an unmapped library would take along.
  driver->library = dlopen(EW_CUDA_LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (driver->library == NULL) {
    const char* reason = dlerror();
    snprintf(error_text, error_text_bytes,
             "NVIDIA's driver cannot be loaded: %s. Install it, or use a bundle for the CPU.",
             reason != NULL ? reason : EW_CUDA_LIBRARY);
    return -1;
  }
  // ISO C knows no conversion of data pointers to functions; POSIX promises that it works.
#define EW_CUDA_LOAD(name, symbol, parameters)                                                  \
  {                                                                                             \
    void* const found = dlsym(driver->library, symbol);                                         \
    if (found == NULL) {                                                                        \
      snprintf(error_text, error_text_bytes,                                                    \
               "NVIDIA's driver lacks %s: it is older than CUDA 11.4. Update it.", symbol);     \
      ew_cuda_driver_close(driver);                                                             \
      return -1;                                                                                \
    }                                                                                           \
    memcpy(&driver->name, &found, sizeof(found));                                               \
  }
  EW_CUDA_FUNCTIONS(EW_CUDA_LOAD)
  return 0;
}

void ew_cuda_driver_close(ew_cuda_driver* driver) {
  assert(driver != NULL);
  if (driver->library != NULL) dlclose(driver->library);
  memset(driver, 0, sizeof(*driver));
}

const char* ew_cuda_result_name(const ew_cuda_driver* driver, ew_cu_result result) {
  const char* name = NULL;
  assert(driver != NULL);
  if (driver->error_name == NULL || driver->error_name(result, &name) != EW_CU_SUCCESS) name = NULL;
  return name != NULL ? name : "an unknown error";
}
