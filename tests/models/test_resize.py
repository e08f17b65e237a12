import copy
import re

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from lwlab.models.resize import replace_tensors_, resize_


class Half(nn.Module):
    def forward(self, weight):
        return weight / 2


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(6, 4)
        self.head = nn.Linear(4, 6, bias=False)
        self.head.weight = self.words.weight


def everything_of(module):
    """The tensors by identity and value, and every other attribute."""
    tensors = {name: (id(t), t.clone()) for name, t in module.state_dict(keep_vars=True).items()}
    return tensors, {m: {k: v for k, v in vars(m).items() if k[0] != "_"} for m in module.modules()}


def assert_unchanged(module, before):
    tensors, attributes = everything_of(module)
    assert attributes == before[1]
    assert tensors.keys() == before[0].keys()
    for name, (identity, values) in tensors.items():
        assert identity == before[0][name][0]
        assert torch.equal(values, before[0][name][1])


ONES = torch.ones


@pytest.mark.parametrize(
    ("old", "shapes", "fresh"),
    [
        (nn.Conv1d(4, 6, 3), {"weight": (5, 2, 3), "bias": (5,)}, nn.Conv1d(2, 5, 3)),
        (nn.Conv2d(4, 6, 3, bias=False), {"weight": (5, 4, 3, 3)}, nn.Conv2d(4, 5, 3, bias=False)),
        (nn.Conv2d(4, 6, 3), {"weight": (6, 1, 3, 3)}, nn.Conv2d(1, 6, 3)),
        (nn.Conv3d(4, 6, 1), {"weight": (2, 3, 1, 1, 1), "bias": (2,)}, nn.Conv3d(3, 2, 1)),
        # Depthwise, also with two outputs for each input; whole groups removed; groups narrowed.
        (
            nn.Conv2d(8, 8, 3, groups=8),
            {"weight": (5, 1, 3, 3), "bias": (5,)},
            nn.Conv2d(5, 5, 3, groups=5),
        ),
        (
            nn.Conv1d(4, 8, 3, groups=4),
            {"weight": (6, 1, 3), "bias": (6,)},
            nn.Conv1d(3, 6, 3, groups=3),
        ),
        (
            nn.Conv2d(8, 16, 1, groups=4),
            {"weight": (8, 2, 1, 1), "bias": (8,)},
            nn.Conv2d(4, 8, 1, groups=2),
        ),
        (nn.Conv2d(8, 16, 1, groups=4), {"weight": (16, 1, 1, 1)}, nn.Conv2d(4, 16, 1, groups=4)),
        (
            nn.Conv2d(8, 16, 1, groups=4),
            {"weight": (8, 1, 1, 1), "bias": (8,)},
            nn.Conv2d(4, 8, 1, groups=4),
        ),
        (
            nn.Conv2d(4, 8, 1, groups=2),
            {"weight": (6, 2, 1, 1), "bias": (6,)},
            nn.Conv2d(4, 6, 1, groups=2),
        ),
        (nn.Conv2d(4, 4, 1, bias=False), {"weight": (8, 4, 1, 1)}, nn.Conv2d(4, 8, 1, bias=False)),
        (
            nn.ConvTranspose1d(4, 6, 3),
            {"weight": (3, 5, 3), "bias": (5,)},
            nn.ConvTranspose1d(3, 5, 3),
        ),
        (
            nn.ConvTranspose2d(8, 8, 3, groups=8),
            {"weight": (5, 1, 3, 3), "bias": (5,)},
            nn.ConvTranspose2d(5, 5, 3, groups=5),
        ),
        (
            nn.ConvTranspose3d(4, 6, 1),
            {"weight": (1, 6, 1, 1, 1)},
            nn.ConvTranspose3d(1, 6, 1),
        ),
        (nn.Linear(4, 6), {"weight": (5, 3), "bias": (5,)}, nn.Linear(3, 5)),
        (
            nn.BatchNorm1d(6),
            dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (4,)),
            nn.BatchNorm1d(4),
        ),
        (
            nn.BatchNorm2d(6, affine=False),
            dict.fromkeys(("running_mean", "running_var"), (4,)),
            nn.BatchNorm2d(4, affine=False),
        ),
        (
            nn.BatchNorm3d(6, track_running_stats=False),
            dict.fromkeys(("weight", "bias"), (4,)),
            nn.BatchNorm3d(4, track_running_stats=False),
        ),
        (
            nn.InstanceNorm2d(6, affine=True),
            dict.fromkeys(("weight", "bias"), (4,)),
            nn.InstanceNorm2d(4, affine=True),
        ),
        (nn.GroupNorm(2, 6), dict.fromkeys(("weight", "bias"), (4,)), nn.GroupNorm(2, 4)),
        (nn.LayerNorm((3, 6)), dict.fromkeys(("weight", "bias"), (3, 4)), nn.LayerNorm((3, 4))),
        (nn.RMSNorm(6), {"weight": (4,)}, nn.RMSNorm(4)),
        (nn.PReLU(6), {"weight": (4,)}, nn.PReLU(4)),
        (
            nn.Embedding(6, 4, padding_idx=1),
            {"weight": (5, 3)},
            nn.Embedding(5, 3, padding_idx=1),
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_a_resized_layer_is_the_layer_that_was_built_with_these_sizes(old, shapes, fresh):
    resized = copy.deepcopy(old)
    by_name = copy.deepcopy(old)
    new = {name: fresh.state_dict()[name] for name in shapes}
    kept = {name: t for name, t in old.state_dict().items() if name not in shapes}
    replace_tensors_(resized, new)
    resize_(by_name, shapes)
    for layer in (resized, by_name):
        assert repr(layer) == repr(fresh)
        assert vars(layer).keys() == vars(fresh).keys()
        public = {name: value for name, value in vars(fresh).items() if name[0] != "_"}
        assert {name: vars(layer)[name] for name in public} == public
    for name, values in resized.state_dict().items():
        assert torch.equal(values, new[name] if name in new else kept[name])
    for name, values in by_name.state_dict().items():
        assert torch.equal(values, torch.zeros_like(new[name]) if name in new else kept[name])


def test_the_new_tensors_are_copies_and_parameters_stay_what_they_were():
    layer = nn.Linear(2, 2, dtype=torch.float64)
    layer.weight.requires_grad_(False)
    old_bias = layer.bias
    new = torch.full((2, 3), 2.0, dtype=torch.float64, requires_grad=True)
    replace_tensors_(layer, {"weight": new})
    assert type(layer.weight) is nn.Parameter
    assert not layer.weight.requires_grad
    assert layer.weight.dtype == torch.float64
    assert layer.bias is old_bias
    new.data.zero_()
    assert layer(torch.ones(1, 3, dtype=torch.float64)).sub(old_bias).tolist() == [[6.0, 6.0]]
    resize_(layer, {"bias": (2,), "weight": (2, 5)})
    assert not layer.weight.requires_grad
    assert layer.bias is old_bias


def test_groups_can_be_said():
    layer = nn.Conv2d(8, 16, 1, groups=4)
    replace_tensors_(layer, {"weight": ONES(8, 2, 1, 1), "bias": ONES(8)}, groups=4)
    assert (layer.in_channels, layer.out_channels, layer.groups) == (8, 8, 4)
    norm = nn.GroupNorm(4, 8)
    replace_tensors_(norm, {"weight": ONES(6), "bias": ONES(6)}, groups=3)
    assert (norm.num_channels, norm.num_groups) == (6, 3)


def test_resize_changes_only_what_differs():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    kept = [model[0].weight, model[1].bias]
    shapes = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    before = everything_of(model)
    resize_(model, shapes)
    resize_(model, {})
    assert_unchanged(model, before)
    resize_(model, shapes | {"1.weight": [1, 4], "1.bias": [1]})
    assert model[0].weight is kept[0]
    assert model(ONES(5, 3)).shape == (5, 1)


def test_tied_parameters_stay_tied_and_are_resized_together():
    model = Tied()
    resize_(model, {"words.weight": (5, 3)})
    assert model.head.weight is model.words.weight
    assert (model.head.in_features, model.head.out_features) == (3, 5)
    assert (model.words.num_embeddings, model.words.embedding_dim) == (5, 3)


def test_a_module_under_two_names_is_one():
    model = nn.Module()
    model.first = model.second = nn.Linear(2, 3)
    resize_(model, {"first.weight": (3, 1), "second.weight": (3, 1)})
    assert model.second.in_features == 1


def test_a_bare_layer_is_its_own_model():
    layer = nn.Linear(2, 3)
    resize_(layer, {"weight": (3, 1)})
    assert layer.in_features == 1


def parametrized():
    layer = nn.Linear(2, 2)
    parametrize.register_parametrization(layer, "weight", Half())
    return layer


@pytest.mark.parametrize(
    ("layer", "tensors", "groups", "sentence"),
    [
        (
            nn.LSTM(2, 2),
            {"weight_ih_l0": ONES(1, 1)},
            None,
            (
                "LSTM must be a convolution, linear, normalization, PReLU or embedding layer to be "
                "resized, got LSTM."
            ),
        ),
        (
            parametrized(),
            {"bias": ONES(1)},
            None,
            (
                "weight of ParametrizedLinear must be free of parametrizations to be resized, got "
                "one under Half. Make it permanent first, a mask with prune.bake_."
            ),
        ),
        (
            parametrizations.weight_norm(nn.Linear(2, 2)),
            {"bias": ONES(1)},
            None,
            (
                "weight of ParametrizedLinear must be free of parametrizations to be resized, got "
                "one under _WeightNorm. Make it permanent first, a mask with prune.bake_."
            ),
        ),
        (
            prune.l1_unstructured(nn.Linear(2, 2), "weight", 0.5),
            {"weight": ONES(1, 2)},
            None,
            (
                "weight of Linear must be a parameter or buffer to be resized, got a tensor that "
                "is computed from others, as torch.nn.utils.prune and weight_norm do. Make that "
                "permanent first."
            ),
        ),
        (
            nn.LazyLinear(2),
            {"bias": ONES(3)},
            None,
            (
                "weight of LazyLinear must have values before it can be resized, got an "
                "uninitialized LazyLinear. Run the model once on a batch."
            ),
        ),
        (
            nn.Linear(2, 2),
            {"wieght": ONES(2, 1)},
            None,
            (
                "the name of a tensor of Linear must be one of 'weight' or 'bias', got 'wieght'. "
                "Did you mean 'weight'?"
            ),
        ),
        (
            nn.Linear(2, 2),
            {"weight": ONES(2, 2, 1)},
            None,
            "weight of Linear must keep its 2 dimensions, got shape (2, 2, 1) for (2, 2).",
        ),
        (
            nn.Conv2d(2, 2, 3),
            {"weight": ONES(2, 2, 3, 2)},
            None,
            "weight of Conv2d must keep its kernel size (3, 3), got shape (2, 2, 3, 2).",
        ),
        (
            nn.Linear(2, 2),
            {"weight": ONES(2, 0)},
            None,
            "weight of Linear must keep at least one channel, got shape (2, 0).",
        ),
        (
            nn.Linear(2, 2),
            {"weight": ONES(3, 2)},
            None,
            "bias of Linear must be of shape (3,) to fit the rest of the layer, got (2,).",
        ),
        (
            nn.BatchNorm2d(3),
            {"weight": ONES(2), "bias": ONES(2), "running_mean": ONES(2)},
            None,
            (
                "running_var of BatchNorm2d must be of shape (2,) to fit the rest of the layer, "
                "got (3,)."
            ),
        ),
        (
            nn.Conv2d(4, 4, 1, groups=2),
            {"weight": ONES(4, 2, 1, 1)},
            3,
            "weight of Conv2d must be of a size that 3 groups divide, got 4.",
        ),
        (
            nn.GroupNorm(2, 4),
            {"weight": ONES(3), "bias": ONES(3)},
            None,
            "weight of GroupNorm must be of a size that 2 groups divide, got 3.",
        ),
        (
            nn.Linear(2, 2),
            {"weight": ONES(2, 1)},
            2,
            "groups must be left out for Linear, which has none, got 2.",
        ),
        (
            nn.Conv2d(4, 4, 1),
            {"weight": ONES(4, 2, 1, 1)},
            0,
            "groups must be a whole number of at least 1, got 0.",
        ),
        (
            nn.Embedding(4, 2, padding_idx=3),
            {"weight": ONES(3, 2)},
            None,
            "weight of Embedding must keep its padding row 3, got 3 rows.",
        ),
        (
            nn.Linear(2, 2),
            {"weight": ONES(2, 1, dtype=torch.float64)},
            None,
            "weight of Linear must be torch.float32 on cpu, as it was, got torch.float64 on cpu.",
        ),
    ],
)
def test_a_replacement_that_does_not_fit_is_one_sentence_and_changes_nothing(
    layer, tensors, groups, sentence
):
    lazy = isinstance(layer, nn.LazyLinear)
    before = None if lazy else everything_of(layer)
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        replace_tensors_(layer, tensors, groups=groups)
    if not lazy:
        assert_unchanged(layer, before)


def test_a_tensor_and_a_module_are_asked_for():
    with pytest.raises(TypeError, match=r"^weight of Linear must be a tensor, got list\.$"):
        replace_tensors_(nn.Linear(2, 2), {"weight": [1.0]})
    with pytest.raises(TypeError, match=r"^module must be a torch\.nn\.Module, got int\.$"):
        replace_tensors_(3, {})
    with pytest.raises(TypeError, match=r"^model must be a torch\.nn\.Module, got int\.$"):
        resize_(3, {})


@pytest.mark.parametrize(
    ("shapes", "sentence"),
    [
        (
            {"0.weight": (5, 3), "0.bias": (5,), "2.weight": (4, 2, 3)},
            "weight of layer '2' must keep its 2 dimensions, got shape (4, 2, 3) for (2, 4).",
        ),
        (
            {"0.weight": (5, 3), "0.bias": (5,), "1.weight_ih_l0": (9, 9)},
            (
                "layer '1' must be a convolution, linear, normalization, PReLU or embedding layer "
                "to be resized, got LSTM."
            ),
        ),
        (
            {"0.weight": (5, 3)},
            "bias of layer '0' must be of shape (5,) to fit the rest of the layer, got (4,).",
        ),
        (
            {"0.weight": (5.5, 3)},
            "shape of '0.weight' must be a whole number of at least 0, got 5.5.",
        ),
    ],
)
def test_resize_checks_every_layer_before_it_changes_one(shapes, sentence):
    model = nn.Sequential(nn.Linear(3, 4), nn.LSTM(4, 4), nn.Linear(4, 2))
    before = everything_of(model)
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        resize_(model, shapes)
    assert_unchanged(model, before)


def test_resize_names_a_tensor_that_is_not_there():
    sentence = "shapes must be one of 'weight' or 'bias', got 'wheight'. Did you mean 'weight'?"
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        resize_(nn.Linear(2, 2), {"wheight": (2, 2)})


def test_resize_wants_one_shape_for_tied_tensors():
    model = Tied()
    before = everything_of(model)
    sentence = (
        "shapes must be equal for 'words.weight' and 'head.weight', which are one tensor in this "
        "model, got (5, 4) and (6, 4)."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        resize_(model, {"words.weight": (5, 4), "head.weight": (6, 4)})
    assert_unchanged(model, before)


def test_resize_refuses_a_lazy_layer_whatever_the_shape():
    sentence = (
        "weight of LazyLinear must have values before it can be resized, got an uninitialized "
        "LazyLinear. Run the model once on a batch."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        resize_(nn.LazyLinear(2), {"weight": (2, 2)})


def test_resize_refuses_a_tensor_that_another_one_is_a_view_of():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(2, 3))
    model[1].weight = nn.Parameter(model[0].weight.detach())
    sentence = (
        "'1.weight' must have its memory for itself to be resized, got memory shared with "
        "'0.weight'. Give one of them a copy."
    )
    before = everything_of(model)
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        resize_(model, {"1.weight": (3, 1)})
    assert_unchanged(model, before)
    resize_(model, {"0.bias": (3,), "1.weight": (3, 2)})
    assert_unchanged(model, before)


def test_resize_works_on_the_meta_device():
    model = nn.Sequential(nn.Linear(2, 3, device="meta"), nn.Linear(3, 1, device="meta"))
    resize_(model, {"0.weight": (2, 2), "0.bias": (2,), "1.weight": (1, 2)})
    assert model(torch.ones(4, 2, device="meta")).shape == (4, 1)
