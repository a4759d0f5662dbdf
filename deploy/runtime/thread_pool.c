#ifndef _GNU_SOURCE
#define _GNU_SOURCE  // sched_getaffinity, CPU_SET
#endif
#include "thread_pool.h"

#include <assert.h>
#include <stddef.h>

#if EW_HAS_THREADS

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

/// How often a thread looks again before it parks. The next step of a run mostly follows within
/// microseconds, while waking a parked thread costs some 5 to 50 of them.
#define EW_SPIN_ITERATIONS 2000

#define EW_STACK_BYTES (512u * 1024u)
#define EW_CACHE_LINE_BYTES 64

/// Pieces in which a thread takes its own share: what it has not taken, others may.
#define EW_PIECES 4

/// The tasks of one thread.
typedef struct ew_share {
  atomic_int next;              // first task that nobody has taken
  int32_t end;
  int32_t piece;                // tasks that the owner takes at once
  char padding[EW_CACHE_LINE_BYTES];
} ew_share;

typedef struct ew_worker {
  ew_thread_pool* pool;
  pthread_t thread;
  int32_t index;                // of the thread; the caller's is 0
  int32_t cpu;                  // to pin to, or -1
  int32_t result;               // of the last job; written before `pending` falls
  char padding[EW_CACHE_LINE_BYTES];
} ew_worker;

struct ew_thread_pool {
  // One job. Written by the caller before `generation` rises, read by the workers after.
  ew_range_fn fn;
  void* job;
  int stopping;
  ew_share* shares;             // one for each thread

  // On a line of its own: the workers that wait must not slow down those that write `pending`.
  char padding_before[EW_CACHE_LINE_BYTES];
  atomic_uint generation;       // rises with every job; the workers wait for it
  char padding_after[EW_CACHE_LINE_BYTES];
  atomic_int pending;           // workers that have not finished the job; the caller waits for it
  atomic_int parked;            // workers asleep, or about to be, on `wake`
  atomic_int caller_parked;     // 1 if the caller is asleep, or about to be, on `done`

  pthread_mutex_t mutex;
  pthread_cond_t wake;
  pthread_cond_t done;

  int32_t spin_iterations;
  int32_t started;              // workers whose thread runs
  int32_t num_workers;
  ew_worker workers[];
};

static void pause_briefly(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb" ::: "memory");  // unlike yield, it does take a while
#elif defined(__ARM_ARCH) && __ARM_ARCH >= 7
  __asm__ volatile("yield" ::: "memory");
#endif
}

/// Parking loses no wake-up: a worker raises `parked` before it looks at `generation` for the last
/// time, and the caller raises `generation` before it looks at `parked`. In the single order of
/// these sequentially consistent operations, one of the two sees the other.
static void wait_for_job(ew_thread_pool* pool, unsigned seen) {
  for (int32_t i = 0; i < pool->spin_iterations; ++i) {
    if (atomic_load_explicit(&pool->generation, memory_order_acquire) != seen) return;
    pause_briefly();
  }
  pthread_mutex_lock(&pool->mutex);
  atomic_fetch_add(&pool->parked, 1);
  while (atomic_load(&pool->generation) == seen) pthread_cond_wait(&pool->wake, &pool->mutex);
  atomic_fetch_sub(&pool->parked, 1);
  pthread_mutex_unlock(&pool->mutex);
}

static void publish_job(ew_thread_pool* pool) {
  atomic_store_explicit(&pool->pending, pool->started, memory_order_relaxed);
  atomic_fetch_add(&pool->generation, 1u);
  if (atomic_load(&pool->parked) != 0) {
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
  }
}

static void report_done(ew_thread_pool* pool) {
  if (atomic_fetch_sub(&pool->pending, 1) != 1) return;
  if (atomic_load(&pool->caller_parked) != 0) {
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_signal(&pool->done);
    pthread_mutex_unlock(&pool->mutex);
  }
}

static void wait_until_done(ew_thread_pool* pool) {
  for (int32_t i = 0; i < pool->spin_iterations; ++i) {
    if (atomic_load_explicit(&pool->pending, memory_order_acquire) == 0) return;
    pause_briefly();
  }
  pthread_mutex_lock(&pool->mutex);
  atomic_store(&pool->caller_parked, 1);
  while (atomic_load(&pool->pending) != 0) pthread_cond_wait(&pool->done, &pool->mutex);
  atomic_store(&pool->caller_parked, 0);
  pthread_mutex_unlock(&pool->mutex);
}

/// Returns 0, or non-zero if the system refuses the CPU.
static int pin_this_thread(int32_t cpu) {
  cpu_set_t set;
  if (cpu >= CPU_SETSIZE) return -1;
  CPU_ZERO(&set);
  CPU_SET((unsigned)cpu, &set);
  return sched_setaffinity(0, sizeof(set), &set);
}

/// Takes tasks until none is left: the thread's own in pieces, then others' one by one. A failure
/// ends it.
static int32_t take_tasks(ew_thread_pool* pool, int32_t thread) {
  const int32_t threads = pool->started + 1;
  for (int32_t i = 0; i < threads; ++i) {
    ew_share* share = &pool->shares[(thread + i) % threads];
    const int32_t piece = i == 0 ? share->piece : 1;
    for (;;) {
      int32_t begin = share->end, end, code;
      if (atomic_load_explicit(&share->next, memory_order_relaxed) < share->end) {
        begin = atomic_fetch_add_explicit(&share->next, piece, memory_order_relaxed);
      }
      if (begin >= share->end) break;
      end = share->end - begin < piece ? share->end : begin + piece;
      code = pool->fn(pool->job, thread, begin, end);
      if (code != 0) return code;
    }
  }
  return 0;
}

static void divide_tasks(ew_thread_pool* pool, int32_t tasks) {
  const int32_t threads = pool->started + 1;
  for (int32_t i = 0; i < threads; ++i) {
    ew_share* share = &pool->shares[i];
    const int32_t begin = (int32_t)((int64_t)tasks * i / threads);
    share->end = (int32_t)((int64_t)tasks * (i + 1) / threads);
    share->piece = (share->end - begin + EW_PIECES - 1) / EW_PIECES;
    atomic_store_explicit(&share->next, begin, memory_order_relaxed);
  }
}

static void* worker_main(void* argument) {
  ew_worker* worker = argument;
  ew_thread_pool* pool = worker->pool;
  unsigned seen = 0;
  worker->result = worker->cpu < 0 ? 0 : pin_this_thread(worker->cpu);
  report_done(pool);  // the start counts as job 0
  for (;;) {
    wait_for_job(pool, seen);
    ++seen;
    if (pool->stopping) break;
    worker->result = take_tasks(pool, worker->index);
    report_done(pool);
  }
  return NULL;
}

static ew_pool_status start_worker(ew_thread_pool* pool, int32_t index, int32_t first_cpu) {
  ew_worker* worker = &pool->workers[index];
  pthread_attr_t attributes;
  int failed;
  worker->pool = pool;
  worker->index = index + 1;
  worker->cpu = first_cpu < 0 ? -1 : first_cpu + worker->index;
  if (pthread_attr_init(&attributes) != 0) return EW_POOL_NO_THREAD;
  (void)pthread_attr_setstacksize(&attributes, EW_STACK_BYTES);  // a hint: the default works too
  failed = pthread_create(&worker->thread, &attributes, worker_main, worker);
  (void)pthread_attr_destroy(&attributes);
  return failed ? EW_POOL_NO_THREAD : EW_POOL_OK;
}

/// Starts the workers with every signal blocked, so that the application's handlers keep running on
/// the application's own threads.
static ew_pool_status start_workers(ew_thread_pool* pool, int32_t first_cpu) {
  ew_pool_status status = EW_POOL_OK;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  atomic_store(&pool->pending, pool->num_workers);
  while (status == EW_POOL_OK && pool->started < pool->num_workers) {
    status = start_worker(pool, pool->started, first_cpu);
    if (status == EW_POOL_OK) ++pool->started;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  atomic_fetch_sub(&pool->pending, pool->num_workers - pool->started);
  wait_until_done(pool);
  for (int32_t i = 0; status == EW_POOL_OK && i < pool->started; ++i) {
    if (pool->workers[i].result != 0) status = EW_POOL_NOT_PINNED;
  }
  return status;
}

int32_t ew_available_cpus(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  const int count = CPU_COUNT(&set);
  return count > 0 ? (int32_t)count : 1;
}

ew_pool_status ew_thread_pool_create(int32_t threads, int32_t first_cpu, ew_thread_pool** pool) {
  assert(threads >= 2);
  assert(pool != NULL);
  const size_t workers = (size_t)threads - 1;
  ew_thread_pool* made = calloc(1, sizeof(*made) + workers * sizeof(ew_worker));
  ew_pool_status status = EW_POOL_OUT_OF_MEMORY;
  *pool = NULL;
  if (made == NULL) goto cleanup;
  made->shares = calloc(workers + 1, sizeof(ew_share));
  if (made->shares == NULL) {
    free(made);
    return status;
  }
  made->num_workers = (int32_t)workers;
  // With more threads than CPUs, whoever spins keeps the others from working. Pinned threads have a
  // CPU each, while the caller may well be allowed on one only.
  made->spin_iterations =
      first_cpu >= 0 || threads <= ew_available_cpus() ? EW_SPIN_ITERATIONS : 0;
  atomic_init(&made->generation, 0u);
  atomic_init(&made->pending, 0);
  atomic_init(&made->parked, 0);
  atomic_init(&made->caller_parked, 0);
  pthread_mutex_init(&made->mutex, NULL);
  pthread_cond_init(&made->wake, NULL);
  pthread_cond_init(&made->done, NULL);
  status = start_workers(made, first_cpu);
  if (status != EW_POOL_OK) goto cleanup;
  *pool = made;
  made = NULL;

cleanup:
  ew_thread_pool_destroy(made);
  return status;
}

int32_t ew_thread_pool_run(ew_thread_pool* pool, ew_range_fn fn, void* job, int32_t tasks) {
  assert(pool != NULL);
  assert(fn != NULL);
  assert(tasks >= 0);
  int32_t result;
  pool->fn = fn;
  pool->job = job;
  divide_tasks(pool, tasks);
  publish_job(pool);
  result = take_tasks(pool, 0);
  wait_until_done(pool);
  for (int32_t i = 0; result == 0 && i < pool->started; ++i) result = pool->workers[i].result;
  return result;
}

void ew_thread_pool_destroy(ew_thread_pool* pool) {
  if (pool == NULL) return;
  pool->stopping = 1;
  publish_job(pool);
  for (int32_t i = 0; i < pool->started; ++i) pthread_join(pool->workers[i].thread, NULL);
  pthread_cond_destroy(&pool->done);
  pthread_cond_destroy(&pool->wake);
  pthread_mutex_destroy(&pool->mutex);
  free(pool->shares);
  free(pool);
}

#else  // !EW_HAS_THREADS

int32_t ew_available_cpus(void) { return 1; }

ew_pool_status ew_thread_pool_create(int32_t threads, int32_t first_cpu, ew_thread_pool** pool) {
  (void)threads;
  (void)first_cpu;
  assert(pool != NULL);
  *pool = NULL;
  return EW_POOL_NO_THREAD;
}

int32_t ew_thread_pool_run(ew_thread_pool* pool, ew_range_fn fn, void* job, int32_t tasks) {
  assert(pool == NULL);  // no pool can have been made
  (void)pool;
  return fn(job, 0, 0, tasks);
}

void ew_thread_pool_destroy(ew_thread_pool* pool) { (void)pool; }

#endif
