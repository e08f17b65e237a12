from __future__ import annotations

import re

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from lwlab import packing
from lwlab.packing.rows import Rows
from lwlab.packing.stored import ScaledCodes, described_tensors


def codes_of(weight):
    steps = (weight * 4).round().int()
    zero = torch.zeros(1, dtype=torch.int32)
    return ScaledCodes(steps, torch.tensor([0.25]), zero, 8)


class Quarters(nn.Module):
    """A technique that the package does not know: weights in quarters."""

    def forward(self, weight):
        return codes_of(weight).codes * 0.25

    def stored_form(self, weight):
        return codes_of(weight)


class Silent(Quarters):
    def stored_form(self, weight):
        return None


class Doubled(nn.Module):
    def forward(self, weight):
        return 2 * weight


def linear(*parts):
    layer = nn.Linear(16, 16, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.arange(256.0).reshape(16, 16) / 60 - 2)
    for part in parts:
        parametrize.register_parametrization(layer, "weight", part)
    return layer


def test_the_topmost_parametrization_is_asked_with_what_it_gets_as_input():
    model = nn.Sequential(linear(Doubled(), Quarters()), linear(Quarters()))
    found = described_tensors(model)
    assert list(found) == ["0.weight", "1.weight"]
    for name, layer in (("0.weight", model[0]), ("1.weight", model[1])):
        assert torch.equal(found[name].codes * 0.25, layer.weight)


@pytest.mark.parametrize(
    "layer",
    [
        linear(),
        linear(Silent()),
        linear(Quarters(), Doubled()),
        parametrizations.weight_norm(nn.Linear(4, 4)),
    ],
    ids=["plain", "silent", "covered", "of several tensors"],
)
def test_where_nothing_is_said_nothing_is_found(layer):
    assert described_tensors(layer) == {}
    packing.to_bytes(layer)


def test_a_description_above_weight_norm_gets_the_product():
    layer = parametrizations.weight_norm(linear())
    parametrize.register_parametrization(layer, "weight", Quarters())
    assert torch.equal(described_tensors(layer)["weight"].codes * 0.25, layer.weight)


def test_a_module_under_two_names_is_described_under_both_and_stored_once():
    layer = linear(Quarters())
    model = nn.ModuleDict({"a": layer, "b": layer})
    found = described_tensors(model)
    assert found["a.weight"] is found["b.weight"]
    data = packing.to_bytes(model, codings={"palette"})
    rows = packing.breakdown(data).tensors
    assert [row.coding for row in rows] == ["palette", "tied"]


GOOD = {
    "codes": torch.zeros(2, 3, dtype=torch.int32),
    "scale": torch.ones(2),
    "zero_point": torch.zeros(2, dtype=torch.int32),
    "num_bits": 4,
    "rows": Rows(0),
}


@pytest.mark.parametrize(
    ("changed", "kind", "sentence"),
    [
        (
            {"codes": torch.zeros(2, 3)},
            TypeError,
            "codes must be whole numbers, got torch.float32.",
        ),
        (
            {"zero_point": torch.zeros(2)},
            TypeError,
            "zero_point must be whole numbers, got torch.float32.",
        ),
        ({"scale": torch.ones(2).half()}, TypeError, "scale must be float32, got torch.float16."),
        ({"num_bits": 9}, ValueError, "num_bits must be 1 to 8, got 9 to 9."),
        ({"num_bits": torch.tensor([0, 3])}, ValueError, "num_bits must be 1 to 8, got 0 to 3."),
        (
            {"scale": torch.ones(3)},
            ValueError,
            (
                "scale, zero_point and num_bits must have one number for each of the 2 rows, got "
                "shapes (3,), (2,), (3,)."
            ),
        ),
        (
            {"rows": Rows(2)},
            ValueError,
            "rows must fit the shape (2, 3), got Rows(axis=2, size=None).",
        ),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(changed, kind, sentence):
    assert ScaledCodes(**GOOD).widths.tolist() == [4, 4]
    with pytest.raises(kind, match=f"^{re.escape(sentence)}$"):
        ScaledCodes(**{**GOOD, **changed})
