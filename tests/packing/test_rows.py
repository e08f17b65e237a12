from __future__ import annotations

import re

import numpy as np
import pytest

from lwlab.packing.rows import Rows

SHAPE = (2, 3, 4)


@pytest.mark.parametrize(
    ("rows", "first"),
    [
        (Rows(), list(range(24))),
        (Rows(0), list(range(12))),
        (Rows(1), [0, 1, 2, 3, 12, 13, 14, 15]),
        (Rows(2), [0, 4, 8, 12, 16, 20]),
        (Rows(1, 4), [0, 1, 2, 3]),
        (Rows(2, 3), [0, 4, 8]),
    ],
)
def test_a_tensor_is_cut_into_rows_and_joined_again(rows, first):
    tensor = np.arange(24).reshape(SHAPE)
    cut = rows.cut(tensor)
    assert cut[0].tolist() == first
    assert rows.sizes(SHAPE) == cut.shape
    joined = rows.join(cut, SHAPE)
    assert np.array_equal(joined, tensor)
    assert joined.flags.c_contiguous


@pytest.mark.parametrize(
    ("rows", "shape"),
    [
        (Rows(3), SHAPE),
        (Rows(-1), SHAPE),
        (Rows(0), ()),
        (Rows(), (2, 0)),
        (Rows(0, 5), SHAPE),
        (Rows(0, 0), SHAPE),
        (Rows(None, 4), SHAPE),
        (Rows(0, 24), SHAPE),
    ],
)
def test_rows_that_do_not_fit_are_refused(rows, shape):
    sentence = f"rows must fit the shape {shape}, got {rows}."
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        rows.sizes(shape)
