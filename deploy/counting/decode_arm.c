/// Classes of A32 and T32 instructions. Encodings: Arm Architecture Reference Manual for A-profile
/// (DDI 0487), "T32 and A32 Instruction Set Encoding".
#include "classes.h"

/// Bits [low, low + width) of an instruction.
static unsigned field(uint32_t word, int low, int width) {
  return (word >> low) & ((1u << width) - 1);
}

static unsigned count_ones(uint32_t bits) {
  unsigned ones = 0;
  for (; bits != 0; bits &= bits - 1) ++ones;
  return ones;
}

/// Multiply-accumulates of an Advanced SIMD data-processing instruction; 0 if it is none.
static unsigned neon_mac_lanes(uint32_t word) {
  const unsigned u = field(word, 24, 1), size = field(word, 20, 2), opcode = field(word, 8, 4);
  const unsigned q = field(word, 6, 1), bit4 = field(word, 4, 1);
  if (field(word, 23, 1) == 0) {  // three registers of the same length
    if (opcode == 9 && bit4 == 0) return (8u << q) >> size;                 // VMLA, VMLS
    if (u == 0 && bit4 == 1 && (opcode == 12 || opcode == 13)) {            // and of floats, VFMA
      return ((size & 1) != 0 ? 4u : 2u) << q;
    }
    if (u == 1 && bit4 == 1 && (opcode == 11 || opcode == 12)) {            // VQRDMLAH, VQRDMLSH
      return (8u << q) >> size;
    }
    return 0;
  }
  if (size == 3 || bit4 == 1) return 0;
  if (q == 0) return opcode >= 8 && opcode <= 11 ? 8u >> size : 0;          // VMLAL, VQDMLAL
  // By scalar, where bit 24 chooses between D and Q registers.
  switch (opcode) {
    case 0: case 1: case 4: case 5: case 14: case 15: return (8u << u) >> size;
    case 2: case 3: case 6: case 7: return 8u >> size;
    default: return 0;
  }
}

/// VLD1 to VLD4, VST1 to VST4.
static void count_structures(uint32_t word, uint32_t* counts) {
  static const unsigned char REGISTERS[16] = {4, 4, 4, 4, 3, 3, 3, 1, 2, 2, 2, 0, 0, 0, 0, 0};
  unsigned bytes;
  if (field(word, 23, 1) == 0) {
    bytes = 8u * REGISTERS[field(word, 8, 4)];
  } else {
    const unsigned elements = field(word, 8, 2) + 1;
    unsigned scale = field(word, 10, 2);
    if (scale == 3) scale = field(word, 6, 2) == 3 ? 2 : field(word, 6, 2);  // to all lanes
    bytes = elements << scale;
  }
  ew_count_memory(counts, 1, (int)field(word, 21, 1), bytes);
}

static void count_neon(uint32_t word, uint32_t* counts) {
  const unsigned lanes = neon_mac_lanes(word);
  if (lanes != 0) {
    ew_count_mac(counts, 1, lanes);
  } else {
    counts[EW_SIMD_OTHER] += 1;
  }
}

/// The instructions of condition 0b1111: NEON, prefetches, and what has no condition.
static void count_unconditional(uint32_t word, uint32_t* counts) {
  if ((word & 0xFE000000) == 0xF2000000) {
    count_neon(word, counts);
  } else if ((word & 0xFF100000) == 0xF4000000) {
    count_structures(word, counts);
  } else if ((word & 0xFC300000) == 0xF4100000) {  // PLD, PLDW, PLI
    counts[EW_PREFETCH] += 1;
  } else if ((word & 0xFE000000) == 0xFA000000) {  // BLX
    counts[EW_BRANCH] += 1;
  } else if ((word & 0xFDB00F00) == 0xFC200D00) {  // VSDOT, VUDOT, by element too
    ew_count_mac(counts, 1, 8u << field(word, 6, 1));
  } else if ((word & 0xFF000E00) == 0xFE000A00 || (word & 0xFF000F00) == 0xFE000900) {
    counts[EW_FLOAT_OTHER] += 1;  // VSEL, VMAXNM, VRINT
  } else if ((word & 0xFC000800) == 0xFC000800) {
    counts[EW_SIMD_OTHER] += 1;  // complex numbers and later extensions
  } else {
    counts[EW_SCALAR_OTHER] += 1;
  }
}

/// Loads and stores of halfwords, doublewords and exclusives: bits 7 and 4 are set.
static void count_extra_memory(uint32_t word, uint32_t* counts) {
  static const unsigned char EXCLUSIVE_BYTES[4] = {4, 8, 1, 2};
  const unsigned load = field(word, 20, 1);
  switch (field(word, 5, 2)) {
    case 0:
      if (field(word, 24, 1) == 0) {
        counts[EW_SCALAR_OTHER] += 1;  // multiplications
      } else if (field(word, 23, 1) == 0) {  // SWP: one load that moves its bytes both ways
        ew_count_memory(counts, 0, 1, field(word, 22, 1) != 0 ? 1 : 4);
        counts[EW_BYTES_STORED] += field(word, 22, 1) != 0 ? 1 : 4;
      } else {
        ew_count_memory(counts, 0, (int)load, EXCLUSIVE_BYTES[field(word, 21, 2)]);
      }
      break;
    case 1: ew_count_memory(counts, 0, (int)load, 2); break;
    case 2: ew_count_memory(counts, 0, 1, load ? 1 : 8); break;  // LDRSB, LDRD
    case 3: ew_count_memory(counts, 0, (int)load, load ? 2 : 8); break;  // LDRSH, STRD
  }
}

/// VLDR, VLDM and their stores; moves between two core registers and a double.
static void count_float_memory(uint32_t word, uint32_t* counts) {
  const unsigned coprocessor = field(word, 8, 4);
  unsigned bytes;
  if ((word & 0x0FE00000) == 0x0C400000) {
    counts[EW_FLOAT_OTHER] += 1;
    return;
  }
  if (field(word, 24, 1) == 1 && field(word, 21, 1) == 0) {
    bytes = coprocessor == 11 ? 8 : coprocessor == 10 ? 4 : 2;
  } else {
    // An odd number of words of doubles is FLDMX, which moves one word less.
    bytes = 4 * (coprocessor == 11 ? field(word, 0, 8) & ~1u : field(word, 0, 8));
  }
  ew_count_memory(counts, 1, (int)field(word, 20, 1), bytes);
}

static void count_float(uint32_t word, uint32_t* counts) {
  const unsigned opcode = field(word, 23, 1) << 2 | field(word, 20, 2);
  if (field(word, 4, 1) == 1) {
    // VDUP from a core register; the rest moves single registers.
    counts[(word & 0x0F900F50) == 0x0E800B10 ? EW_SIMD_OTHER : EW_FLOAT_OTHER] += 1;
  } else if (opcode == 0 || opcode == 1 || opcode == 5 || opcode == 6) {
    ew_count_mac(counts, 0, 1);  // VMLA, VNMLA, VFNMA, VFMA and their differences
  } else {
    counts[EW_FLOAT_OTHER] += 1;
  }
}

/// Data processing: a branch if it writes the program counter.
static void count_arithmetic(uint32_t word, uint32_t* counts) {
  const int compares = field(word, 23, 2) == 2;  // TST, TEQ, CMP, CMN have no destination
  const uint32_t exchange = word & 0x0FF000F0;
  const int exchanges = exchange == 0x01200010 || exchange == 0x01200020 || exchange == 0x01200030;
  const int jumps = exchanges || (!compares && field(word, 12, 4) == 15);
  counts[jumps ? EW_BRANCH : EW_SCALAR_OTHER] += 1;
}

void ew_count_a32(uint32_t word, uint32_t* counts) {
  const unsigned coprocessor = field(word, 8, 4);
  const int is_float = coprocessor >= 9 && coprocessor <= 11;
  if (word >> 28 == 15) {
    count_unconditional(word, counts);
    return;
  }
  switch (field(word, 25, 3)) {
    case 0:
      if (field(word, 7, 1) == 1 && field(word, 4, 1) == 1) {
        count_extra_memory(word, counts);
        return;
      }
      count_arithmetic(word, counts);
      return;
    case 1: count_arithmetic(word, counts); return;
    case 3:
      if (field(word, 4, 1) == 1) break;  // media instructions
      // fall through
    case 2:
      ew_count_memory(counts, 0, (int)field(word, 20, 1), field(word, 22, 1) != 0 ? 1 : 4);
      return;
    case 4:
      ew_count_memory(counts, 0, (int)field(word, 20, 1), 4 * count_ones(word & 0xFFFF));
      return;
    case 5: counts[EW_BRANCH] += 1; return;
    case 6:
      if (!is_float) break;
      count_float_memory(word, counts);
      return;
    case 7:
      if (!is_float || field(word, 24, 1) == 1) break;  // coprocessors, SVC
      count_float(word, counts);
      return;
  }
  counts[EW_SCALAR_OTHER] += 1;
}

static void count_t16(uint32_t half, uint32_t* counts) {
  static const unsigned char BYTES[8] = {4, 2, 1, 1, 4, 2, 1, 2};
  const int load = (int)field(half, 11, 1);
  switch (field(half, 12, 4)) {
    case 4:
      if (load) {
        ew_count_memory(counts, 0, 1, 4);
      } else {  // BX, BLX, MOV to the program counter
        const int jumps = (half & 0xFF00) == 0x4700 || (half & 0xFF87) == 0x4687;
        counts[jumps ? EW_BRANCH : EW_SCALAR_OTHER] += 1;
      }
      return;
    case 5: {
      const unsigned operation = field(half, 9, 3);
      ew_count_memory(counts, 0, operation >= 3, BYTES[operation]);
      return;
    }
    case 6: ew_count_memory(counts, 0, load, 4); return;
    case 7: ew_count_memory(counts, 0, load, 1); return;
    case 8: ew_count_memory(counts, 0, load, 2); return;
    case 9: ew_count_memory(counts, 0, load, 4); return;
    case 11:
      if ((half & 0x0600) == 0x0400) {  // PUSH, POP
        ew_count_memory(counts, 0, load, 4 * count_ones(half & 0x1FF));
        return;
      }
      counts[(half & 0x0500) == 0x0100 ? EW_BRANCH : EW_SCALAR_OTHER] += 1;  // CBZ, CBNZ
      return;
    case 12: ew_count_memory(counts, 0, load, 4 * count_ones(half & 0xFF)); return;
    case 13: counts[(half & 0x0E00) == 0x0E00 ? EW_SCALAR_OTHER : EW_BRANCH] += 1; return;
    case 14: counts[EW_BRANCH] += 1; return;
    default: counts[EW_SCALAR_OTHER] += 1; return;
  }
}

/// LDRD, STRD, exclusives and table branches.
static void count_t32_dual(uint32_t first, uint32_t second, uint32_t* counts) {
  const int load = (int)field(first, 4, 1);
  const unsigned kind = field(second, 4, 4);
  if ((first & 0xFFE0) == 0xE840) {
    ew_count_memory(counts, 0, load, 4);
  } else if ((first & 0xFFE0) != 0xE8C0) {
    ew_count_memory(counts, 0, load, 8);
  } else if (load && kind < 2) {
    counts[EW_BRANCH] += 1;  // TBB, TBH
  } else {
    ew_count_memory(counts, 0, load, 1u << (kind & 3));
  }
}

void ew_count_t32(uint32_t word, int bytes, uint32_t* counts) {
  const uint32_t first = word & 0xFFFF, second = word >> 16;
  const uint32_t joined = first << 16 | second;
  if (bytes == 2) {
    count_t16(first, counts);
  } else if ((first & 0xEF00) == 0xEF00) {  // the SIMD encodings are those of A32 but for the top
    ew_count_a32(0xF2000000 | (first & 0x1000) << 12 | (joined & 0xFFFFFF), counts);
  } else if ((first & 0xFF10) == 0xF900) {
    ew_count_a32(0xF4000000 | (joined & 0xFFFFFF), counts);
  } else if ((first & 0xEC00) == 0xEC00) {
    ew_count_a32(joined, counts);
  } else if ((first & 0xFE40) == 0xE800) {
    ew_count_memory(counts, 0, (int)field(first, 4, 1), 4 * count_ones(second));
  } else if ((first & 0xFE40) == 0xE840) {
    count_t32_dual(first, second, counts);
  } else if ((first & 0xFE00) == 0xF800) {
    if (field(first, 4, 1) == 1 && field(second, 12, 4) == 15 && field(first, 5, 2) != 2) {
      counts[EW_PREFETCH] += 1;
    } else {
      ew_count_memory(counts, 0, (int)field(first, 4, 1), 1u << field(first, 5, 2));
    }
  } else if ((first & 0xF800) == 0xF000 && (second & 0x8000) != 0) {
    const int is_system = (second & 0x5000) == 0 && (first & 0x0380) == 0x0380;
    counts[is_system ? EW_SCALAR_OTHER : EW_BRANCH] += 1;
  } else {
    counts[EW_SCALAR_OTHER] += 1;
  }
}
