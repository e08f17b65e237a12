from __future__ import annotations

import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lwlab.prune.channels import plan_channels
from lwlab.prune.channels.scoring import filters_first, readers_first
from lwlab.prune.importance import RandomImportance, magnitude
from lwlab.prune.structured import filter_norm

IMAGES = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))


def residual(written):
    return written(
        lambda m, x: m.out(F.relu(m.one(x) + m.two(x)).flatten(1)),
        one=nn.Conv2d(1, 3, 1),
        two=nn.Conv2d(1, 3, 1),
        out=nn.Linear(48, 2),
    )


def plan(model, importance=filter_norm, **kwargs):
    return plan_channels(
        model, pruning_ratio=0.4, example_inputs=IMAGES, importance=importance, **kwargs
    )


def test_the_score_of_a_group_is_the_mean_of_its_votes_over_their_mean(written):
    model = residual(written)
    with torch.no_grad():
        model.one.weight[:, 0, 0, 0] = torch.tensor([1.0, -2, 3])  # mean 2
        model.two.weight[:, 0, 0, 0] = torch.tensor([40.0, 10, -10])  # mean 20
        model.out.weight.zero_()
        model.out.weight[0] = torch.tensor([1.0, 1, 4]).repeat_interleave(16)  # mean 2
    [group] = plan(model).groups
    assert group.importance.tolist() == pytest.approx([3 / 3, 2 / 3, 4 / 3])
    assert group.importance.dtype == torch.float64
    assert group.kept.tolist() == [0, 2]


def test_behind_a_batchnorm_its_scale_has_a_vote(written):
    model = written(
        lambda m, x: m.out(F.relu(m.bn(m.one(x))).flatten(1)),
        one=nn.Conv2d(1, 2, 1),
        bn=nn.BatchNorm2d(2),
        out=nn.Linear(32, 2),
    )
    with torch.no_grad():
        model.one.weight[:, 0, 0, 0] = torch.tensor([1.0, -1])
        model.bn.weight[:] = torch.tensor([-3.0, 1])
        model.out.weight.fill_(1.0)
    [group] = plan(model).groups
    assert group.importance.tolist() == pytest.approx([(1 + 1.5 + 1) / 3, (1 + 0.5 + 1) / 3])


@pytest.mark.parametrize("groups", [1, 2])
def test_readers_of_a_convolution_are_what_each_input_is_multiplied_with(groups):
    reader = nn.Conv2d(4, 6, 1, groups=groups)
    x = torch.zeros(1, 4, 1, 1)
    x[0, 3] = 1.0
    found = (reader(x)[0] - reader.bias[:, None, None])[6 - 6 // groups :]
    assert torch.allclose(readers_first(reader)[3], found)
    turned = nn.ConvTranspose2d(4, 6, 1)
    assert torch.equal(readers_first(turned), turned.weight)
    linear = nn.Linear(2, 3)
    assert torch.equal(readers_first(linear), linear.weight.T)


def test_a_dict_may_leave_out_layers_of_a_group_but_not_all(written):
    model = residual(written)
    [group] = plan(model, {"two": torch.tensor([3.0, 1, 2]), "other": torch.ones(1)}).groups
    assert group.importance.tolist() == [1.5, 0.5, 1.0]
    sentence = (
        "importance must hold a layer for each channel of a group, got too few of 'one', 'two'."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        plan(model, {"out": torch.ones(2)})


def test_a_depthwise_convolution_has_a_vote(written):
    model = written(
        lambda m, x: m.out(m.depthwise(m.one(x)).flatten(1)),
        one=nn.Conv2d(1, 2, 1),
        depthwise=nn.Conv2d(2, 4, 1, groups=2),
        out=nn.Linear(64, 2),
    )
    scores = {"one": torch.tensor([1.0, 1.0]), "depthwise": torch.tensor([1.0, 2, 4, 5])}
    [group] = plan(model, scores).groups
    assert group.importance.tolist() == [0.75, 1.25]
    assert group.followers == ("depthwise",)


def test_random_importance_depends_on_the_seed_alone(written):
    model = residual(written)
    one, again, other = (plan(model, RandomImportance(seed)).groups[0] for seed in (1, 1, 2))
    assert torch.equal(one.importance, again.importance)
    assert not torch.equal(one.importance, other.importance)


def test_an_all_zero_layer_has_no_vote_to_divide_by(written):
    model = residual(written)
    nn.init.zeros_(model.one.weight)
    nn.init.zeros_(model.two.weight)
    nn.init.zeros_(model.out.weight)
    [group] = plan(model).groups
    assert group.importance.tolist() == [0, 0, 0]


@pytest.mark.parametrize("groups", [1, 2])
def test_filters_of_a_transposed_convolution_are_turned(groups):
    turned = nn.ConvTranspose2d(4, 6, 2, groups=groups)
    x = torch.zeros(1, 4, 1, 1)
    x[0, 3] = 1.0
    filters = filters_first(turned)  # (6, 4 / groups, 2, 2)
    assert filters.shape == (6, 4 // groups, 2, 2)
    expected = (turned(x) - turned.bias[:, None, None])[0]
    mine = slice(6 - 6 // groups, 6)  # the outputs of the last group
    assert torch.allclose(filters[mine, -1], expected[mine])


def test_filters_of_an_embedding_are_its_columns():
    embedding = nn.Embedding(5, 3)
    assert torch.equal(filters_first(embedding), embedding.weight.T)


WRONG = {
    "a text": (
        "norm",
        TypeError(
            "importance must be a function of a weight, RandomImportance(seed) or a dict of "
            "tensors by layer name, got str. Try lwlab.prune.filter_norm."
        ),
    ),
    "one per weight": (
        magnitude,
        ValueError(
            "importance of layer 'one' must be of shape (3,), one number per output "
            "channel, got (3, 1, 1, 1). Try filter_norm."
        ),
    ),
    "a number": (
        lambda weight: 3,
        TypeError("importance of layer 'one' must be a tensor, got int."),
    ),
    "not finite": (
        lambda weight: torch.full((3,), torch.nan),
        ValueError(
            "importance of layer 'one' must be finite, got 3 NaN or infinite of 3 values "
            "(the first at index (0,))."
        ),
    ),
}


@pytest.mark.parametrize(("importance", "error"), WRONG.values(), ids=WRONG)
def test_each_wrong_importance_has_its_sentence(written, importance, error):
    with pytest.raises(type(error), match=f"^{re.escape(str(error))}$"):
        plan(residual(written), importance)
