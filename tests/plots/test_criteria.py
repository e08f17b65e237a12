import re
from types import SimpleNamespace

import pytest
from plotly.graph_objects import Figure

from lwlab.plots import criteria_strip, describe
from lwlab.plots.criteria import criteria_curves
from lwlab.plots.snapshot import snapshot_png


def row(criterion, seed, as_cut, recovered):
    return SimpleNamespace(criterion=criterion, seed=seed, as_cut=as_cut, recovered=recovered)


ROWS = [
    row("random", 0, 0.2, 0.7),
    row("random", 1, 0.4, 0.9),
    row("norm", 0, 0.5, 0.95),
]


def by_name(figure):
    return {trace.name: trace for trace in figure.data}


def test_each_network_has_its_mark_and_each_criterion_its_mean():
    traces = by_name(criteria_strip(ROWS, criteria=["random", "norm"]))
    cut, tuned, mean = (
        traces[name] for name in ("as cut, each network", "fine-tuned, each network", "mean")
    )
    assert list(cut.x) == ["random", "random", "norm"]
    assert list(cut.y) == [20, 40, 50]
    assert list(tuned.y) == [70, 90, 95]
    assert dict(zip(mean.x, mean.y, strict=True)) == {"random": pytest.approx(80), "norm": 95}


def test_without_fine_tuning_there_is_one_kind_of_mark():
    rows = [row("random", 0, 0.3, 0.3)]
    figure = criteria_strip(rows, criteria=["random"], baseline=0.9)
    assert list(by_name(figure)) == ["as cut, each network", "mean"]
    assert figure.layout.shapes[0].y0 == 90
    assert describe(figure) == "Mean accuracy as cut by criterion: random 30.0 %."


def test_columns_keep_their_places_while_rows_are_still_coming():
    figure = criteria_strip(ROWS[:2], criteria=["norm", "random"])
    assert list(figure.layout.xaxis.categoryarray) == ["norm", "random"]
    assert list(figure.layout.xaxis.range) == [-0.5, 1.5]
    nothing = criteria_strip([], criteria=["norm"])
    assert describe(nothing) == "Accuracy by criterion: nothing measured yet."


def test_a_row_without_a_column_is_refused():
    sentence = "criteria must hold the one of each row, got none 'norm'."
    with pytest.raises(ValueError, match=re.escape(sentence)):
        criteria_strip(ROWS, criteria=["random"])


def cut(criterion, sparsity, values):
    return [
        SimpleNamespace(
            criterion=criterion, seed=seed, sparsity=sparsity, as_cut=value / 2, recovered=value
        )
        for seed, value in enumerate(values)
    ]


CURVES = [
    *cut("random", 0.9, [0.2, 0.4]),
    *cut("random", 0.5, [0.8, 0.9]),
    *cut("norm", 0.9, [0.5, 0.5]),
    *cut("norm", 0.5, [0.96, 1.0]),
]


def test_curves_pass_the_means_over_networks_before_and_after_recovery_in_order_of_the_cut():
    as_cut, tuned = (by_name(figure) for figure in criteria_curves(CURVES))
    assert list(tuned) == list(as_cut) == ["random", "norm"]
    assert list(tuned["random"].x) == [50, 90]
    assert list(tuned["random"].y) == pytest.approx([85, 30])
    assert list(as_cut["random"].y) == pytest.approx([42.5, 15])
    # Two networks 10 points apart: sqrt(2 * 5^2 / 1)
    assert tuned["random"].error_y.array[0] == pytest.approx(50**0.5)
    assert tuned["random"].text[0] == (
        "random, 50.0 % cut<br>85.0 % right, standard deviation 7.1 over 2"
    )


def test_no_bar_reaches_beyond_0_or_100_percent():
    _, tuned = criteria_curves([*CURVES, *cut("worst", 0.9, [0.0, 0.1])])
    norm, worst = by_name(tuned)["norm"], by_name(tuned)["worst"]
    assert norm.error_y.array[0] == pytest.approx(2)  # 98 +- 2.8
    assert norm.error_y.arrayminus[0] == pytest.approx(8**0.5)
    assert worst.error_y.arrayminus[0] == pytest.approx(5)  # 5 +- 7.1
    assert worst.error_y.array[0] == pytest.approx(50**0.5)


def test_a_single_network_has_no_bar():
    _, tuned = criteria_curves(cut("norm", 0.5, [0.9]))
    assert list(tuned.data[0].error_y.array) == [0]


def test_each_line_can_be_told_without_its_colour_and_the_whole_networks_are_a_dashed_line():
    rows = [row for name in "abcd" for row in cut(name, 0.5, [0.9])]
    for figure in criteria_curves(rows, baseline=0.95):
        looks = {(trace.line.dash, trace.marker.symbol) for trace in figure.data}
        assert len(looks) == 4
        (line,) = figure.layout.shapes
        assert (line.y0, line.y1, line.line.dash) == (95, 95, "dash")
    assert not criteria_curves(rows)[0].layout.shapes


def test_the_summary_of_the_curves_names_both_ends_and_the_stage():
    as_cut, tuned = criteria_curves(CURVES, title="digits, channels")
    assert describe(tuned) == (
        "Mean accuracy fine-tuned against the share cut: random 85.0 % at 50 % and 30.0 % at 90 %, "
        "norm 98.0 % at 50 % and 50.0 % at 90 %."
    )
    assert describe(as_cut).startswith("Mean accuracy as cut against the share cut: random 42.5 %")
    assert tuned.layout.title.text == "digits, channels, fine-tuned"
    nothing, _ = criteria_curves([])
    assert describe(nothing) == "Accuracy as cut against the share cut: nothing measured yet."


def test_the_curves_are_valid_plotly_and_have_a_picture():
    for figure in criteria_curves(CURVES, baseline=0.97):
        Figure(figure.to_dict())  # raises where a property does not exist
        assert snapshot_png([figure])[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_criterion_in_html_is_drawn_letter_by_letter():
    _, tuned = criteria_curves(cut("<b>me</b>", 0.5, [0.9]))
    assert tuned.data[0].name == "&lt;b&gt;me&lt;/b&gt;"
    assert tuned.data[0].text[0].startswith("&lt;b&gt;me&lt;/b&gt;, 50.0 % cut")


def test_more_criteria_than_can_be_told_apart_are_refused():
    rows = [row for name in "abcde" for row in cut(name, 0.5, [0.9])]
    sentence = "rows must be of at most 4 criteria, got 5."
    with pytest.raises(ValueError, match=re.escape(sentence)):
        criteria_curves(rows)
