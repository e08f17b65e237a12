import base64
import gzip
import re
from importlib.resources import files

import ipywidgets
import plotly
import plotly.graph_objects as go
import pytest

from lwlab.labs import LivePlot, Screen
from lwlab.labs import live_plot as module
from lwlab.labs.live_plot import Click

PNG = b"\x89PNG\r\n\x1a\n"
STATUS_KINDS = ("fresh", "working", "estimate", "error", "locked")


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def bars(*heights):
    return go.Figure({"data": [{"type": "bar", "y": list(heights)}]})


@pytest.fixture
def sent(monkeypatch):
    """The messages that a LivePlot sends to the page, as the state each one carries."""
    messages = []

    class Comm:
        comm_id = "test"

        def send(self, data=None, **_):
            messages.append(data.get("state", {}))

        def on_msg(self, *_):
            pass

        def close(self, *_, **__):
            pass

    real = ipywidgets.Widget.open

    def open_with_a_comm(widget):
        real(widget)
        widget.comm = Comm()

    monkeypatch.setattr(LivePlot, "open", open_with_a_comm)
    return messages


def test_a_redraw_is_one_message_with_everything_that_belongs_to_one_result(sent):
    plot = LivePlot(bars(1))
    plot.mark("working", "Computing.")
    sent.clear()
    plot.show(Screen((bars(1), bars(2)), headline="<b>9</b>", code="print(9)"))
    assert len(sent) == 1
    content = sent[0]["content"]
    assert len(content["figures"]) == 2
    assert (content["headline"], content["code"]) == ("<b>9</b>", "print(9)")
    assert sent[0]["status"] == {"kind": "fresh", "text": ""}
    assert set(sent[0]) == {"content", "status"}  # plotly.js does not travel again


def test_a_mark_is_one_message_and_leaves_the_figures_where_they_are(sent):
    plot = LivePlot(bars(1))
    sent.clear()
    plot.mark("estimate", "From 500 of 2,000.")
    assert sent == [{"status": {"kind": "estimate", "text": "From 500 of 2,000."}}]


def test_the_same_screen_shown_again_is_a_new_version(sent):
    plot = LivePlot()
    versions = [plot.content["version"]]
    sent.clear()
    for _ in range(3):
        plot.show(Screen((bars(1),)))
        versions.append(plot.content["version"])
    assert versions == [1, 2, 3, 4]
    assert len(sent) == 3


@pytest.mark.parametrize("kind", STATUS_KINDS)
def test_every_kind_of_status_has_its_look_and_is_ended_by_the_next_screen(kind):
    plot = LivePlot(bars(1))
    plot.mark(kind, "so it is")
    assert plot.status == {"kind": kind, "text": "so it is"}
    plot.show(Screen((bars(2),)))
    assert plot.status == {"kind": "fresh", "text": ""}
    css = files("lwlab.labs").joinpath("live_plot.css").read_text()
    assert kind == "fresh" or f'[data-status="{kind}"]' in css


def test_figures_travel_as_plotly_wrote_them():
    figure = bars(1, 5, 2)
    plot = LivePlot(figure, columns=3)
    (text,) = plot.content["figures"]
    assert plotly.io.from_json(text) == figure
    assert plot.content["columns"] == 3


def test_screen_is_what_is_shown():
    plot = LivePlot(bars(1))
    assert plot.screen == Screen((plot.screen.figures[0],))
    screen = Screen((bars(3),), headline="h")
    plot.show(screen)
    assert plot.screen is screen


def test_something_else_than_a_figure_is_refused_and_nothing_changes():
    plot = LivePlot(bars(1))
    plot.mark("working", "Computing.")
    before = (plot.screen, plot.content, plot.status)
    with says(TypeError, "figures must be plotly.graph_objects.Figure, got dict."):
        plot.show(Screen((bars(2), {"data": []})))
    assert (plot.screen, plot.content, plot.status) == before
    plot.show(Screen((bars(2),)))
    assert plot.content["version"] == before[1]["version"] + 1
    with says(TypeError, "figures must be plotly.graph_objects.Figure, got str."):
        LivePlot("a figure")
    with says(ValueError, "columns must be a whole number from 1 to 6, got 7."):
        LivePlot(columns=7)


def test_a_page_without_a_kernel_gets_the_view_and_a_picture():
    plot = LivePlot(bars(1), bars(2))
    data, _ = plot._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    picture = base64.b64decode(data["image/png"], validate=True)
    assert picture[:8] == PNG
    assert picture == plot.png()


def test_columns_hold_in_the_picture_too():
    wide, high = (LivePlot(bars(1), bars(2), columns=n).png() for n in (2, 1))
    assert (wide[16:24], high[16:24]) == (
        (960).to_bytes(4) + (270).to_bytes(4),
        (960).to_bytes(4) + (540).to_bytes(4),
    )


def test_there_is_no_picture_without_figures_and_none_that_gives_a_locked_answer_away():
    empty, locked = LivePlot(), LivePlot(bars(1))
    locked.mark("locked", "Guess first.")
    for plot in (empty, locked):
        bundle = plot._repr_mimebundle_()
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        assert "application/vnd.jupyter.widget-view+json" in data
        assert "image/png" not in data
    locked.mark("fresh")
    assert "image/png" in locked._repr_mimebundle_()[0]


def test_the_text_of_a_plot_does_not_differ_from_run_to_run():
    first, second = LivePlot(bars(1), bars(2)), LivePlot(bars(3), bars(4))
    assert repr(first) == repr(second) == "LivePlot(2 figures)"
    assert first._repr_mimebundle_()[0]["text/plain"] == "LivePlot(2 figures)"


def test_plotly_js_is_the_installed_one_packed_once_and_shared(monkeypatch):
    calls = []
    real = gzip.compress
    monkeypatch.setattr(module.gzip, "compress", lambda *a, **k: calls.append(1) or real(*a, **k))
    module._plotly_source.cache_clear()
    plots = [LivePlot(bars(n)) for n in range(4)]
    assert len(calls) == 1
    assert len({plot.plotly_source.model_id for plot in plots}) == 1
    installed = files(plotly).joinpath("package_data", "plotly.min.js").read_bytes()
    assert gzip.decompress(plots[0].plotly_source.gzipped) == installed


def test_a_plot_names_the_carrier_of_plotly_js_instead_of_carrying_it():
    plot = LivePlot(bars(1))
    state = plot.get_state()
    assert state["plotly_source"] == f"IPY_MODEL_{plot.plotly_source.model_id}"
    assert sum(len(str(value)) for value in state.values()) < 40_000


def message(**changes):
    click = {"kind": "click", "figure": 1, "x": 3, "y": "fc1", "customdata": ["a", 0.5, None, True]}
    return {**click, **changes}


def send(plot, content):
    """Let a message arrive as if the page had sent it."""
    plot._handle_custom_msg(content, [])


@pytest.fixture
def clicked():
    """A plot of two figures, and the clicks that its callback was told of."""
    plot, heard = LivePlot(bars(1), bars(2)), []
    plot.on_click(heard.append)
    return plot, heard


def test_a_click_reaches_the_callback_as_plain_values(clicked):
    plot, heard = clicked
    send(plot, message())
    send(plot, message(figure=0, x=0.5, y=2, customdata=None))
    assert heard == [Click(1, 3, "fc1", ("a", 0.5, None, True)), Click(0, 0.5, 2, None)]


def test_pages_send_clicks_only_to_those_who_want_them():
    plot = LivePlot(bars(1))
    assert plot.get_state()["clickable"] is False
    send(plot, message(figure=0))  # nobody listens: nothing happens
    plot.on_click(lambda click: None)
    assert plot.get_state()["clickable"] is True


def test_every_callback_is_called_and_one_that_fails_shows_its_sentence(clicked):
    plot, heard = clicked

    def refuse(click):
        raise ValueError(f"x must be below 3, got {click.x}.")

    def fail(click):
        raise KeyError("gone")

    plot.on_click(refuse)
    plot.on_click(heard.append)
    send(plot, message())
    assert len(heard) == 2
    assert plot.status == {"kind": "error", "text": "x must be below 3, got 3."}
    plot.on_click(fail)
    send(plot, message())
    assert plot.status == {"kind": "error", "text": "KeyError: 'gone'"}


@pytest.mark.parametrize(
    "strange",
    [
        None,
        "click",
        [],
        {},
        message(kind="other"),
        message(figure=2),
        message(figure=-1),
        message(figure=True),
        message(figure="0"),
        message(figure=0.0),
        message(x=None),
        message(y=None),
        message(x=float("nan")),
        message(y=float("inf")),
        message(x={"a": 1}),
        message(x=[1]),
        message(y="a" * 1001),
        message(customdata={"a": 1}),
        message(customdata=[[1]]),
        message(customdata=[1] * 101),
        message(customdata=float("nan")),
    ],
)
def test_a_message_that_is_no_click_is_dropped(clicked, strange):
    plot, heard = clicked
    before = plot.status
    send(plot, strange)
    assert (heard, plot.status) == ([], before)


def test_what_is_locked_cannot_be_clicked(clicked):
    plot, heard = clicked
    plot.mark("locked", "Guess first.")
    send(plot, message())
    assert heard == []
    plot.mark("fresh")
    send(plot, message())
    assert len(heard) == 1
