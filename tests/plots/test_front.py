import json
import math

import plotly.graph_objects as go
import pytest

from lwlab.plots import describe
from lwlab.plots.front import FrontPoint, pareto_front_plot

SMALL = FrontPoint("Pack", 0.9, 1_000, "a")
LARGE = FrontPoint("Prune", 0.95, 4_000, "b")
WORSE = FrontPoint("random", 0.8, 5_000, "c")


def trace(figure, name):
    [found] = [t for t in figure.data if t.name == name]
    return found


def test_ghosts_front_run_and_chosen_are_traces_of_their_own():
    figure = pareto_front_plot(
        [SMALL, LARGE, WORSE], [SMALL, LARGE], run=[WORSE], chosen=LARGE, baseline=WORSE
    )
    assert [t.name for t in figure.data] == ["tries", "the front", "this run", "before", "chosen"]
    assert list(trace(figure, "tries").x) == [1000, 4000, 5000]
    assert list(trace(figure, "the front").y) == [90.0, 95.0]
    assert len({(t.marker.symbol, t.marker.size) for t in figure.data}) == 5


def test_the_front_is_drawn_as_stairs_that_rise_with_the_bytes():
    assert trace(pareto_front_plot([], [SMALL, LARGE]), "the front").line.shape == "hv"


def test_a_click_tells_the_key_of_the_try():
    figure = pareto_front_plot([SMALL, LARGE], [SMALL], run=[LARGE])
    assert list(trace(figure, "tries").customdata) == ["a", "b"]
    assert list(trace(figure, "this run").customdata) == ["b"]


def test_the_steps_of_a_run_are_numbered_and_those_in_one_place_share_their_number():
    run = [WORSE, LARGE, LARGE, SMALL]
    assert list(trace(pareto_front_plot([], [], run=run), "this run").texttemplate) == [
        "1", "2, 3", "", "4"
    ]  # fmt: skip


def test_the_axis_of_bytes_is_logarithmic_and_holds_all_points():
    layout = pareto_front_plot([SMALL, WORSE], []).layout
    low, high = (10**end for end in layout.xaxis.range)
    assert layout.xaxis.type == "log"
    assert low < 1_000
    assert high > 5_000
    # Down to a twentieth of the largest, so that the axis stays where it is for what is to come.
    assert layout.xaxis.ticktext == ("200 B", "500 B", "1 kB", "2 kB", "5 kB")


@pytest.mark.parametrize(("accuracy", "lowest"), [(0.97, 80), (0.75, 70), (0.5, 40), (0.01, 0)])
def test_the_axis_of_accuracy_ends_at_a_multiple_of_ten_below_the_points(accuracy, lowest):
    axis = pareto_front_plot([FrontPoint("x", accuracy, 9)], []).layout.yaxis
    assert tuple(axis.range) == (lowest, 104)
    assert max(axis.tickvals) == 100
    assert min(axis.tickvals) >= lowest


def test_the_sentence_tells_the_front_and_the_run():
    assert describe(pareto_front_plot([SMALL, LARGE, WORSE], [SMALL, LARGE], run=[WORSE])) == (
        "3 tries; on the front 90.0 % from 1.00 kB, 95.0 % from 4.00 kB. "
        "This run has 1 steps, the last one at 80.0 % from 5.00 kB."
    )
    assert describe(pareto_front_plot([], [], baseline=SMALL)) == "0 tries."


def test_a_label_by_a_stranger_stays_text():
    figure = pareto_front_plot([FrontPoint("<a href=x>%{y}", 0.5, 5)], [])
    assert figure.data[0].text[0] == "&lt;a href=x&gt;&#37;{y}<br>50.0 % right from 5 B"


def test_plotly_takes_every_property():
    figure = pareto_front_plot([SMALL], [SMALL], run=[SMALL], chosen=SMALL, baseline=SMALL)
    go.Figure(json.loads(figure.to_json()))
    assert math.isfinite(figure.layout.xaxis.range[0])


def test_nothing_to_draw_and_files_of_no_length_are_errors(says):
    with says(ValueError, "tries must hold at least one point, got none."):
        pareto_front_plot([], [])
    with says(ValueError, "size_bytes must be at least 1, got 0."):
        pareto_front_plot([FrontPoint("x", 0.5, 0)], [])
