"""`edgewright bench --fleet` on three boards, one of which loses its power in the middle."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edgewright.deploy.benchmark import read_benchmark
from tests.board.edgewright_command import edgewright
from tests.board.emulated_board import EmulatedBoard


def test_a_board_that_dies_in_the_middle_is_named_and_the_others_stand(
    board: EmulatedBoard,
    start_board: Callable[..., EmulatedBoard],
    lenet5_onnx: Path,
    tmp_path: Path,
) -> None:
    steady, dying = board, start_board(core="cortex-a76", cores=1)
    fleet = tmp_path / "fleet.toml"
    fleet.write_text(
        f"models = ['{lenet5_onnx}']\n[bench]\nthreads = [1, 2]\n"
        "[[boards]]\nname = 'here'\naddress = 'host'\n"
        f"[[boards]]\nname = 'dying'\naddress = '{dying.address()}'\ntarget = 'rpi4'\n"
        f"[[boards]]\nname = 'steady'\naddress = '{steady.address(user='pi')}'\ntarget = 'rpi4'\n"
    )
    with ThreadPoolExecutor() as aside:
        arguments = ("bench", "--fleet", fleet, "--json", "-o", tmp_path / "out")
        measuring = aside.submit(edgewright, *arguments, access=steady.access)
        dying.shell("until pgrep -x bench >/dev/null; do sleep 0.2; done", timeout_seconds=240)
        dying.kill()
        done = measuring.result(timeout=240)
    assert done.returncode == 3, done.stderr
    said = json.loads(done.stdout)
    assert [(row["board"], row["target"]) for row in said["results"]] == [
        ("here", "host"),
        ("steady", "rpi4"),
    ]
    for row in said["results"]:
        assert [timing["threads"] for timing in row["benchmark"]["timings"]] == [1, 2]
        assert all(timing["median_ms"] > 0 for timing in row["benchmark"]["timings"])
    (lost,) = said["lost"]
    assert (lost["board"], lost["stage"], lost["model"]) == ("dying", "measure", "lenet5")
    assert f"the connection to {dying.address()} was lost" in lost["reason"]
    assert done.stderr.strip().startswith("Lost dying (lenet5): the connection to ")
    assert len(done.stderr.strip().splitlines()) == 1
    assert sorted(os.listdir(tmp_path / "out")) == ["bundles", "here.json", "steady.json"]
    assert sorted(os.listdir(tmp_path / "out" / "bundles")) == ["lenet5-host", "lenet5-rpi4"]
    assert read_benchmark(tmp_path / "out" / "steady.json").on == steady.address(user="pi")
    # What was proven and measured there is the bundle that was kept here.
    kept = (tmp_path / "out" / "bundles" / "lenet5-rpi4" / "manifest.json").read_text()
    there = steady.shell("cat ~/.cache/edgewright/lenet5-rpi4/manifest.json", user="pi")
    assert there == kept
    steady.shell("rm -rf ~/.cache/edgewright", user="pi")
