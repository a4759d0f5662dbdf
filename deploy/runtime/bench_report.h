/// What bench.c measured, and how it is printed.
#ifndef EW_BENCH_REPORT_H
#define EW_BENCH_REPORT_H

#include "program.h"

typedef struct ew_bench_arguments {
  const char* bundle;
  int32_t threads;
  int32_t warmup;
  int32_t repeats;              // -1: not given
  double seconds;               // negative: not given
  const char* cpus;             // NULL: any
  int profile;
  int json;
  int help;
} ew_bench_arguments;

/// Latencies in milliseconds, in the order in which they were measured and sorted.
typedef struct ew_samples {
  double* ms;
  double* sorted_ms;
  int32_t count;
  double mean_ms;
} ew_samples;

/// What the step hook fills: step_ms[repeat * num_steps + step].
typedef struct ew_step_times {
  double* ms;
  uint32_t num_steps;
  int32_t repeat;
} ew_step_times;

typedef struct ew_bench {
  const ew_program* program;
  ew_model* model;
  void** inputs;
  void** outputs;
  int golden;                   // 1 if the inputs are golden, 0 if pseudo-random
  double load_ms;
  double first_run_ms;
  ew_samples plain;
  ew_samples profiled;
  ew_step_times steps;
  double* step_median_ms;
  double peak_gflops;           // of one thread; 0 without --profile
} ew_bench;

/// The median of values in rising order: of an even number, the mean of the middle two.
double ew_median(const double* sorted, int32_t count);

/// Thousand million float32 operations that this thread does in a second at most.
double ew_peak_gflops(void);

/// Prints everything as one JSON object on one line.
void ew_print_bench_json(const ew_bench* measured, const ew_bench_arguments* parsed);

/// Prints a table for people.
void ew_print_bench_text(const ew_bench* measured, const ew_bench_arguments* parsed);

#endif
