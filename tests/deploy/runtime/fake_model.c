/// A hand-written program for tests of the runtime: what a generated model.c looks like.
///
///   x float32[2,37], bias int32[5]  ->  y float32[2,37] = 2 * x + weights,  z int32[5] = bias + 1
///
/// Step 0 writes 2 * x to the arena, through scratch. Step 1 adds the weights and writes y. Step 2
/// writes z. Built with -DFAKE_NAME=other it is a second, separate model; with -DFAKE_EMBED=1 its
/// weights are those of the symbol NAME_weights.
#include "program.h"

#include <string.h>

#ifndef FAKE_NAME
#define FAKE_NAME fake
#endif
#ifndef FAKE_IO_ALIGNMENT
#define FAKE_IO_ALIGNMENT 0
#endif
#ifndef FAKE_ABI_VERSION
#define FAKE_ABI_VERSION EW_ABI_VERSION
#endif
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

#define ELEMS 74
#define SCRATCH_BYTES 100

const ew_program* JOIN(FAKE_NAME, _program)(void);

#ifdef FAKE_EMBED
extern const unsigned char JOIN(FAKE_NAME, _weights)[];
#define WEIGHTS JOIN(FAKE_NAME, _weights)
#else
#define WEIGHTS NULL
#endif

static const int64_t x_shape[] = {2, 37};
static const int64_t z_shape[] = {5};
static const ew_tensor_info inputs[] = {{"x", EW_FLOAT32, 2, x_shape, sizeof(float) * ELEMS},
                                        {"bias", EW_INT32, 1, z_shape, sizeof(int32_t) * 5}};
static const ew_tensor_info outputs[] = {{"y", EW_FLOAT32, 2, x_shape, sizeof(float) * ELEMS},
                                         {"z", EW_INT32, 1, z_shape, sizeof(int32_t) * 5}};
static const ew_step_info steps[] = {{"double", "f32_double"},
                                     {"add \"weights\"", "f32_add"},
                                     {"count", "i32_increment"}};

/// A negative first element of x stands for a kernel that fails.
static int32_t run_double(const ew_frame* frame, unsigned char* scratch, int32_t begin,
                          int32_t end) {
  const float* x = frame->inputs[0];
  float* doubled = (float*)frame->arena;
  memset(scratch, 0xff, SCRATCH_BYTES);
  for (int32_t i = begin; i < end; ++i) {
    if (x[i] == -1000.0f) return 7;
    memcpy(scratch, &x[i], sizeof(float));
    doubled[i] = 2 * *(const float*)scratch;
  }
  return 0;
}

static int32_t run_add(const ew_frame* frame, unsigned char* scratch, int32_t begin, int32_t end) {
  const float* weights = (const float*)frame->weights;
  const float* doubled = (const float*)frame->arena;
  float* y = frame->outputs[0];
  (void)scratch;
  for (int32_t i = begin; i < end; ++i) y[i] = doubled[i] + weights[i];
  return 0;
}

static int32_t run_increment(const ew_frame* frame, unsigned char* scratch, int32_t begin,
                             int32_t end) {
  const int32_t* bias = frame->inputs[1];
  int32_t* z = frame->outputs[1];
  (void)scratch;
  (void)begin;
  (void)end;
  for (int32_t i = 0; i < 5; ++i) z[i] = bias[i] + 1;
  return 0;
}

static ew_status run(ew_run_context* context) {
  ew_status status = ew_launch(context, 0, run_double, ELEMS);
  if (status == EW_OK) status = ew_launch(context, 1, run_add, ELEMS);
  if (status == EW_OK) status = ew_launch(context, 2, run_increment, 1);
  return status;
}

const ew_program* JOIN(FAKE_NAME, _program)(void) {
  static const ew_program program = {
      .abi_version = FAKE_ABI_VERSION,
      .name = TEXT(FAKE_NAME),
      .num_inputs = 2,
      .num_outputs = 2,
      .num_steps = 3,
      .inputs = inputs,
      .outputs = outputs,
      .steps = steps,
      .arena_bytes = sizeof(float) * ELEMS,
      .weights_bytes = sizeof(float) * ELEMS,
      .scratch_bytes = SCRATCH_BYTES,
      .weights = WEIGHTS,
      .run = run,
      .io_alignment_bytes = FAKE_IO_ALIGNMENT,
  };
  return &program;
}

#ifdef EW_EXECUTABLE
const ew_program* ew_selected_program(void) { return JOIN(FAKE_NAME, _program)(); }
#endif
