/// What an executed instruction is counted as. Each belongs to exactly one class; some move bytes
/// or multiply too. instruction_counter.c writes these names; counts.py reads them.
#ifndef EW_COUNTING_CLASSES_H
#define EW_COUNTING_CLASSES_H

#include <stdint.h>

/// A load is SIMD if it fills registers of the SIMD and floating-point file, of whatever width:
/// LDR Q, LDR S and VLDR alike; stores likewise. A load to the program counter is a load, not a
/// branch.
enum ew_count {
  EW_SIMD_MAC,         // multiply-accumulate of vectors: float, integer, dot product, matrix
  EW_SIMD_LOAD,
  EW_SIMD_STORE,
  EW_SIMD_OTHER,
  EW_FLOAT_MAC,        // multiply-accumulate of scalars: FMADD, VMLA of VFP
  EW_FLOAT_OTHER,      // scalar floating point, comparisons and moves of such registers included
  EW_SCALAR_LOAD,
  EW_SCALAR_STORE,
  EW_SCALAR_OTHER,     // integer arithmetic, system
  EW_BRANCH,
  EW_PREFETCH,
  EW_UNKNOWN,          // SVE, SME, memory tagging, memory copies, and what is not allocated
  EW_NUM_CLASSES,
  // Not instructions, but what they do.
  EW_MAC_LANES = EW_NUM_CLASSES,  // multiply-accumulates of the two MAC classes
  EW_BYTES_LOADED,
  EW_BYTES_STORED,
  EW_NUM_COUNTS
};

#define EW_COUNT_NAMES                                                                            \
  "simd_mac simd_load simd_store simd_other float_mac float_other scalar_load scalar_store "      \
  "scalar_other branch prefetch unknown mac_lanes bytes_loaded bytes_stored"

/// Adds one A64 instruction to counts, of EW_NUM_COUNTS elements.
void ew_count_a64(uint32_t word, uint32_t* counts);

/// Likewise one A32 instruction.
void ew_count_a32(uint32_t word, uint32_t* counts);

/// Likewise one T32 instruction: of 2 bytes, or of 4 with its first halfword in the low bits.
void ew_count_t32(uint32_t word, int bytes, uint32_t* counts);

/// A load (is_load) or store of `bytes` bytes by the given class.
static inline void ew_count_memory(uint32_t* counts, int is_simd, int is_load, unsigned bytes) {
  if (is_load) {
    counts[is_simd ? EW_SIMD_LOAD : EW_SCALAR_LOAD] += 1;
    counts[EW_BYTES_LOADED] += bytes;
  } else {
    counts[is_simd ? EW_SIMD_STORE : EW_SCALAR_STORE] += 1;
    counts[EW_BYTES_STORED] += bytes;
  }
}

static inline void ew_count_mac(uint32_t* counts, int is_simd, unsigned lanes) {
  counts[is_simd ? EW_SIMD_MAC : EW_FLOAT_MAC] += 1;
  counts[EW_MAC_LANES] += lanes;
}

#endif
