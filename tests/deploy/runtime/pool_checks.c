/// Checks of the thread pool: every share of every job runs exactly once, on a thread of its own;
/// a failing share's code comes back. `pool_checks THREADS`.
#include "thread_pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_THREADS 16
#define CHECK(condition)                                                      \
  do {                                                                        \
    if (!(condition)) {                                                       \
      fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                                \
    }                                                                         \
  } while (0)

typedef struct job {
  int runs[MAX_THREADS];        // not atomic on purpose: the sanitizer sees two writers
  int failing;                  // share that fails, or -1
  int slow;                     // share that takes its time, or -1
} job;

static int32_t run_share(void* argument, int32_t share) {
  job* own = argument;
  if (share == own->slow) {
    const struct timespec nap = {0, 2000000};
    nanosleep(&nap, NULL);
  }
  ++own->runs[share];
  return share == own->failing ? 100 + share : 0;
}

int main(int argc, char** argv) {
  CHECK(argc == 2);
  const int32_t threads = atoi(argv[1]);
  ew_thread_pool* pool = NULL;
  CHECK(ew_available_cpus() >= 1);
  CHECK(ew_thread_pool_create(threads, -1, &pool) == EW_POOL_OK && pool != NULL);
  for (int round = 0; round < 500; ++round) {
    job own;
    memset(&own, 0, sizeof(own));
    own.failing = round % 7 == 3 ? round % threads : -1;
    own.slow = round % 50 == 0 ? (round / 50) % threads : -1;  // long enough for the others to park
    const int32_t code = ew_thread_pool_run(pool, run_share, &own);
    CHECK(code == (own.failing >= 0 ? 100 + own.failing : 0));
    for (int i = 0; i < threads; ++i) CHECK(own.runs[i] == 1);
    for (int i = threads; i < MAX_THREADS; ++i) CHECK(own.runs[i] == 0);
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
