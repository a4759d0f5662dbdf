#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emulated_driver.h"

void work_append(work_list* list, work item) {
  if (list->count == list->capacity) {
    list->capacity = list->capacity == 0 ? 64 : 2 * list->capacity;
    list->items = realloc(list->items, list->capacity * sizeof(*list->items));
    if (list->items == NULL) misuse("the emulator is out of memory");
  }
  list->items[list->count++] = item;
}

void work_append_all(work_list* list, const work_list* source) {
  for (size_t i = 0; i < source->count; ++i) {
    work item = source->items[i];
    if (item.kind == WORK_LAUNCH) {
      const size_t bytes = (item.kernel->num_parameters + (size_t)1) * sizeof(*item.parameters);
      item.parameters = malloc(bytes);
      if (item.parameters == NULL) misuse("the emulator is out of memory");
      memcpy(item.parameters, source->items[i].parameters, bytes);
    }
    work_append(list, item);
  }
}

void work_clear(work_list* list) {
  for (size_t i = 0; i < list->count; ++i) {
    if (list->items[i].kind == WORK_LAUNCH) free(list->items[i].parameters);
  }
  free(list->items);
  memset(list, 0, sizeof(*list));
}

/// A line for each thing done, in the file EW_EMULATED_TRACE.
static void trace(const work* item) {
  const char* path = getenv("EW_EMULATED_TRACE");
  FILE* file = path != NULL ? fopen(path, "a") : NULL;
  if (file == NULL) return;
  if (item->kind == WORK_LAUNCH) {
    fprintf(file, "launch %s %u %u %u %u %u %u\n", item->kernel->name, item->grid.x, item->grid.y,
            item->grid.z, item->block.x, item->block.y, item->block.z);
  } else if (item->kind == WORK_COPY) {
    fprintf(file, "copy %d %d %zu\n", item->from_type, item->to_type, item->bytes);
  }
  fclose(file);
}

static void run_launch(const work* item, const ew_emulated_library* library) {
  void** parameters = calloc(item->kernel->num_parameters + (size_t)1, sizeof(*parameters));
  const char* wrong;
  if (parameters == NULL) misuse("the emulator is out of memory");
  for (unsigned int i = 0; i < item->kernel->num_parameters; ++i) {
    memory_check(item->parameters[i], 1, MEMORY_DEVICE, item->kernel->name);
    parameters[i] = &item->parameters[i];
  }
  wrong = ew_emulated_run(library, item->kernel, item->grid, item->block, parameters,
                          getenv("EW_EMULATED_REVERSED") != NULL);
  if (wrong != NULL) misuse("%s: %s", item->kernel->name, wrong);
  free(parameters);
}

static void run_copy(const work* item) {
  if (item->to_type != MEMORY_NONE) memory_check(item->to, item->bytes, item->to_type, "a copy");
  if (item->from_type != MEMORY_NONE) {
    memory_check(item->from, item->bytes, item->from_type, "a copy");
  }
  memcpy(item->to, item->from, item->bytes);
}

void work_run(work_list* list, const ew_emulated_library* library) {
  static uint64_t done;
  memory_unlock();
  for (size_t i = 0; i < list->count; ++i) {
    const work* item = &list->items[i];
    trace(item);
    if (item->kind == WORK_COPY) run_copy(item);
    if (item->kind == WORK_LAUNCH) run_launch(item, library);
    if (item->kind == WORK_EVENT) {
      item->event->recorded = 1;
      item->event->order = done;
    }
    ++done;
  }
  memory_lock();
  work_clear(list);
}
