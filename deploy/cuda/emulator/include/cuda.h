/// CUDA C++ as a CPU's compiler takes it: generated kernels include this in place of NVIDIA's.
///
/// No C++ library is used, which zig would first have to build, in the better part of a minute.
/// It knows what TVM's code generator writes for float32 and integers, and nothing else: what is
/// missing is an error of the compiler, never another meaning.
#ifndef EW_EMULATED_CUDA_H
#define EW_EMULATED_CUDA_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "emulated_threads.h"

static const ew_emulated_services* ew_services;
static const ew_emulated_place* ew_place;

#define __global__
#define __launch_bounds__(threads)
// In a section of its own, so that the emulator can spoil it before each block.
#define __shared__ static __attribute__((section("ew_shared")))

#define threadIdx (ew_place->thread)
#define blockIdx (ew_place->block)
#define blockDim (ew_place->block_size)
#define gridDim (ew_place->grid_size)

static inline void __syncthreads() { ew_services->barrier(); }
static inline unsigned int __activemask() { return ew_services->live_lanes(); }

template <class Value>
static inline Value ew_exchange(Value value, int lane) {
  static_assert(sizeof(Value) <= sizeof(uint64_t), "a lane gives 8 bytes at most");
  uint64_t bits = 0;
  Value taken;
  memcpy(&bits, &value, sizeof(value));
  bits = ew_services->exchange(bits, lane);
  memcpy(&taken, &bits, sizeof(taken));
  return taken;
}

static inline int ew_lane() {
  const unsigned int index =
      ew_place->thread.x +
      ew_place->block_size.x * (ew_place->thread.y + ew_place->block_size.y * ew_place->thread.z);
  return static_cast<int>(index % EW_EMULATED_WARP);
}

/// The lane that is `away` from this one, or this one where that is outside the group of `width`.
static inline int ew_neighbour(int away, int width) {
  const int lane = ew_lane();
  const int there = lane + away;
  return there >= 0 && there / width == lane / width ? there : lane;
}

template <class Value>
static inline Value __shfl_sync(unsigned int, Value value, int lane, int width) {
  return ew_exchange(value, ew_lane() / width * width + lane % width);
}
template <class Value>
static inline Value __shfl_down_sync(unsigned int, Value value, int away, int width) {
  return ew_exchange(value, ew_neighbour(away, width));
}
template <class Value>
static inline Value __shfl_up_sync(unsigned int, Value value, int away, int width) {
  return ew_exchange(value, ew_neighbour(-away, width));
}

// As CUDA has them: of a number and a NaN, the number.
static inline float max(float a, float b) { return fmaxf(a, b); }
static inline float min(float a, float b) { return fminf(a, b); }
static inline double max(double a, double b) { return fmax(a, b); }
static inline double min(double a, double b) { return fmin(a, b); }
template <class Integer>
static inline Integer max(Integer a, Integer b) {
  static_assert(__is_integral(Integer), "floats have functions of their own");
  return a < b ? b : a;
}
template <class Integer>
static inline Integer min(Integer a, Integer b) {
  static_assert(__is_integral(Integer), "floats have functions of their own");
  return b < a ? b : a;
}
static inline float rsqrtf(float value) { return 1.0f / sqrtf(value); }

/// Calls a kernel with parameters as cuLaunchKernel takes them.
template <size_t... Index>
struct ew_indices {
  template <class... Parameters>
  static void call(void (*kernel)(Parameters...), void** given) {
    kernel(*static_cast<Parameters*>(given[Index])...);
  }
};
template <size_t Count, size_t... Index>
struct ew_count_up : ew_count_up<Count - 1, Count - 1, Index...> {};
template <size_t... Index>
struct ew_count_up<0, Index...> : ew_indices<Index...> {};

template <class... Parameters>
static inline void ew_call(void (*kernel)(Parameters...), void** given) {
  ew_count_up<sizeof...(Parameters)>::call(kernel, given);
}
template <class... Parameters>
constexpr unsigned int ew_count(void (*)(Parameters...)) {
  return sizeof...(Parameters);
}

#endif
