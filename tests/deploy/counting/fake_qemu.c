/// Stands in for a newer QEMU: loads a plugin, lets it see three A64 instructions executed five times
/// between two marks, and ends. It serves versions 3 and 4 of the plugin interface only, where the
/// words of an instruction are copied to the plugin.
///
///   qemu-aarch64 -cpu CPU -plugin file=PLUGIN,out=FILE PROGRAM
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { MIN_VERSION = 3, VERSION = 4, NUM_INSNS = 3 };

typedef void (*translate_cb)(uint64_t, void*);
typedef void (*execute_cb)(unsigned, void*);
typedef void (*exit_cb)(uint64_t, void*);
typedef void (*syscall_cb)(uint64_t, unsigned, int64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                           uint64_t, uint64_t, uint64_t, uint64_t);

static const uint32_t WORDS[NUM_INSNS] = {
    0x4e22cc20,  // fmla v0.4s, v1.4s, v2.4s
    0x3dc00120,  // ldr q0, [x9]
    0x14000001,  // b +4
};
static translate_cb on_translate;
static execute_cb on_execute;
static exit_cb on_exit;
static syscall_cb on_syscall;
static void* execute_user;

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, translate_cb cb) { (void)id, on_translate = cb; }
void qemu_plugin_register_vcpu_tb_exec_cb(void* tb, execute_cb cb, int flags, void* user) {
  (void)tb, (void)flags;
  on_execute = cb;
  execute_user = user;
}
void qemu_plugin_register_vcpu_syscall_cb(uint64_t id, syscall_cb cb) { (void)id, on_syscall = cb; }
void qemu_plugin_register_atexit_cb(uint64_t id, exit_cb cb, void* user) {
  (void)id, (void)user;
  on_exit = cb;
}
size_t qemu_plugin_tb_n_insns(const void* tb) { (void)tb; return NUM_INSNS; }
uint64_t qemu_plugin_tb_vaddr(const void* tb) { (void)tb; return 0x1000; }
const void* qemu_plugin_tb_get_insn(const void* tb, size_t i) { (void)tb; return &WORDS[i]; }
size_t qemu_plugin_insn_size(const void* insn) { (void)insn; return 4; }
size_t qemu_plugin_insn_data(const void* insn, void* to, size_t bytes) {
  memcpy(to, insn, bytes);
  return bytes;
}

struct info {
  const char* target_name;
  struct { int min, cur; } version;
  bool system_emulation;
  struct { int smp_vcpus, max_vcpus; } system;
};

static void mark(uint64_t point) { on_syscall(1, 0, 156, 0x65770000u + point, 0, 0, 0, 0, 0, 0, 0); }

int main(int argc, char** argv) {
  char options[4096];
  if (argc < 6 || strcmp(argv[3], "-plugin") != 0) {
    puts("qemu-aarch64 version 9.9.9");
    return 0;
  }
  snprintf(options, sizeof(options), "%s", argv[4]);
  char* out = strstr(options, ",out=");
  *out++ = '\0';
  void* plugin = dlopen(options + strlen("file="), RTLD_NOW);
  if (plugin == NULL) return fprintf(stderr, "Could not load plugin: %s\n", dlerror()), 1;
  const int version = *(int*)dlsym(plugin, "qemu_plugin_version");
  if (version < MIN_VERSION) {
    fprintf(stderr, "Could not load plugin x: plugin requires API version %d, but this QEMU "
            "supports only a minimum version of %d\n", version, MIN_VERSION);
    return 1;
  }
  int (*install)(uint64_t, const struct info*, int, char**);
  *(void**)&install = dlsym(plugin, "qemu_plugin_install");
  const struct info info = {"aarch64", {MIN_VERSION, VERSION}, false, {0, 0}};
  if (install(1, &info, 1, &out) != 0) return 1;
  on_translate(1, NULL);
  mark(0);
  for (int i = 0; i < 5; ++i) on_execute(0, execute_user);
  mark(1);
  on_exit(1, NULL);
  return 0;
}
