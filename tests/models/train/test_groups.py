from __future__ import annotations

import pytest
import torch
from torch import nn

from edgewright.models.train.groups import channel_groups
from edgewright.spec.errors import UsageError


def test_norms_are_over_all_parameters_of_a_channel() -> None:
    conv = nn.Conv2d(1, 2, 2)
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([1.0, 2, 2, 0, 0, 0, 0, 0]).reshape(2, 1, 2, 2))
        conv.bias.copy_(torch.tensor([4.0, 0.5]))  # type: ignore[union-attr]
    (group,) = channel_groups(nn.Sequential(conv, nn.Flatten(), nn.Linear(2, 1)))
    assert group.norms().tolist() == [5.0, 0.5]


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Linear(2, 2), "nn.Sequential only"),
        (nn.Sequential(nn.Conv2d(4, 4, 3, groups=2)), "one group only"),
        (nn.Sequential(nn.Linear(2, 2), nn.Sigmoid()), "with Sigmoid.*zeros for zeros"),
        (nn.Sequential(nn.BatchNorm2d(2)), "follows the layer that makes its channels"),
        (nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2, affine=False)), "scale and shift"),
    ],
    ids=["module", "groups", "sigmoid", "norm first", "norm without scale"],
)
def test_what_cannot_be_followed_is_refused(network: nn.Module, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        channel_groups(network)
    assert "Train it without group regularization" in str(caught.value)
