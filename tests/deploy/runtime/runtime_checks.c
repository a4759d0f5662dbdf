/// Checks of the C runtime, one for each name given: `runtime_checks CASE WEIGHTS.bin`.
/// Exit status 0: held. 1: did not. 2: no such case.
#include "edgewright.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const ew_program* fake_program(void);
const ew_program* other_program(void);
const ew_program* future_program(void);
const ew_program* embedded_program(void);

#define ELEMS 74
#define CHECK(condition)                                                      \
  do {                                                                        \
    if (!(condition)) {                                                       \
      fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                                \
    }                                                                         \
  } while (0)

static const char* weights_path;
static _Thread_local char error_text[512];

static ew_options options_with(int32_t threads) {
  ew_options options = EW_OPTIONS_INIT;
  options.threads = threads;
  options.weights_path = weights_path;
  options.error_text = error_text;
  options.error_text_bytes = sizeof(error_text);
  return options;
}

static ew_model* create(const ew_program* program, int32_t threads) {
  const ew_options options = options_with(threads);
  ew_model* model = NULL;
  const ew_status status = ew_create(program, &options, &model);
  if (status != EW_OK) fprintf(stderr, "%s: %s\n", ew_status_name(status), error_text);
  CHECK(status == EW_OK && model != NULL);
  return model;
}

/// Runs with tensors at offsets from an aligned address and checks every value; weights[i] = i / 4.
static void run_and_check(ew_model* model, size_t offset, float seed) {
  unsigned char* memory = aligned_alloc(64, 2048);
  CHECK(memory != NULL);
  memset(memory, 0xee, 2048);
  unsigned char* at[4] = {memory + offset, memory + 512 + offset, memory + 1024 + offset,
                          memory + 1536 + offset};
  float x[ELEMS], y[ELEMS];
  int32_t bias[5] = {1, -2, 3, -4, 5}, z[5];
  for (int i = 0; i < ELEMS; ++i) x[i] = seed + (float)i;
  memcpy(at[0], x, sizeof(x));
  memcpy(at[1], bias, sizeof(bias));
  const void* inputs[2] = {at[0], at[1]};
  void* outputs[2] = {at[2], at[3]};
  const ew_status status = ew_run(model, inputs, outputs);
  if (status != EW_OK) fprintf(stderr, "%s: %s\n", ew_status_name(status), ew_last_error(model));
  CHECK(status == EW_OK);
  CHECK(ew_last_error(model)[0] == '\0');
  memcpy(y, at[2], sizeof(y));
  memcpy(z, at[3], sizeof(z));
  for (int i = 0; i < ELEMS; ++i) CHECK(y[i] == 2 * x[i] + (float)i / 4);
  for (int i = 0; i < 5; ++i) CHECK(z[i] == bias[i] + 1);
  CHECK(at[2][sizeof(y)] == 0xee && at[3][sizeof(z)] == 0xee);
  free(memory);
}

static void check_run(void) {
  for (int32_t threads = 0; threads <= 7; ++threads) {
    ew_model* model = create(fake_program(), threads);
    for (int i = 0; i < 50; ++i) run_and_check(model, 0, (float)i);
    ew_destroy(model);
  }
}

static void check_queries(void) {
  const ew_program* program = fake_program();
  CHECK(ew_abi_version() == EW_ABI_VERSION);
  CHECK(strlen(ew_version()) > 0);
  CHECK(strcmp(ew_program_name(program), "fake") == 0);
  CHECK(ew_num_inputs(program) == 2 && ew_num_outputs(program) == 2 && ew_num_steps(program) == 3);
  CHECK(ew_input(program, 0)->shape[1] == 37 && ew_input(program, 2) == NULL);
  CHECK(strcmp(ew_dtype_name(ew_output(program, 1)->dtype), "int32") == 0);
  CHECK(ew_output(program, 2) == NULL && ew_step(program, 3) == NULL);
  CHECK(strcmp(ew_step(program, 0)->kernel, "f32_double") == 0);
  CHECK(ew_weights_bytes(program) == 4 * ELEMS && !ew_weights_embedded(program));
  CHECK(ew_weights_embedded(embedded_program()));
  for (int status = 0; status <= EW_DEVICE_FAILED; ++status) {
    CHECK(strcmp(ew_status_name((ew_status)status), "EW_UNKNOWN") != 0);
  }
  ew_model* model = create(program, 1);
  CHECK(ew_model_program(model) == program && ew_num_threads(model) == 1);
  ew_destroy(model);
  ew_destroy(NULL);
}

static void check_threads_count(void) {
  ew_model* model = create(fake_program(), 3);
#ifdef EW_NO_THREADS
  CHECK(ew_num_threads(model) == 1);
#else
  CHECK(ew_num_threads(model) == 3);
#endif
  ew_destroy(model);
}

static void check_unaligned(void) {
  for (int32_t threads = 1; threads <= 2; ++threads) {
    for (size_t offset = 0; offset < 64; ++offset) {
      ew_model* model = create(fake_program(), threads);
      run_and_check(model, offset, 1);
      ew_destroy(model);
    }
  }
  ew_model* model = create(other_program(), 1);  // needs 4 bytes of alignment only
  for (size_t offset = 0; offset < 64; ++offset) run_and_check(model, offset, 1);
  ew_destroy(model);
}

static void check_two_models(void) {
  ew_model* first = create(fake_program(), 2);
  ew_model* second = create(other_program(), 3);
  ew_model* third = create(fake_program(), 1);
  for (int i = 0; i < 20; ++i) {
    run_and_check(first, 0, (float)i);
    run_and_check(second, 0, (float)-i);
    run_and_check(third, 0, 3);
  }
  ew_destroy(first);
  run_and_check(second, 0, 5);
  ew_destroy(third);
  ew_destroy(second);
}

static void* use_own_model(void* argument) {
  const float seed = *(const float*)argument;
  ew_model* model = create(seed < 2 ? fake_program() : other_program(), 2);
  for (int i = 0; i < 100; ++i) run_and_check(model, 0, seed);
  ew_destroy(model);
  return NULL;
}

static void* use_given_model(void* argument) {
  for (int i = 0; i < 20; ++i) run_and_check(argument, 0, (float)i);
  return NULL;
}

static void check_threads_with_own_handles(void) {
  float seeds[4] = {0, 1, 2, 3};
  pthread_t threads[4];
  for (int i = 0; i < 4; ++i) {
    CHECK(pthread_create(&threads[i], NULL, use_own_model, &seeds[i]) == 0);
  }
  for (int i = 0; i < 4; ++i) pthread_join(threads[i], NULL);
  // And one handle by several threads, one after the other.
  ew_model* model = create(fake_program(), 3);
  for (int i = 0; i < 4; ++i) {
    CHECK(pthread_create(&threads[i], NULL, use_given_model, model) == 0);
    pthread_join(threads[i], NULL);
  }
  ew_destroy(model);
}

/// Runs the model from within its own step hook: the handle is busy.
static void run_from_hook(void* user, uint32_t step, uint64_t elapsed_ns) {
  ew_model* model = *(ew_model**)user;
  float x[ELEMS] = {0}, y[ELEMS];
  int32_t bias[5] = {0}, z[5];
  const void* inputs[2] = {x, bias};
  void* outputs[2] = {y, z};
  (void)step;
  (void)elapsed_ns;
  CHECK(ew_run(model, inputs, outputs) == EW_BUSY);
  CHECK(ew_set_step_hook(model, NULL, NULL) == EW_BUSY);
}

static void check_busy(void) {
  for (int32_t threads = 1; threads <= 2; ++threads) {
    ew_model* model = create(fake_program(), threads);
    CHECK(ew_set_step_hook(model, run_from_hook, &model) == EW_OK);
    run_and_check(model, 0, 1);
    CHECK(ew_set_step_hook(model, NULL, NULL) == EW_OK);
    run_and_check(model, 0, 1);
    ew_destroy(model);
  }
}

typedef struct contest {
  ew_model* model;
  int served;
} contest;

static void* contend(void* argument) {
  contest* own = argument;
  float x[ELEMS] = {0}, y[ELEMS];
  int32_t bias[5] = {0}, z[5];
  const void* inputs[2] = {x, bias};
  void* outputs[2] = {y, z};
  for (int i = 0; i < 2000; ++i) {
    const ew_status status = ew_run(own->model, inputs, outputs);
    CHECK(status == EW_OK || status == EW_BUSY);
    if (status == EW_OK) ++own->served;
  }
  return NULL;
}

/// Several threads fight over one handle: each call is served or refused, and nothing races.
static void check_contention(void) {
  contest contests[3];
  pthread_t threads[3];
  ew_model* model = create(fake_program(), 2);
  int served = 0;
  for (int i = 0; i < 3; ++i) {
    contests[i].model = model;
    contests[i].served = 0;
    CHECK(pthread_create(&threads[i], NULL, contend, &contests[i]) == 0);
  }
  for (int i = 0; i < 3; ++i) {
    pthread_join(threads[i], NULL);
    served += contests[i].served;
  }
  CHECK(served > 0);
  run_and_check(model, 0, 1);
  ew_destroy(model);
}

static void count_step(void* user, uint32_t step, uint64_t elapsed_ns) {
  uint64_t* times = user;
  CHECK(step < 3);
  times[step] += elapsed_ns + 1;
}

static void check_hook(void) {
  for (int32_t threads = 1; threads <= 2; ++threads) {
    uint64_t times[3] = {0, 0, 0};
    ew_model* model = create(fake_program(), threads);
    CHECK(ew_set_step_hook(model, count_step, times) == EW_OK);
    run_and_check(model, 0, 1);
    CHECK(times[0] > 0 && times[1] > 0 && times[2] > 0 && times[0] < 1000000000u);
    ew_destroy(model);
  }
}

static void check_kernel_failure(void) {
  for (int32_t threads = 1; threads <= 4; ++threads) {
    for (int bad = 0; bad < ELEMS; bad += 73) {
      ew_model* model = create(fake_program(), threads);
      float x[ELEMS] = {0}, y[ELEMS];
      int32_t bias[5] = {0}, z[5];
      const void* inputs[2] = {x, bias};
      void* outputs[2] = {y, z};
      x[bad] = -1000.0f;
      CHECK(ew_run(model, inputs, outputs) == EW_KERNEL_FAILED);
      CHECK(strcmp(ew_last_error(model),
                   "step 0 'double' failed: kernel f32_double returned 7.") == 0);
      run_and_check(model, 0, 1);  // and the handle still works
      ew_destroy(model);
    }
  }
}

static void expect_failure(const ew_program* program, const ew_options* options, ew_status expected,
                           const char* part) {
  ew_model* model = (ew_model*)error_text;  // anything but NULL: ew_create must clear it
  const ew_status status = ew_create(program, options, &model);
  if (status != expected || strstr(error_text, part) == NULL) {
    fprintf(stderr, "%s: %s\n", ew_status_name(status), error_text);
  }
  CHECK(status == expected && model == NULL && strstr(error_text, part) != NULL);
}

static void check_workspace(void) {
  for (int32_t threads = 1; threads <= 3; ++threads) {
    for (size_t offset = 0; offset < 64; offset += 9) {
      ew_options options = options_with(threads);
      ew_model* model = NULL;
      const size_t bytes = ew_workspace_bytes(fake_program(), &options);
      unsigned char* memory = malloc(offset + bytes);  // exact: the sanitizer sees a byte too far
      CHECK(bytes > 0 && memory != NULL);
      options.workspace = memory + offset;
      options.workspace_bytes = bytes;
      CHECK(ew_create(fake_program(), &options, &model) == EW_OK);
      run_and_check(model, 0, 1);
      run_and_check(model, 3, 1);
      ew_destroy(model);
      options.workspace_bytes = bytes - 1;
      expect_failure(fake_program(), &options, EW_WORKSPACE_TOO_SMALL, "ew_workspace_bytes");
      free(memory);
    }
  }
  CHECK(ew_workspace_bytes(NULL, NULL) == 0);
  CHECK(ew_workspace_bytes(future_program(), NULL) == 0);
  CHECK(ew_workspace_bytes(fake_program(), NULL) > 0);
}

static void check_weights(void) {
  ew_options options = options_with(1);
  ew_model* model = NULL;
  float* weights = aligned_alloc(64, 512);
  CHECK(weights != NULL);
  for (int i = 0; i < ELEMS; ++i) weights[i] = (float)i / 4;

  options.weights_path = "no/such/weights.bin";
  expect_failure(fake_program(), &options, EW_WEIGHTS_MISSING, "no/such/weights.bin");
  options.weights_path = NULL;
  expect_failure(fake_program(), &options, EW_WEIGHTS_MISSING, "no embedded weights");
  options.weights_path = "/proc/self/exe";  // some file of another size
  expect_failure(fake_program(), &options, EW_WEIGHTS_SIZE, "have 296 bytes");

  options.weights = weights;
  options.weights_bytes = 4 * ELEMS;
  CHECK(ew_create(fake_program(), &options, &model) == EW_OK);
  run_and_check(model, 0, 1);
  ew_destroy(model);
  options.weights_bytes = 4 * ELEMS - 4;
  expect_failure(fake_program(), &options, EW_WEIGHTS_SIZE, "292 bytes");
  options.weights = weights + 1;
  options.weights_bytes = 4 * ELEMS;
  expect_failure(fake_program(), &options, EW_INVALID_ARGUMENT, "not aligned");

  CHECK(ew_create(embedded_program(), NULL, &model) == EW_OK);
  run_and_check(model, 0, 1);
  ew_destroy(model);
  free(weights);
}

static void check_arguments(void) {
  ew_options options = options_with(1);
  ew_model* model = NULL;
  float x[ELEMS] = {0};
  const void* inputs[2] = {x, NULL};
  void* outputs[2] = {x, x};
  expect_failure(NULL, &options, EW_INVALID_ARGUMENT, "NULL");
  CHECK(ew_create(fake_program(), &options, NULL) == EW_INVALID_ARGUMENT);
  expect_failure(future_program(), &options, EW_ABI_MISMATCH, "version 99");
  options.threads = -1;
  options.struct_bytes = sizeof(options);
  CHECK(ew_create(fake_program(), &options, &model) == EW_INVALID_ARGUMENT && model == NULL);
  options = options_with(1);
  options.first_cpu = -2;
  CHECK(ew_create(fake_program(), &options, &model) == EW_INVALID_ARGUMENT && model == NULL);
  options = options_with(1);
  options.struct_bytes = 0;
  CHECK(ew_create(fake_program(), &options, &model) == EW_INVALID_ARGUMENT && model == NULL);
  CHECK(ew_run(NULL, inputs, outputs) == EW_INVALID_ARGUMENT);
  CHECK(ew_set_step_hook(NULL, NULL, NULL) == EW_INVALID_ARGUMENT);
  model = create(fake_program(), 1);
  CHECK(ew_run(model, NULL, outputs) == EW_INVALID_ARGUMENT);
  CHECK(ew_run(model, inputs, NULL) == EW_INVALID_ARGUMENT);
  CHECK(ew_run(model, inputs, outputs) == EW_INVALID_ARGUMENT);
  CHECK(strcmp(ew_last_error(model), "the address of the input 'bias' is NULL.") == 0);
  inputs[1] = x;
  outputs[0] = NULL;
  CHECK(ew_run(model, inputs, outputs) == EW_INVALID_ARGUMENT);
  CHECK(strcmp(ew_last_error(model), "the address of the output 'y' is NULL.") == 0);
  run_and_check(model, 0, 1);
  ew_destroy(model);
}

/// A caller compiled when ew_options was shorter: the missing fields take their defaults.
static void check_short_options(void) {
  ew_model* model = NULL;
  ew_options options = options_with(2);
  options.workspace = (void*)1;  // garbage beyond what struct_bytes covers
  options.error_text = (char*)1;
  options.error_text_bytes = 100;
  options.struct_bytes = offsetof(ew_options, weights);
  CHECK(ew_create(fake_program(), &options, &model) == EW_OK);
  run_and_check(model, 0, 1);
  ew_destroy(model);
}

static void check_pinning(void) {
#ifndef EW_NO_THREADS
  ew_options options = options_with(2);
  options.first_cpu = 100000;
  expect_failure(fake_program(), &options, EW_THREADS_FAILED, "cannot be pinned");
  options.first_cpu = 0;
  if (sysconf(_SC_NPROCESSORS_ONLN) >= 2) {
    ew_model* model = NULL;
    CHECK(ew_create(fake_program(), &options, &model) == EW_OK);
    for (int i = 0; i < 20; ++i) run_and_check(model, 0, 1);
    ew_destroy(model);
  }
#endif
}

static const struct {
  const char* name;
  void (*check)(void);
} cases[] = {
    {"run", check_run},
    {"queries", check_queries},
    {"threads_count", check_threads_count},
    {"unaligned", check_unaligned},
    {"two_models", check_two_models},
    {"threads_with_own_handles", check_threads_with_own_handles},
    {"busy", check_busy},
    {"contention", check_contention},
    {"hook", check_hook},
    {"kernel_failure", check_kernel_failure},
    {"workspace", check_workspace},
    {"weights", check_weights},
    {"arguments", check_arguments},
    {"short_options", check_short_options},
    {"pinning", check_pinning},
};

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  weights_path = argv[2];
  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); ++i) {
    if (strcmp(cases[i].name, argv[1]) != 0) continue;
    cases[i].check();
    puts("held");
    return 0;
  }
  return 2;
}
