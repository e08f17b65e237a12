import pytest

from lwlab.plots.style import bar_style, point_style
from lwlab.plots.template import OUTLINE


def test_a_hollow_bar_has_an_edge_and_a_full_one_its_pattern():
    assert bar_style({"marker": OUTLINE}) == {"edge": "#888888"}
    full = {"marker": {"color": "red", "pattern": {"shape": "/"}}}
    assert bar_style(full) == {"fill": "red", "pattern": "/"}
    assert bar_style({}) == {"fill": "#0072b2", "pattern": ""}


@pytest.mark.parametrize(
    ("mode", "line", "marker"), [("lines", ":", ""), ("markers", "none", "o"), (None, ":", "")]
)
def test_lines_and_markers_follow_the_mode(mode, line, marker):
    trace = {"line": {"dash": "dot", "color": "red"}} | ({"mode": mode} if mode else {})
    style = point_style(trace)
    assert (style["linestyle"], style["marker"], style["color"]) == (line, marker, "red")


def test_an_open_circle_stays_open():
    style = point_style({"mode": "markers", "marker": {"symbol": "circle-open", "size": 12}})
    assert (style["fillstyle"], style["markeredgewidth"], style["markersize"]) == ("none", 2, 12)
