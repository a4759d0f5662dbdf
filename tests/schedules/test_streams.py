from __future__ import annotations

import numpy as np
import pytest
from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk
from edgewright.schedules.kernel import Kernel
from edgewright.schedules.streams import (
    LANES,
    MOST,
    AlternatingStreams,
    StepRegisters,
    VectorStream,
    imported_loads,
    load_bytes,
    load_sizes,
    stream_tile_fits,
)
from edgewright.spec.target import CORES
from tests.schedules.assembly import assembly
from tests.schedules.emulation import Launch, run_emulated

A72 = CORES["cortex-a72"]


@pytest.mark.parametrize("vectors", range(1, 40))
def test_loads_take_up_to_four_vectors_and_never_one_more(vectors: int) -> None:
    sizes = load_sizes(vectors)
    assert sum(sizes) == vectors
    assert max(sizes) <= MOST
    assert vectors == 1 or 1 not in sizes
    assert len(sizes) == -(-vectors // MOST)


def test_tiles_leave_room_for_a_load_and_a_constant() -> None:
    assert stream_tile_fits(A72.isa, 4, 5, 5)
    assert not stream_tile_fits(A72.isa, 2, 9, 9)


def reads(vectors: int, rows: int, step: int) -> Kernel:
    """Copies ``rows`` runs of vectors, ``step`` elements apart; a vector of each ahead of it."""

    def emit() -> None:
        x = mk.declare("x", (rows * step,))
        y = mk.declare("y", (rows, vectors + 1, LANES))
        with builder.parallel(0, 1) as task, imported_loads(mk.simd_of(A72)):
            stream = VectorStream(x)
            last = load_sizes(vectors)[-1]
            to_next = step - (vectors - last) * LANES
            steps = StepRegisters({to_next})
            stream.start((task,))
            with mk.index_loop(rows) as row:
                ahead = stream.peek(2)
                mk.store(y, (row, mk.index(vectors), mk.index(0)), ahead, LANES)
                values = stream.read(vectors)
                stream.move(steps.get(to_next), values)
                for number, value in enumerate(values):
                    mk.store(y, (row, mk.index(number), mk.index(0)), value, LANES)

    name = f"reads_{vectors}"
    return Kernel(name, "streams", mk.kernel_function(name, emit))


def alternates(loads: int) -> Kernel:
    """Copies vectors through two pointers."""

    def emit() -> None:
        x = mk.declare("x", (loads * MOST * LANES,))
        y = mk.declare("y", (loads * MOST, LANES))
        with builder.parallel(0, 1) as task, imported_loads(mk.simd_of(A72)):
            streams = AlternatingStreams(x)
            streams.start((task,))
            with mk.index_loop(loads // 2) as turn:
                for load in range(2):
                    values = streams.load(MOST)
                    streams.move(load_bytes(MOST), values)
                    for number, value in enumerate(values):
                        at = (turn * (2 * MOST) + load * MOST + number, mk.index(0))
                        mk.store(y, at, value, LANES)

    return Kernel("alternates", "streams", mk.kernel_function("alternates", emit))


def test_streams_read_what_plain_loads_would() -> None:
    launches, expected = [], []
    for vectors in (1, 2, 3, 4, 5, 7, 9, 12):
        rows, step = 5, vectors * LANES + 12
        x = np.arange(rows * step, dtype=np.float32)
        launches.append(Launch(reads(vectors, rows, step), [x], (rows, vectors + 1, LANES)))
        table = x.reshape(rows, step)
        inside = table[:, : vectors * LANES].reshape(rows, vectors, LANES)
        expected.append(np.concatenate([inside, table[:, None, 2 : 2 + LANES]], axis=1))
    x = np.arange(6 * MOST * LANES, dtype=np.float32)
    launches.append(Launch(alternates(6), [x], (6 * MOST, LANES)))
    expected.append(x.reshape(-1, LANES))
    for found, table in zip(run_emulated(launches, A72), expected, strict=True):
        assert np.array_equal(found, table)


def test_one_instruction_loads_four_vectors_and_moves_the_pointer() -> None:
    text = assembly(reads(8, 5, 48), A72)
    assert "ld1\t{ v" in text
    assert ".4s }, [x" in text and "], #64" in text
