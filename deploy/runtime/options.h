/// What the runtimes for CPUs and for GPUs make of a caller's ew_options.
#ifndef EW_OPTIONS_H
#define EW_OPTIONS_H

#include <string.h>

#include "edgewright.h"

/// The fields that the caller's ew_options has, the others at their defaults.
static inline ew_options ew_complete_options(const ew_options* given) {
  ew_options options = EW_OPTIONS_INIT;
  if (given != NULL) {
    const size_t known = sizeof(options);
    memcpy(&options, given, given->struct_bytes < known ? given->struct_bytes : known);
    options.struct_bytes = known;
  }
  return options;
}

#endif
