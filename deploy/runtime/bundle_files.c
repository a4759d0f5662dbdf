#ifndef _GNU_SOURCE
#define _GNU_SOURCE  // readlink, posix_memalign
#endif
#include "bundle_files.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char* ew_option_text(int argc, char** argv, int* index) {
  if (*index + 1 >= argc) {
    fprintf(stderr, "error: %s needs a value.\n", argv[*index]);
    return NULL;
  }
  ++*index;
  return argv[*index];
}

int ew_option_number(int argc, char** argv, int* index, double low, double high, double* value) {
  const char* name = argv[*index];
  const char* text = ew_option_text(argc, argv, index);
  char* end = NULL;
  if (text == NULL) return -1;
  *value = strtod(text, &end);
  if (end == text || *end != '\0' || !(*value >= low && *value <= high)) {
    fprintf(stderr, "error: %s is '%s', but must be a number from %g to %g.\n", name, text, low,
            high);
    return -1;
  }
  return 0;
}

int ew_option_integer(int argc, char** argv, int* index, int32_t low, int32_t high,
                      int32_t* value) {
  const char* name = argv[*index];
  double number = 0;
  if (ew_option_number(argc, argv, index, low, high, &number) != 0) return -1;
  if (number != floor(number)) {
    fprintf(stderr, "error: %s is %g, but must be a whole number.\n", name, number);
    return -1;
  }
  *value = (int32_t)number;
  return 0;
}

/// path = dir/name, of EW_PATH_BYTES bytes.
static int join_path(char* path, const char* dir, const char* name) {
  const int length = snprintf(path, EW_PATH_BYTES, "%s/%s", dir, name);
  if (length < 0 || length >= EW_PATH_BYTES) {
    fprintf(stderr, "error: the path %s/%s is longer than %d bytes.\n", dir, name, EW_PATH_BYTES);
    return -1;
  }
  return 0;
}

static int golden_path(char* path, const char* dir, const char* kind, uint32_t index) {
  char name[64];
  snprintf(name, sizeof(name), "golden/%s%u.bin", kind, (unsigned)index);
  return join_path(path, dir, name);
}

int ew_bundle_find(const char* given, char* dir) {
  if (given != NULL) {
    if (strlen(given) >= EW_PATH_BYTES) {
      fprintf(stderr, "error: the path of the bundle is longer than %d bytes.\n", EW_PATH_BYTES);
      return -1;
    }
    strcpy(dir, given);
    return 0;
  }
  const ssize_t length = readlink("/proc/self/exe", dir, EW_PATH_BYTES - 1);
  if (length < 0) {
    fprintf(stderr, "error: /proc/self/exe cannot be read (%s); give --bundle DIR.\n",
            strerror(errno));
    return -1;
  }
  dir[length] = '\0';
  for (int level = 0; level < 2; ++level) {
    char* slash = strrchr(dir, '/');
    if (slash != NULL) *slash = '\0';
  }
  if (dir[0] == '\0') strcpy(dir, "/");
  return 0;
}

int ew_bundle_create(const ew_program* program, const char* dir, int32_t threads,
                     int32_t first_cpu, ew_model** model) {
  char error[512] = "";
  char weights_path[EW_PATH_BYTES];
  ew_options options = EW_OPTIONS_INIT;
  if (join_path(weights_path, dir, "weights.bin") != 0) return -1;
  options.threads = threads;
  options.first_cpu = first_cpu;
  options.weights_path = ew_weights_embedded(program) ? NULL : weights_path;
  options.error_text = error;
  options.error_text_bytes = sizeof(error);
  const ew_status status = ew_create(program, &options, model);
  if (status != EW_OK) {
    fprintf(stderr, "error: %s: %s\n", ew_status_name(status), error);
    return -1;
  }
  return 0;
}

int ew_bundle_has_golden(const char* dir, const char* kind) {
  char path[EW_PATH_BYTES];
  return golden_path(path, dir, kind, 0) == 0 && access(path, R_OK) == 0;
}

int ew_bundle_read_golden(const char* dir, const char* kind, const ew_tensor_info* infos,
                          uint32_t count, void* const* tensors) {
  char path[EW_PATH_BYTES];
  for (uint32_t i = 0; i < count; ++i) {
    if (golden_path(path, dir, kind, i) != 0) return -1;
    if (ew_read_tensors(path, &infos[i], 1, &tensors[i]) != 0) return -1;
  }
  return 0;
}

int ew_read_tensors(const char* path, const ew_tensor_info* infos, uint32_t count,
                    void* const* tensors) {
  int result = -1;
  unsigned long long expected_bytes = 0;
  char extra;
  FILE* file = fopen(path, "rb");
  if (file == NULL) {
    fprintf(stderr, "error: '%s' cannot be read: %s.\n", path, strerror(errno));
    return -1;
  }
  for (uint32_t i = 0; i < count; ++i) expected_bytes += infos[i].size_bytes;
  for (uint32_t i = 0; i < count; ++i) {
    if (fread(tensors[i], 1, infos[i].size_bytes, file) == infos[i].size_bytes) continue;
    fprintf(stderr, "error: '%s' ends within the tensor '%s'; it must have %llu bytes.\n", path,
            infos[i].name, expected_bytes);
    goto cleanup;
  }
  if (fread(&extra, 1, 1, file) != 0) {
    fprintf(stderr, "error: '%s' has more than the %llu bytes that it must have.\n", path,
            expected_bytes);
    goto cleanup;
  }
  result = 0;

cleanup:
  fclose(file);
  return result;
}

int ew_write_tensors(const char* path, const ew_tensor_info* infos, uint32_t count,
                     void* const* tensors) {
  char partial[EW_PATH_BYTES];
  FILE* file = NULL;
  int result = -1;
  const int length = snprintf(partial, sizeof(partial), "%s.partial", path);
  if (length < 0 || (size_t)length >= sizeof(partial)) {
    fprintf(stderr, "error: the path '%s' is too long.\n", path);
    return -1;
  }
  file = fopen(partial, "wb");
  if (file == NULL) goto cleanup;
  for (uint32_t i = 0; i < count; ++i) {
    if (fwrite(tensors[i], 1, infos[i].size_bytes, file) != infos[i].size_bytes) goto cleanup;
  }
  result = fclose(file);  // the disk may turn out to be full only now
  file = NULL;
  if (result == 0) result = rename(partial, path);

cleanup:
  if (result != 0) {
    fprintf(stderr, "error: '%s' cannot be written: %s.\n", path, strerror(errno));
    remove(partial);
  }
  if (file != NULL) fclose(file);
  return result;
}

void** ew_allocate_tensors(const ew_tensor_info* infos, uint32_t count) {
  void** tensors = calloc((size_t)count + 1, sizeof(*tensors));
  if (tensors == NULL) goto failed;
  for (uint32_t i = 0; i < count; ++i) {
    // An empty tensor too gets an address of its own.
    const size_t bytes = infos[i].size_bytes > 0 ? infos[i].size_bytes : 1;
    if (posix_memalign(&tensors[i], EW_ALIGNMENT_BYTES, bytes) != 0) {
      tensors[i] = NULL;
      goto failed;
    }
    memset(tensors[i], 0, bytes);
  }
  return tensors;

failed:
  fprintf(stderr, "error: out of memory for the input and output tensors.\n");
  ew_free_tensors(tensors, count);
  return NULL;
}

void ew_free_tensors(void** tensors, uint32_t count) {
  if (tensors == NULL) return;
  for (uint32_t i = 0; i < count; ++i) free(tensors[i]);
  free(tensors);
}
