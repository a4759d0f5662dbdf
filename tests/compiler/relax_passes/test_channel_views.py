"""Which operators count as rearranged channels, and which channels they pick."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from edgewright.compiler.import_model import import_model
from edgewright.compiler.read_relax import use_counts
from edgewright.compiler.relax_passes.channel_views import channel_views
from tests.compiler.graphs import Array, model, node, rng

IMAGE = (1, 6, 4, 4)


def found(made: onnx.ModelProto) -> list[list[tuple[str, int]]]:
    """The picks of each view, sources by name, in the order of the graph."""
    main = import_model(made).module["main"]
    bindings = list(main.body.blocks[0].bindings)
    views = channel_views(bindings, use_counts(bindings, []))
    return [[(source.name, c) for source, c in view.picks] for view in views.values()]


def picks(name: str, *channels: int) -> list[tuple[str, int]]:
    return [(name, channel) for channel in channels]


def test_concat() -> None:
    made = model(
        [node("Concat", "x z", "y", axis=1)], {"x": IMAGE, "z": (1, 2, 4, 4)}, {"y": (1, 8, 4, 4)}
    )
    assert found(made) == [picks("x", *range(6)) + picks("z", 0, 1)]


def test_items_of_a_split() -> None:
    made = model(
        [node("Split", "x sizes", "a b", axis=1)],
        {"x": IMAGE},
        {"a": (1, 2, 4, 4), "b": (1, 4, 4, 4)},
        {"sizes": np.array([2, 4])},
    )
    assert found(made) == [picks("x", 0, 1), picks("x", 2, 3, 4, 5)]


@pytest.mark.parametrize(
    ("start", "end", "step", "expected"),
    [
        (1, 4, 1, (1, 2, 3)),
        (0, 2**62, 2, (0, 2, 4)),
        (-1, -(2**62), -1, (5, 4, 3, 2, 1, 0)),
        (-2, 6, 1, (4, 5)),
    ],
)
def test_slices(start: int, end: int, step: int, expected: tuple[int, ...]) -> None:
    constants: dict[str, Array] = {
        name: np.array([value])
        for name, value in {"s": start, "e": end, "axes": 1, "step": step}.items()
    }
    made = model(
        [node("Slice", "x s e axes step", "y")],
        {"x": IMAGE},
        {"y": (1, len(expected), 4, 4)},
        constants,
    )
    assert found(made) == [picks("x", *expected)]


def shuffle(perm: list[int], grouped: tuple[int, ...]) -> onnx.ModelProto:
    nodes = [
        node("Reshape", "x to5", "a"),
        node("Transpose", "a", "b", perm=perm),
        node("Reshape", "b to4", "y"),
    ]
    constants: dict[str, Array] = {"to5": np.array(grouped), "to4": np.array(IMAGE)}
    return model(nodes, {"x": IMAGE}, {"y": IMAGE}, constants)


def test_channel_shuffle() -> None:
    made = shuffle([0, 2, 1, 3, 4], (1, 2, 3, 4, 4))
    assert found(made) == [picks("x", 0, 3, 1, 4, 2, 5)]


def test_another_transposition_is_no_shuffle() -> None:
    assert found(shuffle([0, 2, 1, 4, 3], (1, 2, 3, 4, 4))) == []
    assert found(shuffle([0, 2, 1, 3, 4], (1, 6, 2, 2, 4))) == []


def test_other_axes_are_no_views() -> None:
    halves = {"a": (1, 6, 2, 4), "b": (1, 6, 2, 4)}
    split = node("Split", "x", "a b", axis=2, num_outputs=2)
    assert found(model([split], {"x": IMAGE}, halves)) == []
    concat = node("Concat", "x x", "y", axis=3)
    assert found(model([concat], {"x": IMAGE}, {"y": (1, 6, 4, 8)})) == []


def test_views_pick_what_numpy_picks() -> None:
    """The picks, applied to values, are the operator."""
    x = rng().standard_normal(IMAGE)
    (view,) = found(shuffle([0, 2, 1, 3, 4], (1, 3, 2, 4, 4)))
    expected = x.reshape(1, 3, 2, 4, 4).transpose(0, 2, 1, 3, 4).reshape(IMAGE)
    assert np.array_equal(x[:, [channel for _, channel in view]], expected)
