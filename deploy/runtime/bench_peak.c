/// Measures how many float32 operations one thread does in a second at most: what the share of a
/// layer is measured against.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE  // clock_gettime
#endif
#include <time.h>

#include "bench_report.h"

// The widest registers that the target has.
#if defined(__AVX512F__)
#define EW_VECTOR_BYTES 64
#elif defined(__AVX__)
#define EW_VECTOR_BYTES 32
#elif defined(__ARM_NEON) || defined(__SSE__)
#define EW_VECTOR_BYTES 16
#else
#define EW_VECTOR_BYTES 4
#endif

// More than the latency of a multiply-add times the units that do one; fewer than 16 registers.
#define EW_ACCUMULATORS 10
#define EW_STEPS 5000
// Long enough for a clock to rise; the best round counts.
#define EW_PEAK_SECONDS 0.05

#if EW_VECTOR_BYTES > 4
typedef float lanes __attribute__((vector_size(EW_VECTOR_BYTES)));
#define EW_SPREAD(x) ((lanes){0} + (x))
#else
typedef float lanes;
#define EW_SPREAD(x) (x)
#endif

// sum += by * plus. Written as an instruction where compilers prefer two, which on 32-bit ARM they do
// for their own reasons; elsewhere `by` is made unknown, at no cost, or the product would be taken out
// of the loop.
#if defined(__arm__) && defined(__ARM_NEON) && defined(__ARM_FEATURE_FMA)
#define EW_MULTIPLY_ADD(sum, by, plus) \
  __asm__ volatile("vfma.f32 %q0, %q1, %q2" : "+w"(sum) : "w"(by), "w"(plus))
#elif defined(__arm__) && defined(__ARM_NEON)
#define EW_MULTIPLY_ADD(sum, by, plus) \
  __asm__ volatile("vmla.f32 %q0, %q1, %q2" : "+w"(sum) : "w"(by), "w"(plus))
#elif defined(__arm__) && defined(__ARM_FP)
#define EW_MULTIPLY_ADD(sum, by, plus) \
  __asm__ volatile("vmla.f32 %0, %1, %2" : "+t"(sum) : "t"(by), "t"(plus))
#else
#if defined(__x86_64__)
#define EW_HIDE(x) __asm__ volatile("" : "+x"(x))
#elif defined(__aarch64__)
#define EW_HIDE(x) __asm__ volatile("" : "+w"(x))
#else
#define EW_HIDE(x) __asm__ volatile("" : "+r"(x))
#endif
#define EW_MULTIPLY_ADD(sum, by, plus) \
  do {                                 \
    EW_HIDE(by);                       \
    sum = sum + by * plus;             \
  } while (0)
#endif

#if defined(__GNUC__) && !defined(__clang__)
__attribute__((optimize("fp-contract=fast")))
#endif
static lanes
multiply_add(lanes by, lanes plus) {
#if defined(__clang__)
#pragma clang fp contract(fast)
#endif
  lanes sums[EW_ACCUMULATORS];
  lanes total = EW_SPREAD(0.0f);
  for (int i = 0; i < EW_ACCUMULATORS; ++i) sums[i] = EW_SPREAD((float)i);
  for (int step = 0; step < EW_STEPS; ++step) {
    // Unrolled, or the accumulators would live in memory.
#if defined(__clang__)
#pragma clang loop unroll(full)
#else
#pragma GCC unroll 16
#endif
    for (int i = 0; i < EW_ACCUMULATORS; ++i) EW_MULTIPLY_ADD(sums[i], by, plus);
  }
  for (int i = 0; i < EW_ACCUMULATORS; ++i) total = total + sums[i];
  return total;
}

static double now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

double ew_peak_gflops(void) {
  volatile float by = 1e-3f;
  volatile float sink;
  double best_s = 1e30;
  const double begin_s = now_s();
  double round_s = begin_s;
  do {
    const lanes result = multiply_add(EW_SPREAD(by), EW_SPREAD(by));
    sink = *(const float*)&result;
    const double end_s = now_s();
    if (end_s - round_s < best_s) best_s = end_s - round_s;
    round_s = end_s;
  } while (round_s - begin_s < EW_PEAK_SECONDS);
  (void)sink;
  return 2.0 * EW_ACCUMULATORS * EW_STEPS * (EW_VECTOR_BYTES / 4) / best_s * 1e-9;
}
