/// Checks compiler_rt_names.c and arm_atomics.c: each name does what it says. Values are volatile,
/// so that nothing is computed at compile time. Exit status: 0 if all checks hold, else 1.
#include <math.h>
#include <stdint.h>
#include <stdio.h>

#define CHECK(condition)                                                              \
  do {                                                                                \
    if (!(condition)) {                                                               \
      fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);   \
      return 1;                                                                       \
    }                                                                                 \
  } while (0)

#define DECLARE(type, mode)                                                                   \
  type __add##mode##3(type, type), __sub##mode##3(type, type), __mul##mode##3(type, type),    \
      __div##mode##3(type, type);                                                             \
  int __eq##mode##2(type, type), __ne##mode##2(type, type), __lt##mode##2(type, type),        \
      __le##mode##2(type, type), __gt##mode##2(type, type), __ge##mode##2(type, type),        \
      __unord##mode##2(type, type);                                                           \
  int32_t __fix##mode##si(type);                                                              \
  uint32_t __fixuns##mode##si(type);                                                          \
  int64_t __fix##mode##di(type);                                                              \
  uint64_t __fixuns##mode##di(type);                                                          \
  type __floatsi##mode(int32_t), __floatunsi##mode(uint32_t), __floatdi##mode(int64_t),       \
      __floatundi##mode(uint64_t);

DECLARE(float, sf)
DECLARE(double, df)
double __extendsfdf2(float);
float __truncdfsf2(double);
int32_t __divsi3(int32_t, int32_t);
uint32_t __udivsi3(uint32_t, uint32_t);
__attribute__((pcs("aapcs"))) uint16_t __truncdfhf2(double);

#define CHECK_MODE(type, mode)                                                                \
  do {                                                                                        \
    volatile type a = (type)7.5, b = (type)-2, nan = (type)NAN;                               \
    CHECK(__add##mode##3(a, b) == (type)5.5 && __sub##mode##3(a, b) == (type)9.5);            \
    CHECK(__mul##mode##3(a, b) == -15 && __div##mode##3(a, b) == (type)-3.75);                \
    CHECK(__eq##mode##2(a, a) == 0 && __eq##mode##2(a, b) != 0 && __eq##mode##2(a, nan) != 0);  \
    CHECK(__ne##mode##2(a, a) == 0 && __ne##mode##2(a, b) != 0 && __ne##mode##2(nan, nan) != 0); \
    CHECK(__lt##mode##2(b, a) < 0 && __lt##mode##2(a, a) >= 0 && __lt##mode##2(b, nan) >= 0);   \
    CHECK(__le##mode##2(b, a) <= 0 && __le##mode##2(a, a) <= 0 && __le##mode##2(a, b) > 0 &&    \
          __le##mode##2(nan, a) > 0);                                                         \
    CHECK(__gt##mode##2(a, b) > 0 && __gt##mode##2(a, a) <= 0 && __gt##mode##2(nan, b) <= 0);   \
    CHECK(__ge##mode##2(a, b) >= 0 && __ge##mode##2(a, a) >= 0 && __ge##mode##2(b, a) < 0 &&    \
          __ge##mode##2(a, nan) < 0);                                                         \
    CHECK(__unord##mode##2(a, nan) != 0 && __unord##mode##2(nan, a) != 0 &&                   \
          __unord##mode##2(a, b) == 0);                                                       \
    CHECK(__fix##mode##si(b) == -2 && __fixuns##mode##si(a) == 7);                            \
    CHECK(__fix##mode##di(b) == -2 && __fixuns##mode##di(a) == 7);                            \
    CHECK(__floatsi##mode(-9) == -9 && __floatunsi##mode(4000000000u) == (type)4000000000u);  \
    CHECK(__floatdi##mode(-(1ll << 40)) == (type)-(1ll << 40));                               \
    CHECK(__floatundi##mode(1ull << 63) == (type)(1ull << 63));                               \
  } while (0)

#if __ARM_ARCH < 6
uint32_t compare_and_swap_4(volatile uint32_t*, uint32_t, uint32_t)
    __asm__("__sync_val_compare_and_swap_4");
uint8_t compare_and_swap_1(volatile uint8_t*, uint8_t, uint8_t)
    __asm__("__sync_val_compare_and_swap_1");
uint32_t exchange_4(volatile uint32_t*, uint32_t) __asm__("__sync_lock_test_and_set_4");
uint8_t exchange_1(volatile uint8_t*, uint8_t) __asm__("__sync_lock_test_and_set_1");

static int check_atomics(void) {
  volatile uint32_t word = 5;
  _Alignas(4) volatile uint8_t bytes[4] = {1, 2, 3, 4};
  CHECK(compare_and_swap_4(&word, 5, 6) == 5 && word == 6);
  CHECK(compare_and_swap_4(&word, 5, 7) == 6 && word == 6);
  CHECK(exchange_4(&word, 9) == 6 && word == 9);
  for (uint8_t i = 0; i < 4; ++i) {
    CHECK(compare_and_swap_1(&bytes[i], (uint8_t)(i + 1), (uint8_t)(i + 11)) == i + 1);
    CHECK(compare_and_swap_1(&bytes[i], (uint8_t)(i + 1), 99) == i + 11);
    CHECK(exchange_1(&bytes[i], (uint8_t)(i + 21)) == i + 11);
  }
  for (uint8_t i = 0; i < 4; ++i) CHECK(bytes[i] == i + 21);
  return 0;
}
#else
static int check_atomics(void) { return 0; }
#endif

int main(void) {
  volatile int32_t minus = -17;
  volatile uint32_t large = 4000000001u;
  CHECK_MODE(float, sf);
  CHECK_MODE(double, df);
  CHECK(__extendsfdf2(1.5f) == 1.5 && __truncdfsf2(1.5) == 1.5f);
  CHECK(__divsi3(minus, 5) == -3 && __udivsi3(large, 7) == 571428571u);
  CHECK(__truncdfhf2(1.0) == 0x3c00 && __truncdfhf2(-2.5) == 0xc100);
  return check_atomics();
}
