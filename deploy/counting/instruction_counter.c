/// A TCG plugin that counts the instructions a program executes, by class, up to each of its marks.
///
///   qemu-aarch64 -plugin file=instruction_counter.so,out=counts.txt selftest --count 1
///
/// QEMU translates straight pieces of code once and executes them many times. Each piece gets its
/// counts when it is translated and a number of executions while the program runs; their products
/// make the totals. A mark is the system call getsid(EW_MARK + point), which fails and changes
/// nothing.
///
/// The file has one line for the names, one for each mark (point, counts since the program began)
/// and one that says "end". The program must have one thread only.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "classes.h"
#include "qemu_plugin_api.h"

/// Added to a mark's point: no process has such a number. As deploy/runtime/selftest.c has it.
#define EW_MARK 0x65770000u

#define GETSID_AARCH64 156
#define GETSID_ARM 147

EW_PLUGIN_EXPORT int qemu_plugin_version = EW_PLUGIN_API;

typedef struct piece {
  struct piece* next;
  uint64_t executions;
  uint32_t counts[EW_NUM_COUNTS];
} piece;

static piece* pieces;
static FILE* out;
static int is_a64;
static int copies_data;  // as QEMU does from version 3 of its interface on

static void fail(const char* what) {
  fprintf(stderr, "instruction counter: %s\n", what);
  exit(EXIT_FAILURE);
}

static void on_execute(unsigned int vcpu, void* user) {
  (void)vcpu;
  ((piece*)user)->executions += 1;
}

static uint32_t instruction_word(const struct qemu_plugin_insn* insn, size_t bytes) {
  uint32_t word = 0;
  if (copies_data) {
    (void)ew_insn_data_copy(insn, &word, bytes);
  } else {
    memcpy(&word, ew_insn_data_in_place(insn), bytes);
  }
  return word;
}

/// Whether a piece of 32-bit code is T32: it holds an instruction of two bytes, or begins between
/// words. A piece of wide instructions alone that begins on a word is taken for A32; its number of
/// instructions is right all the same.
static int is_t32(const struct qemu_plugin_tb* tb, size_t num_insns) {
  if (qemu_plugin_tb_vaddr(tb) % 4 != 0) return 1;
  for (size_t i = 0; i < num_insns; ++i) {
    if (qemu_plugin_insn_size(qemu_plugin_tb_get_insn(tb, i)) == 2) return 1;
  }
  return 0;
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb* tb) {
  const size_t num_insns = qemu_plugin_tb_n_insns(tb);
  const int thumb = !is_a64 && is_t32(tb, num_insns);
  piece* made = calloc(1, sizeof(*made));
  (void)id;
  if (made == NULL) fail("out of memory");
  for (size_t i = 0; i < num_insns; ++i) {
    const struct qemu_plugin_insn* insn = qemu_plugin_tb_get_insn(tb, i);
    const size_t bytes = qemu_plugin_insn_size(insn);
    const uint32_t word = instruction_word(insn, bytes < 4 ? bytes : 4);
    if (is_a64) {
      ew_count_a64(word, made->counts);
    } else if (thumb) {
      ew_count_t32(word, (int)bytes, made->counts);
    } else {
      ew_count_a32(word, made->counts);
    }
  }
  made->next = pieces;
  pieces = made;
  qemu_plugin_register_vcpu_tb_exec_cb(tb, on_execute, QEMU_PLUGIN_CB_NO_REGS, made);
}

static void write_line(uint32_t point) {
  uint64_t totals[EW_NUM_COUNTS] = {0};
  for (const piece* it = pieces; it != NULL; it = it->next) {
    if (it->executions == 0) continue;
    for (int i = 0; i < EW_NUM_COUNTS; ++i) totals[i] += it->executions * it->counts[i];
  }
  fprintf(out, "%" PRIu32, point);
  for (int i = 0; i < EW_NUM_COUNTS; ++i) fprintf(out, " %" PRIu64, totals[i]);
  fputc('\n', out);
  if (fflush(out) != 0) fail("the counts cannot be written");  // what reads them shows progress
}

static void on_syscall(qemu_plugin_id_t id, unsigned int vcpu, int64_t number, uint64_t a1,
                       uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6,
                       uint64_t a7, uint64_t a8) {
  (void)id, (void)vcpu, (void)a2, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
  if (number != (is_a64 ? GETSID_AARCH64 : GETSID_ARM)) return;
  if (((uint32_t)a1 & 0xFFFF0000u) == EW_MARK) write_line((uint32_t)a1 - EW_MARK);
}

static void on_exit_of_program(qemu_plugin_id_t id, void* user) {
  (void)id, (void)user;
  fputs("end\n", out);
  if (fclose(out) != 0) fail("the counts cannot be written");
}

EW_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info, int argc,
                                         char** argv) {
  is_a64 = strcmp(info->target_name, "aarch64") == 0;
  if (!is_a64 && strcmp(info->target_name, "arm") != 0) {
    fprintf(stderr, "instruction counter: '%s' is not supported\n", info->target_name);
    return -1;
  }
  copies_data = info->version.cur >= 3;
  if (argc != 1 || strncmp(argv[0], "out=", 4) != 0) {
    fputs("instruction counter: the only argument is out=FILE\n", stderr);
    return -1;
  }
  out = fopen(argv[0] + 4, "w");
  if (out == NULL) {
    fprintf(stderr, "instruction counter: '%s': %s\n", argv[0] + 4, strerror(errno));
    return -1;
  }
  fputs("point " EW_COUNT_NAMES "\n", out);
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
  qemu_plugin_register_vcpu_syscall_cb(id, on_syscall);
  qemu_plugin_register_atexit_cb(id, on_exit_of_program, NULL);
  return 0;
}
