/// Where a model's weights come from.
#ifndef EW_WEIGHTS_H
#define EW_WEIGHTS_H

#include "edgewright.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ew_weights {
  const unsigned char* address; ///< NULL if the program has none
  void* mapping;                ///< what to unmap, or NULL
  size_t mapping_bytes;
} ew_weights;

/// Finds the weights: options->weights, else options->weights_path, else those embedded in the
/// program. On failure `weights` is all zero and error_text, of error_text_bytes > 0, says why.
ew_status ew_weights_open(const ew_program* program, const ew_options* options,
                          ew_weights* weights, char* error_text, size_t error_text_bytes);

/// Unmaps what ew_weights_open mapped.
void ew_weights_close(ew_weights* weights);

#ifdef __cplusplus
}
#endif

#endif
