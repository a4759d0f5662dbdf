"""The table of reference networks, and the networks it builds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from edgewright.models import registry, seeding
from edgewright.models.entry import Entry, ModelInput, image
from edgewright.models.registry import build, find_model, list_models
from edgewright.models.seeding import seed_weights, unfilled_weights
from edgewright.spec.errors import ToolError, UsageError

#: Networks of one image, whose weights are judged by what they compute. VGG-16's weights alone take
#: as long as everybody else's together.
IMAGE_NETWORKS = tuple(
    entry.name
    for entry in list_models("network")
    if [len(value.shape) for value in entry.inputs] == [4] and entry.name != "vgg16"
)
#: Of values from 0 to 1, however large what they read is.
BOUNDED = (nn.Sigmoid, nn.Hardsigmoid, nn.Softmax)
#: Published counts: torchvision's, but of those that it has not the authors', and Keras' of
#: Xception.
PARAMETERS = {
    "alexnet": 60_965_224,
    "densenet121": 7_978_856,
    "efficientnet_b0": 5_288_548,
    "googlenet": 7_005_832,
    "inception_v3": 23_834_568,
    "lenet5": 61_706,
    "mobilenet_v1": 4_231_976,
    "mobilenet_v2": 3_504_872,
    "mobilenet_v3": 5_483_032,
    "nin": 966_986,
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "resnext50": 25_028_904,
    "shufflenet_v2": 2_278_604,
    "squeezenet1_1": 1_235_496,
    "style_transfer": 1_679_235,
    "vgg16": 138_357_544,
    "xception": 22_855_952,
}


def inputs(shape: tuple[int, ...], seed: int) -> Tensor:
    drawn = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    return torch.from_numpy(drawn)


def outputs(network: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    """What the network gives; probabilities as multiples of an equal share."""
    with torch.no_grad():
        answer = network(x)
    if any(isinstance(layer, nn.Softmax) for layer in network.modules()):
        answer = answer * answer.shape[-1]
    return answer if isinstance(answer, tuple) else (answer,)


@pytest.fixture(scope="module", params=IMAGE_NETWORKS)
def built(request: pytest.FixtureRequest) -> tuple[str, nn.Module]:
    return request.param, build(request.param)


def test_every_zoo_file_is_registered() -> None:
    zoo = Path(registry.__file__).parent / "zoo"
    files = {f"edgewright.models.zoo.{path.stem}:build" for path in zoo.glob("[!_]*.py")}
    assert {entry.builder for entry in list_models("network")} == files


def test_models_are_listed_by_name() -> None:
    names = [entry.name for entry in list_models()]
    assert names == sorted(set(names))
    for name, parameters in PARAMETERS.items():
        assert find_model(name).parameters == parameters
    assert all(entry.summary and entry.paper for entry in list_models())


def test_listing_imports_neither_torch_nor_numpy() -> None:
    code = (
        "import sys\n"
        "from edgewright.models.registry import find_model, list_models\n"
        "import edgewright.models.export\n"
        "assert len(list_models()) > 8 and find_model('vgg16').inputs\n"
        "loaded = {'torch', 'numpy', 'onnx', 'tvm'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def counts(entry: Entry) -> tuple[int, int]:
    """Parameters and multiply-accumulates of an entry, counted by PyTorch."""
    module, _, function = entry.builder.partition(":")
    with torch.device("meta"):
        network: nn.Module = getattr(__import__(module, fromlist=[function]), function)().eval()
    parameters = sum(parameter.numel() for parameter in network.parameters())
    if entry.kind == "layer":
        network = build(entry.name)
    device = "meta" if entry.kind == "network" else "cpu"
    examples = [
        torch.full(value.shape, value.low, dtype=getattr(torch, value.dtype), device=device)
        for value in entry.inputs
    ]
    # Without oneDNN, recurrent layers are the matrix products that the counter knows.
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), torch.backends.mkldnn.flags(enabled=False), counter:
        network(*examples)
    return parameters, counter.get_total_flops() // 2


@pytest.mark.parametrize("name", [entry.name for entry in list_models()])
def test_parameters_and_macs_are_what_pytorch_counts(name: str) -> None:
    entry = find_model(name)
    assert counts(entry) == (entry.parameters, entry.macs)


def test_activations_stay_of_order_one(built: tuple[str, nn.Module]) -> None:
    name, network = built
    spreads: list[float] = []

    def note(_: nn.Module, __: object, y: Tensor | tuple[Tensor, ...]) -> None:
        # The first of several: what comes with it are places, not activations.
        spreads.append(float((y[0] if isinstance(y, tuple) else y).std()))

    hooks = [
        layer.register_forward_hook(note)
        for layer in network.modules()
        if not list(layer.children())
        and not isinstance(layer, BOUNDED)
        # Read by a batch norm, which takes any scale away.
        and not (isinstance(layer, nn.Conv2d) and layer.bias is None)
    ]
    outputs(network, inputs(find_model(name).inputs[0].shape, 1))
    for hook in hooks:
        hook.remove()
    assert min(spreads) > 0.1 and max(spreads) < 10


def test_outputs_are_of_order_one_and_differ_between_inputs(built: tuple[str, nn.Module]) -> None:
    name, network = built
    shape = find_model(name).inputs[0].shape
    answers = zip(
        outputs(network, inputs(shape, 1)), outputs(network, inputs(shape, 2)), strict=True
    )
    for first, second in answers:
        largest = float(first.abs().max())
        assert 0.5 < largest < 20
        assert float((first - second).abs().max()) > 0.2 * largest


def test_rounding_stays_far_below_the_tolerance(built: tuple[str, nn.Module]) -> None:
    name, network = built
    x = inputs(find_model(name).inputs[0].shape, 1)
    answers = zip(outputs(network, x), outputs(network.double(), x.double()), strict=True)
    network.float()
    for single, exact in answers:
        assert float((single.double() - exact).abs().max() / exact.abs().max()) < 2e-5


def test_batch_norms_are_not_trivial(built: tuple[str, nn.Module]) -> None:
    _, network = built
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    for norm in norms:
        mean, variance = norm.running_mean, norm.running_var
        assert mean is not None and variance is not None
        assert float(mean.abs().max()) > 1e-3
        assert float(variance.min()) > 1e-4
        assert float((variance / variance.mean() - 1).abs().max()) > 0.1
        assert float(norm.weight.data.std()) > 0.1
        assert float(norm.bias.data.std()) > 0.05
    if norms:
        assert any(float(norm.weight.data.min()) < 0 for norm in norms)


def test_the_seed_decides_every_number() -> None:
    first, again, other = build("resnet18", 3), build("resnet18", 3), build("resnet18", 4)
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
        if not name.endswith("num_batches_tracked"):
            assert not torch.equal(tensor, other.state_dict()[name]), name


def test_building_leaves_torch_as_it_was() -> None:
    state = torch.random.get_rng_state()
    network = build("lenet5")
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not network.training
    assert all(tensor.dtype == torch.float32 for tensor in network.state_dict().values())
    assert not any(layer._forward_hooks for layer in network.modules())


def test_unfilled_weights_are_of_the_layers_made_inside_only() -> None:
    weight = torch.full((3, 3), 7.0)
    with unfilled_weights():
        state = torch.random.get_rng_state()
        nn.Conv2d(3, 3, 3), nn.Linear(3, 3)
        assert torch.equal(torch.random.get_rng_state(), state)
        assert nn.init.kaiming_uniform_(weight) is weight
        assert nn.init.uniform_(tensor=weight) is weight
        assert torch.equal(nn.BatchNorm2d(3).running_var, torch.ones(3))  # type: ignore[arg-type]
    assert torch.equal(weight, torch.full((3, 3), 7.0))
    assert float(nn.init.uniform_(weight).max()) < 1


def test_wide_linear_layers_are_calibrated_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 70), nn.Linear(70, 5, bias=False))
    seed_weights(network, image(3, 2, 2), 0)
    whole = [tensor.clone() for tensor in network.state_dict().values()]
    monkeypatch.setattr(seeding, "WIDE_ELEMS", 24)
    seed_weights(network, image(3, 2, 2), 0)
    for tensor, expected in zip(network.state_dict().values(), whole, strict=True):
        torch.testing.assert_close(tensor, expected, rtol=1e-6, atol=1e-7)
    assert not any("forward" in vars(layer) for layer in network)


def test_transposed_convolutions_sum_as_many_elements_as_their_variance_says() -> None:
    network = nn.Sequential(nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1, bias=False))
    seed_weights(network, image(32, 24, 24), 0)
    with torch.no_grad():
        given = network(inputs((1, 32, 24, 24), 1))
    assert abs(float(given[:, :, 1:-1, 1:-1].var()) - 2.0) < 0.2


def test_a_layer_that_runs_twice_is_calibrated_by_its_first_input() -> None:
    shared = nn.Sequential(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8))
    alone = nn.Sequential(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8))

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shared = shared

        def forward(self, x: Tensor) -> Tensor:
            once: Tensor = self.shared(x)
            again: Tensor = self.shared(5.0 * x)
            return once + again

    seed_weights(Twice(), image(3, 6, 6), 0)
    seed_weights(alone, image(3, 6, 6), 0)
    for tensor, expected in zip(
        shared.state_dict().values(), alone.state_dict().values(), strict=True
    ):
        assert torch.equal(tensor, expected)


def test_one_place_an_image_is_calibrated_by_all_its_channels() -> None:
    maps = nn.Sequential(nn.Conv2d(8, 64, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    network = nn.Sequential(maps, nn.Conv2d(64, 64, 1), nn.BatchNorm2d(64))
    seed_weights(network, image(8, 14, 14), 0)
    with torch.no_grad():
        given = network[:2](inputs((16, 8, 14, 14), 1))
    # By two elements a channel, what all images share would vanish.
    assert 0.6 < float(given.mean(dim=0).std()) < 1.5
    assert float(given.std(dim=0).mean()) < 0.6
    variance = network[2].running_var
    assert isinstance(variance, Tensor)
    assert float(variance.max() / variance.min()) < 10


def test_layers_of_any_kind_are_filled() -> None:
    with unfilled_weights():
        network = nn.Sequential(nn.LSTM(6, 4, batch_first=True))
    seed_weights(network, (ModelInput("x", (1, 5, 6)),), 0)
    for name, parameter in network.named_parameters():
        middle = float(parameter.detach().mean())
        assert parameter.isfinite().all() and abs(middle) < 0.3, name
        assert float(parameter.detach().std()) > 0.05


def test_unknown_model_names_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        build("mobilenetv2")
    assert "unknown model 'mobilenetv2'" in str(caught.value)
    assert "Did you mean mobilenet_v2" in str(caught.value)
    with pytest.raises(UsageError, match="`edgewright models list` describes them"):
        find_model("zzz")


def test_negative_seed_is_refused() -> None:
    with pytest.raises(UsageError, match=r"the seed is -1\. A seed is an integer of at least 0"):
        build("lenet5", -1)


def test_missing_torch_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ToolError, match=r"pip install edgewright\[models\]") as caught:
        build("lenet5")
    assert caught.value.exit_status == 3
