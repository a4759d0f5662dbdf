"""The table of documented sequence layers. It imports neither torch nor the layers."""

from __future__ import annotations

from edgewright.models.entry import Entry, ModelInput, layer_entry

__all__ = ["SEQUENCES"]

#: Sequences of up to 11 elements, and how long each is.
_SEQUENCE = (ModelInput("input", (1, 11, 12)), ModelInput("lengths", (1,), "int64", 1, 12))
_STATES = ("output", "state")


def _recurrent(
    name: str, *, summary: str, paper: str, parameters: int, macs: int
) -> tuple[Entry, Entry]:
    """A recurrent layer in one direction, and in two."""
    one = layer_entry(
        name,
        summary=f"{summary}, sequences of several lengths",
        paper=paper,
        inputs=_SEQUENCE,
        parameters=parameters,
        macs=macs,
        module="recurrent",
        outputs=_STATES,
    )
    two = layer_entry(
        f"bidirectional_{name}",
        summary=f"{summary}, from both ends",
        paper="Schuster and Paliwal, 1997, Bidirectional Recurrent Neural Networks",
        inputs=_SEQUENCE,
        parameters=2 * parameters,
        macs=2 * macs,
        module="recurrent",
        outputs=_STATES,
    )
    return one, two


SEQUENCES: tuple[Entry, ...] = (
    *_recurrent(
        "rnn",
        summary="recurrent layer with tanh",
        paper="Elman, 1990, Finding Structure in Time",
        parameters=680,
        macs=7_040,
    ),
    *_recurrent(
        "lstm",
        summary="long short-term memory",
        paper="Hochreiter and Schmidhuber, 1997, Long Short-Term Memory",
        parameters=2_720,
        macs=28_160,
    ),
    *_recurrent(
        "gru",
        summary="gated recurrent unit",
        paper="Cho et al., 2014, arXiv:1406.1078",
        parameters=2_040,
        macs=21_120,
    ),
    layer_entry(
        "additive_attention",
        summary="one query to a memory, compared by a tanh layer",
        paper="Bahdanau et al., 2014, arXiv:1409.0473",
        inputs=(
            ModelInput("query", (1, 14)),
            ModelInput("memory", (1, 10, 18)),
            ModelInput("lengths", (1,), "int64", 1, 11),
        ),
        parameters=544,
        macs=3_444,
        module="attention",
        outputs=("output", "weights"),
    ),
    layer_entry(
        "dot_product_attention",
        summary="queries to keys, scaled by the root of their extent",
        paper="Vaswani et al., 2017, arXiv:1706.03762",
        inputs=(
            ModelInput("queries", (1, 7, 16)),
            ModelInput("keys", (1, 11, 16)),
            ModelInput("values", (1, 11, 16)),
            ModelInput("lengths", (1,), "int64", 1, 12),
        ),
        parameters=0,
        macs=2_464,
        module="attention",
    ),
    layer_entry(
        "multi_head_attention",
        summary="a sequence to itself, 3 heads",
        paper="Vaswani et al., 2017, arXiv:1706.03762",
        inputs=(
            ModelInput("input", (1, 10, 24)),
            ModelInput("lengths", (1,), "int64", 1, 11),
        ),
        parameters=2_400,
        macs=27_840,
        module="attention",
    ),
    layer_entry(
        "encoder_decoder",
        summary="two gated recurrent units, the state between them",
        paper="Sutskever et al., 2014, arXiv:1409.3215",
        inputs=(
            ModelInput("source", (1, 9), "int64", 0, 20),
            ModelInput("lengths", (1,), "int64", 1, 10),
            ModelInput("target", (1, 5), "int64", 0, 20),
        ),
        parameters=8_660,
        macs=50_784,
    ),
    layer_entry(
        "beam_search",
        summary="4 beams of 6 tokens, static",
        paper="Graves, 2012, arXiv:1211.3711",
        inputs=(ModelInput("state", (1, 24)),),
        parameters=5_070,
        macs=100_224,
        outputs=("tokens", "score"),
    ),
    layer_entry(
        "pointer_attention",
        summary="attention whose weights are the answer",
        paper="Vinyals et al., 2015, arXiv:1506.03134",
        inputs=(
            ModelInput("query", (1, 20)),
            ModelInput("memory", (1, 9, 20)),
            ModelInput("taken", (1, 9)),
        ),
        parameters=820,
        macs=4_180,
    ),
    layer_entry(
        "gated_convolution",
        summary="causal convolution with a gated linear unit",
        paper="Gehring et al., 2017, arXiv:1705.03122",
        inputs=(ModelInput("input", (1, 20, 15)),),
        parameters=2_440,
        macs=36_000,
    ),
    layer_entry(
        "separable_sequence_convolution",
        summary="depthwise separable convolution over a sequence",
        paper="Kaiser et al., 2017, arXiv:1706.03059",
        inputs=(ModelInput("input", (1, 20, 15)),),
        parameters=744,
        macs=9_900,
        module="separable_sequence",
    ),
    layer_entry(
        "lightweight_convolution",
        summary="depthwise convolution whose taps are softmax weights",
        paper="Wu et al., 2019, arXiv:1901.10430",
        inputs=(ModelInput("input", (1, 24, 13)),),
        parameters=20,
        macs=1_560,
        module="separable_sequence",
    ),
)
