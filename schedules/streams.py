"""Reads runs of vectors through a moving pointer: up to four vectors an instruction on AArch64.

``ld1 {v0.4s-v3.4s}, [x0], #64`` loads four vectors and moves its pointer. LLVM never makes it of
plain loads, and the intrinsic has a result that TIR has no type for, so kernels import the loads
as functions of LLVM IR, which LLVM inlines::

    %v = ew_load4(%address)                     ld1 {v0.4s-v3.4s}, [x0], #64
    %address = ew_moved(%address, 64)

Two habits of LLVM would undo it. It turns a pointer that moves by constants into one base and many
sums: the moved address passes through an empty ``asm``, behind which LLVM cannot see. And it loads
all that it can before the first product, more than there are registers: before it moves on, the
address passes through an ``asm`` that also takes the sums made of what was read so far.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk
from edgewright.spec.target import Isa

__all__ = [
    "LANES",
    "LOOP_INSTRUCTIONS",
    "AlternatingStreams",
    "StepRegisters",
    "VectorStream",
    "imported_loads",
    "lane_steps",
    "load_bytes",
    "load_sizes",
    "multiply_steps",
    "stream_cycles",
    "stream_tile_fits",
]

#: Most vectors that one instruction loads.
MOST = 4
#: Lanes of AArch64's vectors.
LANES = 4
#: Instructions of a turn of a loop beside loads and multiply-adds.
LOOP_INSTRUCTIONS = 2
#: Instructions beside each multiply-add where two vectors are loaded at a time.
PLAIN_INSTRUCTIONS = 0.15
#: Cycles of an instruction beside the multiply-adds, which keep their unit busy meanwhile.
INSTRUCTION_CYCLES = 0.25
#: Most sums that one ``asm`` takes.
MOST_SUMS = 24
#: Registers that stay free, for constants that LLVM makes before the loops.
SPARE = 2
_VECTOR = f"<{LANES} x float>"


def stream_tile_fits(isa: Isa, rows: int, columns: int, inputs: int) -> bool:
    """Whether registers hold a tile, ``inputs`` vectors of its inputs and a load's weights."""
    return rows * columns + inputs + MOST + SPARE <= isa.vec_registers


def stream_cycles(rows: int, columns: int, load_instructions: float) -> float:
    """Cycles that loads and the loop add to a step of a tile, less those of plain loads.

    The multiply-adds hide most of the time of other instructions, however many these are. Cost
    models of kernels with plain loads leave theirs out.

    Args:
        rows: vectors of weights of a step.
        columns: inputs of a step.
        load_instructions: instructions of a step that load inputs or count turns of the loop.
    """
    others = rows / LANES + load_instructions
    return INSTRUCTION_CYCLES * (others - PLAIN_INSTRUCTIONS * rows * columns)


def _load_function(count: int) -> str:
    """LLVM IR of ``ew_load{count}``: ``count`` vectors at an address, as one long vector."""
    lines = [f"define <{LANES * count} x float> @ew_load{count}(i64 %address) {{"]
    lines.append("  %pointer = inttoptr i64 %address to ptr")
    if count == 1:
        lines.append(f"  %v0 = load {_VECTOR}, ptr %pointer, align 4")
        return "\n".join([*lines, f"  ret {_VECTOR} %v0", "}"])
    parts = "{ " + ", ".join([_VECTOR] * count) + " }"
    intrinsic = f"@llvm.aarch64.neon.ld1x{count}.v4f32.p0"
    lines.append(f"  %parts = tail call {parts} {intrinsic}(ptr %pointer)")
    lines += [f"  %v{i} = extractvalue {parts} %parts, {i}" for i in range(count)]
    joined, length = "%v0", LANES
    for i in range(1, count):
        # Both operands of a shuffle are equally long: the vector is padded, then appended.
        padding = [f"i32 {j}" if j < LANES else "i32 poison" for j in range(length)]
        lines.append(f"  %w{i} = {_shuffle(_VECTOR, f'%v{i}', 'poison', padding)}")
        both, order = f"<{length} x float>", [f"i32 {j}" for j in range(length + LANES)]
        lines.append(f"  %j{i} = {_shuffle(both, joined, f'%w{i}', order)}")
        joined, length = f"%j{i}", length + LANES
    lines += [f"  ret <{length} x float> {joined}", "}", f"declare {parts} {intrinsic}(ptr)"]
    return "\n".join(lines)


def _shuffle(kind: str, left: str, right: str, order: Sequence[str]) -> str:
    return f"shufflevector {kind} {left}, {kind} {right}, <{len(order)} x i32> <{', '.join(order)}>"


def _moved_function(sums: int) -> str:
    """LLVM IR of ``ew_moved{sums}``: an address further on, once ``sums`` sums are known."""
    given = "".join(f", {_VECTOR} %s{i}" for i in range(sums))
    inputs = "=r,0" + ",w" * sums
    return "\n".join(
        [
            f"define i64 @ew_moved{sums}(i64 %address, i64 %bytes{given}) {{",
            "  %sum = add i64 %address, %bytes",
            f'  %moved = tail call i64 asm "", "{inputs}"(i64 %sum{given})',
            "  ret i64 %moved",
            "}",
        ]
    )


_FUNCTIONS = "\n".join(
    [
        "define i64 @ew_address(ptr %pointer) {",
        "  %address = ptrtoint ptr %pointer to i64",
        "  ret i64 %address",
        "}",
        "define float @ew_load_scalar(i64 %address) {",
        "  %pointer = inttoptr i64 %address to ptr",
        "  %value = load float, ptr %pointer, align 4",
        "  ret float %value",
        "}",
        *(_load_function(count) for count in range(1, MOST + 1)),
        *(_moved_function(sums) for sums in range(MOST_SUMS + 1)),
    ]
)


@contextmanager
def imported_loads(simd: mk.Simd) -> Iterator[None]:
    """What is emitted inside, the body of a task, may use streams if the core has them."""
    if not simd.streams:
        yield
        return
    with builder.attr(0, "pragma_import_llvm", _FUNCTIONS):
        yield


def load_sizes(vectors: int) -> list[int]:
    """How many vectors each instruction loads of a run of ``vectors``.

    A single one is avoided: its load cannot move the pointer by a register.
    """
    whole, rest = divmod(vectors, MOST)
    if rest == 1 and whole:
        return [MOST] * (whole - 1) + [3, 2]
    return [MOST] * whole + [rest] * bool(rest)


def load_bytes(vectors: int) -> Any:
    """Bytes of ``vectors``: what a load of them moves its pointer by at no cost."""
    return _bytes(vectors * LANES)


def _bytes(elements: int) -> Any:
    return tirx.IntImm("int64", 4 * elements)


def _moved(address: Any, step: Any, sums: Sequence[Any] = ()) -> Any:
    return builder.call_pure_extern("int64", f"ew_moved{len(sums)}", address, step, *sums)


class _Cell:
    """An address or a distance in bytes, which LLVM keeps in a register.

    A buffer, because TVM would put a bound call in place of its variable, as often as that is used.
    """

    def __init__(self) -> None:
        self._buffer = builder.alloc_buffer((1,), "int64")

    def get(self) -> Any:
        return self._buffer[mk.index(0)]

    def set(self, value: Any) -> None:
        builder.buffer_store(self._buffer, value, [mk.index(0)])


class StepRegisters:
    """Distances of more than a load's own size, by which a load can move its pointer.

    Args:
        elements: every distance that will be asked for.
    """

    def __init__(self, elements: set[int]) -> None:
        self._cells: dict[int, _Cell] = {}
        for step in sorted(elements):
            cell = _Cell()
            cell.set(_moved(_bytes(0), _bytes(step)))
            self._cells[step] = cell

    def get(self, elements: int) -> Any:
        """The distance in bytes."""
        return self._cells[elements].get()


class VectorStream:
    """A pointer into a float32 buffer that moves over what was read.

    One stream is to live as long as a task: TVM lets memory of another buffer take the place of a
    pointer that is done with, of vectors too, and LLVM then holds the pointer in their registers.
    """

    def __init__(self, buffer: Any) -> None:
        self._buffer = buffer
        self._address = _Cell()

    def start(self, indices: tuple[Any, ...], buffer: Any = None) -> None:
        """Points to an element of the buffer, or of another one."""
        pointer = builder.address_of((self._buffer if buffer is None else buffer)[indices])
        self._address.set(builder.call_pure_extern("int64", "ew_address", pointer))

    def load(self, vectors: int) -> list[Any]:
        """The next vectors, at most those of one instruction; the pointer stays before them."""
        return self._load(self._address.get(), vectors)

    def read(self, vectors: int) -> list[Any]:
        """The next vectors; the pointer is left before those of the last instruction.

        They are those of :func:`load_sizes`.
        """
        *sizes, last = load_sizes(vectors)
        values: list[Any] = []
        for count in sizes:
            values += self.load(count)
            self.move(load_bytes(count))
        return values + self.load(last)

    def peek(self, elements: int) -> Any:
        """The vector ``elements`` beyond the pointer."""
        return self._load(self._address.get() + _bytes(elements), 1)[0]

    def peek_scalar(self, elements: int) -> Any:
        """The element ``elements`` beyond the pointer."""
        address = self._address.get() + _bytes(elements)
        return builder.Bind(builder.call_extern("float32", "ew_load_scalar", address))

    def move(self, step: Any, sums: Sequence[Any] = ()) -> None:
        """Moves the pointer.

        Args:
            step: by how many bytes: of :func:`load_bytes`, or of :class:`StepRegisters`.
            sums: what LLVM must have made of the vectors before, or it would read as early as it
                can.
        """
        assert len(sums) <= MOST_SUMS
        self._address.set(_moved(self._address.get(), step, sums))

    @staticmethod
    def _load(address: Any, count: int) -> list[Any]:
        length = f"float32x{count * LANES}"
        # Not a pure call: TVM would put it in place of its variable, as often as that is used.
        joined = builder.Bind(builder.call_extern(length, f"ew_load{count}", address))
        if count == 1:
            return [joined]
        return [
            tirx.Shuffle([joined], [mk.index(first + j) for j in range(LANES)])
            for first in range(0, count * LANES, LANES)
        ]


class AlternatingStreams:
    """Two pointers that take turns at whole loads, for products that wait for their weights.

    Models of cores have a moved pointer ready with what it loaded, not before: one pointer would
    read half of what the core can. A loop's body must load an even number of times.
    """

    def __init__(self, buffer: Any) -> None:
        self._streams = (VectorStream(buffer), VectorStream(buffer))
        self._stride = 2 * MOST * LANES
        self._steps = StepRegisters({self._stride})
        self._loads = 0

    def start(self, indices: tuple[Any, ...]) -> None:
        """Points to an element of the buffer."""
        *outer, last = indices
        for number, stream in enumerate(self._streams):
            stream.start((*outer, last + number * MOST * LANES))
        self._loads = 0

    def load(self, vectors: int) -> list[Any]:
        """The next ``vectors``, which must be those of one instruction at its most."""
        assert vectors == MOST
        return self._streams[self._loads % 2].load(vectors)

    def move(self, step: Any, sums: Sequence[Any] = ()) -> None:
        """Moves on by a load, once ``sums`` are known; ``step`` is that of whole loads anyway."""
        self._streams[self._loads % 2].move(self._steps.get(self._stride), sums)
        self._loads += 1


#: One step of a tile: for each column that it touches, the column and the input, a scalar.
Step = Sequence[tuple[int, Any]]


def lane_steps(sources: Sequence[tuple[int, Any]], channels: int = LANES) -> list[Step]:
    """Steps of a block of input channels: for each column the vector over its channels is given."""
    return [
        [(column, mk.extract_lane(vector, u)) for column, vector in sources]
        for u in range(channels)
    ]


def multiply_steps(
    tile: mk.RegisterTile,
    steps: Sequence[Step],
    weights: VectorStream | AlternatingStreams,
    inputs: VectorStream,
    last_step: Any,
) -> None:
    """Adds products to a register tile, with the weights of one instruction at a time.

    ``tile[t, column] += scalar * weight[t]`` for each step's columns.

    Args:
        tile: the sums.
        steps: the inputs.
        weights: ``tile.rows`` vectors for each step are next; left behind them.
        inputs: where the inputs were read from; moved when the products are done.
        last_step: by how many bytes it is moved.
    """
    sizes = iter(load_sizes(len(steps) * tile.rows))
    ready: list[Any] = []
    size, touched = 0, dict[tuple[int, int], None]()
    for step in steps:
        for t in range(tile.rows):
            if not ready:
                if size:
                    weights.move(load_bytes(size), [tile.get(*place) for place in touched])
                size, touched = next(sizes), {}
                ready = weights.load(size)
            weight = ready.pop(0)
            for column, scalar in step:
                tile.multiply_add(t, column, mk.broadcast(scalar, LANES), weight)
                touched[t, column] = None
    sums = [tile.get(*place) for place in touched]
    weights.move(load_bytes(size), sums)
    inputs.move(last_step, sums)
