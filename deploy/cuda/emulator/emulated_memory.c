#ifndef _GNU_SOURCE
#define _GNU_SOURCE  // MAP_ANONYMOUS
#endif
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "emulated_driver.h"

#define MAX_ALLOCATIONS 1024

typedef struct allocation {
  unsigned char* start;         // what the caller has; NULL in an unused entry
  size_t bytes;
  unsigned char* pages;         // between the pages that nobody may touch
  size_t pages_bytes;
  int type;
} allocation;

static allocation allocations[MAX_ALLOCATIONS];

static size_t page_bytes(void) { return (size_t)sysconf(_SC_PAGESIZE); }

static allocation* find(const void* address) {
  const uintptr_t wanted = (uintptr_t)address;
  for (size_t i = 0; i < MAX_ALLOCATIONS; ++i) {
    const uintptr_t start = (uintptr_t)allocations[i].start;
    if (start != 0 && wanted >= start && wanted < start + allocations[i].bytes) {
      return &allocations[i];
    }
  }
  return NULL;
}

/// The most device memory there is: EW_EMULATED_MEMORY_BYTES, or no limit.
static size_t limit_bytes(void) {
  const char* given = getenv("EW_EMULATED_MEMORY_BYTES");
  return given != NULL ? (size_t)strtoull(given, NULL, 10) : SIZE_MAX;
}

static size_t used_bytes(int type) {
  size_t used = 0;
  for (size_t i = 0; i < MAX_ALLOCATIONS; ++i) {
    if (allocations[i].start != NULL && allocations[i].type == type) used += allocations[i].bytes;
  }
  return used;
}

void* memory_allocate(size_t bytes, int type) {
  const size_t page = page_bytes();
  const size_t inner = (bytes + page - 1) / page * page;
  allocation* entry = allocations;
  unsigned char* outer;
  if (type == MEMORY_DEVICE && bytes > limit_bytes() - used_bytes(type)) return NULL;
  while (entry < allocations + MAX_ALLOCATIONS && entry->start != NULL) ++entry;
  if (entry == allocations + MAX_ALLOCATIONS) misuse("more than %d allocations", MAX_ALLOCATIONS);
  outer = mmap(NULL, inner + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (outer == MAP_FAILED) return NULL;
  entry->pages = outer + page;
  entry->pages_bytes = inner;
  entry->bytes = bytes;
  entry->type = type;
  // Behind the last byte comes a forbidden page; starts are aligned as the driver's are.
  entry->start = entry->pages + (inner - bytes) / 256 * 256;
  mprotect(entry->pages, inner, PROT_READ | PROT_WRITE);
  memset(entry->pages, 0xff, inner);  // as floats, not a number
  if (type == MEMORY_DEVICE) mprotect(entry->pages, inner, PROT_NONE);
  return entry->start;
}

void memory_free(void* address, int type) {
  allocation* entry = find(address);
  if (entry == NULL || entry->start != address || entry->type != type) {
    misuse("memory is freed that was not allocated so, at %p", address);
  }
  munmap(entry->pages - page_bytes(), entry->pages_bytes + 2 * page_bytes());
  memset(entry, 0, sizeof(*entry));
}

int memory_type(const void* address) {
  const allocation* entry = find(address);
  return entry != NULL ? entry->type : MEMORY_NONE;
}

void memory_check(const void* address, size_t bytes, int type, const char* what) {
  const allocation* entry = find(address);
  if (entry == NULL) misuse("%s: %p is in no allocation", what, address);
  if (entry->type != type) misuse("%s: %p is memory of the wrong kind", what, address);
  if (bytes > entry->bytes - (size_t)((const unsigned char*)address - entry->start)) {
    misuse("%s: %zu bytes at %p reach beyond their allocation", what, bytes, address);
  }
}

static void protect_device(int protection) {
  for (size_t i = 0; i < MAX_ALLOCATIONS; ++i) {
    if (allocations[i].start != NULL && allocations[i].type == MEMORY_DEVICE) {
      mprotect(allocations[i].pages, allocations[i].pages_bytes, protection);
    }
  }
}

void memory_unlock(void) { protect_device(PROT_READ | PROT_WRITE); }

void memory_lock(void) { protect_device(PROT_NONE); }

size_t memory_count(void) {
  size_t count = 0;
  for (size_t i = 0; i < MAX_ALLOCATIONS; ++i) count += allocations[i].start != NULL;
  return count;
}
