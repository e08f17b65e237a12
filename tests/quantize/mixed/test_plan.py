"""A plan: its sums, its words."""

import pytest

from lwlab.measure import Accuracy
from lwlab.quantize.mixed.plan import BitPlan, LayerBits


def plan(**changes):
    rows = (LayerBits("a<b>", 4, 1000, 0.25), LayerBits("fc", (2, 3, 3, 2, 3), 50, 0.5))
    given = {"target_bytes": 1000, "size_bytes": 990, "loss_bound": 0.7, "strategy": "channels"}
    return BitPlan(rows, **{**given, **changes})


def test_sums_by_hand():
    found = plan()
    assert found.bits == {"a<b>": 4, "fc": (2, 3, 3, 2, 3)}
    assert found.predicted_loss == 0.75
    assert found.used == 0.99
    assert not found.is_by_layer
    assert [row.mean_bits for row in found.layers] == [4, pytest.approx(2.6)]
    assert [row.text for row in found.layers] == ["4", "2 x 2, 3 x 3"]


def test_it_shows_a_table_and_escapes_names():
    assert str(plan()).splitlines() == [
        "layer  weights  bits a weight  channels x bits  predicted loss",
        "a<b>   1,000    4.00           4                0.25",
        "fc     50       2.60           2 x 2, 3 x 3     0.5",
        "990 of 1,000 bytes used (99.0 %), found by: channels",
    ]
    scored = plan(accuracy=Accuracy(9, 10))
    assert str(scored).endswith("; accuracy 90.0 % (59.6-98.2 %, 9 of 10)")
    assert "a&lt;b&gt;" in scored._repr_html_()
    assert "a<b>" not in scored._repr_html_()
