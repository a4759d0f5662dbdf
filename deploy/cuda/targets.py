"""What a ``--target`` that begins with ``cuda:`` stands for: a GPU and the CPU beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgewright.deploy.boards.registry import Board, load_board
from edgewright.spec.errors import TargetError
from edgewright.spec.gpu import Gpu, parse_gpu
from edgewright.spec.target import Target, parse_target

__all__ = ["BOARD_GPUS", "PREFIX", "CudaTarget", "parse_cuda_target"]

PREFIX = "cuda:"

#: Architecture of the GPU of each board that has one: https://developer.nvidia.com/cuda-gpus.
#: The Jetson Nano (sm_53) and TX2 (sm_62) have GPUs older than ``edgewright.spec.gpu`` takes.
BOARD_GPUS = {
    "jetson-agx-orin": "sm_87",
    "jetson-nano": "sm_53",
    "jetson-orin-nano": "sm_87",
    "jetson-tx2": "sm_62",
    "jetson-xavier": "sm_72",
    "jetson-xavier-nx": "sm_72",
}

#: GPUs that sit beside ARM cores in one chip; all others are taken to sit in a PC.
_IN_JETSONS = {"sm_72", "sm_87"}
_HOSTS = {
    "x86_64": {"mtriple": "x86_64-unknown-linux-gnu", "mcpu": "x86-64"},
    "aarch64": {"mtriple": "aarch64-unknown-linux-gnu", "mcpu": "generic"},
}


@dataclass(frozen=True)
class CudaTarget:
    """A GPU and its host.

    Attributes:
        gpu: the architecture.
        host: the CPU that starts the kernels; its name is the whole target's (``cuda-sm_90``).
        board: the board, where one was named.
    """

    gpu: Gpu
    host: Target
    board: Board | None


def parse_cuda_target(text: object) -> CudaTarget | None:
    """Read a target for a GPU.

    Args:
        text: ``cuda:sm_90`` (an architecture, by default on x86-64, or on aarch64 where the GPU is
            a Jetson's), ``cuda:sm_90:aarch64`` (with the host's architecture),
            ``cuda:jetson-orin-nano`` (a board), or another target.

    Returns:
        The target, or None where the text names none of a GPU.

    Raises:
        TargetError: no such architecture, host or board, or a board without a GPU.
    """
    if not isinstance(text, str) or not text.strip().startswith(PREFIX):
        return None
    name, _, host = text.strip().removeprefix(PREFIX).partition(":")
    if name.startswith("sm_") or name[:1].isdigit() or not name:
        gpu = parse_gpu(name)
        host = host or ("aarch64" if gpu.arch in _IN_JETSONS else "x86_64")
        return CudaTarget(gpu, _host(gpu, host), None)
    if host:
        raise TargetError(
            f"the target '{text}' names a board and a host",
            rule="A board's host is its own CPU.",
            remedy=f"Write {PREFIX}{name}.",
        )
    board = load_board(name)
    if board.name not in BOARD_GPUS:
        raise TargetError(
            f"the board '{board.name}' has no GPU that runs CUDA",
            rule=f"Boards that have are {', '.join(sorted(BOARD_GPUS))}.",
            remedy=f"Compile for its CPU: --target {board.name}.",
        )
    gpu = parse_gpu(BOARD_GPUS[board.name])
    return CudaTarget(gpu, replace(board.target, name=f"cuda-{board.name}"), board)


def _host(gpu: Gpu, arch: str) -> Target:
    if arch not in _HOSTS:
        raise TargetError(
            f"unknown host '{arch}' of a GPU",
            rule=f"Hosts are {' and '.join(sorted(_HOSTS))}.",
            remedy=f"Write {PREFIX}{gpu.arch}:aarch64, for instance.",
        )
    return replace(parse_target(_HOSTS[arch]), name=f"cuda-{gpu.arch}-{arch}")
