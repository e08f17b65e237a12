import pytest

from lwlab.plots import TradeoffPoint, accuracy_against_size, describe


def point(size, accuracy=0.9, label="try"):
    return TradeoffPoint(label, accuracy, accuracy - 0.05, accuracy + 0.02, size)


def trace(figure, name):
    (found,) = [t for t in figure.data if t.name == name]
    return found


@pytest.mark.parametrize(
    ("size", "shown", "unit"),
    [
        (999, 999, "bytes"),
        (1000, 1.0, "kB"),
        (212_000, 212.0, "kB"),
        (999_999, 999.999, "kB"),
        (1_722_000, 1.722, "MB"),
    ],
)
def test_the_unit_follows_the_largest_file(size, shown, unit):
    figure = accuracy_against_size([point(size)])
    assert list(trace(figure, "tries").x) == [pytest.approx(shown)]
    assert figure.layout.xaxis.title.text == f"size of the file ({unit})"
    assert figure.layout.xaxis.range == (0, pytest.approx(1.08 * shown))
    assert figure.layout.yaxis.range == (0, 104)


def test_tries_baseline_and_present_are_three_traces_in_one_unit():
    figure = accuracy_against_size(
        [point(50_000, 0.8), point(20_000, 0.5)], baseline=point(200_000, 0.95), current=point(300)
    )
    assert [t.name for t in figure.data] == ["tries", "before", "now"]
    assert [list(t.x) for t in figure.data] == [[50.0, 20.0], [200.0], [0.3]]
    assert list(trace(figure, "tries").y) == [80.0, 50.0]
    assert len({t.marker.symbol for t in figure.data}) == 3  # told apart without their colours


def test_intervals_are_drawn_in_points_above_and_below():
    bars = trace(accuracy_against_size([], current=point(5)), "now").error_y
    assert list(bars.array) == [pytest.approx(2.0)]
    assert list(bars.arrayminus) == [pytest.approx(5.0)]


def test_the_baseline_has_a_line_at_its_height():
    figure = accuracy_against_size([], baseline=point(5, 0.97))
    (line,) = figure.layout.shapes
    assert (line.y0, line.y1) == (97.0, 97.0)
    assert not accuracy_against_size([point(5)]).layout.shapes


def test_the_axes_stand_still_while_the_present_moves_below_the_baseline():
    ranges = [
        accuracy_against_size([], baseline=point(900), current=point(n)).layout.xaxis.range
        for n in (10, 400, 890)
    ]
    assert ranges == [(0, pytest.approx(972))] * 3


def test_the_sentence_says_now_and_before():
    figure = accuracy_against_size([], baseline=point(212_000, 0.95), current=point(31_000, 0.61))
    assert describe(figure) == "61.0 % right from 31.0 kB; before, 95.0 % from 212 kB."
    assert describe(accuracy_against_size([point(5), point(7, 0.5)])) == "50.0 % right from 7 B."


def test_the_hover_text_has_every_number_and_a_label_by_a_stranger_stays_text():
    figure = accuracy_against_size([point(5, label="<a href=x>%{y}</a>")])
    assert trace(figure, "tries").text[0] == (
        "&lt;a href=x&gt;&#37;{y}&lt;/a&gt;<br>90.0 % right (85.0-92.0 %)<br>5 B"
    )
    assert trace(figure, "tries").hovertemplate == "%{text}<extra></extra>"


def test_nothing_to_draw_is_an_error(says):
    with says(ValueError, "points must hold at least one measured network, got none."):
        accuracy_against_size([])
