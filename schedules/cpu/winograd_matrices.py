"""Winograd's transforms of one dimension, exact, and as short straight-line programs.

``F(m, r)`` computes ``m`` outputs of a correlation with ``r`` taps from ``m + r - 1`` products::

    y = AT [(G g) * (BT d)]        d: m + r - 1 inputs, g: r taps

by Toom and Cook's method: both factors are evaluated at ``m + r - 1`` points, of which infinity may
be one, multiplied there, and interpolated (A. Lavin and S. Gray, "Fast Algorithms for Convolutional
Neural Networks", 2016; B. Barabasz et al., "Error Analysis and Improving the Accuracy of Winograd
Convolution for Deep Neural Networks", 2020). Points come in pairs ``p, -p``: the rows of a pair
share their even and their odd part, which halves the work.

A tile with fewer outputs than ``m`` needs fewer points. ``G`` evaluates the taps at one point a
row, so a subset of the points works with the same transformed weights: a short tile at the edge
of an image spends products in proportion (see :class:`AxisTransform`).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

__all__ = [
    "POINTS",
    "AxisTransform",
    "LinearProgram",
    "Matrix",
    "Points",
    "amplification",
    "axis_transform",
]

Matrix = tuple[tuple[Fraction, ...], ...]


@dataclass(frozen=True)
class Points:
    """A set of interpolation points that is symmetric about zero.

    Attributes:
        pairs: positive points; their negatives belong to the set too.
        zero: whether 0 belongs to it.
        infinity: whether the point at infinity does.
    """

    pairs: tuple[Fraction, ...]
    zero: bool
    infinity: bool

    @property
    def size(self) -> int:
        """How many points there are."""
        return 2 * len(self.pairs) + self.zero + self.infinity

    @property
    def finite(self) -> tuple[Fraction, ...]:
        """The finite points: pairs side by side, then zero."""
        paired = [sign * point for point in self.pairs for sign in (1, -1)]
        return (*paired, *([Fraction(0)] if self.zero else []))

    def subsets(self, size: int) -> list[Points]:
        """The symmetric subsets of ``size`` points."""
        zeros = (False, True) if self.zero else (False,)
        infinities = (False, True) if self.infinity else (False,)
        found = []
        for zero, infinity in itertools.product(zeros, infinities):
            pairs, odd = divmod(size - zero - infinity, 2)
            if not odd and 0 <= pairs <= len(self.pairs):
                chosen = itertools.combinations(self.pairs, pairs)
                found += [Points(some, zero, infinity) for some in chosen]
        return found


def _points(*pairs: str, zero: bool, infinity: bool) -> Points:
    return Points(tuple(Fraction(pair) for pair in pairs), zero, infinity)


#: Points by their number: those of least error that are short binary fractions, so that float32
#: holds every constant of the transforms of whole tiles exactly.
POINTS = {
    3: _points("1", zero=False, infinity=True),
    4: _points("1", zero=True, infinity=True),
    5: _points("3/8", "5/4", zero=False, infinity=True),
    6: _points("11/16", "23/16", zero=True, infinity=True),
    7: _points("5/16", "7/8", "13/8", zero=False, infinity=True),
    8: _points("1/2", "1", "2", zero=True, infinity=True),
}


def _expand(roots: Sequence[Fraction]) -> list[Fraction]:
    """Coefficients of the monic polynomial with these roots, lowest degree first."""
    polynomial = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *polynomial]
        for degree, coefficient in enumerate(polynomial):
            shifted[degree] -= root * coefficient
        polynomial = shifted
    return polynomial


def _distance(point: Fraction, others: Sequence[Fraction]) -> Fraction:
    product = Fraction(1)
    for other in others:
        if other != point:
            product *= point - other
    return product


def _input_matrix(points: Points) -> Matrix:
    """``BT``: row of a finite point: the monic polynomial of all the others; infinity: of all."""
    finite, size = points.finite, points.size
    rows = [_expand([q for q in finite if q != p]) for p in finite]
    if points.infinity:
        rows.append(_expand(finite))
    return tuple(tuple(row + [Fraction(0)] * (size - len(row))) for row in rows)


def _scales(points: Points, outputs: int) -> list[Fraction]:
    """What moves from ``AT`` to ``G`` so that the second output needs no multiplication."""
    return [abs(p) if p and outputs > 2 else Fraction(1) for p in points.finite]


def _filter_matrix(points: Points, outputs: int, taps: int) -> Matrix:
    """``G``: row of a finite point ``p``: ``p**k / prod(p - q)``; infinity: the last tap."""
    finite = points.finite
    rows = [
        tuple(scale * p**tap / _distance(p, finite) for tap in range(taps))
        for p, scale in zip(finite, _scales(points, outputs), strict=True)
    ]
    if points.infinity:
        rows.append(tuple(Fraction(int(tap == taps - 1)) for tap in range(taps)))
    return tuple(rows)


def _output_matrix(points: Points, whole: Points, whole_outputs: int, outputs: int) -> Matrix:
    """``AT`` of a tile that uses ``points``, with weights transformed for the set ``whole``."""
    scales = dict(zip(whole.finite, _scales(whole, whole_outputs), strict=True))
    factors = [
        _distance(p, whole.finite) / _distance(p, points.finite) / scales[p] for p in points.finite
    ]
    rows = []
    for k in range(outputs):
        row = [p**k * factor for p, factor in zip(points.finite, factors, strict=True)]
        rows.append(tuple(row + [Fraction(int(k == outputs - 1))] * points.infinity))
    return tuple(rows)


def amplification(points: Points, outputs: int, taps: int) -> float:
    """How much more the rounding of the products weighs than in a direct sum, at the worst output.

    For random inputs and taps, and as a variance: two dimensions multiply their figures, and the
    root of the product is the factor of the error. Direct sums have 1.
    """
    at = _output_matrix(points, points, outputs, outputs)
    g, bt = _filter_matrix(points, outputs, taps), _input_matrix(points)
    products = [
        float(sum(x * x for x in bt_row) * sum(x * x for x in g_row))
        for bt_row, g_row in zip(bt, g, strict=True)
    ]
    sums = [sum(float(x) ** 2 * p for x, p in zip(row, products, strict=True)) for row in at]
    return max(sums) / taps


#: One step of a program: a sum of (value number, coefficient).
Terms = tuple[tuple[int, Fraction], ...]


@dataclass(frozen=True)
class LinearProgram:
    """A matrix times a vector as a sequence of sums.

    Attributes:
        inputs: how many inputs there are; they are values 0, 1, …
        steps: each defines the next value as a sum of earlier ones.
        outputs: the values that are the product.
    """

    inputs: int
    steps: tuple[Terms, ...]
    outputs: tuple[int, ...]

    @property
    def operations(self) -> int:
        """Additions and multiply-adds, a leading multiplication included."""
        total = 0
        for terms in self.steps:
            leading = any(coefficient == 1 for _, coefficient in terms)
            total += len(terms) - leading
        return total

    def constants(self) -> set[Fraction]:
        """Absolute values of the coefficients that are no unit."""
        return {abs(c) for terms in self.steps for _, c in terms if abs(c) != 1}

    def apply(self, inputs: Sequence[Fraction]) -> list[Fraction]:
        """The product, exactly."""
        values = list(inputs)
        for terms in self.steps:
            values.append(sum((c * values[number] for number, c in terms), Fraction(0)))
        return [values[number] for number in self.outputs]


def _terms(coefficients: Sequence[Fraction], numbers: Sequence[int]) -> Terms:
    """The sum without its zero terms; the highest unit comes first and needs no multiplication."""
    found = [(n, c) for n, c in zip(numbers, coefficients, strict=True) if c]
    return tuple(sorted(found, key=lambda term: (term[1] != 1, -term[0])))


def _input_program(points: Points) -> LinearProgram:
    """``BT d``. Pair ``p, -p``: ``x R(x) ± p R(x)``, where ``R`` has the other points' roots."""
    finite, size = points.finite, points.size
    numbers = range(size)
    steps: list[Terms] = []
    outputs: list[int] = []

    def step(terms: Terms) -> int:
        steps.append(terms)
        return size + len(steps) - 1

    for p in points.pairs:
        rest = _expand([q for q in finite if abs(q) != p])
        upper = step(_terms(rest, numbers[1 : 1 + len(rest)]))
        lower = step(_terms(rest, numbers[: len(rest)]))
        for sign in (1, -1):
            outputs.append(step(((upper, Fraction(1)), (lower, sign * p))))
    if points.zero:
        row = _expand([q for q in finite if q])
        outputs.append(step(_terms(row, numbers[: len(row)])))
    if points.infinity:
        row = _expand(finite)
        outputs.append(step(_terms(row, numbers[: len(row)])))
    return LinearProgram(size, tuple(steps), tuple(outputs))


def _output_program(matrix: Matrix, pairs: int) -> LinearProgram:
    """``AT m``: sums and differences of the ``pairs`` first pairs of columns, then the rows."""
    size = len(matrix[0])
    steps: list[Terms] = []
    for pair in range(pairs):
        for sign in (1, -1):
            steps.append(((2 * pair, Fraction(1)), (2 * pair + 1, Fraction(sign))))
    outputs = []
    for row in matrix:
        terms = []
        for pair in range(pairs):
            same = row[2 * pair] == row[2 * pair + 1]
            terms.append((size + 2 * pair + (0 if same else 1), row[2 * pair]))
        terms += [(number, row[number]) for number in range(2 * pairs, size)]
        steps.append(_terms([c for _, c in terms], [number for number, _ in terms]))
        outputs.append(size + len(steps) - 1)
    return LinearProgram(size, tuple(steps), tuple(outputs))


@dataclass(frozen=True)
class AxisTransform:
    """``F(m, r)`` along one axis, for whole tiles and for one short tile at the end.

    Points are numbered so that those of the short tile come first.

    Attributes:
        outputs: ``m``.
        taps: ``r``.
        filter_matrix: ``G``, ``(m + r - 1) x r``.
        input_program, output_program: ``BT`` and ``AT`` of a whole tile.
        edge_outputs: outputs of the short tile; 0: there is none.
        edge_points: points of the short tile.
        edge_input_program, edge_output_program: ``BT`` and ``AT`` of the short tile.
        amplification: see :func:`amplification`; of the worse kind of tiles.
    """

    outputs: int
    taps: int
    filter_matrix: Matrix
    input_program: LinearProgram
    output_program: LinearProgram
    edge_outputs: int
    edge_points: int
    edge_input_program: LinearProgram | None
    edge_output_program: LinearProgram | None
    amplification: float

    @property
    def points(self) -> int:
        """Points of a whole tile."""
        return self.outputs + self.taps - 1


@cache
def axis_transform(outputs: int, taps: int, edge_outputs: int = 0) -> AxisTransform:
    """The transforms of ``F(outputs, taps)``, and of short tiles of ``edge_outputs`` if not 0.

    Raises:
        KeyError: :data:`POINTS` has no set of ``outputs + taps - 1`` points.
    """
    whole = POINTS[outputs + taps - 1]
    matrix = _output_matrix(whole, whole, outputs, outputs)
    programs = _input_program(whole), _output_program(matrix, len(whole.pairs))
    filters = _filter_matrix(whole, outputs, taps)
    worst = amplification(whole, outputs, taps)
    if not edge_outputs:
        return AxisTransform(outputs, taps, filters, *programs, 0, 0, None, None, worst)
    subset = _edge_subset(whole, edge_outputs, taps)
    order = _positions(subset, whole)
    edge_matrix = _output_matrix(subset, whole, outputs, edge_outputs)
    return AxisTransform(
        outputs=outputs,
        taps=taps,
        filter_matrix=tuple(filters[number] for number in order),
        input_program=_reorder_outputs(programs[0], order),
        output_program=_reorder_inputs(programs[1], order),
        edge_outputs=edge_outputs,
        edge_points=subset.size,
        edge_input_program=_input_program(subset),
        edge_output_program=_output_program(edge_matrix, len(subset.pairs)),
        amplification=max(worst, amplification(subset, edge_outputs, taps)),
    )


def _edge_subset(whole: Points, outputs: int, taps: int) -> Points:
    """The subset for tiles of ``outputs`` that amplifies errors least."""
    subsets = whole.subsets(outputs + taps - 1)
    return min(subsets, key=lambda points: amplification(points, outputs, taps))


def _positions(subset: Points, whole: Points) -> list[int]:
    """Numbers of the points of ``whole``, those of ``subset`` first and in its order."""
    first = [whole.finite.index(p) for p in subset.finite]
    if subset.infinity:
        first.append(whole.size - 1)
    return first + [number for number in range(whole.size) if number not in first]


def _reorder_outputs(program: LinearProgram, order: Sequence[int]) -> LinearProgram:
    outputs = tuple(program.outputs[number] for number in order)
    return LinearProgram(program.inputs, program.steps, outputs)


def _reorder_inputs(program: LinearProgram, order: Sequence[int]) -> LinearProgram:
    """The program whose input ``i`` is input ``order[i]`` of ``program``."""
    place = {old: new for new, old in enumerate(order)}
    steps = tuple(
        tuple((place.get(number, number), c) for number, c in terms) for terms in program.steps
    )
    return LinearProgram(program.inputs, steps, program.outputs)
