/// Atomic functions for armv5, which has no instructions for them, for linking with zig.
///
/// The C library that zig links statically takes locks with them (this runtime, built without
/// threads, does not). They use the compare-and-exchange that Linux maps at a fixed address into
/// every process, as libgcc does: Documentation/arch/arm/kernel_user_helpers.rst of the kernel.
#if defined(__arm__) && defined(__clang__) && __ARM_ARCH < 6

#include <stdint.h>

/// Stores `desired` and returns 0 if *word is `expected`; else, or if disturbed, returns non-zero.
typedef int (*kernel_cmpxchg)(uint32_t expected, uint32_t desired, volatile uint32_t* word);
#define KERNEL_CMPXCHG ((kernel_cmpxchg)0xffff0fc0u)

// clang knows the true names as its own, so that C cannot define them.
#define EW_NAMED(name) __asm__(name) __attribute__((weak, visibility("hidden")))

uint32_t ew_compare_and_swap_4(volatile uint32_t* word, uint32_t expected, uint32_t desired)
    EW_NAMED("__sync_val_compare_and_swap_4");
uint8_t ew_compare_and_swap_1(volatile uint8_t* byte, uint8_t expected, uint8_t desired)
    EW_NAMED("__sync_val_compare_and_swap_1");
uint32_t ew_exchange_4(volatile uint32_t* word, uint32_t desired)
    EW_NAMED("__sync_lock_test_and_set_4");
uint8_t ew_exchange_1(volatile uint8_t* byte, uint8_t desired)
    EW_NAMED("__sync_lock_test_and_set_1");

uint32_t ew_compare_and_swap_4(volatile uint32_t* word, uint32_t expected, uint32_t desired) {
  for (;;) {
    const uint32_t found = *word;
    if (found != expected) return found;
    if (KERNEL_CMPXCHG(expected, desired, word) == 0) return expected;
  }
}

/// The byte's place in its aligned word, on a little-endian machine.
static volatile uint32_t* word_of(volatile uint8_t* byte) {
  return (volatile uint32_t*)((uintptr_t)byte & ~(uintptr_t)3);
}
static uint32_t shift_of(volatile uint8_t* byte) { return ((uintptr_t)byte & 3u) * 8u; }

uint8_t ew_compare_and_swap_1(volatile uint8_t* byte, uint8_t expected, uint8_t desired) {
  volatile uint32_t* word = word_of(byte);
  const uint32_t shift = shift_of(byte);
  for (;;) {
    const uint32_t old = *word;
    const uint8_t found = (uint8_t)(old >> shift);
    if (found != expected) return found;
    const uint32_t changed = (old & ~(0xffu << shift)) | ((uint32_t)desired << shift);
    if (KERNEL_CMPXCHG(old, changed, word) == 0) return expected;
  }
}

uint32_t ew_exchange_4(volatile uint32_t* word, uint32_t desired) {
  for (;;) {
    const uint32_t found = *word;
    if (KERNEL_CMPXCHG(found, desired, word) == 0) return found;
  }
}

uint8_t ew_exchange_1(volatile uint8_t* byte, uint8_t desired) {
  for (;;) {
    const uint8_t found = *byte;
    if (ew_compare_and_swap_1(byte, found, desired) == found) return found;
  }
}

#else

typedef int ew_no_atomics_needed;  // an empty translation unit is not C

#endif
