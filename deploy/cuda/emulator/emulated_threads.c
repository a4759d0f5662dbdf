#ifndef _GNU_SOURCE
#define _GNU_SOURCE  // ucontext
#endif
#include "emulated_threads.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#define STACK_BYTES ((size_t)256 * 1024)

typedef enum thread_state { READY, AT_BARRIER, AT_EXCHANGE, ENDED } thread_state;

typedef struct emulated_thread {
  ucontext_t context;
  thread_state state;
  ew_emulated_place place;
  unsigned int exchanges;       // how many it has made: neighbours use alternate slots
} emulated_thread;

// One launch runs at a time, on the thread that synchronizes the stream.
static struct {
  emulated_thread* threads;
  unsigned char* stacks;
  ucontext_t scheduler;
  unsigned int count;
  unsigned int running;
  uint64_t slots[2][EW_EMULATED_MAX_THREADS];
  const ew_emulated_library* library;
  const ew_emulated_kernel* kernel;
  void** parameters;
} block;

static void switch_to(unsigned int index) {
  block.running = index;
  *block.library->place = &block.threads[index].place;
}

/// Back to the scheduler until what the thread waits for has happened.
static void wait_for(thread_state state) {
  emulated_thread* thread = &block.threads[block.running];
  thread->state = state;
  swapcontext(&thread->context, &block.scheduler);
}

static void barrier(void) { wait_for(AT_BARRIER); }

static uint32_t live_lanes(void) {
  const unsigned int first = block.running / EW_EMULATED_WARP * EW_EMULATED_WARP;
  uint32_t lanes = 0;
  for (unsigned int lane = 0; lane < EW_EMULATED_WARP && first + lane < block.count; ++lane) {
    if (block.threads[first + lane].state != ENDED) lanes |= (uint32_t)1 << lane;
  }
  return lanes;
}

static uint64_t exchange(uint64_t value, int lane) {
  const unsigned int me = block.running;
  const unsigned int first = me / EW_EMULATED_WARP * EW_EMULATED_WARP;
  const unsigned int slot = block.threads[me].exchanges++ % 2;
  block.slots[slot][me] = value;
  wait_for(AT_EXCHANGE);
  if (lane < 0 || lane >= EW_EMULATED_WARP || first + (unsigned int)lane >= block.count) {
    return value;
  }
  return block.slots[slot][first + (unsigned int)lane];
}

static const ew_emulated_services services = {barrier, exchange, live_lanes};

static void run_thread(void) {
  block.kernel->run(block.parameters);
  block.threads[block.running].state = ENDED;
  setcontext(&block.scheduler);
}

/// Lets every thread of [first, last) that waits for `state` go on, if all that live do.
static int release(unsigned int first, unsigned int last, thread_state state) {
  unsigned int waiting = 0;
  for (unsigned int i = first; i < last; ++i) {
    if (block.threads[i].state == ENDED) continue;
    if (block.threads[i].state != state) return 0;
    ++waiting;
  }
  for (unsigned int i = first; i < last; ++i) {
    if (block.threads[i].state == state) block.threads[i].state = READY;
  }
  return waiting > 0;
}

/// Runs every ready thread until it waits or ends.
static void run_ready(int reversed) {
  for (unsigned int i = 0; i < block.count; ++i) {
    const unsigned int index = reversed ? block.count - 1 - i : i;
    if (block.threads[index].state != READY) continue;
    switch_to(index);
    swapcontext(&block.scheduler, &block.threads[index].context);
  }
}

/// Returns 1 if some thread was released, 0 if all have ended, -1 if none can go on.
static int advance(void) {
  int released = 0;
  unsigned int ended = 0;
  for (unsigned int i = 0; i < block.count; ++i) ended += block.threads[i].state == ENDED;
  if (ended == block.count) return 0;
  for (unsigned int i = 0; i < block.count; i += EW_EMULATED_WARP) {
    const unsigned int end = i + EW_EMULATED_WARP;
    released |= release(i, end < block.count ? end : block.count, AT_EXCHANGE);
  }
  if (!released) released = release(0, block.count, AT_BARRIER);
  return released ? 1 : -1;
}

static void prepare(emulated_thread* thread, unsigned char* stack) {
  thread->state = READY;
  thread->exchanges = 0;
  getcontext(&thread->context);
  thread->context.uc_stack.ss_sp = stack;
  thread->context.uc_stack.ss_size = STACK_BYTES;
  thread->context.uc_link = NULL;
  makecontext(&thread->context, run_thread, 0);
}

static const char* run_waiting_block(int reversed) {
  int state;
  for (unsigned int i = 0; i < block.count; ++i) {
    prepare(&block.threads[i], block.stacks + STACK_BYTES * i);
  }
  do {
    run_ready(reversed);
    state = advance();
  } while (state == 1);
  return state == 0 ? NULL : "threads of one block wait at different places";
}

static const char* run_block(int reversed) {
  if (block.kernel->waits) return run_waiting_block(reversed);
  for (unsigned int i = 0; i < block.count; ++i) {
    switch_to(reversed ? block.count - 1 - i : i);
    block.kernel->run(block.parameters);
  }
  return NULL;
}

static int allocate(void) {
  if (block.threads != NULL) return 0;
  block.stacks = mmap(NULL, STACK_BYTES * EW_EMULATED_MAX_THREADS, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (block.stacks == MAP_FAILED) return -1;
  block.threads = calloc(EW_EMULATED_MAX_THREADS, sizeof(*block.threads));
  return block.threads != NULL ? 0 : -1;
}

static void place_threads(ew_emulated_index grid, ew_emulated_index size) {
  block.count = size.x * size.y * size.z;
  for (unsigned int i = 0; i < block.count; ++i) {
    const ew_emulated_index thread = {i % size.x, i / size.x % size.y, i / size.x / size.y};
    const ew_emulated_place there = {thread, {0, 0, 0}, size, grid};
    block.threads[i].place = there;
  }
}

const char* ew_emulated_run(const ew_emulated_library* library, const ew_emulated_kernel* kernel,
                            ew_emulated_index grid, ew_emulated_index size, void** parameters,
                            int reversed) {
  const char* wrong = NULL;
  const uint64_t blocks = (uint64_t)grid.x * grid.y * grid.z;
  if (allocate() != 0) return "the emulator has no memory for its threads";
  block.library = library;
  block.kernel = kernel;
  block.parameters = parameters;
  *library->services = &services;
  place_threads(grid, size);
  for (uint64_t number = 0; wrong == NULL && number < blocks; ++number) {
    const ew_emulated_index at = {(unsigned int)(number % grid.x),
                                  (unsigned int)(number / grid.x % grid.y),
                                  (unsigned int)(number / grid.x / grid.y)};
    for (unsigned int i = 0; i < block.count; ++i) block.threads[i].place.block = at;
    // Shared memory holds nothing of meaning when a block begins: as floats, not a number.
    if (library->shared_bytes > 0) memset(library->shared_begin, 0xff, library->shared_bytes);
    wrong = run_block(reversed);
  }
  return wrong;
}
