#include <stdlib.h>
#include <string.h>

#include "emulated_driver.h"

static emulated_stream** find_stream(const emulated_stream* stream) {
  for (int i = 0; i < MAX_STREAMS; ++i) {
    if (driver.streams[i] == stream) return &driver.streams[i];
  }
  return NULL;
}

static void check_stream(const emulated_stream* stream, const char* call) {
  if (stream == NULL || find_stream(stream) == NULL) misuse("%s: that is no stream", call);
}

/// Where work for a stream goes: to the graph that it records, or to itself.
static void put(emulated_stream* stream, work item, const char* call) {
  NEEDS_CONTEXT();
  check_stream(stream, call);
  work_append(stream->captured != NULL ? stream->captured : &stream->work, item);
}

static int synchronize(emulated_stream* stream, const char* call) {
  NEEDS_CONTEXT();
  check_stream(stream, call);
  if (stream->captured != NULL) misuse("%s while the stream records", call);
  work_run(&stream->work, &driver.kernels);
  return SUCCESS;
}

// -- copies -------------------------------------------------------------------------------------

static int put_copy(emulated_stream* stream, void* to, int to_type, const void* from,
                    int from_type, size_t bytes) {
  MAY_FAIL();
  work item = {.kind = WORK_COPY};
  if (bytes == 0) misuse("a copy of no bytes");
  memory_check(to, bytes, to_type, "where a copy goes");
  memory_check(from, bytes, from_type, "where a copy comes from");
  item.to = to;
  item.to_type = to_type;
  item.from = from;
  item.from_type = from_type;
  item.bytes = bytes;
  put(stream, item, "a copy");
  return SUCCESS;
}

int cuMemcpyHtoDAsync_v2(unsigned long long to, const void* from, size_t bytes,
                         emulated_stream* stream) {
  return put_copy(stream, (void*)(uintptr_t)to, MEMORY_DEVICE, from, MEMORY_HOST, bytes);
}

int cuMemcpyDtoHAsync_v2(void* to, unsigned long long from, size_t bytes,
                         emulated_stream* stream) {
  return put_copy(stream, to, MEMORY_HOST, (const void*)(uintptr_t)from, MEMORY_DEVICE, bytes);
}

int cuMemcpyDtoDAsync_v2(unsigned long long to, unsigned long long from, size_t bytes,
                         emulated_stream* stream) {
  return put_copy(stream, (void*)(uintptr_t)to, MEMORY_DEVICE, (const void*)(uintptr_t)from,
                  MEMORY_DEVICE, bytes);
}

// -- streams, graphs, launches -----------------------------------------------------------------

int cuStreamCreate(emulated_stream** stream, unsigned int flags) {
  MAY_FAIL();
  NEEDS_CONTEXT();
  if (flags != 1) misuse("a stream that waits for the default stream");
  emulated_stream** const free_place = find_stream(NULL);
  if (free_place == NULL) misuse("more than %d streams", MAX_STREAMS);
  *stream = *free_place = calloc(1, sizeof(**stream));
  return *stream != NULL ? SUCCESS : OUT_OF_MEMORY;
}

int cuStreamDestroy_v2(emulated_stream* stream) {
  NEEDS_CONTEXT();
  check_stream(stream, "cuStreamDestroy");
  if (stream->captured != NULL) misuse("cuStreamDestroy while the stream records");
  work_clear(&stream->work);
  *find_stream(stream) = NULL;
  free(stream);
  return SUCCESS;
}

int cuStreamSynchronize(emulated_stream* stream) {
  MAY_FAIL();
  return synchronize(stream, "cuStreamSynchronize");
}

int cuStreamBeginCapture_v2(emulated_stream* stream, int mode) {
  MAY_FAIL();
  NEEDS_CONTEXT();
  check_stream(stream, "cuStreamBeginCapture");
  if (stream->captured != NULL || mode != 1) misuse("a recording in a recording, or of mode %d", mode);
  stream->captured = calloc(1, sizeof(*stream->captured));
  if (stream->captured == NULL) return OUT_OF_MEMORY;
  return SUCCESS;
}

int cuGraphDestroy(work_list* graph) {
  NEEDS_CONTEXT();
  work_clear(graph);
  free(graph);
  --driver.graphs;
  return SUCCESS;
}

int cuStreamEndCapture(emulated_stream* stream, work_list** graph) {
  NEEDS_CONTEXT();
  check_stream(stream, "cuStreamEndCapture");
  if (stream->captured == NULL) misuse("the end of a recording that was not begun");
  *graph = stream->captured;
  stream->captured = NULL;
  ++driver.graphs;
  if (++driver.calls != setting("EW_EMULATED_FAIL", 0)) return SUCCESS;
  cuGraphDestroy(*graph);
  *graph = NULL;
  return FAILED;
}

int cuGraphInstantiateWithFlags(work_list** exec, const work_list* graph,
                                unsigned long long flags) {
  MAY_FAIL();
  NEEDS_CONTEXT();
  if (flags != 0) return INVALID_VALUE;
  *exec = calloc(1, sizeof(**exec));
  if (*exec == NULL) return OUT_OF_MEMORY;
  work_append_all(*exec, graph);
  ++driver.graph_execs;
  return SUCCESS;
}

int cuGraphExecDestroy(work_list* exec) {
  NEEDS_CONTEXT();
  work_clear(exec);
  free(exec);
  --driver.graph_execs;
  return SUCCESS;
}

int cuGraphLaunch(const work_list* exec, emulated_stream* stream) {
  MAY_FAIL();
  NEEDS_CONTEXT();
  check_stream(stream, "cuGraphLaunch");
  if (stream->captured != NULL) misuse("cuGraphLaunch while the stream records");
  work_append_all(&stream->work, exec);
  return SUCCESS;
}

static void check_launch(const ew_emulated_kernel* kernel, ew_emulated_index grid,
                         ew_emulated_index block) {
  const uint64_t threads = (uint64_t)block.x * block.y * block.z;
  if (threads < 1 || threads > EW_EMULATED_MAX_THREADS || block.z > 64) {
    misuse("%s: a block of %u x %u x %u threads", kernel->name, block.x, block.y, block.z);
  }
  if (grid.x < 1 || grid.y < 1 || grid.z < 1 || grid.x > 0x7fffffffu || grid.y > 65535 ||
      grid.z > 65535) {
    misuse("%s: a grid of %u x %u x %u blocks", kernel->name, grid.x, grid.y, grid.z);
  }
}

int cuLaunchKernel(const ew_emulated_kernel* kernel, unsigned int grid_x, unsigned int grid_y,
                   unsigned int grid_z, unsigned int block_x, unsigned int block_y,
                   unsigned int block_z, unsigned int shared_bytes, emulated_stream* stream,
                   void** parameters, void** extra) {
  MAY_FAIL();
  work item = {.kind = WORK_LAUNCH, .kernel = kernel};
  const ew_emulated_index grid = {grid_x, grid_y, grid_z};
  const ew_emulated_index block = {block_x, block_y, block_z};
  check_launch(kernel, grid, block);
  if (shared_bytes != 0 || extra != NULL) misuse("%s: dynamic shared memory", kernel->name);
  item.grid = grid;
  item.block = block;
  item.parameters = calloc(kernel->num_parameters + (size_t)1, sizeof(*item.parameters));
  if (item.parameters == NULL) return OUT_OF_MEMORY;
  for (unsigned int i = 0; i < kernel->num_parameters; ++i) {
    unsigned long long address;
    memcpy(&address, parameters[i], sizeof(address));
    item.parameters[i] = (void*)(uintptr_t)address;
    memory_check(item.parameters[i], 1, MEMORY_DEVICE, kernel->name);
    if (address % 4 != 0) misuse("%s: parameter %u is not aligned", kernel->name, i);
  }
  put(stream, item, kernel->name);
  return SUCCESS;
}

// -- events ------------------------------------------------------------------------------------

int cuEventCreate(emulated_event** event, unsigned int flags) {
  MAY_FAIL();
  NEEDS_CONTEXT();
  if (flags != 0) return INVALID_VALUE;
  *event = calloc(1, sizeof(**event));
  if (*event == NULL) return OUT_OF_MEMORY;
  ++driver.events;
  return SUCCESS;
}

int cuEventDestroy_v2(emulated_event* event) {
  NEEDS_CONTEXT();
  free(event);
  --driver.events;
  return SUCCESS;
}

int cuEventRecord(emulated_event* event, emulated_stream* stream) {
  MAY_FAIL();
  work item = {.kind = WORK_EVENT, .event = event};
  event->recorded = 0;
  event->stream = stream;
  put(stream, item, "cuEventRecord");
  return SUCCESS;
}

int cuEventSynchronize(const emulated_event* event) {
  MAY_FAIL();
  if (event->stream == NULL) misuse("waiting for an event that was never recorded");
  return synchronize(event->stream, "cuEventSynchronize");
}

/// No time: the work done in between, as if each piece took a microsecond.
int cuEventElapsedTime(float* elapsed_ms, const emulated_event* begin, const emulated_event* end) {
  MAY_FAIL();
  if (!begin->recorded || !end->recorded) misuse("the time between events that have not happened");
  *elapsed_ms = (float)(end->order - begin->order) * 1e-3f;
  return SUCCESS;
}
