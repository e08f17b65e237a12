import plotly.graph_objects as go
import pytest

from lwlab.labs import LivePlot
from lwlab.labs.live_plot import Drag


def lines(count):
    shapes = [{"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1} for x in range(count)]
    return go.Figure({"data": [], "layout": {"shapes": shapes}})


def message(**changes):
    return {"kind": "drag", "figure": 1, "shape": 1, "x": 0.25, **changes}


def send(plot, content):
    """Let a message arrive as if the page had sent it."""
    plot._handle_custom_msg(content, [])


@pytest.fixture
def dragged():
    """A plot of two figures, the second with two lines, and the drags that were heard of."""
    plot, heard = LivePlot(lines(0), lines(2)), []
    plot.on_drag(heard.append)
    return plot, heard


def test_a_drag_reaches_the_callback_as_plain_values(dragged):
    plot, heard = dragged
    send(plot, message())
    send(plot, message(shape=0, x=-3))
    assert heard == [Drag(1, 1, 0.25), Drag(1, 0, -3.0)]


def test_clicks_and_drags_go_to_those_who_asked_for_them(dragged):
    plot, drags = dragged
    clicks = []
    plot.on_click(clicks.append)
    send(plot, message())
    send(plot, {"kind": "click", "figure": 0, "x": 1, "y": 2})
    assert (len(drags), len(clicks)) == (1, 1)


@pytest.mark.parametrize(
    "strange",
    [
        None,
        "drag",
        {},
        message(kind="pull"),
        message(figure=2),
        message(figure=0),  # it has no line
        message(figure=True),
        message(shape=2),
        message(shape=-1),
        message(shape="0"),
        message(x=None),
        message(x=True),
        message(x="0.5"),
        message(x=float("nan")),
        message(x=float("inf")),
        message(x=[1]),
    ],
)
def test_a_message_that_is_no_drag_is_dropped(dragged, strange):
    plot, heard = dragged
    before = plot.status
    send(plot, strange)
    assert (heard, plot.status) == ([], before)


def test_what_is_locked_cannot_be_dragged(dragged):
    plot, heard = dragged
    plot.mark("locked", "Guess first.")
    send(plot, message())
    assert heard == []
    plot.mark("fresh")
    send(plot, message())
    assert len(heard) == 1


def test_a_callback_that_fails_shows_its_sentence(dragged):
    plot, _ = dragged

    def refuse(drag):
        raise ValueError(f"x must be above 1, got {drag.x}.")

    plot.on_drag(refuse)
    send(plot, message())
    assert plot.status == {"kind": "error", "text": "x must be above 1, got 0.25."}
