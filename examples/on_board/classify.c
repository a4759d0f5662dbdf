/// Runs lenet5 on raw float32 pixels and prints the scores: the whole of the C API that most need.
///
///   classify WEIGHTS.bin INPUT.bin [THREADS]
#include <stdio.h>
#include <stdlib.h>

#include "lenet5.h"

static int read_file(const char* path, void* to, size_t bytes) {
  FILE* file = fopen(path, "rb");
  if (file == NULL || fread(to, 1, bytes, file) != bytes) {
    fprintf(stderr, "%s cannot be read, or is shorter than %zu bytes\n", path, bytes);
    if (file != NULL) fclose(file);
    return -1;
  }
  fclose(file);
  return 0;
}

int main(int argc, char** argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: classify WEIGHTS.bin INPUT.bin [THREADS]\n");
    return 2;
  }
  static float image[LENET5_INPUT0_BYTES / sizeof(float)];
  static float scores[LENET5_OUTPUT0_BYTES / sizeof(float)];
  if (read_file(argv[2], image, sizeof(image)) != 0) return 3;

  char why[256] = "";
  ew_options options = EW_OPTIONS_INIT;
  options.weights_path = argv[1];
  options.threads = argc > 3 ? atoi(argv[3]) : 1;
  options.error_text = why;
  options.error_text_bytes = sizeof(why);
  ew_model* model = NULL;
  if (ew_create(lenet5_program(), &options, &model) != EW_OK) {
    fprintf(stderr, "%s\n", why);
    return 3;
  }

  const void* inputs[] = {image};
  void* outputs[] = {scores};
  const ew_status status = ew_run(model, inputs, outputs);  // as often as you like
  if (status != EW_OK) fprintf(stderr, "%s\n", ew_last_error(model));
  ew_destroy(model);
  if (status != EW_OK) return 3;

  for (size_t i = 0; i < sizeof(scores) / sizeof(float); ++i) printf("%zu %.6f\n", i, scores[i]);
  return 0;
}
