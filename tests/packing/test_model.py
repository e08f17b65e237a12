from __future__ import annotations

import copy
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrize

from lwlab import packing
from lwlab.models import ResNet8, SimpleCNN, compressible_layers
from lwlab.packing import PackingError


class Masked(nn.Module):
    def __init__(self, mask):
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight):
        return torch.where(self.mask, weight, 0)


def mask_(model, sparsity, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for layer in compressible_layers(model):
        mask = torch.rand(layer.weight.shape, generator=generator) >= sparsity
        parametrize.register_parametrization(layer.module, "weight", Masked(mask))
    return model


def refuses(model, data, sentence):
    """Loading fails with this sentence, and the model is as it was."""
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(PackingError, match=f"^{re.escape(sentence)}$"):
        packing.from_bytes_(model, data)
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_any_tensors_come_back_equal_to_the_bit(states, bag, raw, data):
    state = data.draw(states)
    model = bag({name: torch.ones_like(tensor) for name, tensor in state.items()})
    packing.from_bytes_(model, packing.to_bytes(bag(state)))
    for name, tensor in state.items():
        loaded = model.get_buffer(name)
        assert (loaded.dtype, loaded.shape) == (tensor.dtype, tensor.shape)
        assert raw(loaded) == raw(tensor)


@pytest.mark.parametrize(
    ("dtype", "patterns"),
    [
        (torch.float32, [0x80000000, 0x7FC00001, 0xFFC12345, 0x7F800001, 0x7F800000, 1]),
        (torch.float64, [1 << 63, 0x7FF8000000000001, 0xFFF0000000000001, 1]),
        (torch.float16, [0x8000, 0x7E01, 0x7C01, 0xFC00, 1]),
        (torch.bfloat16, [0x8000, 0x7FC1, 0x7F81, 0xFF80, 1]),
    ],
)
@pytest.mark.parametrize("padding", [0, 200])  # dense, and among zeros
def test_minus_zero_nan_payloads_and_denormals_survive(bag, raw, dtype, patterns, padding):
    size = dtype.itemsize
    memory = b"".join(p.to_bytes(size, "little") for p in patterns) + bytes(size * padding)
    tensor = torch.frombuffer(bytearray(memory), dtype=dtype)
    model = bag({"x": torch.zeros_like(tensor)})
    packing.from_bytes_(model, packing.to_bytes(bag({"x": tensor})))
    assert raw(model.x) == memory


def test_a_pruned_model_gives_a_smaller_file_that_answers_the_same():
    pruned = mask_(SimpleCNN(seed=1), sparsity=0.9)
    data = packing.to_bytes(pruned)
    assert len(data) < 0.15 * len(packing.to_bytes(SimpleCNN(seed=1)))
    fresh = SimpleCNN(seed=2)
    packing.from_bytes_(fresh, data)
    images = torch.rand(4, 1, 8, 8)
    assert torch.equal(fresh(images), pruned(images))
    assert torch.equal(fresh.fc1.weight, pruned.fc1.weight)


def test_masked_and_plain_models_of_equal_values_are_packed_into_the_same_bytes():
    masked = mask_(SimpleCNN(), sparsity=0.5)
    data = packing.to_bytes(masked)
    plain = SimpleCNN()
    packing.from_bytes_(plain, data)
    assert packing.to_bytes(plain) == data
    for layer in compressible_layers(masked):
        parametrize.remove_parametrizations(layer.module, "weight")
    assert len(packing.to_bytes(masked)) == len(data)


def test_batchnorm_statistics_and_counter_come_back():
    model = ResNet8(width=4, input_shape=(3, 8, 8))
    model(torch.rand(5, 3, 8, 8))
    fresh = ResNet8(width=4, input_shape=(3, 8, 8), seed=1)
    packing.from_bytes_(fresh, packing.to_bytes(model))
    assert fresh.bn.num_batches_tracked.item() == 1
    state = model.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in fresh.state_dict().items())


def test_packing_leaves_the_model_alone():
    model = mask_(SimpleCNN(), sparsity=0.5)
    before = copy.deepcopy(model.state_dict())
    model.conv1.eval()
    packing.to_bytes(model)
    assert model.training
    assert not model.conv1.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_loading_leaves_training_flags_hooks_gradients_flags_and_settings():
    model = SimpleCNN(seed=1)
    model.conv1.eval()
    model.fc2.weight.requires_grad_(False)
    calls = []
    model.register_forward_hook(lambda *_: calls.append(1))
    parameters = dict(model.named_parameters())
    packing.from_bytes_(model, packing.to_bytes(SimpleCNN()))
    assert model.training
    assert not model.conv1.training
    assert not model.fc2.weight.requires_grad
    assert model.fc1.weight.requires_grad
    assert model.fc1.weight.is_leaf
    assert all(parameter is parameters[name] for name, parameter in model.named_parameters())
    model(torch.rand(1, 1, 8, 8)).sum().backward()
    assert calls == [1]


def test_any_memory_layout_is_packed_alike_and_can_be_filled():
    model = SimpleCNN(seed=1)
    data = packing.to_bytes(model)
    strided = SimpleCNN(seed=2).to(memory_format=torch.channels_last)
    assert not strided.conv2.weight.is_contiguous()
    packing.from_bytes_(strided, data)
    assert torch.equal(strided.conv2.weight, model.conv2.weight)
    assert not strided.conv2.weight.is_contiguous()
    assert packing.to_bytes(strided) == data


def test_a_model_built_in_inference_mode_can_be_filled():
    data = packing.to_bytes(SimpleCNN(seed=1))
    with torch.inference_mode():
        model = SimpleCNN(seed=2)
    assert model.fc1.weight.is_inference()
    packing.from_bytes_(model, data)
    assert packing.to_bytes(model) == data


def test_an_uninitialized_bool_is_stored_as_torch_sees_it(bag):
    memory = torch.tensor([0, 1, 7, 255], dtype=torch.uint8).view(torch.bool)
    model = bag({"flags": torch.zeros(4, dtype=torch.bool)})
    packing.from_bytes_(model, packing.to_bytes(bag({"flags": memory})))
    assert model.flags.view(torch.uint8).tolist() == [0, 1, 1, 1]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_of_any_kind_load(kind):
    model = nn.Linear(2, 2)
    data = packing.to_bytes(nn.Linear(2, 2))
    packing.from_bytes_(model, kind(data))
    assert packing.to_bytes(model) == data


def tied():
    model = nn.ModuleDict({"a": nn.Linear(4, 4), "b": nn.Linear(4, 4)})
    model.b.weight = model.a.weight
    return model


def test_a_tied_parameter_is_stored_once_and_comes_back_tied_or_not():
    data = packing.to_bytes(tied())
    untied = nn.ModuleDict({"a": nn.Linear(4, 4), "b": nn.Linear(4, 4)})
    assert len(packing.to_bytes(untied)) == len(data) - 1 + 64  # one byte of link for 16 floats
    again = tied()
    packing.from_bytes_(again, data)
    packing.from_bytes_(untied, data)
    assert again.b.weight is again.a.weight
    assert torch.equal(untied.b.weight, again.a.weight)
    assert torch.equal(untied.a.weight, again.a.weight)
    untied.a.weight.data.zero_()  # they are not tied by loading
    assert untied.b.weight.any()


def test_equal_values_may_be_loaded_into_tied_parameters_but_different_ones_may_not():
    untied = nn.ModuleDict({"a": nn.Linear(4, 4), "b": nn.Linear(4, 4)})
    refuses(
        tied(),
        packing.to_bytes(untied),
        "data must hold equal values for 'a.weight' and 'b.weight', which share their memory in "
        "this model, got different ones. Load into a model that does not tie them.",
    )
    untied.b.weight.data.copy_(untied.a.weight)
    model = tied()
    packing.from_bytes_(model, packing.to_bytes(untied))
    assert torch.equal(model.a.weight, untied.a.weight)


def test_a_transposed_view_of_the_same_memory_is_no_tied_tensor(bag):
    square = torch.arange(1.0, 5).reshape(2, 2)
    model = bag({"a": torch.zeros(2, 2), "b": torch.zeros(2, 2)})
    packing.from_bytes_(model, packing.to_bytes(bag({"a": square, "b": square.T})))
    assert model.a.tolist() == [[1, 2], [3, 4]]
    assert model.b.tolist() == [[1, 3], [2, 4]]


def test_the_same_memory_seen_as_another_type_is_no_tied_tensor(bag):
    floats = torch.ones(4)
    model = bag({"a": torch.zeros(4), "b": torch.zeros(4, dtype=torch.int32)})
    packing.from_bytes_(model, packing.to_bytes(bag({"a": floats, "b": floats.view(torch.int32)})))
    assert model.a.tolist() == [1] * 4
    assert model.b.tolist() == [0x3F800000] * 4


def test_empty_tensors_are_not_taken_for_tied_ones(bag):
    data = packing.to_bytes(bag({"a": torch.empty(0), "b": torch.empty(0)}))
    assert [row.coding for row in packing.breakdown(data).tensors] == ["dense", "dense"]


AS_SAVED = "Load into a model built with the class and sizes that were saved."


def test_the_file_of_another_model_is_refused_with_the_first_names():
    refuses(
        ResNet8(width=4, input_shape=(3, 8, 8)),
        packing.to_bytes(SimpleCNN()),
        "data must hold the tensors of this ResNet8, got no 'conv.weight', 'conv.bias', "
        "'bn.weight' and 52 more; unexpected 'conv1.weight', 'conv1.bias', 'conv2.weight' and 5 "
        f"more. {AS_SAVED}",
    )


def test_another_width_is_refused_with_both_shapes():
    refuses(
        SimpleCNN(num_classes=7),
        packing.to_bytes(SimpleCNN()),
        "data must hold the tensors of this SimpleCNN, got a different "
        "'fc2.weight' (float32 (10, 128) in the file, float32 (7, 128) here), "
        f"'fc2.bias' (float32 (10,) in the file, float32 (7,) here). {AS_SAVED}",
    )


def test_another_type_is_refused_and_not_cast():
    refuses(
        nn.Linear(2, 1, bias=False).half(),
        packing.to_bytes(nn.Linear(2, 1, bias=False)),
        "data must hold the tensors of this Linear, got a different "
        f"'weight' (float32 (1, 2) in the file, float16 (1, 2) here). {AS_SAVED}",
    )


def test_a_parametrized_model_is_refused_and_told_what_to_do():
    refuses(
        mask_(SimpleCNN(), sparsity=0.5),
        packing.to_bytes(SimpleCNN()),
        "model must be plain to load into, got one with parametrized 'conv1.weight', "
        "'conv2.weight', 'fc1.weight' and 1 more. Load into a plain model (for example a fresh "
        "SimpleCNN()) or call prune.bake_ first.",
    )
    refuses(
        mask_(nn.Linear(2, 2), sparsity=0.5),
        packing.to_bytes(nn.Linear(2, 2)),
        "model must be plain to load into, got one with parametrized 'weight'. Load into a plain "
        "model (for example a fresh Linear()) or call prune.bake_ first.",
    )


def test_an_expanded_buffer_is_packed_but_not_written_into(bag):
    model = bag({"x": torch.ones(1).expand(3)})
    data = packing.to_bytes(model)
    refuses(
        model,
        data,
        "model must own its tensors to be loaded into, got 'x', computed or expanded. Register "
        "plain parameters or buffers, such as tensor.clone().",
    )
    plain = bag({"x": torch.zeros(3)})
    packing.from_bytes_(plain, data)
    assert plain.x.tolist() == [1, 1, 1]


def test_a_single_element_with_stride_zero_can_be_filled(bag):
    model = bag({"x": torch.zeros(()).expand(1)})
    assert model.x.stride() == (0,)
    packing.from_bytes_(model, packing.to_bytes(bag({"x": torch.ones(1)})))
    assert model.x.tolist() == [1]


def test_a_tensor_that_a_module_makes_up_for_its_state_is_not_written_into():
    class Computed(nn.Linear):
        def _save_to_state_dict(self, destination, prefix, keep_vars):
            destination[prefix + "norm"] = self.weight.norm().detach()

    model = Computed(2, 2)
    refuses(
        model,
        packing.to_bytes(model),
        "model must own its tensors to be loaded into, got 'norm', computed or expanded. Register "
        "plain parameters or buffers, such as tensor.clone().",
    )


def cannot_pack(model, sentence):
    with pytest.raises(PackingError, match=f"^{re.escape(sentence)}$"):
        packing.to_bytes(model)
    with pytest.raises(PackingError, match=f"^{re.escape(sentence)}$"):
        packing.from_bytes_(model, packing.to_bytes(nn.Linear(2, 2)))


@pytest.mark.parametrize("device", ["lazy", "meta"])
def test_a_model_without_values_is_refused(device):
    cannot_pack(
        nn.LazyLinear(3) if device == "lazy" else nn.Linear(3, 3, device="meta"),
        "weight must hold values to be packed or loaded, got a lazy or meta tensor. "
        "Run the model once on an example input, or build it on the CPU.",
    )


TYPES = (
    "'float32', 'float64', 'float16', 'bfloat16', 'bool', 'uint8', 'int8', 'int16', 'int32' or "
    "'int64'"
)


@pytest.mark.parametrize(
    ("tensor", "got"),
    [
        (torch.ones(2, dtype=torch.complex64), "torch.complex64 (torch.strided)"),
        (torch.eye(2).to_sparse(), "torch.float32 (torch.sparse_coo)"),
    ],
)
def test_a_tensor_of_another_kind_is_refused(bag, tensor, got):
    cannot_pack(
        bag({"x": tensor}),
        f"x must be a dense tensor of type {TYPES} to be packed or loaded, got {got}. "
        "Convert it first.",
    )


def test_too_many_dimensions_are_refused(bag):
    fits = bag({"x": torch.ones([1] * 32)})
    packing.from_bytes_(fits, packing.to_bytes(fits))
    cannot_pack(
        bag({"x": torch.ones([1] * 33)}),
        "x must have at most 32 dimensions to be packed or loaded, got 33.",
    )


@pytest.mark.parametrize(("state", "kind"), [({"a": 1}, "dict"), (torch.ones(1), "Tensor")])
def test_extra_state_is_refused_when_packing_and_not_only_when_loading(state, kind):
    class Extra(nn.Linear):
        def get_extra_state(self):
            return state

    cannot_pack(
        Extra(2, 2),
        "_extra_state must be a parameter or buffer to be packed or loaded, got extra state of "
        f"type {kind}. Keep such state outside the module.",
    )


def test_a_path_for_bytes_and_a_class_for_a_model_are_answered():
    sentence = (
        "data must be the bytes of a packed file, got str. For a file on disk there is "
        "packing.load_(model, path)."
    )
    with pytest.raises(TypeError, match=f"^{re.escape(sentence)}$"):
        packing.from_bytes_(nn.Linear(2, 2), "model.lwlab")
    sentence = "model must be a torch.nn.Module, got the class SimpleCNN. Did you mean SimpleCNN()?"
    with pytest.raises(TypeError, match=f"^{re.escape(sentence)}$"):
        packing.to_bytes(SimpleCNN)
    with pytest.raises(TypeError, match=f"^{re.escape(sentence)}$"):
        packing.from_bytes_(SimpleCNN, b"")
