/// The libgcc names of 32-bit ARM's arithmetic functions, for linking with zig.
///
/// LLVM calls __aeabi_fadd for a triple that it recognises as an EABI, and the libgcc name __addsf3
/// for one that it does not: it takes `armv6-linux-gnueabihf`, without a vendor, for such a triple.
/// libgcc has both names; zig's runtime has the first only. Each function here is the operation
/// itself, which clang, told the true target, compiles to an instruction or to the __aeabi_ call.
///
/// Weak, so that a libgcc that brings the same names to the link is no conflict. Not for use with
/// libgcc's compilers, for which they would call themselves.
#if defined(__arm__) && defined(__clang__)

#include <stdint.h>

#define EW_NAME __attribute__((weak, visibility("hidden")))

#define EW_ARITHMETIC(type, mode)                               \
  EW_NAME type __add##mode##3(type a, type b);                  \
  EW_NAME type __sub##mode##3(type a, type b);                  \
  EW_NAME type __mul##mode##3(type a, type b);                  \
  EW_NAME type __div##mode##3(type a, type b);                  \
  type __add##mode##3(type a, type b) { return a + b; }         \
  type __sub##mode##3(type a, type b) { return a - b; }         \
  type __mul##mode##3(type a, type b) { return a * b; }         \
  type __div##mode##3(type a, type b) { return a / b; }

// The result's sign answers the question in the name; with a NaN the answer is always no.
#define EW_LESS(type, name)      \
  EW_NAME int name(type a, type b); \
  int name(type a, type b) { return a < b ? -1 : a == b ? 0 : 1; }
#define EW_GREATER(type, name)   \
  EW_NAME int name(type a, type b); \
  int name(type a, type b) { return a > b ? 1 : a == b ? 0 : -1; }
#define EW_UNORDERED(type, name) \
  EW_NAME int name(type a, type b); \
  int name(type a, type b) { return a != a || b != b; }

#define EW_COMPARISON(type, mode)      \
  EW_LESS(type, __eq##mode##2)         \
  EW_LESS(type, __ne##mode##2)         \
  EW_LESS(type, __lt##mode##2)         \
  EW_LESS(type, __le##mode##2)         \
  EW_GREATER(type, __gt##mode##2)      \
  EW_GREATER(type, __ge##mode##2)      \
  EW_UNORDERED(type, __unord##mode##2)

#define EW_CONVERSION(to, name, from) \
  EW_NAME to name(from value);        \
  to name(from value) { return (to)value; }

EW_ARITHMETIC(float, sf)
EW_ARITHMETIC(double, df)
EW_COMPARISON(float, sf)
EW_COMPARISON(double, df)

EW_CONVERSION(double, __extendsfdf2, float)
EW_CONVERSION(float, __truncdfsf2, double)
EW_CONVERSION(int32_t, __fixsfsi, float)
EW_CONVERSION(int32_t, __fixdfsi, double)
EW_CONVERSION(uint32_t, __fixunssfsi, float)
EW_CONVERSION(uint32_t, __fixunsdfsi, double)
EW_CONVERSION(int64_t, __fixsfdi, float)
EW_CONVERSION(int64_t, __fixdfdi, double)
EW_CONVERSION(uint64_t, __fixunssfdi, float)
EW_CONVERSION(uint64_t, __fixunsdfdi, double)
EW_CONVERSION(float, __floatsisf, int32_t)
EW_CONVERSION(double, __floatsidf, int32_t)
EW_CONVERSION(float, __floatunsisf, uint32_t)
EW_CONVERSION(double, __floatunsidf, uint32_t)
EW_CONVERSION(float, __floatdisf, int64_t)
EW_CONVERSION(double, __floatdidf, int64_t)
EW_CONVERSION(float, __floatundisf, uint64_t)
EW_CONVERSION(double, __floatundidf, uint64_t)

// zig has this one, but for callers that pass the double in a floating-point register. LLVM always
// passes it in integer registers, and the half's bits come back in one.
EW_NAME __attribute__((pcs("aapcs"))) uint16_t __truncdfhf2(double value);
__attribute__((pcs("aapcs"))) uint16_t __truncdfhf2(double value) {
  const _Float16 half = (_Float16)value;
  uint16_t bits;
  __builtin_memcpy(&bits, &half, sizeof(bits));
  return bits;
}

EW_NAME int32_t __divsi3(int32_t a, int32_t b);
EW_NAME uint32_t __udivsi3(uint32_t a, uint32_t b);
int32_t __divsi3(int32_t a, int32_t b) { return a / b; }
uint32_t __udivsi3(uint32_t a, uint32_t b) { return a / b; }

#else

typedef int ew_no_names_needed;  // an empty translation unit is not C

#endif
