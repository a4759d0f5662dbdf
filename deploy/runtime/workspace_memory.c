#ifndef _GNU_SOURCE
#define _GNU_SOURCE  // madvise, MADV_HUGEPAGE
#endif
#include "workspace_memory.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

#define EW_HUGE_PAGE_BYTES ((size_t)2 << 20)

void* ew_allocate_workspace(size_t bytes) {
  void* memory = NULL;
  assert(bytes > 0);
  if (bytes < EW_HUGE_PAGE_BYTES) return malloc(bytes);
  if (posix_memalign(&memory, EW_HUGE_PAGE_BYTES, bytes) != 0) return NULL;
#ifdef MADV_HUGEPAGE
  // Whole huge pages only: what lies behind them may be somebody else's.
  (void)madvise(memory, bytes - bytes % EW_HUGE_PAGE_BYTES, MADV_HUGEPAGE);
#endif
  return memory;
}
