/// selftest: runs the model on the bundle's golden inputs and compares with its golden outputs.
///
/// Needs nothing but the bundle. Exit status: 0 pass, 1 fail, 2 bad use, 3 the environment failed.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE  // getsid
#endif
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bundle_files.h"

/// The default tolerance: |got - expected| <= atol + rtol * the output's largest |expected|.
#ifndef EW_SELFTEST_ATOL
#define EW_SELFTEST_ATOL 0.0
#endif
#ifndef EW_SELFTEST_RTOL
#define EW_SELFTEST_RTOL 1e-4
#endif

/// Points that the instruction counter of `edgewright cost` is told of; a step's own is its number.
#define EW_MARK 0x65770000u
#define EW_MARK_BEGIN 0xffffu
#define EW_MARK_END 0xfffeu
#define EW_MAX_COUNT 1000

static const char USAGE[] =
    "usage: selftest [--bundle DIR] [--threads N] [--atol A] [--rtol R]\n"
    "       selftest --run INPUTS.bin OUTPUTS.bin [--bundle DIR] [--threads N]\n"
    "       selftest --count N | --count-steps N [--bundle DIR]\n"
    "\n"
    "Runs the model on DIR/golden/inputN.bin and compares with DIR/golden/outputN.bin. The error\n"
    "allowed is A + R times the output's largest absolute value; integers may differ by A only.\n"
    "NaN and infinity fail. With --run: reads all inputs from one file, one after the other, and\n"
    "writes all outputs likewise. With --count: runs the golden inputs 2 N times on one thread\n"
    "and tells an emulator where each inference begins and ends, for `edgewright cost`;\n"
    "--count-steps adds N with the end of each step. DIR is by default the parent of this program's folder.\n"
    "Exit status: 0 pass, 1 fail, 2 bad use, 3 a file, the system or a kernel failed.\n";

typedef struct arguments {
  const char* bundle;
  const char* run_inputs;       // both NULL without --run
  const char* run_outputs;
  int32_t threads;
  double atol;
  double rtol;
  int32_t count;                // 0 without --count and --count-steps
  int count_steps;
  int help;
} arguments;

static int parse_arguments(int argc, char** argv, arguments* parsed) {
  for (int i = 1; i < argc; ++i) {
    int failed = 0;
    if (strcmp(argv[i], "--bundle") == 0) {
      failed = (parsed->bundle = ew_option_text(argc, argv, &i)) == NULL;
    } else if (strcmp(argv[i], "--run") == 0) {
      failed = i + 2 >= argc;
      if (failed) {
        fprintf(stderr, "error: --run needs two files.\n");
      } else {
        parsed->run_inputs = argv[++i];
        parsed->run_outputs = argv[++i];
      }
    } else if (strcmp(argv[i], "--threads") == 0) {
      failed = ew_option_integer(argc, argv, &i, 0, EW_MAX_THREADS, &parsed->threads);
    } else if (strcmp(argv[i], "--atol") == 0) {
      failed = ew_option_number(argc, argv, &i, 0, DBL_MAX, &parsed->atol);
    } else if (strcmp(argv[i], "--rtol") == 0) {
      failed = ew_option_number(argc, argv, &i, 0, DBL_MAX, &parsed->rtol);
    } else if (strcmp(argv[i], "--count") == 0) {
      failed = ew_option_integer(argc, argv, &i, 1, EW_MAX_COUNT, &parsed->count);
    } else if (strcmp(argv[i], "--count-steps") == 0) {
      failed = ew_option_integer(argc, argv, &i, 1, EW_MAX_COUNT, &parsed->count);
      parsed->count_steps = 1;
    } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
      parsed->help = 1;
    } else {
      fprintf(stderr, "error: unknown argument '%s'.\n", argv[i]);
      failed = 1;
    }
    if (failed) return -1;
  }
  return 0;
}

static double half_to_double(uint16_t bits) {
  const int exponent = (bits >> 10) & 0x1f;
  const int fraction = bits & 0x3ff;
  double value;
  if (exponent == 0x1f) {
    value = fraction != 0 ? (double)NAN : (double)INFINITY;
  } else if (exponent == 0) {
    value = ldexp(fraction, -24);
  } else {
    value = ldexp(fraction + 1024, exponent - 25);
  }
  return (bits & 0x8000) != 0 ? -value : value;
}

/// Element `index` as a double. 64-bit integers above 2^53 are rounded; see element_error.
static double element_value(ew_dtype dtype, const void* tensor, size_t index) {
  switch (dtype) {
    case EW_FLOAT32: return ((const float*)tensor)[index];
    case EW_FLOAT64: return ((const double*)tensor)[index];
    case EW_FLOAT16: return half_to_double(((const uint16_t*)tensor)[index]);
    case EW_INT8: return ((const int8_t*)tensor)[index];
    case EW_BOOL:
    case EW_UINT8: return ((const uint8_t*)tensor)[index];
    case EW_INT16: return ((const int16_t*)tensor)[index];
    case EW_UINT16: return ((const uint16_t*)tensor)[index];
    case EW_INT32: return ((const int32_t*)tensor)[index];
    case EW_UINT32: return ((const uint32_t*)tensor)[index];
    case EW_INT64: return (double)((const int64_t*)tensor)[index];
    case EW_UINT64: return (double)((const uint64_t*)tensor)[index];
  }
  return (double)NAN;
}

/// |got - expected|, exact for 64-bit integers; NaN if either is not finite.
static double element_error(ew_dtype dtype, const void* got, const void* expected, size_t index) {
  if (dtype == EW_INT64 || dtype == EW_UINT64) {
    const uint64_t a = ((const uint64_t*)got)[index];
    const uint64_t b = ((const uint64_t*)expected)[index];
    const int a_is_less = dtype == EW_INT64 ? (int64_t)a < (int64_t)b : a < b;
    return (double)(a_is_less ? b - a : a - b);
  }
  const double a = element_value(dtype, got, index);
  const double b = element_value(dtype, expected, index);
  return isfinite(a) && isfinite(b) ? fabs(a - b) : (double)NAN;
}

static size_t count_elems(const ew_tensor_info* info) {
  size_t elems = 1;
  for (uint32_t axis = 0; axis < info->rank; ++axis) elems *= (size_t)info->shape[axis];
  return elems;
}

/// Prints an element's index in each axis, such as [0,3,17].
static void print_position(const ew_tensor_info* info, size_t index) {
  size_t below = count_elems(info);
  putchar('[');
  for (uint32_t axis = 0; axis < info->rank; ++axis) {
    below /= (size_t)info->shape[axis];
    printf("%s%llu", axis > 0 ? "," : "", (unsigned long long)(index / below));
    index %= below;
  }
  putchar(']');
}

/// Prints one line on one output; returns 1 if it is within the tolerance.
static int compare_output(uint32_t number, const ew_tensor_info* info, const void* got,
                          const void* expected, double atol, double rtol) {
  const int is_float = info->dtype <= EW_FLOAT16;
  const size_t elems = count_elems(info);
  double largest = 0, worst = 0, tolerance;
  size_t worst_index = 0;
  for (size_t i = 0; i < elems; ++i) {
    const double magnitude = fabs(element_value(info->dtype, expected, i));
    const double error = element_error(info->dtype, got, expected, i);
    if (magnitude > largest && isfinite(magnitude)) largest = magnitude;
    if (isnan(worst)) continue;  // keeps the first element that is not finite
    if (isnan(error) || error > worst) {
      worst = error;
      worst_index = i;
    }
  }
  tolerance = atol + (is_float ? rtol * largest : 0);
  const int passed = worst <= tolerance;  // false for NaN
  printf("output %u '%s' %s: ", (unsigned)number, info->name, ew_dtype_name(info->dtype));
  if (elems == 0) {
    printf("empty");
  } else {
    if (isnan(worst)) {
      printf("not finite at ");
    } else {
      printf("max abs error %.3g at ", worst);
    }
    print_position(info, worst_index);
    printf(" (got %.9g, expected %.9g)", element_value(info->dtype, got, worst_index),
           element_value(info->dtype, expected, worst_index));
  }
  printf(", tolerance %.3g: %s\n", tolerance, passed ? "ok" : "FAIL");
  return passed;
}

static int run_model(ew_model* model, void* const* inputs, void* const* outputs) {
  const ew_status status = ew_run(model, (const void* const*)inputs, outputs);
  if (status == EW_OK) return 0;
  fprintf(stderr, "error: %s: %s\n", ew_status_name(status), ew_last_error(model));
  return -1;
}

/// Tells an emulator's plugin that the program is at a point, by a system call that fails and
/// changes nothing: no process has such a number.
static void mark(uint32_t point) { (void)getsid((pid_t)(EW_MARK | point)); }

static void mark_step(void* user, uint32_t step, uint64_t elapsed_ns) {
  (void)user;
  (void)elapsed_ns;
  mark(step);
}

/// Runs the golden inputs again and again between marks: `count` times to warm up, `count` times,
/// and `count` times with each step marked if that is wanted. Returns the exit status.
static int count_runs(const ew_program* program, ew_model* model, const char* dir,
                      const arguments* parsed, void** inputs, void** outputs) {
  const int32_t plain = 2 * parsed->count;
  const int32_t runs = parsed->count_steps ? plain + parsed->count : plain;
  if (ew_num_threads(model) != 1) {
    fprintf(stderr, "error: --count needs one thread.\n");
    return EW_EXIT_USAGE;
  }
  if (ew_bundle_read_golden(dir, "input", program->inputs, program->num_inputs, inputs) != 0) {
    return EW_EXIT_ENVIRONMENT;
  }
  for (int32_t i = 0; i < runs; ++i) {
    if (i == plain && ew_set_step_hook(model, mark_step, NULL) != EW_OK) return EW_EXIT_ENVIRONMENT;
    mark(EW_MARK_BEGIN);
    if (run_model(model, inputs, outputs) != 0) return EW_EXIT_ENVIRONMENT;
    mark(EW_MARK_END);
  }
  return EW_EXIT_PASS;
}

/// Compares with the golden outputs; returns the exit status.
static int check_golden(const ew_program* program, ew_model* model, const char* dir,
                        const arguments* parsed, void** inputs, void** outputs) {
  int status = EW_EXIT_ENVIRONMENT;
  int passed = 1;
  void** expected = ew_allocate_tensors(program->outputs, program->num_outputs);
  if (expected == NULL) goto cleanup;
  if (ew_bundle_read_golden(dir, "input", program->inputs, program->num_inputs, inputs) != 0 ||
      ew_bundle_read_golden(dir, "output", program->outputs, program->num_outputs, expected) != 0 ||
      run_model(model, inputs, outputs) != 0) {
    goto cleanup;
  }
  for (uint32_t i = 0; i < program->num_outputs; ++i) {
    passed &= compare_output(i, &program->outputs[i], outputs[i], expected[i], parsed->atol,
                             parsed->rtol);
  }
  puts(passed ? "PASS" : "FAIL");
  status = passed ? EW_EXIT_PASS : EW_EXIT_FAIL;

cleanup:
  ew_free_tensors(expected, program->num_outputs);
  return status;
}

int main(int argc, char** argv) {
  const ew_program* program = ew_selected_program();
  arguments parsed = {NULL, NULL, NULL, 1, EW_SELFTEST_ATOL, EW_SELFTEST_RTOL, 0, 0, 0};
  char dir[EW_PATH_BYTES];
  ew_model* model = NULL;
  void** inputs = NULL;
  void** outputs = NULL;
  int status = EW_EXIT_USAGE;
  if (parse_arguments(argc, argv, &parsed) != 0) {
    fputs(USAGE, stderr);
    goto cleanup;
  }
  status = EW_EXIT_PASS;
  if (parsed.help) {
    fputs(USAGE, stdout);
    goto cleanup;
  }
  status = EW_EXIT_ENVIRONMENT;
  inputs = ew_allocate_tensors(program->inputs, program->num_inputs);
  outputs = ew_allocate_tensors(program->outputs, program->num_outputs);
  if (inputs == NULL || outputs == NULL || ew_bundle_find(parsed.bundle, dir) != 0 ||
      ew_bundle_create(program, dir, parsed.threads, -1, &model) != 0) {
    goto cleanup;
  }
  if (parsed.count > 0) {
    status = count_runs(program, model, dir, &parsed, inputs, outputs);
  } else if (parsed.run_inputs == NULL) {
    status = check_golden(program, model, dir, &parsed, inputs, outputs);
  } else if (ew_read_tensors(parsed.run_inputs, program->inputs, program->num_inputs, inputs) ==
                 0 &&
             run_model(model, inputs, outputs) == 0 &&
             ew_write_tensors(parsed.run_outputs, program->outputs, program->num_outputs,
                              outputs) == 0) {
    status = EW_EXIT_PASS;
  }

cleanup:
  ew_destroy(model);
  ew_free_tensors(outputs, program->num_outputs);
  ew_free_tensors(inputs, program->num_inputs);
  return status;
}
