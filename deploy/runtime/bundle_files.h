/// What selftest.c and bench.c share: a bundle's folder, its raw tensor files, their command lines.
///
/// Raw files hold dense row-major little-endian tensors without a header. Every function that can
/// fail says why on stderr and returns non-zero.
#ifndef EW_BUNDLE_FILES_H
#define EW_BUNDLE_FILES_H

#include "program.h"

/// Exit statuses of the executables.
#define EW_EXIT_PASS 0
#define EW_EXIT_FAIL 1
#define EW_EXIT_USAGE 2
#define EW_EXIT_ENVIRONMENT 3

#define EW_PATH_BYTES 4096

/// The text value of the option `argv[*index]`, and moves *index to it; NULL if there is none.
const char* ew_option_text(int argc, char** argv, int* index);

/// Likewise a number between low and high.
int ew_option_number(int argc, char** argv, int* index, double low, double high, double* value);

/// Likewise a whole number.
int ew_option_integer(int argc, char** argv, int* index, int32_t low, int32_t high,
                      int32_t* value);

/// The bundle's folder: the one given or, if NULL, the parent of the folder of this executable.
/// dir has EW_PATH_BYTES bytes.
int ew_bundle_find(const char* given, char* dir);

/// Makes a model with the bundle's weights.bin, or with the embedded weights if there are any.
int ew_bundle_create(const ew_program* program, const char* dir, int32_t threads,
                     int32_t first_cpu, ew_model** model);

/// 1 if the bundle has golden/<kind>0.bin, else 0. kind is "input" or "output".
int ew_bundle_has_golden(const char* dir, const char* kind);

/// Reads golden/<kind>0.bin, golden/<kind>1.bin, ... into the tensors.
int ew_bundle_read_golden(const char* dir, const char* kind, const ew_tensor_info* infos,
                          uint32_t count, void* const* tensors);

/// Reads all tensors from one file, one after the other; the size must be exact.
int ew_read_tensors(const char* path, const ew_tensor_info* infos, uint32_t count,
                    void* const* tensors);

/// Writes all tensors to one file, one after the other: beside it first, then renamed.
int ew_write_tensors(const char* path, const ew_tensor_info* infos, uint32_t count,
                     void* const* tensors);

/// Allocates zeroed tensors aligned to EW_ALIGNMENT_BYTES; NULL if there is no memory.
void** ew_allocate_tensors(const ew_tensor_info* infos, uint32_t count);

/// Frees them. NULL is allowed.
void ew_free_tensors(void** tensors, uint32_t count);

#endif
