/// A hand-written program for a GPU: what a generated model.c looks like.
///
///   x float32[2,37], bias int32[5]  ->  y float32[2,37] = 2 * x + weights,  z int32[5] = bias
///
/// Step 0 writes 2 * x to the arena. Step 1 adds the weights and writes y. Step 2 copies z.
#include "cuda_program.h"

#ifndef FAKE_ABI_VERSION
#define FAKE_ABI_VERSION EW_CUDA_ABI_VERSION
#endif

#define ELEMS 74

const ew_program* fake_program(void);

static const uint32_t image[] = {0xba55ed50u, 0};

static const int64_t x_shape[] = {2, 37};
static const int64_t z_shape[] = {5};
static const ew_tensor_info inputs[] = {{"x", EW_FLOAT32, 2, x_shape, sizeof(float) * ELEMS},
                                        {"bias", EW_INT32, 1, z_shape, sizeof(int32_t) * 5}};
static const ew_tensor_info outputs[] = {{"y", EW_FLOAT32, 2, x_shape, sizeof(float) * ELEMS},
                                         {"z", EW_INT32, 1, z_shape, sizeof(int32_t) * 5}};
static const ew_step_info steps[] = {{"double", "fake_double"}, {"add", "fake_add"}, {"z", "copy"}};
static const char* const kernels[] = {"fake_add", "fake_double"};

static const ew_cuda_parameter parameters[] = {
    {EW_CUDA_ARENA, 0, 64, sizeof(float) * ELEMS},
    {EW_CUDA_INPUT, 0, 0, sizeof(float) * ELEMS},
    {EW_CUDA_OUTPUT, 0, 0, sizeof(float) * ELEMS},
    {EW_CUDA_ARENA, 0, 64, sizeof(float) * ELEMS},
    {EW_CUDA_WEIGHT, 0, 0, sizeof(float) * ELEMS},
    {EW_CUDA_OUTPUT, 1, 0, sizeof(int32_t) * 5},
    {EW_CUDA_INPUT, 1, 0, sizeof(int32_t) * 5},
};

static const ew_cuda_launch launches[] = {
    {1, {2, 1, 1}, {40, 1, 1}, 0, 2},
    {0, {2, 1, 1}, {40, 1, 1}, 2, 3},
    {EW_CUDA_COPY, {0, 0, 0}, {0, 0, 0}, 5, 2},
};

static const ew_cuda_program program = {
    .base.abi_version = FAKE_ABI_VERSION,
    .base.name = "fake",
    .base.num_inputs = 2,
    .base.num_outputs = 2,
    .base.num_steps = 3,
    .base.inputs = inputs,
    .base.outputs = outputs,
    .base.steps = steps,
    .base.arena_bytes = 64 + sizeof(float) * ELEMS,
    .base.weights_bytes = sizeof(float) * ELEMS,
    .image = (const unsigned char*)image,
    .arch = "sm_87",
    .compiler = "nvcc 13.0",
    .kernels = kernels,
    .num_kernels = 2,
    .launches = launches,
    .parameters = parameters,
};

const ew_program* fake_program(void) { return &program.base; }
