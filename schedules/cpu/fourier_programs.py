"""Discrete Fourier transforms of one dimension as straight-line programs of sums.

Sizes are 1, or products of twos and at most one three. A complex transform of a multiple of four
is split by the radices 2 and 4 (P. Duhamel and H. Hollmann, "Split radix FFT algorithm", 1984);
a real one computes the half of its results that determine the other (H. Sorensen et al.,
"Real-valued fast Fourier transform algorithms", 1987). What no output needs is left out: a tile of
an overlap-save convolution keeps few of the outputs of its inverse transforms.

The ``n`` values of a real signal's transform are in the order ``re 0, re 1, im 1, re 2, im 2, …,
re n/2``; complex signals are in the order ``re 0, im 0, re 1, im 1, …``. Inverse transforms are not
divided by ``n``. Coefficients are roots of unity as float32 holds them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import cache

import numpy as np

from edgewright.schedules.cpu.winograd_matrices import LinearProgram, Terms

__all__ = ["complex_forward", "complex_inverse", "real_forward", "real_inverse"]

#: A value of a program and its sign; None is zero.
_Value = tuple[int, int] | None
#: Real and imaginary part.
_Complex = tuple[_Value, _Value]
_ONE = Fraction(1)


def _root(turns: Fraction) -> tuple[Fraction, Fraction]:
    """``exp(-2 pi i turns)``, each part as float32 holds it; exact zeros and units."""
    angle = 2 * math.pi * float(turns)
    cosine, sine = (
        Fraction(float(np.float32(round(part, 12)))) for part in (math.cos(angle), -math.sin(angle))
    )
    return cosine, sine


class _Writer:
    """Writes a program's steps; sums without terms and of one unit term cost no step."""

    def __init__(self, inputs: int) -> None:
        self.inputs = inputs
        self.steps: list[Terms] = []

    def sum(self, *terms: tuple[_Value, Fraction]) -> _Value:
        """The sum of products of a value and a coefficient."""
        found = [(v[0], v[1] * c) for v, c in terms if v is not None and c]
        if not found:
            return None
        if len(found) == 1 and abs(found[0][1]) == 1:
            return found[0][0], int(found[0][1])
        # A leading unit needs no multiplication, so a sum without a positive one is turned round.
        turned = -1 if not any(c == 1 for _, c in found) and any(c < 0 for _, c in found) else 1
        ordered = sorted(((n, turned * c) for n, c in found), key=lambda term: term[1] != 1)
        self.steps.append(tuple(ordered))
        return self.inputs + len(self.steps) - 1, turned

    def add(self, a: _Complex, b: _Complex, sign: int = 1) -> _Complex:
        """``a + sign * b``."""
        second = Fraction(sign)
        return self.sum((a[0], _ONE), (b[0], second)), self.sum((a[1], _ONE), (b[1], second))

    def rotate(self, a: _Complex, turns: Fraction) -> _Complex:
        """``a * exp(-2 pi i turns)``."""
        cosine, sine = _root(turns)
        real = self.sum((a[0], cosine), (a[1], -sine))
        return real, self.sum((a[0], sine), (a[1], cosine))

    def program(self, outputs: Sequence[_Value]) -> LinearProgram:
        """The program of these outputs, steps that none of them needs left out."""
        numbers = [self._plain(value) for value in outputs]
        needed = set(numbers)
        for number in reversed(range(len(self.steps))):
            if self.inputs + number in needed:
                needed.update(n for n, _ in self.steps[number])
        kept = [n for n in range(len(self.steps)) if self.inputs + n in needed]
        places = {n: n for n in range(self.inputs)}
        places |= {self.inputs + n: self.inputs + place for place, n in enumerate(kept)}
        steps = tuple(tuple((places[n], c) for n, c in self.steps[number]) for number in kept)
        return LinearProgram(self.inputs, steps, tuple(places[n] for n in numbers))

    def _plain(self, value: _Value) -> int:
        """The number of a value with its sign applied."""
        assert value is not None, "no output of a transform is zero"
        if value[1] == 1:
            return value[0]
        self.steps.append(((value[0], Fraction(-1)),))
        return self.inputs + len(self.steps) - 1


def _times_i(a: _Complex) -> _Complex:
    return (None if a[1] is None else (a[1][0], -a[1][1])), a[0]


def _conjugate(a: _Complex) -> _Complex:
    return a[0], (None if a[1] is None else (a[1][0], -a[1][1]))


def _complex(writer: _Writer, x: Sequence[_Complex]) -> list[_Complex]:
    """The transform of a complex signal."""
    n = len(x)
    if n == 1:
        return list(x)
    if n == 3:
        total, difference = writer.add(x[1], x[2]), writer.add(x[1], x[2], -1)
        half = Fraction(-1, 2)
        real = tuple(writer.sum((x[0][i], _ONE), (total[i], half)) for i in (0, 1))
        _, sine = _root(Fraction(1, 3))
        turned = _times_i(difference)
        results = [writer.add(x[0], total)]
        for sign in (-1, 1):
            factor = -sign * sine
            results.append(
                (
                    writer.sum((real[0], _ONE), (turned[0], factor)),
                    writer.sum((real[1], _ONE), (turned[1], factor)),
                )
            )
        return results
    even = _complex(writer, x[0::2])
    results = [even[0]] * n
    if n % 4:
        odd = _complex(writer, x[1::2])
        for k in range(n // 2):
            turned = writer.rotate(odd[k], Fraction(k, n))
            results[k] = writer.add(even[k], turned)
            results[k + n // 2] = writer.add(even[k], turned, -1)
        return results
    first, third = _complex(writer, x[1::4]), _complex(writer, x[3::4])
    for k in range(n // 4):
        a, b = (
            writer.rotate(first[k], Fraction(k, n)),
            writer.rotate(third[k], Fraction(3 * k, n)),
        )
        total, turned = writer.add(a, b), _times_i(writer.add(a, b, -1))
        results[k] = writer.add(even[k], total)
        results[k + n // 2] = writer.add(even[k], total, -1)
        results[k + n // 4] = writer.add(even[k + n // 4], turned, -1)
        results[k + 3 * n // 4] = writer.add(even[k + n // 4], turned)
    return results


def _real(writer: _Writer, x: Sequence[_Value]) -> list[_Complex]:
    """The first ``n // 2 + 1`` results of a real signal's transform."""
    n = len(x)
    if n == 1:
        return [(x[0], None)]
    if n == 3:
        total = writer.sum((x[1], _ONE), (x[2], _ONE))
        difference = writer.sum((x[1], _ONE), (x[2], -_ONE))
        _, sine = _root(Fraction(1, 3))
        real = writer.sum((x[0], _ONE), (total, Fraction(-1, 2)))
        return [
            (writer.sum((x[0], _ONE), (total, _ONE)), None),
            (real, writer.sum((difference, sine))),
        ]
    even, odd = _real(writer, x[0::2]), _real(writer, x[1::2])
    results = [even[0]] * (n // 2 + 1)
    for k in range(n // 4 + 1):
        turned = writer.rotate(odd[k], Fraction(k, n))
        results[k] = writer.add(even[k], turned)
        if k != n // 2 - k:
            results[n // 2 - k] = _conjugate(writer.add(even[k], turned, -1))
    return results


def _real_back(writer: _Writer, x: Sequence[_Complex], n: int) -> list[_Value]:
    """The real signal whose transform begins with ``x``, times ``n``."""
    if n == 1:
        return [x[0][0]]
    if n == 2:
        return [
            writer.sum((x[0][0], _ONE), (x[1][0], _ONE)),
            writer.sum((x[0][0], _ONE), (x[1][0], -_ONE)),
        ]
    if n == 3:
        _, sine = _root(Fraction(1, 3))
        rest = writer.sum((x[0][0], _ONE), (x[1][0], -_ONE))
        return [
            writer.sum((x[0][0], _ONE), (x[1][0], Fraction(2))),
            writer.sum((rest, _ONE), (x[1][1], 2 * sine)),
            writer.sum((rest, _ONE), (x[1][1], -2 * sine)),
        ]
    even: list[_Complex] = []
    odd: list[_Complex] = []
    for k in range(n // 4 + 1):
        mirrored = _conjugate(x[n // 2 - k])
        if k == n // 2 - k:
            even.append((writer.sum((x[k][0], Fraction(2))), None))
            odd.append((writer.sum((x[k][1], Fraction(-2))), None))
            continue
        even.append(writer.add(x[k], mirrored))
        odd.append(writer.rotate(writer.add(x[k], mirrored, -1), Fraction(-k, n)))
    results: list[_Value] = [None] * n
    results[0::2] = _real_back(writer, even, n // 2)
    results[1::2] = _real_back(writer, odd, n // 2)
    return results


def _pairs(count: int) -> list[_Complex]:
    """The inputs of a program as complex numbers."""
    return [((2 * k, 1), (2 * k + 1, 1)) for k in range(count)]


@cache
def real_forward(points: int) -> LinearProgram:
    """The transform of ``points`` real inputs: ``points`` values."""
    writer = _Writer(points)
    results = _real(writer, [(k, 1) for k in range(points)])
    return writer.program([part for pair in results for part in pair if part is not None])


@cache
def complex_forward(points: int) -> LinearProgram:
    """The transform of ``points`` complex inputs."""
    writer = _Writer(2 * points)
    results = _complex(writer, _pairs(points))
    return writer.program([part for pair in results for part in pair])


@cache
def complex_inverse(points: int, outputs: int) -> LinearProgram:
    """The first ``outputs`` results of the inverse transform, times ``points``."""
    writer = _Writer(2 * points)
    # Real and imaginary part change places before and after the forward transform.
    results = _complex(writer, [(im, re) for re, im in _pairs(points)])
    return writer.program([part for re, im in results[:outputs] for part in (im, re)])


@cache
def real_inverse(points: int, outputs: int) -> LinearProgram:
    """The first ``outputs`` real results of the inverse transform, times ``points``."""
    writer = _Writer(points)
    inputs: list[_Complex] = [((0, 1), None)]
    inputs += [((2 * k - 1, 1), (2 * k, 1)) for k in range(1, (points + 1) // 2)]
    if points % 2 == 0:
        inputs.append(((points - 1, 1), None))
    return writer.program(_real_back(writer, inputs, points)[:outputs])
