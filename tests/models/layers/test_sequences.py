"""Sequence layers against the formulas of their docstrings, element by element."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from edgewright.models.layers.beam_search import BeamSearch
from edgewright.models.layers.gated_convolution import GatedConvolution
from edgewright.models.layers.recurrent import Recurrent
from edgewright.models.registry import build
from tests.models.layers.formulas import Array, agree, given, run

STEPS = 11
KINDS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def logistic(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def softmax(x: Array) -> Array:
    powers = np.exp(x - x.max())
    return np.asarray(powers / powers.sum())


class Cell:
    """The equations of the docstring of ``Recurrent``, gates in PyTorch's order."""

    def __init__(self, kind: str, state: dict[str, Array], number: int) -> None:
        at = f"cells.{number}."
        self.kind = kind
        self.w, self.r = state[f"{at}weight_ih_l0"], state[f"{at}weight_hh_l0"]
        self.b, self.d = state[f"{at}bias_ih_l0"], state[f"{at}bias_hh_l0"]

    def run(self, x: Array) -> list[Array]:
        hidden = self.r.shape[1]
        h, c = np.zeros(hidden), np.zeros(hidden)
        outputs = []
        for element in x:
            of_x, of_h = self.w @ element + self.b, self.r @ h + self.d
            if self.kind == "rnn":
                h = np.tanh(of_x + of_h)
            elif self.kind == "lstm":
                i, f, g, o = np.split(of_x + of_h, 4)
                c = logistic(f) * c + logistic(i) * np.tanh(g)
                h = logistic(o) * np.tanh(c)
            else:
                (xr, xz, xn), (hr, hz, hn) = np.split(of_x, 3), np.split(of_h, 3)
                z, n = logistic(xz + hz), np.tanh(xn + logistic(xr + hr) * hn)
                h = (1 - z) * n + z * h
            outputs.append(h)
        return outputs


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_recurrent(kind: str, directions: int) -> None:
    layer = build(kind if directions == 1 else f"bidirectional_{kind}")
    state = {key: value.numpy().astype(np.float64) for key, value in layer.state_dict().items()}
    lengths = np.array([STEPS, 4, 1, 0])
    x = np.random.default_rng(5).standard_normal((4, STEPS, 12)).astype(np.float32)
    outputs, finals = run(layer, x, lengths)
    for row, length in enumerate(lengths):
        steps = np.zeros((STEPS, 0))
        last = np.zeros(0)
        for number in range(directions):
            valid = x[row, :length].astype(np.float64)
            h = Cell(kind, state, number).run(valid[::-1] if number else valid)
            last = np.concatenate([last, h[-1] if h else np.zeros(20)])
            whole = np.zeros((STEPS, 20))
            if h:
                whole[:length] = h[::-1] if number else h
            steps = np.concatenate([steps, whole], axis=1)
        agree(outputs[row], steps)
        agree(finals[row], last)


def test_padding_does_not_matter() -> None:
    layer = build("bidirectional_gru")
    x = np.random.default_rng(6).standard_normal((1, STEPS, 12)).astype(np.float32)
    other = x.copy()
    other[:, 6:] = 99
    lengths = np.array([6])
    for one, two in zip(run(layer, x, lengths), run(layer, other, lengths), strict=True):
        assert np.array_equal(one, two)


def test_additive_attention() -> None:
    case = given("additive_attention")
    query, memory, lengths = case.inputs
    for row, length in enumerate(lengths):
        compared = case.state["of_query.weight"] @ query[row] + (
            memory[row, :length] @ case.state["of_memory.weight"].T + case.state["of_memory.bias"]
        )
        share = softmax(np.tanh(compared) @ case.state["score.weight"][0])
        agree(case.outputs[1][row, :length], share)
        assert not case.outputs[1][row, length:].any()
        agree(case.outputs[0][row], share @ memory[row, :length])


def test_dot_product_attention() -> None:
    case = given("dot_product_attention")
    queries, keys, values, lengths = case.inputs
    for row, length in enumerate(lengths):
        for step, query in enumerate(queries[row]):
            share = softmax(keys[row, :length] @ query / np.sqrt(16))
            agree(case.outputs[0][row, step], share @ values[row, :length])


def test_multi_head_attention() -> None:
    case = given("multi_head_attention")
    x, lengths = case.inputs
    projected = {
        name: x @ case.state[f"{name}.weight"].T + case.state[f"{name}.bias"]
        for name in ("of_queries", "of_keys", "of_values")
    }
    for row, length in enumerate(lengths):
        heads = []
        for head in range(3):
            part = slice(8 * head, 8 * head + 8)
            queries, keys, values = (each[row][:, part] for each in projected.values())
            scores = queries @ keys[:length].T / np.sqrt(8)
            heads.append(np.stack([softmax(line) for line in scores]) @ values[:length])
        joined = np.concatenate(heads, axis=1)
        wanted = joined @ case.state["joined.weight"].T + case.state["joined.bias"]
        agree(case.outputs[0][row], wanted)


def test_encoder_decoder_reads_the_source_and_what_came_before() -> None:
    case = given("encoder_decoder")
    source, lengths, target = case.inputs
    (before,) = case.outputs
    for token in (source[:, :1], target[:, :1]):
        changed = token.copy()
        token[:] = (token + 1) % 20
        (after,) = run(case.layer, source, lengths, target)
        assert not np.allclose(before, after)
        token[:] = changed
    target[:, 3] = (target[:, 3] + 1) % 20
    (after,) = run(case.layer, source, lengths, target)
    assert np.array_equal(after[:, :3], before[:, :3])
    assert not np.allclose(after[:, 3], before[:, 3])


class Table(nn.Module):
    """A decoder whose next token depends on the last one only; its state counts the steps."""

    def __init__(self, logits: Array) -> None:
        super().__init__()
        self.register_buffer("logits", torch.from_numpy(logits.astype(np.float32)))

    def forward(self, token: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.get_buffer("logits")[token], state + 1


@pytest.mark.parametrize("seed", range(5))
def test_beam_search_of_full_width_finds_the_best_sentence(seed: int) -> None:
    vocabulary, steps, end = 4, 3, 1
    logits = np.random.default_rng(seed).standard_normal((vocabulary, vocabulary)) * 2
    costs = np.log(np.stack([softmax(line) for line in logits]))
    best, best_score = (), -np.inf
    for sentence in itertools.product(range(vocabulary), repeat=steps):
        score, last = 0.0, 0
        for token in sentence:
            if last == end and score:
                score += 0.0 if token == end else -np.inf
            else:
                score += costs[last, token]
            last = token
        if score > best_score:
            best, best_score = sentence, score
    search = BeamSearch(Table(logits), width=vocabulary, steps=steps, vocabulary=vocabulary)
    tokens, score = run(search, np.zeros((2, 1), np.float32))
    greedy = BeamSearch(Table(logits), width=1, steps=steps, vocabulary=vocabulary)
    _, lower = run(greedy, np.zeros((2, 1), np.float32))
    assert np.isclose(score, best_score, atol=1e-5).all() and (lower <= score + 1e-6).all()
    assert tokens.tolist() == [list(best)] * 2


def test_pointer_attention() -> None:
    case = given("pointer_attention")
    query, memory, taken = case.inputs
    for row in range(len(query)):
        free = taken[row] <= 0
        compared = case.state["of_query.weight"] @ query[row] + (
            memory[row] @ case.state["of_memory.weight"].T
        )
        scores = np.tanh(compared) @ case.state["score.weight"][0]
        agree(case.outputs[0][row, free], softmax(scores[free]))
        assert not case.outputs[0][row, ~free].any()


def test_gated_convolution() -> None:
    case = given("gated_convolution")
    weight, bias = case.state["convolution.weight"], case.state["convolution.bias"]
    padded = np.pad(case.x, ((0, 0), (0, 0), (2, 0)))
    wanted = np.empty(case.x.shape)
    for step in range(case.x.shape[2]):
        both = np.einsum("nck,ock->no", padded[:, :, step : step + 3], weight) + bias
        wanted[:, :, step] = case.x[:, :, step] + both[:, :20] * logistic(both[:, 20:])
    agree(case.outputs[0], wanted * np.sqrt(0.5))


def test_gated_convolution_that_sees_both_sides() -> None:
    layer = GatedConvolution(2, 3, causal=False)
    x = np.random.default_rng(1).standard_normal((1, 2, 9)).astype(np.float32)
    changed = x.copy()
    changed[:, :, 4] += 1
    (one,), (two,) = run(layer, x), run(layer, changed)
    assert np.flatnonzero((one != two).any(axis=(0, 1))).tolist() == [3, 4, 5]


def test_separable_sequence_convolution() -> None:
    case = given("separable_sequence_convolution")
    active = np.pad(np.maximum(case.x, 0), ((0, 0), (0, 0), (4, 4)))
    depthwise = sum(
        active[:, :, 2 * tap : 2 * tap + 15] * case.state["depthwise.weight"][:, :, tap]
        for tap in range(5)
    )
    mixed = np.einsum("nct,oc->not", depthwise, case.state["pointwise.weight"][:, :, 0])
    mixed += case.state["pointwise.bias"][:, None]
    scale, shift = case.state["norm.weight"][:, None], case.state["norm.bias"][:, None]
    deviation = np.sqrt(mixed.var(axis=1, keepdims=True) + 1e-5)
    agree(case.outputs[0], (mixed - mixed.mean(axis=1, keepdims=True)) / deviation * scale + shift)


def test_lightweight_convolution() -> None:
    case = given("lightweight_convolution")
    padded = np.pad(case.x, ((0, 0), (0, 0), (2, 2)))
    wanted = np.zeros(case.x.shape)
    for channel in range(24):
        taps = softmax(case.state["taps"][channel // 6, 0])
        for tap in range(5):
            wanted[:, channel] += taps[tap] * padded[:, channel, tap : tap + 13]
    agree(case.outputs[0], wanted)


def test_recurrent_layer_of_any_cell() -> None:
    layer = Recurrent(nn.LSTM, 3, 4, 5, directions=2)
    outputs, finals = run(layer, np.zeros((2, 3, 4), np.float32), np.array([3, 2]))
    assert outputs.shape == (2, 3, 10) and finals.shape == (2, 10)
