/// Checks of the thread pool: every task of every job runs exactly once, on a thread that runs no
/// other at the time; a slow thread's tasks are taken by others; a failing task's code comes back.
/// `pool_checks THREADS`.
#include "thread_pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_THREADS 16
#define MAX_TASKS 200
#define CHECK(condition)                                                      \
  do {                                                                        \
    if (!(condition)) {                                                       \
      fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                                \
    }                                                                         \
  } while (0)

typedef struct job {
  int runs[MAX_TASKS];          // not atomic on purpose: the sanitizer sees two writers
  int busy[MAX_THREADS];        // likewise: a thread's scratch memory has one user
  int failing;                  // task that fails, or -1
  int slow;                     // thread that takes its time over each range, or -1
} job;

static int32_t run_range(void* argument, int32_t thread, int32_t begin, int32_t end) {
  job* own = argument;
  int32_t code = 0;
  CHECK(thread >= 0 && thread < MAX_THREADS && begin < end);
  CHECK(++own->busy[thread] == 1);
  if (thread == own->slow) {
    const struct timespec nap = {0, 2000000};
    nanosleep(&nap, NULL);
  }
  for (int32_t i = begin; i < end; ++i) {
    ++own->runs[i];
    if (i == own->failing) code = 100 + i;
  }
  --own->busy[thread];
  return code;
}

int main(int argc, char** argv) {
  CHECK(argc == 2);
  const int32_t threads = atoi(argv[1]);
  ew_thread_pool* pool = NULL;
  CHECK(ew_available_cpus() >= 1);
  CHECK(ew_thread_pool_create(threads, -1, &pool) == EW_POOL_OK && pool != NULL);
  for (int round = 0; round < 500; ++round) {
    job own;
    const int32_t tasks = round % 13 == 0 ? round % threads : 1 + round % MAX_TASKS;
    memset(&own, 0, sizeof(own));
    own.failing = round % 7 == 3 && tasks > 0 ? round % tasks : -1;
    own.slow = round % 50 == 0 ? (round / 50) % threads : -1;  // long enough for the others to park
    const int32_t code = ew_thread_pool_run(pool, run_range, &own, tasks);
    CHECK(code == (own.failing >= 0 ? 100 + own.failing : 0));
    for (int i = 0; i < tasks; ++i) CHECK(own.runs[i] == 1 || (own.failing >= 0 && own.runs[i] == 0));
    for (int i = tasks; i < MAX_TASKS; ++i) CHECK(own.runs[i] == 0);
    if (round % 100 == 99) {
      const struct timespec nap = {0, 5000000};
      nanosleep(&nap, NULL);  // all workers park
    }
  }
  ew_thread_pool_destroy(pool);
  // Pools that never get a job.
  for (int i = 0; i < 20; ++i) {
    CHECK(ew_thread_pool_create(threads, -1, &pool) == EW_POOL_OK);
    ew_thread_pool_destroy(pool);
  }
  puts("held");
  return 0;
}
