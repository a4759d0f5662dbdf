/// The part of QEMU's TCG plugin interface that instruction_counter.c uses, declared here because
/// Debian 12's packages do not ship qemu-plugin.h. All versions from 1 (QEMU 6.0) on agree on it
/// but for qemu_plugin_insn_data; see QEMU's docs/devel/tcg-plugins.rst and qemu-plugin.h.
#ifndef EW_COUNTING_QEMU_PLUGIN_API_H
#define EW_COUNTING_QEMU_PLUGIN_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// The version that this plugin asks for. QEMU refuses one that it does not serve.
#ifndef EW_PLUGIN_API
#define EW_PLUGIN_API 1
#endif

#define EW_PLUGIN_EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;

typedef struct qemu_info_t {
  const char* target_name;
  struct {
    int min;
    int cur;
  } version;
  bool system_emulation;
  union {
    struct {
      int smp_vcpus;
      int max_vcpus;
    } system;
  };
} qemu_info_t;

struct qemu_plugin_tb;
struct qemu_plugin_insn;

enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS = 0 };

typedef void (*ew_translate_cb)(qemu_plugin_id_t id, struct qemu_plugin_tb* tb);
typedef void (*ew_execute_cb)(unsigned int vcpu, void* user);
typedef void (*ew_exit_cb)(qemu_plugin_id_t id, void* user);
typedef void (*ew_syscall_cb)(qemu_plugin_id_t id, unsigned int vcpu, int64_t number, uint64_t a1,
                              uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6,
                              uint64_t a7, uint64_t a8);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, ew_translate_cb callback);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb* tb, ew_execute_cb callback,
                                          enum qemu_plugin_cb_flags flags, void* user);
void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t id, ew_syscall_cb callback);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, ew_exit_cb callback, void* user);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb* tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb* tb);
struct qemu_plugin_insn* qemu_plugin_tb_get_insn(const struct qemu_plugin_tb* tb, size_t index);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn* insn);

/// One function by its two types: the first up to version 2 of the QEMU that runs
/// (info->version.cur), the second from 3 on. The version that a plugin asks for does not matter.
const void* ew_insn_data_in_place(const struct qemu_plugin_insn* insn)
    __asm__("qemu_plugin_insn_data");
size_t ew_insn_data_copy(const struct qemu_plugin_insn* insn, void* to, size_t bytes)
    __asm__("qemu_plugin_insn_data");

#endif
