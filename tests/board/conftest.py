"""Emulated boards for the tests of this folder; all in one worker, for they share one."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import edgewright
from edgewright.models.export import export
from tests.board.debian import ImageError
from tests.board.emulated_board import EmulatedBoard, why_no_boards
from tests.board.image import board_image
from tests.board.ssh_access import SshAccess

StartBoard = Callable[..., EmulatedBoard]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker has the boards, and ``-m board`` selects their tests.

    First, because xdist reads the groups in the same hook.
    """
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker("board")
            item.add_marker(pytest.mark.xdist_group("board"))


def _cannot(reason: str) -> NoReturn:
    """Skip, but never in continuous integration, where `make test` prepares all of it."""
    if os.environ.get("CI"):
        pytest.fail(f"no emulated board: {reason}")
    pytest.skip(f"no emulated board: {reason}")


@pytest.fixture(scope="session")
def ssh_access(tmp_path_factory: pytest.TempPathFactory) -> SshAccess:
    """The keys of this run, the same for every board."""
    if absent := why_no_boards():
        _cannot(absent)
    return SshAccess(tmp_path_factory.mktemp("ssh"))


@pytest.fixture(scope="session")
def make_board(
    ssh_access: SshAccess, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., EmulatedBoard]:
    """``make_board(image="bookworm", core=…, cores=…, memory_mib=…)``: a board, still off."""

    def make(image: str = "bookworm", **machine: object) -> EmulatedBoard:
        try:
            made = board_image(image)
        except ImageError as error:
            _cannot(str(error))
        folder = tmp_path_factory.mktemp(f"board-{image}")
        return EmulatedBoard(made, ssh_access, folder, **machine)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def board(make_board: StartBoard) -> Iterator[EmulatedBoard]:
    """A cortex-a72 with Debian 12, for all tests: leave it as it was found, and switched on."""
    with make_board() as started:
        yield started


@pytest.fixture(scope="session")
def old_board(make_board: StartBoard) -> Iterator[EmulatedBoard]:
    """A cortex-a76 with Debian 11, whose C library is 2.31; likewise for all tests."""
    with make_board("bullseye", core="cortex-a76") as started:
        yield started


@pytest.fixture(scope="session")
def breakable_board(make_board: StartBoard) -> Iterator[EmulatedBoard]:
    """As ``board``, for tests that restart it or cut its power; they leave it switched on."""
    with make_board() as started:
        yield started


@pytest.fixture
def start_board(make_board: StartBoard) -> Iterator[StartBoard]:
    """``start_board(image="bookworm", core=…)``: a fresh one of this test's own, running."""
    with ExitStack() as boards:
        yield lambda *args, **kwargs: boards.enter_context(make_board(*args, **kwargs))


@pytest.fixture
def fresh_board(start_board: StartBoard) -> EmulatedBoard:
    """A cortex-a72 with Debian 12 on which nothing was done yet; it may be broken."""
    return start_board()


_numbers = itertools.count()


@pytest.fixture
def board_folder(board: EmulatedBoard) -> Iterator[str]:
    """A path of the shared board that does not exist yet, in a folder of this test's own."""
    folder = f"/opt/test-{next(_numbers)}"
    board.shell(f"mkdir {folder}")
    yield f"{folder}/model"
    board.shell(f"rm -rf {folder}")


@pytest.fixture(scope="session")
def lenet5_onnx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference network LeNet-5."""
    path = tmp_path_factory.mktemp("lenet5") / "lenet5.onnx"
    export("lenet5", path)
    return path


@pytest.fixture(scope="session")
def lenet5_rpi4(lenet5_onnx: Path) -> Path:
    """LeNet-5 compiled for the Raspberry Pi 4; not to be changed."""
    folder = lenet5_onnx.parent / "lenet5-rpi4"
    edgewright.compile(lenet5_onnx, "rpi4", output=folder)
    return folder


@pytest.fixture(scope="session")
def lenet5_retrained(lenet5_onnx: Path) -> Path:
    """LeNet-5 for the Raspberry Pi 4 with a few other weights: a next version."""
    model = onnx.load(lenet5_onnx)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) == 1:
            values = numpy_helper.to_array(tensor) + np.float32(0.5)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    path = lenet5_onnx.parent / "retrained" / "lenet5.onnx"
    path.parent.mkdir()
    onnx.save(model, path)
    edgewright.compile(path, "rpi4", output=path.parent / "lenet5-rpi4")
    return path.parent / "lenet5-rpi4"


@pytest.fixture(scope="session")
def lenet5_rpi5(lenet5_onnx: Path) -> Path:
    """LeNet-5 for the Raspberry Pi 5: atomics that a Cortex-A72 lacks, and glibc 2.36."""
    folder = lenet5_onnx.parent / "lenet5-rpi5"
    edgewright.compile(lenet5_onnx, "rpi5", output=folder)
    return folder
