"""Exact counts of straight-line assembler, executed under the plugin."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from edgewright.deploy.counting.counts import CLASSES, Counts
from tests.deploy.counting.assembly import count_snippets

Expected = dict[str, int]

A64: dict[str, tuple[str, Expected]] = {
    "nothing": ("", {}),
    "fmla vector": ("fmla v0.4s, v1.4s, v2.4s\n fmls v0.2s, v1.2s, v2.2s\n"
                    "fmla v0.2d, v1.2d, v2.2d",
                    {"simd_mac": 3, "mac_lanes": 8}),
    "fmla by element": ("fmla v0.4s, v1.4s, v2.s[3]\n fmls v0.4s, v1.4s, v2.s[1]\n"
                        "fmla v0.2d, v1.2d, v2.d[1]\n fmla s0, s1, v2.s[1]",
                        {"simd_mac": 3, "float_mac": 1, "mac_lanes": 11}),
    "half precision": ("fmla v0.8h, v1.8h, v2.8h\n fmla v0.4h, v1.4h, v2.h[7]\n"
                       "fmlal v0.4s, v1.4h, v2.4h\n fmlsl2 v0.4s, v1.4h, v2.h[1]",
                       {"simd_mac": 4, "mac_lanes": 8 + 4 + 4 + 4}),
    "bfloat16": ("bfdot v0.4s, v1.8h, v2.8h\n bfmlalb v0.4s, v1.8h, v2.8h\n"
                 "bfmmla v0.4s, v1.8h, v2.8h", {"simd_mac": 3, "mac_lanes": 8 + 4 + 16}),
    "integers": ("mla v0.8h, v1.8h, v2.8h\n mls v0.4s, v1.4s, v2.s[1]\n mla v0.16b, v1.16b, v2.16b",
                 {"simd_mac": 3, "mac_lanes": 28}),
    "widening": ("smlal v0.4s, v1.4h, v2.4h\n umlsl2 v0.8h, v1.16b, v2.16b\n"
                 "smlal v0.4s, v1.4h, v2.h[2]\n sqdmlal v0.2d, v1.2s, v2.2s",
                 {"simd_mac": 4, "mac_lanes": 4 + 8 + 4 + 2}),
    "dot products": ("sdot v0.4s, v1.16b, v2.16b\n udot v0.2s, v1.8b, v2.4b[1]\n"
                     "usdot v0.4s, v1.16b, v2.16b\n sudot v0.4s, v1.16b, v2.4b[0]\n"
                     "smmla v0.4s, v1.16b, v2.16b", {"simd_mac": 5, "mac_lanes": 16 * 3 + 8 + 32}),
    "no multiply-accumulate": (
        "fmul v0.4s, v1.4s, v2.s[0]\n fadd v0.4s, v1.4s, v2.4s\n movi v0.4s, #0\n"
        "fmulx v0.4s, v1.4s, v2.4s\n sqdmull v0.4s, v1.4h, v2.4h\n smull v0.4s, v1.4h, v2.h[0]\n"
        "dup v0.4s, w1\n zip1 v0.4s, v1.4s, v2.4s\n umov w0, v1.s[1]\n faddp s0, v1.2s",
        {"simd_other": 10}),
    "scalar float": ("fmadd s0, s1, s2, s3\n fnmsub d0, d1, d2, d3\n fadd s0, s1, s2\n"
                     "fmov s0, w1\n fcmp s0, s1\n scvtf s0, x1",
                     {"float_mac": 2, "mac_lanes": 2, "float_other": 4}),
    "vector loads": ("ldr q0, [x9]\n ldp q0, q1, [x9, #32]\n ldr d0, [x9], #8\n ldur s0, [x9, #3]\n"
                     "ldr h0, [x9, x10]\n ldr b0, [x9, #1]!\n ldnp d0, d1, [x9]",
                     {"simd_load": 7, "bytes_loaded": 16 + 32 + 8 + 4 + 2 + 1 + 16}),
    "structures": ("ld1 {v0.4s-v3.4s}, [x9]\n ld3 {v0.8b-v2.8b}, [x9]\n ld1r {v0.4s}, [x9]\n"
                   "ld2 {v0.s, v1.s}[1], [x9]\n ld1 {v0.d}[1], [x9]\n ld4r {v0.8h-v3.8h}, [x9]\n"
                   "st1 {v0.16b, v1.16b}, [x9], #32\n st4 {v0.2d-v3.2d}, [x9], x10\n"
                   "st1 {v0.h}[2], [x9]",
                   {"simd_load": 6, "bytes_loaded": 64 + 24 + 4 + 8 + 8 + 8, "simd_store": 3,
                    "bytes_stored": 32 + 64 + 2}),
    "vector stores": ("str q0, [x9]\n stp q0, q1, [x9], #32\n stp s0, s1, [x9]\n str s0, [x9, x10]",
                      {"simd_store": 4, "bytes_stored": 16 + 32 + 8 + 4}),
    "core loads": ("ldr x0, [x9]\n ldr w0, [x9, x10]\n ldrsw x0, [x9]\n ldrh w0, [x9]\n"
                   "ldrsb x0, [x9]\n ldp x0, x1, [x9]\n ldpsw x0, x1, [x9]\n ldar w0, [x9]\n"
                   "ldr x0, 1f\n b 2f\n.balign 8\n1: .quad 0\n2:",
                   {"scalar_load": 9, "branch": 1,
                    "bytes_loaded": 8 + 4 + 4 + 2 + 1 + 16 + 8 + 4 + 8}),
    "core stores": ("str x0, [x9]\n strb w0, [x9]\n stp w0, w1, [x9]\n sturh w0, [x9, #1]\n"
                    "stlr x0, [x9]", {"scalar_store": 5, "bytes_stored": 8 + 1 + 8 + 2 + 8}),
    "atomics": ("ldadd w0, w1, [x9]\n swp x0, x1, [x9]\n cas w0, w1, [x9]\n ldapr w0, [x9]",
                {"scalar_load": 4, "bytes_loaded": 20, "bytes_stored": 16}),
    "prefetch": ("prfm pldl1keep, [x9]\n prfm pldl1strm, [x9, x10]", {"prefetch": 2}),
    "arithmetic": ("add x0, x1, x2\n madd x0, x1, x2, x3\n mov w0, #1\n cmp x0, x1\n nop\n"
                   "mrs x0, tpidr_el0\n csel x0, x1, x2, eq\n dmb ish", {"scalar_other": 8}),
    "branches": ("b 1f\n1: cbz x9, 1b\n tbz w9, #31, 2f\n2: bl 3f\n b 4f\n3: ret\n4: b.al 5f\n5:",
                 {"branch": 7}),
    "loop": ("mov x0, #5\n1: fmla v0.4s, v1.4s, v2.4s\n subs x0, x0, #1\n b.ne 1b",
             {"scalar_other": 6, "simd_mac": 5, "mac_lanes": 20, "branch": 5}),
}  # fmt: skip

A32: dict[str, tuple[str, Expected]] = {
    "nothing": ("", {}),
    "neon": ("vmla.f32 q0, q1, q2\n vfma.f32 d0, d1, d2\n vmls.f32 q0, q1, d4[1]\n"
             "vmla.i16 q0, q1, q2\n vmlal.s16 q0, d2, d4\n vmlal.u32 q0, d2, d4[1]",
             {"simd_mac": 6, "mac_lanes": 4 + 2 + 4 + 8 + 4 + 2}),
    "neon, other": ("vmul.f32 q0, q1, q2\n vadd.f32 d0, d1, d2\n vdup.32 q0, r0\n"
                    "vmov.i32 q0, #0\n vmull.s16 q0, d2, d4\n vext.8 q0, q1, q2, #4\n"
                    "vpadd.f32 d0, d1, d2\n vdup.32 q0, d2[1]", {"simd_other": 8}),
    "vfp": ("vmla.f32 s0, s1, s2\n vfma.f64 d0, d1, d2\n vnmls.f32 s0, s1, s2\n"
            "vadd.f32 s0, s1, s2\n vdiv.f32 s0, s1, s2\n vmov s0, r0\n vmov r0, r1, d0\n"
            "vcmp.f32 s0, s1\n vmrs r0, fpscr",
            {"float_mac": 3, "mac_lanes": 3, "float_other": 6}),
    "vector loads": ("vld1.32 {d0-d3}, [r9]\n vld1.32 {d0[1]}, [r9]\n vld1.32 {d0[], d1[]}, [r9]\n"
                     "vld2.16 {d0, d1}, [r9]!\n vldr s0, [r9]\n vldr d0, [r9, #8]\n"
                     "vldm r9, {d0-d3}",
                     {"simd_load": 7, "bytes_loaded": 32 + 4 + 4 + 16 + 4 + 8 + 32}),
    "vector stores": ("vst1.32 {d0, d1}, [r9]!\n vst4.16 {d0, d1, d2, d3}, [r9]\n vstr s0, [r9]\n"
                      "vstm r9, {s0-s4}\n vst1.8 {d0[3]}, [r9]",
                      {"simd_store": 5, "bytes_stored": 16 + 32 + 4 + 20 + 1}),
    "core": ("ldr r0, [r9]\n ldrb r0, [r9, r10]\n ldrh r0, [r9]\n ldrsb r0, [r9]\n"
             "ldrd r0, r1, [r9]\n ldm r9, {r0-r3}\n ldrex r0, [r9]\n str r0, [r9, #4]!\n"
             "strh r0, [r9]\n strd r0, r1, [r9]\n stm r9, {r0, r1}\n push {r0-r2}\n pop {r0-r2}",
             {"scalar_load": 8, "bytes_loaded": 4 + 1 + 2 + 1 + 8 + 16 + 4 + 12,
              "scalar_store": 5, "bytes_stored": 4 + 2 + 8 + 8 + 12}),
    "arithmetic": ("add r0, r1, r2\n mul r0, r1, r2\n mla r0, r1, r2, r3\n smull r0, r1, r2, r3\n"
                   "movw r0, #1\n uxtb r0, r1\n cmp r0, r1\n nop\n clz r0, r1\n dmb ish",
                   {"scalar_other": 10}),
    "prefetch": ("pld [r9]\n pld [r9, r10]", {"prefetch": 2}),
    "branches": ("b 1f\n1: bl 2f\n b 3f\n2: bx lr\n3: adr r0, 4f\n mov pc, r0\n4:",
                 {"branch": 5, "scalar_other": 1}),
    "thumb": ("adr r0, 1f + 1\n blx r0\n b 2f\n.thumb\n1: vmla.f32 q0, q1, q2\n"
              "vld1.32 {d0, d1}, [r9]\n ldr r0, [r9]\n ldr.w r0, [r9, #4]\n adds r0, r0, #1\n"
              "push {r0, r1}\n pop {r0, r1}\n ldrd r0, r1, [r9]\n vmla.f32 s0, s1, s2\n"
              "ldm.w r9, {r0-r3}\n strb.w r0, [r9]\n bx lr\n.arm\n.balign 4\n2:",
              {"scalar_other": 2, "branch": 3, "simd_mac": 1, "float_mac": 1, "mac_lanes": 5,
               "simd_load": 1, "scalar_load": 5, "bytes_loaded": 16 + 4 + 4 + 8 + 8 + 16,
               "scalar_store": 2, "bytes_stored": 8 + 1}),
}  # fmt: skip

CASES = {"aarch64": A64, "arm": A32}


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Counts]]:
    """Every snippet's counts, by architecture."""
    return {
        arch: count_snippets(
            arch, {name: text for name, (text, _) in cases.items()}, tmp_path_factory.mktemp(arch)
        )
        for arch, cases in CASES.items()
    }


@pytest.mark.parametrize(
    ("arch", "name"), [(arch, name) for arch, cases in CASES.items() for name in cases]
)
def test_straight_line_code_is_counted_exactly(
    arch: str, name: str, counted: dict[str, dict[str, Counts]]
) -> None:
    _, expected = CASES[arch][name]
    got = dataclasses.asdict(counted[arch][name])
    assert {key: value for key, value in got.items() if value} == expected


def test_the_total_is_the_sum_of_the_classes() -> None:
    names = [field.name for field in dataclasses.fields(Counts)]
    assert tuple(names[: len(CLASSES)]) == CLASSES
    counts = Counts(*range(1, len(names) + 1))
    assert counts.total == sum(range(1, len(CLASSES) + 1))
    assert counts.to_dict()["total"] == counts.total


def test_python_and_c_name_the_same_classes() -> None:
    header = (Path(__file__).parents[3] / "deploy" / "counting" / "classes.h").read_text()
    names = header.split("#define EW_COUNT_NAMES")[1].split("\n\n")[0].replace('"', " ")
    words = tuple(word for word in names.replace("\\", " ").split())
    assert words == tuple(field.name for field in dataclasses.fields(Counts))
