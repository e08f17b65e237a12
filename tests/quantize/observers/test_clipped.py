import re

import pytest
import torch

from lwlab.quantize import Grid, PerChannel, quantize_tensor
from lwlab.quantize.observers.clipped import Clipped

ROWS = torch.tensor([[-4.0, 0.5, 3.0], [-0.5, 0.0, 1.0]])
SYMMETRIC, ASYMMETRIC = Grid(4), Grid(4, symmetric=False)


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def ends(rule, grid):
    rule.observe(ROWS)
    return [end.tolist() for end in rule.range(grid)]


def test_a_group_ends_at_the_lines_or_before():
    assert ends(Clipped(-1.0, 2.0), ASYMMETRIC) == [[-1.0, -0.5], [2.0, 1.0]]


def test_on_a_symmetric_grid_the_larger_end_counts():
    assert ends(Clipped(-1.0, 2.0), SYMMETRIC) == [[-2.0, -0.5], [2.0, 1.0]]


def test_lines_beyond_all_weights_are_min_max():
    assert ends(Clipped(-9.0, 9.0), ASYMMETRIC) == [[-4.0, -0.5], [3.0, 1.0]]


def test_it_is_a_range_rule_like_any_other():
    quantized = quantize_tensor(ROWS, 4, PerChannel(), range_rule=Clipped(-1.4, 1.4))
    assert quantized.scale.tolist() == pytest.approx([0.2, 1 / 7])
    assert quantized.codes[0].tolist() == [-8, 2, 7]


def test_ends_must_have_0_between_them():
    with says(ValueError, "low must be a finite number of at most 0, got 0.5."):
        Clipped(0.5, 1.0)
    with says(ValueError, "high must be a finite number of at least 0, got -0.5."):
        Clipped(-1.0, -0.5)
    with says(ValueError, "low and high must leave a range between them, got 0.0 and 0.0."):
        Clipped(0.0, 0.0)
