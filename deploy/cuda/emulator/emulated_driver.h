/// The parts of the emulated driver.
///
/// It is a libcuda.so.1 with the functions that Edgewright's runtime calls. Work that is put on a
/// stream happens when somebody waits for it. Each call is checked; a mistake is said on stderr and
/// ends the process, because a real driver might let it pass.
#ifndef EW_EMULATED_DRIVER_H
#define EW_EMULATED_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#include "emulated_threads.h"

enum {
  SUCCESS = 0,
  INVALID_VALUE = 1,
  OUT_OF_MEMORY = 2,
  NOT_INITIALIZED = 3,
  NO_DEVICE = 100,
  INVALID_IMAGE = 200,
  INVALID_CONTEXT = 201,
  NOT_FOUND = 500,
  FAILED = 999                  ///< CUDA_ERROR_UNKNOWN
};

enum { MEMORY_NONE = 0, MEMORY_HOST = 1, MEMORY_DEVICE = 2 };

/// Exit status of a process that misused the driver.
enum { EW_EMULATED_MISUSE = 86 };

/// Says what was wrong and ends the process.
_Noreturn void misuse(const char* format, ...) __attribute__((format(printf, 1, 2)));

// Memory: each allocation lies between pages that nobody may touch. Device memory itself may be
// touched only between memory_unlock and memory_lock, which is when the device works.

/// Address of `bytes` new bytes that hold nothing of meaning, or NULL: the limit is reached.
void* memory_allocate(size_t bytes, int type);
void memory_free(void* address, int type);
/// MEMORY_HOST, MEMORY_DEVICE, or MEMORY_NONE for an address that is in no allocation.
int memory_type(const void* address);
/// Ends the process unless the range lies in one allocation of that type.
void memory_check(const void* address, size_t bytes, int type, const char* what);
void memory_unlock(void);
void memory_lock(void);
/// How many allocations there are.
size_t memory_count(void);

// Work: a list of copies and launches, which is what both a stream and a graph hold.

typedef enum work_kind { WORK_COPY, WORK_LAUNCH, WORK_EVENT } work_kind;

typedef struct emulated_stream emulated_stream;

typedef struct emulated_event {
  emulated_stream* stream;      ///< that it was last recorded on
  int recorded;
  uint64_t order;               ///< how much work was done before it
} emulated_event;

typedef struct work {
  work_kind kind;
  void* to;                     ///< copies
  const void* from;
  size_t bytes;
  int to_type, from_type;
  const ew_emulated_kernel* kernel;  ///< launches
  ew_emulated_index grid, block;
  void** parameters;            ///< addresses, of which `parameters[i]` are what kernels get
  emulated_event* event;
} work;

typedef struct work_list {
  work* items;
  size_t count, capacity;
} work_list;

/// Appends; the list owns what the item points to.
void work_append(work_list* list, work item);
/// Appends a copy of each item of `source`.
void work_append_all(work_list* list, const work_list* source);
/// Does everything, in order, and leaves the list empty.
void work_run(work_list* list, const ew_emulated_library* library);
void work_clear(work_list* list);

// State and checks of the driver's functions.

enum { CONTEXT_DEPTH = 16, MAX_STREAMS = 16 };

struct emulated_stream {
  work_list work;
  work_list* captured;          ///< what a graph will hold, while the stream records
};

typedef struct emulated_state {
  int initialized;
  int retained;
  void* stack[CONTEXT_DEPTH];   ///< the contexts that are current, of this process's one device
  int depth;
  void* library;
  ew_emulated_library kernels;
  emulated_stream* streams[MAX_STREAMS];
  long calls;                   ///< of functions that may be made to fail
  int modules, graphs, graph_execs, events;
} emulated_state;

extern emulated_state driver;

/// What every call that works on the device needs.
#define NEEDS_CONTEXT() \
  if (driver.depth == 0) misuse("%s is called without a current context", __func__)

/// The number in an environment variable.
long setting(const char* name, long otherwise);

/// Makes the call of number EW_EMULATED_FAIL, counted from 1, fail.
#define MAY_FAIL() \
  if (++driver.calls == setting("EW_EMULATED_FAIL", 0)) return FAILED

#endif
