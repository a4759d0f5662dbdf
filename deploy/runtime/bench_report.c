#include "bench_report.h"

#include <math.h>
#include <stdio.h>
#include <sys/resource.h>

/// The nearest-rank quantile of values in rising order.
static double quantile(const double* sorted, int32_t count, double fraction) {
  const int32_t rank = (int32_t)ceil(fraction * count);
  return sorted[rank < 1 ? 0 : rank - 1];
}

double ew_median(const double* sorted, int32_t count) {
  return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
}

static double sum_of_steps_ms(const ew_bench* measured) {
  double sum = 0;
  for (uint32_t i = 0; i < measured->program->num_steps; ++i) sum += measured->step_median_ms[i];
  return sum > 0 ? sum : 1;  // a sum of 0 has only shares of 0
}

static double profile_cost_ms(const ew_bench* measured) {
  return ew_median(measured->profiled.sorted_ms, measured->profiled.count) -
         ew_median(measured->plain.sorted_ms, measured->plain.count);
}

/// Most memory that this process has had, code and mapped files included.
static long long peak_memory_bytes(void) {
  struct rusage usage;
  return getrusage(RUSAGE_SELF, &usage) == 0 ? (long long)usage.ru_maxrss * 1024 : 0;
}

static void print_json_text(const char* text) {
  putchar('"');
  for (const unsigned char* c = (const unsigned char*)text; *c != '\0'; ++c) {
    if (*c == '"' || *c == '\\') {
      printf("\\%c", *c);
    } else if (*c < 0x20) {
      printf("\\u%04x", *c);
    } else {
      putchar(*c);
    }
  }
  putchar('"');
}

static void print_json_latency(const ew_samples* taken) {
  const double* sorted = taken->sorted_ms;
  printf("{\"min_ms\": %.6f, \"median_ms\": %.6f, \"p90_ms\": %.6f, \"p99_ms\": %.6f, ", sorted[0],
         ew_median(sorted, taken->count), quantile(sorted, taken->count, 0.9),
         quantile(sorted, taken->count, 0.99));
  printf("\"max_ms\": %.6f, \"mean_ms\": %.6f, \"repeats\": %d, \"samples_ms\": [",
         sorted[taken->count - 1], taken->mean_ms, (int)taken->count);
  for (int32_t i = 0; i < taken->count; ++i) printf("%s%.6f", i > 0 ? ", " : "", taken->ms[i]);
  printf("]}");
}

void ew_print_bench_json(const ew_bench* measured, const ew_bench_arguments* parsed) {
  const ew_program* program = measured->program;
  printf("{\"program\": ");
  print_json_text(program->name);
  printf(", \"runtime_version\": \"%s\", \"abi_version\": %u, \"threads\": %d, \"warmup\": %d, ",
         ew_version(), (unsigned)ew_abi_version(), (int)ew_num_threads(measured->model),
         (int)parsed->warmup);
  printf("\"cpus\": ");
  if (parsed->cpus != NULL) {
    print_json_text(parsed->cpus);
  } else {
    printf("null");
  }
  printf(", \"peak_memory_bytes\": %lld, ", peak_memory_bytes());
  printf("\"inputs\": \"%s\", \"load_ms\": %.6f, \"first_run_ms\": %.6f, \"latency\": ",
         measured->golden ? "golden" : "random", measured->load_ms, measured->first_run_ms);
  print_json_latency(&measured->plain);
  printf(", \"profile\": ");
  if (!parsed->profile) {
    puts("null}");
    return;
  }
  const double sum_ms = sum_of_steps_ms(measured);
  printf("{\"cost_ms\": %.6f, \"peak_gflops\": %.3f, \"latency\": ", profile_cost_ms(measured),
         measured->peak_gflops);
  print_json_latency(&measured->profiled);
  printf(", \"steps\": [");
  for (uint32_t i = 0; i < program->num_steps; ++i) {
    printf("%s{\"index\": %u, \"name\": ", i > 0 ? ", " : "", (unsigned)i);
    print_json_text(program->steps[i].name);
    printf(", \"kernel\": ");
    print_json_text(program->steps[i].kernel);
    printf(", \"median_ms\": %.6f, \"share\": %.6f}", measured->step_median_ms[i],
           measured->step_median_ms[i] / sum_ms);
  }
  puts("]}}");
}

void ew_print_bench_text(const ew_bench* measured, const ew_bench_arguments* parsed) {
  const ew_samples* plain = &measured->plain;
  const double* sorted = plain->sorted_ms;
  printf("%s: %d thread(s), %s inputs, warmup %d, repeats %d\n", measured->program->name,
         (int)ew_num_threads(measured->model), measured->golden ? "golden" : "random",
         (int)parsed->warmup, (int)plain->count);
  printf("load       %10.3f ms\nfirst run  %10.3f ms\n", measured->load_ms,
         measured->first_run_ms);
  printf("min        %10.3f ms\nmedian     %10.3f ms\np90        %10.3f ms\n", sorted[0],
         ew_median(sorted, plain->count), quantile(sorted, plain->count, 0.9));
  printf("p99        %10.3f ms\nmax        %10.3f ms\nmean       %10.3f ms\n",
         quantile(sorted, plain->count, 0.99), sorted[plain->count - 1], plain->mean_ms);
  printf("memory     %10.3f MiB at most\n", (double)peak_memory_bytes() / 1048576.0);
  if (!parsed->profile) return;
  const double sum_ms = sum_of_steps_ms(measured);
  printf("\n step  median ms  share  name  (kernel)\n");
  for (uint32_t i = 0; i < measured->program->num_steps; ++i) {
    printf("%5u %10.4f %5.1f%%  %s  (%s)\n", (unsigned)i, measured->step_median_ms[i],
           100 * measured->step_median_ms[i] / sum_ms, measured->program->steps[i].name,
           measured->program->steps[i].kernel);
  }
  printf("Profiling itself costs %.4f ms per run. One thread reaches %.1f GFLOP/s at most.\n",
         profile_cost_ms(measured), measured->peak_gflops);
}
