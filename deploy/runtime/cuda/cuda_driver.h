/// The functions of the CUDA driver that the runtime calls, loaded when a model is made.
///
/// No header of the CUDA toolkit is needed: the driver's ABI is declared here. Names, versions and
/// signatures are those of the CUDA Driver API reference; the newest of them is of CUDA 11.4.
#ifndef EW_CUDA_DRIVER_H
#define EW_CUDA_DRIVER_H

#include <stddef.h>
#include <stdint.h>

/// The driver's library; no other is loaded.
#define EW_CUDA_LIBRARY "libcuda.so.1"

typedef int ew_cu_result;             ///< CUresult; 0 is success
typedef int ew_cu_device;             ///< CUdevice, an ordinal
typedef unsigned long long ew_cu_pointer;  ///< CUdeviceptr
typedef struct CUctx_st* ew_cu_context;
typedef struct CUmod_st* ew_cu_module;
typedef struct CUfunc_st* ew_cu_function;
typedef struct CUstream_st* ew_cu_stream;
typedef struct CUevent_st* ew_cu_event;
typedef struct CUgraph_st* ew_cu_graph;
typedef struct CUgraphExec_st* ew_cu_graph_exec;

enum {
  EW_CU_SUCCESS = 0,
  EW_CU_INVALID_VALUE = 1,
  EW_CU_OUT_OF_MEMORY = 2,
  EW_CU_NO_DEVICE = 100,
  EW_CU_DEVICE_CAPABILITY_MAJOR = 75,  ///< CUdevice_attribute
  EW_CU_DEVICE_CAPABILITY_MINOR = 76,
  EW_CU_FUNCTION_MAX_THREADS = 0,      ///< CUfunction_attribute
  EW_CU_POINTER_MEMORY_TYPE = 2,       ///< CUpointer_attribute
  EW_CU_MEMORY_HOST = 1,               ///< CUmemorytype
  EW_CU_MEMORY_DEVICE = 2,
  EW_CU_STREAM_NON_BLOCKING = 1,
  EW_CU_CAPTURE_THREAD_LOCAL = 1       ///< CUstreamCaptureMode
};

/// Each function: our name, the symbol, its parameters.
#define EW_CUDA_FUNCTIONS(F)                                                                       \
  F(init, "cuInit", (unsigned int))                                                                \
  F(driver_version, "cuDriverGetVersion", (int*))                                                  \
  F(error_name, "cuGetErrorName", (ew_cu_result, const char**))                                    \
  F(device_count, "cuDeviceGetCount", (int*))                                                      \
  F(device_get, "cuDeviceGet", (ew_cu_device*, int))                                               \
  F(device_name, "cuDeviceGetName", (char*, int, ew_cu_device))                                    \
  F(device_attribute, "cuDeviceGetAttribute", (int*, int, ew_cu_device))                           \
  F(context_retain, "cuDevicePrimaryCtxRetain", (ew_cu_context*, ew_cu_device))                    \
  F(context_release, "cuDevicePrimaryCtxRelease_v2", (ew_cu_device))                               \
  F(context_push, "cuCtxPushCurrent_v2", (ew_cu_context))                                          \
  F(context_pop, "cuCtxPopCurrent_v2", (ew_cu_context*))                                           \
  F(module_load, "cuModuleLoadData", (ew_cu_module*, const void*))                                 \
  F(module_unload, "cuModuleUnload", (ew_cu_module))                                               \
  F(module_function, "cuModuleGetFunction", (ew_cu_function*, ew_cu_module, const char*))          \
  F(function_attribute, "cuFuncGetAttribute", (int*, int, ew_cu_function))                         \
  F(memory_allocate, "cuMemAlloc_v2", (ew_cu_pointer*, size_t))                                    \
  F(memory_free, "cuMemFree_v2", (ew_cu_pointer))                                                  \
  F(host_allocate, "cuMemHostAlloc", (void**, size_t, unsigned int))                               \
  F(host_free, "cuMemFreeHost", (void*))                                                           \
  F(pointer_attribute, "cuPointerGetAttribute", (void*, int, ew_cu_pointer))                       \
  F(copy_to_device, "cuMemcpyHtoD_v2", (ew_cu_pointer, const void*, size_t))                       \
  F(copy_to_device_async, "cuMemcpyHtoDAsync_v2",                                                  \
    (ew_cu_pointer, const void*, size_t, ew_cu_stream))                                            \
  F(copy_to_host_async, "cuMemcpyDtoHAsync_v2", (void*, ew_cu_pointer, size_t, ew_cu_stream))      \
  F(copy_async, "cuMemcpyDtoDAsync_v2", (ew_cu_pointer, ew_cu_pointer, size_t, ew_cu_stream))      \
  F(stream_create, "cuStreamCreate", (ew_cu_stream*, unsigned int))                                \
  F(stream_destroy, "cuStreamDestroy_v2", (ew_cu_stream))                                          \
  F(stream_synchronize, "cuStreamSynchronize", (ew_cu_stream))                                     \
  F(capture_begin, "cuStreamBeginCapture_v2", (ew_cu_stream, int))                                 \
  F(capture_end, "cuStreamEndCapture", (ew_cu_stream, ew_cu_graph*))                               \
  F(graph_destroy, "cuGraphDestroy", (ew_cu_graph))                                                \
  F(graph_instantiate, "cuGraphInstantiateWithFlags",                                              \
    (ew_cu_graph_exec*, ew_cu_graph, unsigned long long))                                          \
  F(graph_launch, "cuGraphLaunch", (ew_cu_graph_exec, ew_cu_stream))                               \
  F(graph_exec_destroy, "cuGraphExecDestroy", (ew_cu_graph_exec))                                  \
  F(launch, "cuLaunchKernel",                                                                      \
    (ew_cu_function, unsigned int, unsigned int, unsigned int, unsigned int, unsigned int,         \
     unsigned int, unsigned int, ew_cu_stream, void**, void**))                                    \
  F(event_create, "cuEventCreate", (ew_cu_event*, unsigned int))                                   \
  F(event_destroy, "cuEventDestroy_v2", (ew_cu_event))                                             \
  F(event_record, "cuEventRecord", (ew_cu_event, ew_cu_stream))                                    \
  F(event_synchronize, "cuEventSynchronize", (ew_cu_event))                                        \
  F(event_elapsed, "cuEventElapsedTime", (float*, ew_cu_event, ew_cu_event))

#define EW_CUDA_FIELD(name, symbol, parameters) ew_cu_result(*name) parameters;

/// The loaded driver; all zero before and after.
typedef struct ew_cuda_driver {
  void* library;
  EW_CUDA_FUNCTIONS(EW_CUDA_FIELD)
} ew_cuda_driver;

/// Loads the driver and all its functions.
/// Returns 0, or -1 with the reason, which names what is missing, in error_text.
int ew_cuda_driver_open(ew_cuda_driver* driver, char* error_text, size_t error_text_bytes);

/// Unloads it. A driver that was not opened is allowed.
void ew_cuda_driver_close(ew_cuda_driver* driver);

/// The name of a result, such as "CUDA_ERROR_OUT_OF_MEMORY"; never NULL.
const char* ew_cuda_result_name(const ew_cuda_driver* driver, ew_cu_result result);

#endif
