"""Sorted rows: the errors of levels equal those of a look at each value."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from lwlab.quantize.sorted_rows import SortedRows


def test_by_hand():
    rows = SortedRows(torch.tensor([[4.0, 0.0, 1.0]]))
    levels = torch.tensor([[0.0, 3.0]], dtype=torch.float64)
    cuts = rows.cuts(levels)
    assert cuts.tolist() == [[0, 2, 3]]
    assert rows.counts(cuts).tolist() == [[2, 1]]
    assert rows.sums(cuts).tolist() == [[1.0, 4.0]]
    assert rows.squared_error(levels).tolist() == [2.0]  # 0, 1 and (4 - 3)^2


def test_a_value_half_way_goes_to_the_lower_level():
    rows = SortedRows(torch.tensor([[1.0]]))
    assert rows.cuts(torch.tensor([[0.0, 2.0]], dtype=torch.float64)).tolist() == [[0, 1, 1]]


@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 12), st.integers(1, 3))
def test_the_error_is_that_of_a_look_at_each_value(seed, values, levels, groups):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(groups, values, generator=generator)
    level = torch.randn(groups, levels, generator=generator, dtype=torch.float64).sort(1).values
    slow = (x[:, :, None].double() - level[:, None, :]).square().amin(dim=2).sum(dim=1)
    torch.testing.assert_close(SortedRows(x).squared_error(level), slow)


def test_levels_on_the_values_leave_no_error():
    x = torch.tensor([[0.1, 0.7, 0.3]])
    assert SortedRows(x).squared_error(x.double().sort(dim=1).values).item() < 1e-15


def test_several_choices_of_levels_at_once_are_each_alone():
    rows = SortedRows(torch.randn(3, 20, generator=torch.Generator().manual_seed(0)))
    choices = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.5, 2.0]], dtype=torch.float64)
    together = rows.squared_error(choices.expand(3, 2, 3))
    alone = [rows.squared_error(levels.expand(3, 3)) for levels in choices]
    assert torch.equal(together, torch.stack(alone, dim=1))
