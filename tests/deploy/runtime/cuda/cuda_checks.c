/// Checks of the CUDA runtime on the emulated driver: cuda_checks CASE WEIGHTS.
///
/// Prints "held" and exits with 0 if the case holds. The emulated driver ends the process on every
/// misuse of it, and at the end if anything is left.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_driver.h"
#include "edgewright_cuda.h"
#include "program.h"

#define ELEMS 74

#define CHECK(condition)                                                              \
  if (!(condition)) {                                                                 \
    fprintf(stderr, "%s:%d: %s does not hold: %s\n", __FILE__, __LINE__, #condition, error); \
    exit(1);                                                                          \
  }

const ew_program* fake_program(void);

static const char* weights_path;
static char error[512];
static float x[ELEMS], y[ELEMS];
static int32_t bias[5], z[5];
static const void* inputs[] = {x, bias};
static void* outputs[] = {y, z};

static ew_options options_of_checks(void) {
  ew_options options = EW_OPTIONS_INIT;
  options.weights_path = weights_path;
  options.error_text = error;
  options.error_text_bytes = sizeof(error);
  return options;
}

static ew_model* create(void) {
  ew_model* model = NULL;
  const ew_options options = options_of_checks();
  CHECK(ew_create(fake_program(), &options, &model) == EW_OK);
  return model;
}

static ew_status try_create(void) {
  ew_model* model = NULL;
  const ew_options options = options_of_checks();
  const ew_status status = ew_create(fake_program(), &options, &model);
  CHECK((status == EW_OK) == (model != NULL));
  ew_destroy(model);
  return status;
}

static void fill(float from) {
  for (int i = 0; i < ELEMS; ++i) x[i] = from + (float)i;
  for (int i = 0; i < 5; ++i) bias[i] = (int32_t)from + i;
  memset(y, 0, sizeof(y));
  memset(z, 0, sizeof(z));
}

static void expect(const float* got_y, const int32_t* got_z, float from) {
  for (int i = 0; i < ELEMS; ++i) {
    CHECK(got_y[i] == 2 * (from + (float)i) + (float)i / 4);
  }
  for (int i = 0; i < 5; ++i) CHECK(got_z[i] == (int32_t)from + i);
}

/// The driver's own functions, for memory that the caller brings.
static ew_cuda_driver open_driver(void) {
  ew_cuda_driver driver;
  CHECK(ew_cuda_driver_open(&driver, error, sizeof(error)) == 0);
  return driver;
}

static void check_runs(void) {
  ew_model* model = create();
  for (int run = 0; run < 3; ++run) {
    fill((float)run);
    CHECK(ew_run(model, inputs, outputs) == EW_OK);
    expect(y, z, (float)run);
  }
  CHECK(ew_model_program(model) == fake_program());
  CHECK(ew_num_threads(model) == 1);
  CHECK(ew_cuda_device_bytes(model) >= sizeof(float) * 4 * ELEMS);
  CHECK(ew_cuda_stream(model) != NULL);
  ew_destroy(model);
}

static void check_two_models(void) {
  ew_model* first = create();
  ew_model* second = create();
  fill(1);
  CHECK(ew_run(first, inputs, outputs) == EW_OK);
  expect(y, z, 1);
  ew_destroy(first);
  fill(2);
  CHECK(ew_run(second, inputs, outputs) == EW_OK);
  expect(y, z, 2);
  ew_destroy(second);
}

static void check_start_and_wait(void) {
  ew_model* model = create();
  CHECK(ew_cuda_wait(model) == EW_INVALID_ARGUMENT);
  fill(3);
  CHECK(ew_cuda_start(model, inputs, outputs) == EW_OK);
  CHECK(ew_run(model, inputs, outputs) == EW_BUSY);
  CHECK(ew_cuda_start(model, inputs, outputs) == EW_BUSY);
  CHECK(y[0] == 0);
  CHECK(ew_cuda_wait(model) == EW_OK);
  expect(y, z, 3);
  CHECK(ew_cuda_wait(model) == EW_INVALID_ARGUMENT);
  CHECK(ew_cuda_start(model, inputs, outputs) == EW_OK);
  ew_destroy(model);  // waits for what was begun
}

/// Runs on device memory, `shift` bytes into an allocation.
static void run_on_device(size_t shift) {
  ew_model* model = create();
  ew_cuda_driver driver = open_driver();
  ew_cu_context context;
  ew_cu_pointer pointers[4];
  const size_t bytes[] = {sizeof(x), sizeof(bias), sizeof(y), sizeof(z)};
  float* pinned_y;
  int32_t* pinned_z;
  CHECK(driver.context_retain(&context, 0) == 0 && driver.context_push(context) == 0);
  for (int i = 0; i < 4; ++i) CHECK(driver.memory_allocate(&pointers[i], bytes[i] + 64) == 0);
  CHECK(driver.host_allocate((void**)&pinned_y, sizeof(y), 0) == 0);
  CHECK(driver.host_allocate((void**)&pinned_z, sizeof(z), 0) == 0);
  for (int run = 0; run < 2; ++run) {
    fill((float)run);
    CHECK(driver.copy_to_device(pointers[0] + shift, x, sizeof(x)) == 0);
    CHECK(driver.copy_to_device(pointers[1] + shift, bias, sizeof(bias)) == 0);
    const void* in[] = {(void*)(uintptr_t)(pointers[0] + shift),
                        (void*)(uintptr_t)(pointers[1] + shift)};
    void* out[] = {(void*)(uintptr_t)(pointers[2] + shift),
                   (void*)(uintptr_t)(pointers[3] + shift)};
    CHECK(ew_run(model, in, out) == EW_OK);
    CHECK(driver.copy_to_host_async(pinned_y, pointers[2] + shift, sizeof(y),
                                    ew_cuda_stream(model)) == 0);
    CHECK(driver.copy_to_host_async(pinned_z, pointers[3] + shift, sizeof(z),
                                    ew_cuda_stream(model)) == 0);
    CHECK(driver.stream_synchronize(ew_cuda_stream(model)) == 0);
    expect(pinned_y, pinned_z, (float)run);
  }
  for (int i = 0; i < 4; ++i) CHECK(driver.memory_free(pointers[i]) == 0);
  CHECK(driver.host_free(pinned_y) == 0 && driver.host_free(pinned_z) == 0);
  CHECK(driver.context_pop(&context) == 0 && driver.context_release(0) == 0);
  ew_destroy(model);
  ew_cuda_driver_close(&driver);
}

static void check_device_memory(void) { run_on_device(0); }

static void check_device_memory_that_is_not_aligned(void) { run_on_device(4); }

static void check_pinned_memory(void) {
  ew_model* model = create();
  ew_cuda_driver driver = open_driver();
  ew_cu_context context;
  float* pinned_x;
  float* pinned_y;
  CHECK(driver.context_retain(&context, 0) == 0 && driver.context_push(context) == 0);
  CHECK(driver.host_allocate((void**)&pinned_x, sizeof(x), 0) == 0);
  CHECK(driver.host_allocate((void**)&pinned_y, sizeof(y), 0) == 0);
  for (int run = 0; run < 4; ++run) {
    fill((float)run);
    memcpy(pinned_x, x, sizeof(x));
    const void* in[] = {run % 2 ? (const void*)x : pinned_x, bias};
    void* out[] = {pinned_y, z};
    CHECK(ew_run(model, in, out) == EW_OK);
    expect(pinned_y, z, (float)run);
  }
  CHECK(driver.host_free(pinned_x) == 0 && driver.host_free(pinned_y) == 0);
  CHECK(driver.context_pop(&context) == 0 && driver.context_release(0) == 0);
  ew_destroy(model);
  ew_cuda_driver_close(&driver);
}

static int steps_seen;

static void see_step(void* user, uint32_t step, uint64_t elapsed_ns) {
  CHECK(user == &steps_seen);
  CHECK(step == (uint32_t)steps_seen && elapsed_ns > 0);
  ++steps_seen;
}

static void check_step_hook(void) {
  ew_model* model = create();
  fill(5);
  CHECK(ew_set_step_hook(model, see_step, &steps_seen) == EW_OK);
  CHECK(ew_run(model, inputs, outputs) == EW_OK);
  CHECK(steps_seen == 3);
  expect(y, z, 5);
  CHECK(ew_set_step_hook(model, NULL, NULL) == EW_OK);
  fill(6);
  CHECK(ew_run(model, inputs, outputs) == EW_OK);
  CHECK(steps_seen == 3);
  expect(y, z, 6);
  ew_destroy(model);
}

static void check_bad_arguments(void) {
  ew_model* model = NULL;
  ew_options options = options_of_checks();
  const void* no_x[] = {NULL, bias};
  void* no_z[] = {y, NULL};
  CHECK(ew_create(NULL, &options, &model) == EW_INVALID_ARGUMENT && model == NULL);
  CHECK(ew_create(fake_program(), &options, NULL) == EW_INVALID_ARGUMENT);
  options.threads = -1;
  CHECK(ew_create(fake_program(), &options, &model) == EW_INVALID_ARGUMENT && model == NULL);
  CHECK(ew_workspace_bytes(fake_program(), &options) == 0);
  CHECK(ew_workspace_bytes(NULL, NULL) == 0);
  CHECK(ew_workspace_bytes(fake_program(), NULL) > 0);
  model = create();
  CHECK(ew_run(NULL, inputs, outputs) == EW_INVALID_ARGUMENT);
  CHECK(ew_run(model, NULL, outputs) == EW_INVALID_ARGUMENT);
  CHECK(ew_run(model, no_x, outputs) == EW_INVALID_ARGUMENT);
  CHECK(strstr(ew_last_error(model), "input 'x' is NULL") != NULL);
  CHECK(ew_run(model, inputs, no_z) == EW_INVALID_ARGUMENT);
  CHECK(strstr(ew_last_error(model), "output 'z' is NULL") != NULL);
  fill(1);
  CHECK(ew_run(model, inputs, outputs) == EW_OK);
  CHECK(ew_last_error(model)[0] == '\0');
  ew_destroy(model);
  ew_destroy(NULL);
}

static void check_weights(void) {
  ew_options options = options_of_checks();
  ew_model* model = NULL;
  options.weights_path = NULL;
  CHECK(ew_create(fake_program(), &options, &model) == EW_WEIGHTS_MISSING);
  options.weights_path = "/nowhere";
  CHECK(ew_create(fake_program(), &options, &model) == EW_WEIGHTS_MISSING);
  options.weights_path = "/proc/self/exe";
  CHECK(ew_create(fake_program(), &options, &model) == EW_WEIGHTS_SIZE);
}

static void check_no_driver(void) {
  CHECK(try_create() == EW_NO_DRIVER);
  CHECK(strstr(error, "libcuda.so.1") != NULL);
}

static void check_no_device(void) {
  CHECK(try_create() == EW_NO_DEVICE);
  CHECK(strstr(error, "finds no GPU") != NULL);
}

static void check_other_gpu(void) {
  CHECK(try_create() == EW_NO_DEVICE);
  CHECK(strstr(error, "the kernels are for sm_87, and the GPU 'emulated' is sm_") != NULL);
}

static void check_newer_gpu_of_the_same_generation(void) { CHECK(try_create() == EW_OK); }

static void check_bad_image(void) {
  CHECK(try_create() == EW_NO_DEVICE);
  CHECK(strstr(error, "sm_87 by nvcc 13.0, cannot be loaded: CUDA_ERROR_INVALID_IMAGE") != NULL);
  CHECK(strstr(error, "CUDA 12.6") != NULL);
}

static void check_small_device(void) {
  CHECK(try_create() == EW_OUT_OF_MEMORY);
  CHECK(strstr(error, "CUDA_ERROR_OUT_OF_MEMORY") != NULL);
}

static void check_few_threads(void) {
  CHECK(try_create() == EW_NO_DEVICE);
  CHECK(strstr(error, "needs blocks of 40 threads") != NULL);
}

static void check_other_abi(void) {
  ew_program other = *fake_program();
  ew_model* model = NULL;
  const ew_options options = options_of_checks();
  other.abi_version = EW_ABI_VERSION;
  CHECK(ew_create(&other, &options, &model) == EW_ABI_MISMATCH && model == NULL);
  CHECK(strstr(error, "this runtime, for GPUs, has") != NULL);
}

/// Everything once; whatever the driver lets fail, nothing is left and nothing wrong is said right.
static void check_any_failure(void) {
  ew_model* model = NULL;
  const ew_options options = options_of_checks();
  if (ew_create(fake_program(), &options, &model) == EW_OK) {
    fill(1);
    for (int run = 0; run < 2; ++run) {
      const ew_status status = ew_run(model, inputs, outputs);
      if (status == EW_OK) expect(y, z, 1);
      CHECK((status == EW_OK) == (ew_last_error(model)[0] == '\0'));
      if (run == 0 && status != EW_OK) continue;
    }
    steps_seen = 0;
    CHECK(ew_set_step_hook(model, see_step, &steps_seen) == EW_OK);
    if (ew_run(model, inputs, outputs) == EW_OK) CHECK(steps_seen == 3);
    ew_destroy(model);
  } else {
    CHECK(error[0] != '\0');
  }
}

static const struct {
  const char* name;
  void (*run)(void);
} cases[] = {
    {"runs", check_runs},
    {"two_models", check_two_models},
    {"start_and_wait", check_start_and_wait},
    {"device_memory", check_device_memory},
    {"device_memory_that_is_not_aligned", check_device_memory_that_is_not_aligned},
    {"pinned_memory", check_pinned_memory},
    {"step_hook", check_step_hook},
    {"bad_arguments", check_bad_arguments},
    {"weights", check_weights},
    {"no_driver", check_no_driver},
    {"no_device", check_no_device},
    {"other_gpu", check_other_gpu},
    {"newer_gpu_of_the_same_generation", check_newer_gpu_of_the_same_generation},
    {"bad_image", check_bad_image},
    {"small_device", check_small_device},
    {"few_threads", check_few_threads},
    {"other_abi", check_other_abi},
    {"any_failure", check_any_failure},
};

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  weights_path = argv[2];
  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); ++i) {
    if (strcmp(cases[i].name, argv[1]) != 0) continue;
    cases[i].run();
    puts("held");
    return 0;
  }
  return 2;
}
