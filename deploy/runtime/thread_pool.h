/// A pool of parked threads that run one job at a time, together with the thread that asks for it.
#ifndef EW_THREAD_POOL_H
#define EW_THREAD_POOL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// 1 if this build has threads. Cores without atomic instructions (armv6 as zig builds for it,
/// armv5te) are built with -DEW_NO_THREADS.
#ifdef EW_NO_THREADS
#define EW_HAS_THREADS 0
#else
#define EW_HAS_THREADS 1
#endif

typedef struct ew_thread_pool ew_thread_pool;

/// Runs the tasks [begin, end) of a job on thread `thread`, 0 <= thread < the pool's threads; thread
/// 0 is the calling one. Returns 0, or the job's own code on failure.
typedef int32_t (*ew_range_fn)(void* job, int32_t thread, int32_t begin, int32_t end);

typedef enum ew_pool_status {
  EW_POOL_OK = 0,
  EW_POOL_OUT_OF_MEMORY = 1,
  EW_POOL_NO_THREAD = 2,        ///< a thread could not be started
  EW_POOL_NOT_PINNED = 3        ///< the system refused a CPU
} ew_pool_status;

/// CPUs that this process may run on, at least 1.
int32_t ew_available_cpus(void);

/// Starts threads - 1 threads (threads >= 2), pinned to the CPUs first_cpu + 1, first_cpu + 2, ...
/// unless first_cpu is negative. On failure *pool is NULL and nothing is left running.
ew_pool_status ew_thread_pool_create(int32_t threads, int32_t first_cpu, ew_thread_pool** pool);

/// Runs the tasks [0, tasks) of the job and returns when all have returned: 0, or the code of the
/// lowest thread that met a failure, which may leave tasks undone. Each thread has a contiguous
/// share, the same in every job of so many tasks, so that it finds its data in its own cache; a
/// thread that has finished takes what others have not begun. One call at a time.
int32_t ew_thread_pool_run(ew_thread_pool* pool, ew_range_fn fn, void* job, int32_t tasks);

/// Ends and joins the threads. NULL is allowed.
void ew_thread_pool_destroy(ew_thread_pool* pool);

#ifdef __cplusplus
}
#endif

#endif
