"""Loading a model that lost channels: into the class it came from, or not at all."""

import copy
import re
from zlib import crc32

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lwlab import packing
from lwlab.models import SimpleCNN
from lwlab.models.resize import replace_tensors_
from lwlab.packing import PackingError


def cut_(module, kept=slice(None), inputs=slice(None)):
    """Keep some outputs and inputs of a layer, by hand."""
    tensors = {name: t.detach()[kept] for name, t in module.state_dict().items() if t.ndim}
    if tensors["weight"].ndim > 1:
        tensors["weight"] = tensors["weight"][:, inputs]
    replace_tensors_(module, tensors)


def smaller_cnn():
    """SimpleCNN with 5 of 32 and 7 of 64 filters, and 11 of 128 features."""
    model = SimpleCNN(seed=1)
    spots = model.fc1.in_features // 64
    cut_(model.conv1, slice(0, 30, 6))
    cut_(model.conv2, slice(1, 64, 9), slice(0, 30, 6))
    columns = torch.arange(64 * spots).reshape(64, spots)[1::9].flatten()
    cut_(model.fc1, slice(11), columns)
    cut_(model.fc2, inputs=slice(11))
    return model


class Separable(nn.Sequential):
    """A depthwise convolution between two others, with all kinds of normalization."""

    def __init__(self, seed=0):
        torch.manual_seed(seed)
        super().__init__(
            nn.Conv2d(1, 8, 3, bias=False),
            nn.BatchNorm2d(8),
            nn.Conv2d(8, 8, 3, groups=8),
            nn.PReLU(8),
            nn.GroupNorm(2, 8),
            nn.ConvTranspose2d(8, 6, 2),
            nn.InstanceNorm2d(6, affine=True, track_running_stats=True),
            nn.Flatten(),
            nn.Linear(6 * 49, 9),
            nn.LayerNorm(9),
            nn.Linear(9, 3),
        )


def smaller_separable():
    model = Separable(seed=1)
    model(torch.rand(16, 1, 10, 10))  # statistics that are not 0 and 1
    kept = [0, 2, 3, 7]
    for name in (0, 1, 2, 3, 4):
        cut_(model[name], kept)
    weight, bias = model[5].weight.detach(), model[5].bias.detach()
    replace_tensors_(model[5], {"weight": weight[kept][:, 1:], "bias": bias[1:]})
    cut_(model[6], slice(1, None))
    cut_(model[8], slice(4), slice(49, None))
    cut_(model[9], slice(4))
    cut_(model[10], inputs=slice(4))
    return model


@pytest.fixture(autouse=True)
def _own_stream():
    with torch.random.fork_rng(devices=[]):
        yield


CASES = [
    (smaller_cnn, SimpleCNN, (4, 1, 8, 8)),
    (smaller_separable, Separable, (4, 1, 10, 10)),
]


@pytest.mark.parametrize(("smaller", "original", "shape"), CASES)
def test_a_model_of_the_original_class_takes_the_widths_of_the_file(
    tmp_path, smaller, original, shape
):
    model, path, inputs = smaller().eval(), tmp_path / "small.lwlab", torch.rand(shape)
    packing.save(model, path)
    loaded = original(seed=3).eval()
    packing.load_(loaded, path, resize=True)
    assert str(loaded) == str(model)
    assert torch.equal(loaded(inputs), model(inputs))
    assert packing.to_bytes(loaded) == path.read_bytes()
    in_memory = original(seed=3).eval()
    packing.from_bytes_(in_memory, path.read_bytes(), resize=True)
    assert torch.equal(in_memory(inputs), model(inputs))


@pytest.mark.parametrize(("smaller", "original", "shape"), CASES)
def test_the_loaded_model_trains_as_the_small_one_does(smaller, original, shape):
    model, loaded, inputs = smaller(), original(seed=3), torch.rand(shape)
    packing.from_bytes_(loaded, packing.to_bytes(model), resize=True)
    for network in (model, loaded):
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        network(inputs).square().sum().backward()
        optimizer.step()
    ours, theirs = loaded.state_dict(), model.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_flags_hooks_and_what_keeps_its_size_stay():
    model = Separable()
    model[1].eval()
    model[2].weight.requires_grad_(False)
    calls, kept = [], model[10].bias
    model[2].register_forward_hook(lambda *_: calls.append(1))
    packing.from_bytes_(model, packing.to_bytes(smaller_separable()), resize=True)
    assert model.training
    assert not model[1].training
    assert not model[2].weight.requires_grad
    assert model[0].weight.requires_grad
    assert model[10].bias is kept
    model(torch.rand(2, 1, 10, 10))
    assert calls == [1]


def test_resize_changes_nothing_where_the_sizes_are_those_of_the_file():
    model, data = SimpleCNN(seed=1), packing.to_bytes(SimpleCNN(seed=2))
    parameters = list(model.parameters())
    packing.from_bytes_(model, data, resize=True)
    assert all(a is b for a, b in zip(parameters, model.parameters(), strict=True))
    assert packing.to_bytes(model) == data


def test_a_small_model_takes_the_file_of_the_whole_one():
    model = smaller_cnn()
    packing.from_bytes_(model, packing.to_bytes(SimpleCNN(seed=2)), resize=True)
    assert str(model) == str(SimpleCNN())
    assert packing.to_bytes(model) == packing.to_bytes(SimpleCNN(seed=2))


def test_tied_layers_are_resized_together():
    def tied(width):
        model = nn.ModuleDict({"a": nn.Linear(width, 4), "b": nn.Linear(width, 4)})
        model.b.weight = model.a.weight
        return model

    small, model = tied(2), tied(3)
    packing.from_bytes_(model, packing.to_bytes(small), resize=True)
    assert model.b.weight is model.a.weight
    assert torch.equal(model.a.weight, small.a.weight)
    assert (model.a.in_features, model.b.in_features) == (2, 2)


# ---- what is refused -----------------------------------------------------------------------------


def attributes(model):
    return [{k: v for k, v in vars(m).items() if k[0] != "_"} for m in model.modules()]


def refuses(model, data, sentence, **options):
    """Loading fails with this sentence, and the model is as it was, object by object."""
    before = {name: (t, t.clone()) for name, t in model.state_dict(keep_vars=True).items()}
    sizes = copy.deepcopy(attributes(model))
    with pytest.raises(PackingError, match=f"^{re.escape(sentence)}$"):
        packing.from_bytes_(model, data, **options)
    after = model.state_dict(keep_vars=True)
    assert list(after) == list(before)
    for name, (tensor, values) in before.items():
        assert after[name] is tensor
        assert torch.equal(tensor, values)
    assert attributes(model) == sizes


AS_SAVED = "Load into a model built with the class and sizes that were saved."
HINT = " If channels were removed from it, try resize=True."


def test_without_resize_the_sentence_points_to_it_where_it_would_help():
    refuses(
        nn.Conv2d(4, 4, 3, bias=False),
        packing.to_bytes(nn.Conv2d(3, 2, 3, bias=False)),
        "data must hold the tensors of this Conv2d, got a different 'weight' (float32 "
        f"(2, 3, 3, 3) in the file, float32 (4, 4, 3, 3) here). {AS_SAVED}{HINT}",
    )


def nothing_left():
    layer = nn.Conv2d(1, 4, 3, bias=False)
    layer.weight = nn.Parameter(torch.zeros(4, 0, 3, 3))
    return layer


@pytest.mark.parametrize(
    ("saved", "got"),
    [
        (
            nn.Conv2d(4, 4, 2, bias=False),
            "a different 'weight' (float32 (4, 4, 2, 2) in the file, float32 (4, 4, 3, 3) here)",
        ),
        (
            nn.Conv2d(4, 5, 3, bias=False),
            "a different 'weight' (float32 (5, 4, 3, 3) in the file, float32 (4, 4, 3, 3) here)",
        ),
        (
            nn.Linear(4, 4, bias=False),
            "a different 'weight' (float32 (4, 4) in the file, float32 (4, 4, 3, 3) here)",
        ),
        (
            nothing_left(),
            "a different 'weight' (float32 (4, 0, 3, 3) in the file, float32 (4, 4, 3, 3) here)",
        ),
        (
            nn.Conv2d(4, 3, 3, bias=False).double(),
            "a different 'weight' (float64 (3, 4, 3, 3) in the file, float32 (4, 4, 3, 3) here)",
        ),
        (
            nn.Conv2d(4, 3, 3),
            (
                "unexpected 'bias'; a different 'weight' (float32 (3, 4, 3, 3) in the file, "
                "float32 (4, 4, 3, 3) here)"
            ),
        ),
    ],
    ids=["kernel", "wider", "rank", "empty", "type", "names"],
)
def test_without_resize_there_is_no_hint_where_it_would_not_help(saved, got):
    refuses(
        nn.Conv2d(4, 4, 3, bias=False),
        packing.to_bytes(saved),
        f"data must hold the tensors of this Conv2d, got {got}. {AS_SAVED}",
    )


@pytest.mark.parametrize(
    ("saved", "got"),
    [
        (
            nn.Conv2d(3, 4, 2, bias=False),
            "a different 'weight' (float32 (4, 3, 2, 2) in the file, float32 (4, 4, 3, 3) here)",
        ),
        (
            nn.Linear(3, 4, bias=False),
            "a different 'weight' (float32 (4, 3) in the file, float32 (4, 4, 3, 3) here)",
        ),
        (
            nn.Conv2d(3, 4, 3, bias=False).half(),
            "a different 'weight' (float16 (4, 3, 3, 3) in the file, float32 (4, 4, 3, 3) here)",
        ),
        (nn.Conv2d(3, 4, 3), "unexpected 'bias'"),
        (nn.ReLU(), "no 'weight'"),
    ],
    ids=["kernel", "rank", "type", "unexpected", "missing"],
)
def test_with_resize_only_widths_may_differ(saved, got):
    refuses(
        nn.Conv2d(4, 4, 3, bias=False),
        packing.to_bytes(saved),
        f"data must hold the tensors of this Conv2d, got {got}. {AS_SAVED}",
        resize=True,
    )


def test_a_layer_that_cannot_be_resized_leaves_the_layers_before_it_alone():
    refuses(
        nn.Sequential(nn.Linear(3, 4), nn.LSTM(4, 6)),
        packing.to_bytes(nn.Sequential(nn.Linear(3, 2), nn.LSTM(2, 6))),
        "data must hold sizes that this Sequential can take: layer '1' must be a convolution, "
        "linear, normalization, PReLU or embedding layer to be resized, got LSTM.",
        resize=True,
    )


def test_a_damaged_file_changes_nothing():
    refuses(
        nn.Linear(3, 4),
        packing.to_bytes(nn.Linear(3, 2))[:-4] + b"ruin",
        "data is damaged: its checksum does not match, it was cut off or altered. Copy the file "
        "again, or save the model again.",
        resize=True,
    )


def test_widths_that_do_not_fit_the_next_layer_are_for_the_forward_pass_to_find(bag):
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 6, bias=False))
    shapes = {"0.weight": (2, 3), "0.bias": (2,), "1.weight": (6, 5)}
    packing.from_bytes_(model, packing.to_bytes(bag_of(bag, shapes)), resize=True)
    assert [layer.in_features for layer in model] == [3, 5]


def bag_of(bag, shapes):
    """A file's worth of tensors by dotted name: a tree of modules with buffers alone."""
    root = nn.Module()
    for name, shape in shapes.items():
        path, _, last = name.rpartition(".")
        holder = root
        for part in path.split("."):
            if part not in holder._modules:
                holder.add_module(part, bag({}))
            holder = holder._modules[part]
        holder.register_buffer(last, torch.rand(shape))
    return root


@pytest.mark.parametrize(
    ("shapes", "reason"),
    [
        (
            {"0.weight": (2, 3), "0.bias": (4,), "1.weight": (2,), "1.bias": (2,)},
            "bias of layer '0' must be of shape (2,) to fit the rest of the layer, got (4,).",
        ),
        (
            {"0.weight": (2, 3), "0.bias": (2,), "1.weight": (2,), "1.bias": (1,)},
            "bias of layer '1' must be of shape (2,) to fit the rest of the layer, got (1,).",
        ),
        (
            {"0.weight": (0, 3), "0.bias": (0,), "1.weight": (4,), "1.bias": (4,)},
            "weight of layer '0' must keep at least one channel, got shape (0, 3).",
        ),
        (
            {"0.weight": (3, 3), "0.bias": (3,), "1.weight": (3,), "1.bias": (3,)},
            "weight of layer '1' must be of a size that 2 groups divide, got 3.",
        ),
    ],
    ids=["bias", "second layer", "nothing left", "groups"],
)
def test_a_hostile_file_of_odd_sizes_is_told_and_changes_nothing(bag, shapes, reason):
    refuses(
        nn.Sequential(nn.Linear(3, 4), nn.GroupNorm(2, 4)),
        packing.to_bytes(bag_of(bag, shapes)),
        f"data must hold sizes that this Sequential can take: {reason}",
        resize=True,
    )


def test_a_bomb_of_zeros_is_refused_before_memory_is_taken(reference):
    # A terabyte of weights declared in a file of 60 bytes.
    for kind, payload in ((0, b""), (0x10, b"\0" * 8)):
        data = reference.file((b"weight", kind, (2**20, 2**18), payload))
        with pytest.raises(PackingError, match=r"^data is damaged: 'weight' has "):
            packing.from_bytes_(nn.Linear(4, 4, bias=False), data, resize=True)


def test_tied_tensors_of_a_model_need_equal_values_also_when_resized():
    model = nn.ModuleDict({"a": nn.Linear(3, 3, bias=False), "b": nn.Linear(3, 3, bias=False)})
    data = packing.to_bytes(
        nn.ModuleDict({"a": nn.Linear(2, 3, bias=False), "b": nn.Linear(2, 3, bias=False)})
    )
    model.b.weight = model.a.weight
    refuses(
        model,
        data,
        "data must hold equal values for 'a.weight' and 'b.weight', which share their memory in "
        "this model, got different ones. Load into a model that does not tie them.",
        resize=True,
    )


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_no_altered_file_leaves_a_model_half_resized(data):
    packed = bytearray(packing.to_bytes(nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2)))[:-4])
    for _ in range(data.draw(st.integers(1, 3))):
        packed[data.draw(st.integers(5, len(packed) - 1))] = data.draw(st.integers(0, 255))
    altered = bytes(packed) + crc32(packed).to_bytes(4, "little")
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    before = {name: t.clone() for name, t in model.state_dict().items()}
    sizes = attributes(model)
    try:
        packing.from_bytes_(model, altered, resize=True)
    except PackingError:
        after = model.state_dict()
        assert all(torch.equal(after[name], before[name]) for name in before)
        assert attributes(model) == sizes
    else:
        assert packing.to_bytes(model)  # every size says what its tensors are
        for layer in model:
            assert layer.weight.shape == (layer.out_features, layer.in_features)
            assert layer.bias.shape == (layer.out_features,)
