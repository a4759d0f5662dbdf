from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
import torch
from torch import nn

from edgewright.models.train.digits import digits_network, digits_network_with_norm, load_digits
from edgewright.spec.errors import ToolError


def test_every_digit_is_on_one_side() -> None:
    found = load_digits()
    assert found.images.shape == (1349, 1, 8, 8) and found.images.dtype == torch.float32
    assert found.held_out_images.shape == (448, 1, 8, 8)
    assert found.labels.dtype == torch.int64 and len(found.labels) == 1349
    everything = torch.cat([found.images, found.held_out_images])
    assert float(everything.min()) == 0 and float(everything.max()) == 1
    counts = torch.cat([found.labels, found.held_out_labels]).bincount()
    # The counts that the data set's description gives.
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_the_seed_decides_the_split() -> None:
    first, again, other = load_digits(1), load_digits(1), load_digits(2)
    assert torch.equal(first.held_out_images, again.held_out_images)
    assert torch.equal(first.labels, again.labels)
    assert not torch.equal(first.held_out_labels, other.held_out_labels)


@pytest.mark.parametrize("make", [digits_network, digits_network_with_norm])
def test_a_network_follows_from_its_seed(make: Callable[[int], nn.Sequential]) -> None:
    state = torch.random.get_rng_state()
    first, again, other = make(0), make(0), make(1)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert first.eval()(torch.zeros(3, 1, 8, 8)).shape == (3, 10)
    for one, two in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, two)
    assert not torch.equal(next(first.parameters()), next(other.parameters()))


def test_missing_scikit_learn_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ToolError, match=r"pip install edgewright\[models\]") as caught:
        load_digits()
    assert caught.value.exit_status == 3
