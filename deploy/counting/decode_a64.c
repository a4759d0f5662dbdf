/// Classes of A64 instructions. Encodings: Arm Architecture Reference Manual for A-profile
/// (DDI 0487), "A64 Instruction Set Encoding".
#include <stddef.h>

#include "classes.h"

/// Bits [low, low + width) of an instruction.
static unsigned field(uint32_t word, int low, int width) {
  return (word >> low) & ((1u << width) - 1);
}

/// How many multiply-accumulates an instruction does.
typedef enum lane_rule {
  LANES_F64_F32,    // bit 22 chooses 64 bits over 32; bit 30 (Q) doubles
  LANES_OF_16_BITS, // 4, Q doubles
  LANES_OF_SIZE,    // bits 23:22 are the element's size; Q doubles
  LANES_WIDENING,   // half a register of elements of bits 23:22; Q chooses the half
  LANES_2,          // 2, Q doubles
  LANES_4,          // 4, either way
  LANES_DOT2,       // pairs of 16 bits: 4, Q doubles
  LANES_DOT4,       // fours of 8 bits: 8, Q doubles
  LANES_16,
  LANES_32
} lane_rule;

static unsigned count_lanes(lane_rule rule, uint32_t word) {
  const unsigned q = field(word, 30, 1), size = field(word, 22, 2);
  switch (rule) {
    case LANES_F64_F32: return (size & 1 ? 1u : 2u) << q;
    case LANES_OF_16_BITS: return 4u << q;
    case LANES_OF_SIZE: return (8u << q) >> size;
    case LANES_WIDENING: return 8u >> size;
    case LANES_2: return 2u << q;
    case LANES_4: return 4;
    case LANES_DOT2: return 4u << q;
    case LANES_DOT4: return 8u << q;
    case LANES_16: return 16;
    case LANES_32: return 32;
  }
  return 0;
}

static const struct {
  uint32_t mask, value;
  lane_rule lanes;
} VECTOR_MACS[] = {
    {0xBF20FC00, 0x0E20CC00, LANES_F64_F32},     // FMLA, FMLS
    {0xBF80B400, 0x0F801000, LANES_F64_F32},     // by element
    {0xBF60FC00, 0x0E400C00, LANES_OF_16_BITS},  // FMLA, FMLS of half precision
    {0xBFC0B400, 0x0F001000, LANES_OF_16_BITS},  // by element
    {0xBF60FC00, 0x0E20EC00, LANES_2},           // FMLAL, FMLSL
    {0xBF60FC00, 0x2E20CC00, LANES_2},           // FMLAL2, FMLSL2
    {0xBFC0B400, 0x0F800000, LANES_2},           // FMLAL, FMLSL by element
    {0xBFC0B400, 0x2F808000, LANES_2},           // FMLAL2, FMLSL2 by element
    {0xBFE0FC00, 0x2E40FC00, LANES_DOT2},        // BFDOT
    {0xBFC0F400, 0x0F40F000, LANES_DOT2},        // by element
    {0xBFE0FC00, 0x2EC0FC00, LANES_4},           // BFMLALB, BFMLALT
    {0xBFC0F400, 0x0FC0F000, LANES_4},           // by element
    {0xFFE0FC00, 0x6E40EC00, LANES_16},          // BFMMLA
    {0x9F20FC00, 0x0E209400, LANES_OF_SIZE},     // MLA, MLS
    {0xBF00B400, 0x2F000000, LANES_OF_SIZE},     // by element
    {0x9F20DC00, 0x0E208000, LANES_WIDENING},    // SMLAL, SMLSL, UMLAL, UMLSL; halves 2 too
    {0x9F00B400, 0x0F002000, LANES_WIDENING},    // by element
    {0xBF20DC00, 0x0E209000, LANES_WIDENING},    // SQDMLAL, SQDMLSL
    {0xBF00B400, 0x0F003000, LANES_WIDENING},    // by element
    {0xBF20F400, 0x2E008400, LANES_OF_SIZE},     // SQRDMLAH, SQRDMLSH
    {0xBF00D400, 0x2F00D000, LANES_OF_SIZE},     // by element
    {0x9FE0FC00, 0x0E809400, LANES_DOT4},        // SDOT, UDOT
    {0x9FC0F400, 0x0F80E000, LANES_DOT4},        // by element
    {0xBFE0FC00, 0x0E809C00, LANES_DOT4},        // USDOT
    {0xBF40F400, 0x0F00F000, LANES_DOT4},        // USDOT, SUDOT by element
    {0xDFE0FC00, 0x4E80A400, LANES_32},          // SMMLA, UMMLA
    {0xFFE0FC00, 0x4E80AC00, LANES_32},          // USMMLA
};

static void count_simd_and_float(uint32_t word, uint32_t* counts) {
  if ((word & 0xFF000000) == 0x1F000000) {  // FMADD, FMSUB, FNMADD, FNMSUB
    ew_count_mac(counts, 0, 1);
    return;
  }
  if ((word & 0x7F000000) == 0x1E000000) {
    counts[EW_FLOAT_OTHER] += 1;
    return;
  }
  // FMLA, FMLS of a scalar by an element, of half precision too.
  if ((word & 0xFF80B400) == 0x5F801000 || (word & 0xFFC0B400) == 0x5F001000) {
    ew_count_mac(counts, 0, 1);
    return;
  }
  for (size_t i = 0; i < sizeof(VECTOR_MACS) / sizeof(*VECTOR_MACS); ++i) {
    if ((word & VECTOR_MACS[i].mask) == VECTOR_MACS[i].value) {
      ew_count_mac(counts, 1, count_lanes(VECTOR_MACS[i].lanes, word));
      return;
    }
  }
  counts[EW_SIMD_OTHER] += 1;
}

/// LD1 to LD4, ST1 to ST4, of whole registers or of one element of each.
static void count_structures(uint32_t word, uint32_t* counts) {
  static const unsigned char REGISTERS[16] = {4, 0, 4, 0, 3, 0, 3, 1, 2, 0, 2, 0, 0, 0, 0, 0};
  unsigned bytes;
  if (field(word, 24, 1) == 0) {
    bytes = REGISTERS[field(word, 12, 4)] * (8u << field(word, 30, 1));
  } else {
    const unsigned opcode = field(word, 13, 3), size = field(word, 10, 2);
    const unsigned elements = ((opcode & 1) << 1 | field(word, 21, 1)) + 1;
    unsigned scale = opcode >> 1;
    if (scale == 3) {
      scale = size;  // LD1R to LD4R
    } else if (scale == 2 && (size & 1) != 0) {
      scale = 3;
    }
    bytes = elements << scale;
  }
  ew_count_memory(counts, 1, (int)field(word, 22, 1), bytes);
}

/// An instruction that reads and writes memory: one load that moves its bytes both ways.
static void count_atomic(uint32_t* counts, unsigned bytes) {
  ew_count_memory(counts, 0, 1, bytes);
  counts[EW_BYTES_STORED] += bytes;
}

static void count_exclusive(uint32_t word, uint32_t* counts) {
  const unsigned o2 = field(word, 23, 1), o1 = field(word, 21, 1);
  if (o1 != 0 && o2 == 0) {  // pairs: LDXP, STXP; with bit 31 clear, CASP
    const unsigned bytes = 8u << field(word, 30, 1);
    if (field(word, 31, 1) == 0) {
      count_atomic(counts, bytes);
    } else {
      ew_count_memory(counts, 0, (int)field(word, 22, 1), bytes);
    }
  } else if (o1 != 0) {
    count_atomic(counts, 1u << field(word, 30, 2));  // CAS
  } else {
    ew_count_memory(counts, 0, (int)field(word, 22, 1), 1u << field(word, 30, 2));
  }
}

static void count_pair(uint32_t word, uint32_t* counts) {
  const unsigned opc = field(word, 30, 2), load = field(word, 22, 1);
  unsigned bytes;
  if (field(word, 26, 1) != 0) {
    bytes = 8u << opc;
  } else if (opc == 1) {
    bytes = load ? 8 : 16;  // LDPSW, STGP
  } else {
    bytes = opc == 0 ? 8 : 16;
  }
  ew_count_memory(counts, (int)field(word, 26, 1), (int)load, bytes);
}

/// LDR, STR and their kin of one register, of every addressing mode but the literal.
static void count_single(uint32_t word, uint32_t* counts) {
  const unsigned size = field(word, 30, 2), opc = field(word, 22, 2);
  if (field(word, 26, 1) != 0) {
    ew_count_memory(counts, 1, opc & 1, (opc & 2) != 0 ? 16 : 1u << size);
  } else if ((word & 0x01200C00) == 0x00200000) {
    if (field(word, 12, 4) == 12) {
      ew_count_memory(counts, 0, 1, 1u << size);  // LDAPR
    } else {
      count_atomic(counts, 1u << size);
    }
  } else if ((word & 0x01200400) == 0x00200400) {
    ew_count_memory(counts, 0, 1, 8);  // LDRAA, LDRAB
  } else if (size == 3 && opc == 2) {
    counts[EW_PREFETCH] += 1;
  } else {
    ew_count_memory(counts, 0, opc != 0, 1u << size);
  }
}

static void count_literal(uint32_t word, uint32_t* counts) {
  const unsigned opc = field(word, 30, 2);
  if (field(word, 26, 1) != 0) {
    ew_count_memory(counts, 1, 1, 4u << opc);
  } else if (opc == 3) {
    counts[EW_PREFETCH] += 1;
  } else {
    ew_count_memory(counts, 0, 1, opc == 1 ? 8 : 4);
  }
}

static void count_load_or_store(uint32_t word, uint32_t* counts) {
  if ((word & 0xBE000000) == 0x0C000000) {
    count_structures(word, counts);
  } else if ((word & 0x3F000000) == 0x08000000) {
    count_exclusive(word, counts);
  } else if ((word & 0x3B000000) == 0x18000000) {
    count_literal(word, counts);
  } else if ((word & 0x3F200C00) == 0x19000000) {  // LDAPUR, STLUR
    ew_count_memory(counts, 0, field(word, 22, 2) != 0, 1u << field(word, 30, 2));
  } else if ((word & 0x3A000000) == 0x28000000) {
    count_pair(word, counts);
  } else if ((word & 0x3A000000) == 0x38000000) {
    count_single(word, counts);
  } else {
    counts[EW_UNKNOWN] += 1;
  }
}

void ew_count_a64(uint32_t word, uint32_t* counts) {
  const unsigned group = field(word, 25, 4);
  if ((group & 5) == 4) {
    count_load_or_store(word, counts);
  } else if ((group & 7) == 7) {
    count_simd_and_float(word, counts);
  } else if ((group & 14) == 10) {
    const unsigned top = word >> 24;
    // D4 raises exceptions, D5 is hints, barriers and system registers.
    counts[top == 0xD4 || top == 0xD5 ? EW_SCALAR_OTHER : EW_BRANCH] += 1;
  } else if (group >= 4) {
    counts[EW_SCALAR_OTHER] += 1;
  } else {
    counts[EW_UNKNOWN] += 1;
  }
}
