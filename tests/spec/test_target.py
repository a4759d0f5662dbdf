"""Targets: names, raw dictionaries, and what is wrong with bad ones."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edgewright.spec.errors import TargetError
from edgewright.spec.target import CORES, host_target, parse_target


@pytest.mark.parametrize("name", sorted(CORES))
def test_cores_by_name(name: str) -> None:
    target = parse_target(name)
    assert target.name == name
    assert target.tvm_dict()["mtriple"].count("-") == 3


def test_llvm_names_are_aliases() -> None:
    assert parse_target("arm1176jzf-s") is CORES["arm1176"]
    assert parse_target("arm926ej-s") is CORES["arm926"]


@pytest.mark.parametrize(
    ("raw", "isa", "arch", "abi"),
    [
        ({"mtriple": "aarch64-linux-gnu"}, "neon", "aarch64", ""),
        ({"mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a78"}, "neon", "aarch64", ""),
        ({"mtriple": "armv7l-linux-gnueabihf", "mattr": ["+neon"]}, "neon32", "arm", "hard"),
        ({"mtriple": "armv7l-linux-gnueabihf", "mattr": "+vfp3"}, "vfp", "arm", "hard"),
        ({"mtriple": "armv5te-linux-gnueabi"}, "softfp", "arm", "soft"),
        ({"mtriple": "x86_64-linux-gnu"}, "sse", "x86_64", ""),
        ({"mtriple": "x86_64-linux-gnu", "mcpu": "x86-64-v3"}, "avx2", "x86_64", ""),
        ({"mtriple": "x86_64-linux-gnu", "mcpu": "x86-64-v4"}, "avx512", "x86_64", ""),
    ],
)
def test_raw_targets(raw: dict[str, Any], isa: str, arch: str, abi: str) -> None:
    for target in (parse_target(raw), parse_target(json.dumps(raw))):
        assert (target.isa.name, target.arch, target.float_abi) == (isa, arch, abi)


def test_a_triple_without_a_vendor_gets_one() -> None:
    assert parse_target({"mtriple": "aarch64-linux-gnu"}).mtriple == "aarch64-unknown-linux-gnu"
    full = {"mtriple": "armv7l-poky-linux-gnueabihf"}
    assert parse_target(full).mtriple == full["mtriple"]


def test_a_known_core_keeps_its_caches_as_a_raw_target() -> None:
    raw = parse_target({"mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a72"})
    assert raw.l2_bytes == CORES["cortex-a72"].l2_bytes
    assert raw.qemu_cpu == "cortex-a72"


def test_host_is_this_machine() -> None:
    assert host_target().name == "host" and host_target().num_cores >= 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cortex-a1000", r"unknown target 'cortex-a1000'.*cortex-a72.*boards list"),
        ("{mtriple", r"not valid JSON.*Write it as"),
        ('{"mcpu": "cortex-a72"}', r"lacks 'mtriple'"),
        ('{"mtriple": "aarch64-linux-gnu", "cpu": "x"}', r"unknown key 'cpu'.*mcpu"),
        ('{"mtriple": "aarch64-linux-gnu", "mattr": ["neon"]}', r"'neon' has no sign.*\+neon"),
        ('{"mtriple": "riscv64-linux-gnu"}', r"architecture 'riscv64'.*aarch64"),
        ('{"mtriple": "armeb-linux-gnueabi"}', r"little-endian"),
    ],
)
def test_bad_targets_say_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(TargetError, match=message) as caught:
        parse_target(text)
    assert caught.value.exit_status == 2
