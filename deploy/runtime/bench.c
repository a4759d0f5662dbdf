/// bench: measures the latency of the model, and with --profile of each step.
///
/// Exit status: 0 fine, 2 bad use, 3 the environment failed.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE  // sched_setaffinity
#endif
#include <errno.h>
#include <float.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench_report.h"
#include "bundle_files.h"

#define EW_BENCH_WARMUP 3
#define EW_BENCH_REPEATS 1000
#define EW_BENCH_MAX_REPEATS 1000000
#define EW_BENCH_SECONDS 5.0

static const char USAGE[] =
    "usage: bench [--bundle DIR] [--threads N] [--warmup N] [--repeats N] [--seconds S]\n"
    "             [--cpus LIST] [--profile] [--json]\n"
    "\n"
    "Measures load, first run and steady-state latency. Stops after N repeats or S seconds,\n"
    "whichever comes first (default: 1000 repeats or 5 s; one given alone is the only limit).\n"
    "--threads 0 uses every CPU. --cpus keeps the threads on some of them, such as 4-7 or 0,3-5.\n"
    "--profile measures a second time with a clock read around each step. Inputs are the golden\n"
    "ones, or pseudo-random ones if there are none. DIR is by default the parent of this program's\n"
    "folder.\n"
    "Exit status: 0 fine, 2 bad use, 3 a file, the system or a kernel failed.\n";

static int parse_arguments(int argc, char** argv, ew_bench_arguments* parsed) {
  for (int i = 1; i < argc; ++i) {
    int failed = 0;
    if (strcmp(argv[i], "--bundle") == 0) {
      failed = (parsed->bundle = ew_option_text(argc, argv, &i)) == NULL;
    } else if (strcmp(argv[i], "--threads") == 0) {
      failed = ew_option_integer(argc, argv, &i, 0, EW_MAX_THREADS, &parsed->threads);
    } else if (strcmp(argv[i], "--warmup") == 0) {
      failed = ew_option_integer(argc, argv, &i, 0, EW_BENCH_MAX_REPEATS, &parsed->warmup);
    } else if (strcmp(argv[i], "--repeats") == 0) {
      failed = ew_option_integer(argc, argv, &i, 1, EW_BENCH_MAX_REPEATS, &parsed->repeats);
    } else if (strcmp(argv[i], "--seconds") == 0) {
      failed = ew_option_number(argc, argv, &i, 0, DBL_MAX, &parsed->seconds);
    } else if (strcmp(argv[i], "--cpus") == 0) {
      failed = (parsed->cpus = ew_option_text(argc, argv, &i)) == NULL;
    } else if (strcmp(argv[i], "--profile") == 0) {
      parsed->profile = 1;
    } else if (strcmp(argv[i], "--json") == 0) {
      parsed->json = 1;
    } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
      parsed->help = 1;
    } else {
      fprintf(stderr, "error: unknown argument '%s'.\n", argv[i]);
      failed = 1;
    }
    if (failed) return -1;
  }
  if (parsed->repeats < 0 && parsed->seconds < 0) {
    parsed->repeats = EW_BENCH_REPEATS;
    parsed->seconds = EW_BENCH_SECONDS;
  }
  if (parsed->repeats < 0) parsed->repeats = EW_BENCH_MAX_REPEATS;
  if (parsed->seconds < 0) parsed->seconds = DBL_MAX;
  return 0;
}

static double now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

/// Keeps this process, and the threads that it will start, on the CPUs of a list such as 0,3-5.
static int keep_on_cpus(const char* list) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const char* at = list; *at != '\0';) {
    char* end;
    const long first = strtol(at, &end, 10);
    long last = first;
    if (end != at && *end == '-') {
      at = end + 1;
      last = strtol(at, &end, 10);
    }
    if (end == at || first < 0 || last < first || last >= CPU_SETSIZE ||
        (*end != '\0' && *end != ',')) {
      fprintf(stderr, "error: --cpus is '%s', but must be a list such as 4-7 or 0,3-5.\n", list);
      return EW_EXIT_USAGE;
    }
    for (long cpu = first; cpu <= last; ++cpu) CPU_SET((unsigned)cpu, &set);
    at = *end == ',' ? end + 1 : end;
  }
  if (sched_setaffinity(0, sizeof(set), &set) == 0) return EW_EXIT_PASS;
  fprintf(stderr, "error: cannot stay on the CPUs %s: %s.\n", list, strerror(errno));
  return EW_EXIT_ENVIRONMENT;
}

/// Writes one element made from 32 random bits and returns its size: floats in [-1, 1), 8-bit
/// integers of any value. 0 for wider integers and bools: they may be indices, and stay 0.
static size_t write_random(ew_dtype dtype, uint32_t random, unsigned char* to) {
  const float value = (float)(random >> 8) / 8388608.0f - 1.0f;
  const double wide = value;
  // Sign, exponent of [0.5, 1), fraction.
  const uint16_t half = (uint16_t)((random >> 31) << 15 | 14u << 10 | ((random >> 8) & 0x3ffu));
  switch (dtype) {
    case EW_FLOAT32: memcpy(to, &value, sizeof(value)); return sizeof(value);
    case EW_FLOAT64: memcpy(to, &wide, sizeof(wide)); return sizeof(wide);
    case EW_FLOAT16: memcpy(to, &half, sizeof(half)); return sizeof(half);
    case EW_INT8:
    case EW_UINT8: *to = (unsigned char)(random >> 24); return 1;
    default: return 0;
  }
}

/// Fills the inputs with the same pseudo-random values on every machine.
static void fill_inputs(const ew_program* program, void* const* inputs) {
  uint32_t state = 0x9e3779b9u;
  for (uint32_t i = 0; i < program->num_inputs; ++i) {
    const ew_tensor_info* info = &program->inputs[i];
    for (size_t at = 0, step = 1; step > 0 && at < info->size_bytes; at += step) {
      state = state * 1664525u + 1013904223u;  // Numerical Recipes' linear congruence
      step = write_random(info->dtype, state, (unsigned char*)inputs[i] + at);
    }
  }
}

static int run_once(ew_bench* measured, double* elapsed_ms) {
  const double begin_ms = now_ms();
  const ew_status status =
      ew_run(measured->model, (const void* const*)measured->inputs, measured->outputs);
  *elapsed_ms = now_ms() - begin_ms;
  if (status == EW_OK) return 0;
  fprintf(stderr, "error: %s: %s\n", ew_status_name(status), ew_last_error(measured->model));
  return -1;
}

static int compare_doubles(const void* a, const void* b) {
  const double x = *(const double*)a;
  const double y = *(const double*)b;
  return (x > y) - (x < y);
}

/// Makes room for one more sample.
static int reserve(ew_bench* measured, ew_samples* taken, int with_steps) {
  if ((taken->count & (taken->count - 1)) != 0) return 0;  // full only at powers of two
  const size_t room = taken->count == 0 ? 1 : 2 * (size_t)taken->count;
  double* ms = realloc(taken->ms, room * sizeof(*ms));
  if (ms != NULL) taken->ms = ms;
  double* step_ms = measured->steps.ms;
  if (with_steps) {
    step_ms = realloc(step_ms, room * (measured->steps.num_steps + 1u) * sizeof(*step_ms));
    if (step_ms != NULL) measured->steps.ms = step_ms;
  }
  if (ms != NULL && (!with_steps || step_ms != NULL)) return 0;
  fprintf(stderr, "error: out of memory for the samples.\n");
  return -1;
}

/// Takes samples until one of the limits is reached, at least one.
static int take_samples(ew_bench* measured, const ew_bench_arguments* parsed, ew_samples* taken,
                        int with_steps) {
  const double begin_ms = now_ms();
  do {
    if (reserve(measured, taken, with_steps) != 0) return -1;
    measured->steps.repeat = taken->count;
    if (run_once(measured, &taken->ms[taken->count]) != 0) return -1;
    taken->mean_ms += taken->ms[taken->count];
    ++taken->count;
  } while (taken->count < parsed->repeats && now_ms() - begin_ms < parsed->seconds * 1e3);
  taken->mean_ms /= taken->count;
  taken->sorted_ms = malloc((size_t)taken->count * sizeof(double));
  if (taken->sorted_ms == NULL) {
    fprintf(stderr, "error: out of memory for the samples.\n");
    return -1;
  }
  memcpy(taken->sorted_ms, taken->ms, (size_t)taken->count * sizeof(double));
  qsort(taken->sorted_ms, (size_t)taken->count, sizeof(double), compare_doubles);
  return 0;
}

static void record_step(void* user, uint32_t step, uint64_t elapsed_ns) {
  ew_step_times* steps = user;
  steps->ms[(size_t)steps->repeat * steps->num_steps + step] = (double)elapsed_ns * 1e-6;
}

static int profile_steps(ew_bench* measured, const ew_bench_arguments* parsed) {
  const uint32_t num_steps = measured->program->num_steps;
  int result = -1;
  double* column = NULL;
  measured->steps.num_steps = num_steps;
  if (ew_set_step_hook(measured->model, record_step, &measured->steps) != EW_OK) goto cleanup;
  if (take_samples(measured, parsed, &measured->profiled, 1) != 0) goto cleanup;
  column = malloc((size_t)measured->profiled.count * sizeof(*column));
  measured->step_median_ms = malloc((num_steps + 1u) * sizeof(double));
  if (column == NULL || measured->step_median_ms == NULL) {
    fprintf(stderr, "error: out of memory for the profile.\n");
    goto cleanup;
  }
  for (uint32_t step = 0; step < num_steps; ++step) {
    for (int32_t i = 0; i < measured->profiled.count; ++i) {
      column[i] = measured->steps.ms[(size_t)i * num_steps + step];
    }
    qsort(column, (size_t)measured->profiled.count, sizeof(double), compare_doubles);
    measured->step_median_ms[step] = ew_median(column, measured->profiled.count);
  }
  result = 0;

cleanup:
  free(column);
  (void)ew_set_step_hook(measured->model, NULL, NULL);
  return result;
}

static int measure(ew_bench* measured, const ew_bench_arguments* parsed, const char* dir) {
  const ew_program* program = measured->program;
  const double begin_ms = now_ms();
  double ignored_ms;
  if (ew_bundle_create(program, dir, parsed->threads, -1, &measured->model) != 0) {
    return -1;
  }
  measured->load_ms = now_ms() - begin_ms;
  measured->golden = ew_bundle_has_golden(dir, "input");
  if (!measured->golden) {
    fill_inputs(program, measured->inputs);
  } else if (ew_bundle_read_golden(dir, "input", program->inputs, program->num_inputs,
                                   measured->inputs) != 0) {
    return -1;
  }
  if (run_once(measured, &measured->first_run_ms) != 0) return -1;
  for (int32_t i = 0; i < parsed->warmup; ++i) {
    if (run_once(measured, &ignored_ms) != 0) return -1;
  }
  if (take_samples(measured, parsed, &measured->plain, 0) != 0) return -1;
  if (!parsed->profile) return 0;
  measured->peak_gflops = ew_peak_gflops();
  return profile_steps(measured, parsed);
}

static void free_bench(ew_bench* measured) {
  ew_destroy(measured->model);
  ew_free_tensors(measured->inputs, measured->program->num_inputs);
  ew_free_tensors(measured->outputs, measured->program->num_outputs);
  free(measured->plain.ms);
  free(measured->plain.sorted_ms);
  free(measured->profiled.ms);
  free(measured->profiled.sorted_ms);
  free(measured->steps.ms);
  free(measured->step_median_ms);
}

int main(int argc, char** argv) {
  ew_bench_arguments parsed = {NULL, 1, EW_BENCH_WARMUP, -1, -1.0, NULL, 0, 0, 0};
  ew_bench measured = {0};
  char dir[EW_PATH_BYTES];
  int status = EW_EXIT_USAGE;
  measured.program = ew_selected_program();
  if (parse_arguments(argc, argv, &parsed) != 0) {
    fputs(USAGE, stderr);
    goto cleanup;
  }
  status = EW_EXIT_PASS;
  if (parsed.help) {
    fputs(USAGE, stdout);
    goto cleanup;
  }
  if (parsed.cpus != NULL && (status = keep_on_cpus(parsed.cpus)) != EW_EXIT_PASS) goto cleanup;
  status = EW_EXIT_ENVIRONMENT;
  measured.inputs = ew_allocate_tensors(measured.program->inputs, measured.program->num_inputs);
  measured.outputs = ew_allocate_tensors(measured.program->outputs, measured.program->num_outputs);
  if (measured.inputs == NULL || measured.outputs == NULL ||
      ew_bundle_find(parsed.bundle, dir) != 0 || measure(&measured, &parsed, dir) != 0) {
    goto cleanup;
  }
  if (parsed.json) {
    ew_print_bench_json(&measured, &parsed);
  } else {
    ew_print_bench_text(&measured, &parsed);
  }
  status = EW_EXIT_PASS;

cleanup:
  free_bench(&measured);
  return status;
}
