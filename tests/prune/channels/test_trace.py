from __future__ import annotations

import math

import torch
from torch import nn

from lwlab.prune.channels.layer_rules import is_layer
from lwlab.prune.channels.trace import ReadSize, tensors_in, trace

ROW = torch.ones(2, 3)


def test_layers_and_functions_are_written_down_in_order(written):
    def forward(m, x):
        parts = [m.a(x)]
        parts.append(parts[0].relu())
        joined = torch.cat(parts, 1)
        parts.clear()
        return joined

    found = trace(written(forward, a=nn.Linear(3, 2)), ROW, is_layer)
    assert [(call.operation, call.layer) for call in found.calls] == [
        ("Linear", "a"),
        ("relu", None),
        ("cat", None),
    ]
    assert [len(call.inputs) for call in found.calls] == [1, 1, 2]  # the list was cleared later
    assert found.outputs[0] is found.calls[-1].output


def test_sizes_that_were_read_are_known_from_typed_ones():
    size = ReadSize(6)
    for derived in (
        size * 2,
        2 * size,
        size // 2,
        size + 1,
        7 - size,
        size % 4,
        math.prod([size, 2]),
    ):
        assert isinstance(derived, ReadSize)
    assert (size // 4, 13 % size, size - 1) == (1, 1, 5)
    assert not isinstance(size / 2, ReadSize)


def test_a_tuple_and_a_dict_of_inputs_are_passed_on(written):
    model = written(lambda m, x, y: m.a(x) * y, a=nn.Linear(3, 2))
    for inputs in ((ROW, torch.tensor(2.0)), {"y": torch.tensor(2.0), "x": ROW}):
        [output] = trace(model, inputs, is_layer).outputs
        assert torch.allclose(output, 2 * model.a(ROW))


def test_tensors_are_found_in_nested_containers():
    one, two = torch.ones(1), torch.ones(2)
    assert [t.numel() for t in tensors_in({"a": [one, (two, 3)], "b": None})] == [1, 2]
