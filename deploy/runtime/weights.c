#ifndef _FILE_OFFSET_BITS
#define _FILE_OFFSET_BITS 64  // the size of any file must be read right, on 32 bits too
#endif
#ifndef _GNU_SOURCE
#define _GNU_SOURCE  // O_CLOEXEC
#endif
#include "weights.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "program.h"

static ew_status wrong_size(const char* what, unsigned long long bytes, const ew_program* program,
                            char* error_text, size_t error_text_bytes) {
  snprintf(error_text, error_text_bytes,
           "%s: %llu bytes, but the weights of the program '%s' have %llu bytes. "
           "Use the weights.bin that was made together with this library.",
           what, bytes, program->name, (unsigned long long)program->weights_bytes);
  return EW_WEIGHTS_SIZE;
}

static ew_status open_memory(const ew_program* program, const ew_options* options,
                             ew_weights* weights, char* error_text, size_t error_text_bytes) {
  if (options->weights_bytes != program->weights_bytes) {
    return wrong_size("weights in memory", options->weights_bytes, program, error_text,
                      error_text_bytes);
  }
  if ((uintptr_t)options->weights % EW_ALIGNMENT_BYTES != 0) {
    snprintf(error_text, error_text_bytes,
             "the weights in memory are not aligned to %u bytes, as the kernels need. "
             "Allocate them with aligned_alloc, or give their file.",
             EW_ALIGNMENT_BYTES);
    return EW_INVALID_ARGUMENT;
  }
  weights->address = options->weights;
  return EW_OK;
}

static ew_status open_file(const ew_program* program, const char* path, ew_weights* weights,
                           char* error_text, size_t error_text_bytes) {
  ew_status status = EW_WEIGHTS_MISSING;
  struct stat info;
  void* mapping;
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0 || fstat(file, &info) != 0) {
    snprintf(error_text, error_text_bytes, "the weights file '%s' cannot be read: %s.", path,
             strerror(errno));
    goto cleanup;
  }
  if ((unsigned long long)info.st_size != program->weights_bytes) {
    status = wrong_size(path, (unsigned long long)info.st_size, program, error_text,
                        error_text_bytes);
    goto cleanup;
  }
  // All pages at once: the first inference would take a fault for every few of them.
  mapping = mmap(NULL, program->weights_bytes, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
  if (mapping == MAP_FAILED) {
    snprintf(error_text, error_text_bytes, "the weights file '%s' cannot be mapped: %s.", path,
             strerror(errno));
    goto cleanup;
  }
  weights->mapping = mapping;
  weights->mapping_bytes = program->weights_bytes;
  weights->address = mapping;
  status = EW_OK;

cleanup:
  if (file >= 0) close(file);
  return status;
}

ew_status ew_weights_open(const ew_program* program, const ew_options* options,
                          ew_weights* weights, char* error_text, size_t error_text_bytes) {
  assert(program != NULL && options != NULL && weights != NULL);
  assert(error_text != NULL && error_text_bytes > 0);
  memset(weights, 0, sizeof(*weights));
  if (program->weights_bytes == 0) return EW_OK;
  if (options->weights != NULL) {
    return open_memory(program, options, weights, error_text, error_text_bytes);
  }
  if (options->weights_path != NULL) {
    return open_file(program, options->weights_path, weights, error_text, error_text_bytes);
  }
  if (program->weights == NULL) {
    snprintf(error_text, error_text_bytes,
             "the program '%s' has no embedded weights and none were given. "
             "Set weights_path to the bundle's weights.bin.",
             program->name);
    return EW_WEIGHTS_MISSING;
  }
  weights->address = program->weights;
  return EW_OK;
}

void ew_weights_close(ew_weights* weights) {
  assert(weights != NULL);
  if (weights->mapping != NULL) munmap(weights->mapping, weights->mapping_bytes);
  memset(weights, 0, sizeof(*weights));
}
