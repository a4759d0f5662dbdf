/// The kernels of fake_cuda_model.c, as the emulated driver loads them.
#include "emulated_threads.h"

void ew_emulated_open(ew_emulated_library* library);

static const ew_emulated_services* services;
static const ew_emulated_place* place;

static unsigned int element(void) { return place->block.x * 37 + place->thread.x; }

static void run_double(void** parameters) {
  float* const doubled = *(float**)parameters[0];
  const float* const x = *(float**)parameters[1];
  if (place->thread.x < 37) doubled[element()] = 2 * x[element()];
}

static void run_add(void** parameters) {
  float* const y = *(float**)parameters[0];
  const float* const doubled = *(float**)parameters[1];
  const float* const weights = *(float**)parameters[2];
  if (place->thread.x < 37) y[element()] = doubled[element()] + weights[element()];
}

static const ew_emulated_kernel kernels[] = {{"fake_add", run_add, 3, 0},
                                             {"fake_double", run_double, 2, 0}};

void ew_emulated_open(ew_emulated_library* library) {
  library->kernels = kernels;
  library->num_kernels = 2;
  library->services = &services;
  library->place = &place;
  library->shared_begin = 0;
  library->shared_bytes = 0;
}
