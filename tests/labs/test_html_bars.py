import re

from torch import nn

from lwlab import packing
from lwlab.labs.html_bars import bar, class_rows, file_bars, file_parts, layer_rows, panel


def widths(html):
    return [float(width) for width in re.findall(r"width:([\d.]+)%", html)]


def test_a_layer_row_is_as_wide_as_its_share():
    [(name, bar, text)] = layer_rows(["conv1"], [0.125], [288])
    assert (name, text) == ("conv1", "12.5 % of 288")
    assert widths(bar) == [12.5]


def test_the_parts_of_a_file_share_one_scale_with_the_file_before():
    rows = file_bars({"values": 300, "positions": 100}, baseline_bytes=800)
    assert [text for _, _, text in rows] == ["400 B", "300 B values", "100 B positions", "800 B"]
    assert [widths(bar) for _, bar, _ in rows] == [[37.5, 12.5], [37.5], [12.5], [100.0]]


def test_a_file_larger_than_the_one_before_sets_the_scale():
    rows = file_bars({"values": 1000}, baseline_bytes=500)
    assert [widths(bar) for _, bar, _ in rows] == [[100.0], [100.0], [50.0]]


def test_names_of_strangers_do_not_become_html():
    html = panel("<b>title</b>", layer_rows(["<script>alert(1)</script>"], [0.5], [2]))
    assert "<script>" not in html
    assert "<b>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_a_class_row_has_its_share_now_and_a_line_where_it_was():
    lost, absent = class_rows(["cat", "dog"], [0.75, None], [0.5, None])
    assert (lost[0], lost[2]) == ("cat", "50.0 %, -25.0 points")
    assert widths(lost[1]) == [50.0]
    assert "left:calc(75.00% - 2px)" in lost[1]
    assert (absent[0], widths(absent[1]), absent[2]) == ("dog", [], "no examples")


def test_a_bar_has_a_line_only_where_one_is_wanted_and_never_outside():
    assert "calc" not in bar([("lwlab-part-0", 0.5)])
    assert "left:calc(100.00% - 2px)" in bar([], mark=1.3)


def test_a_codebook_is_a_part_of_its_own_where_there_is_one():
    model = nn.Linear(64, 64)
    nn.init.constant_(model.weight, 0.5)
    breakdown = packing.breakdown(packing.to_bytes(model, codings={"palette"}))
    parts = file_parts(breakdown)
    assert list(parts) == ["values", "positions", "codebook", "header"]
    assert parts["codebook"] == breakdown.codebook == 5
    assert sum(parts.values()) == breakdown.total


def test_the_parts_of_a_file_add_up_and_other_is_named_only_where_there_is_some():
    model = nn.Linear(3, 2)
    breakdown = packing.breakdown(packing.to_bytes(model))
    parts = file_parts(breakdown)
    assert list(parts) == ["values", "positions", "header"]
    assert sum(parts.values()) == breakdown.total == len(packing.to_bytes(model))
