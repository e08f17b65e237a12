"""LivePlot: plotly figures that redraw with one message.

A plotly ``FigureWidget`` carries 5 MB of JavaScript *each* and sends about 13 messages a redraw.
Here plotly.js travels once to a page, compressed, and one message carries everything that belongs
to one result: figures, headline and code. So a number on screen can never be of another moment
than the curve beside it.

The drawing itself is in ``live_plot.js``; this file only says what is on screen.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import anywidget
import plotly
import traitlets
from ipywidgets import Widget, widget_serialization
from plotly.graph_objects import Figure

from lwlab.checks import check_count
from lwlab.labs.click import Click, Drag, read_click, read_drag
from lwlab.plots.snapshot import snapshot_png

__all__ = ["Click", "Drag", "LivePlot", "Screen", "error_text", "with_png"]

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Screen:
    """Everything a lab shows for one result.

    Attributes:
        figures: plotly figures, laid out in a grid.
        headline: HTML above the figures; whoever writes it escapes what came from a user.
        details: HTML below the figures, escaped likewise.
        code: lines of Python that reproduce the state, shown in a fold; empty for no fold.
        still: makes further figures for the still picture, of what ``details`` shows as HTML.
    """

    figures: tuple[Figure, ...] = ()
    headline: str = ""
    details: str = ""
    code: str = ""
    still: Callable[[], tuple[Figure, ...]] = tuple


class _PlotlySource(Widget):
    """Carries plotly.js to the page: no view, one trait, one instance a kernel."""

    gzipped = traitlets.Bytes().tag(sync=True)


@cache
def _plotly_source() -> _PlotlySource:
    # The copy inside the installed plotly package: offline, and always of the figures' version.
    script = files(plotly).joinpath("package_data", "plotly.min.js").read_bytes()
    return _PlotlySource(gzipped=gzip.compress(script, compresslevel=6))


class LivePlot(anywidget.AnyWidget):
    """A grid of plotly figures that a program can redraw many times a second.

    Args:
        *figures: plotly figures to start with.
        columns: how many stand side by side on a wide page; a narrow page has fewer.

    Attributes:
        screen: the ``Screen`` shown at this moment.
        clickable: whether anyone wants to hear of clicks; see ``on_click``.

    Raises:
        TypeError: one of ``figures`` is not a plotly figure.
    """

    _esm = _HERE / "live_plot.js"
    _css = _HERE / "live_plot.css"

    content = traitlets.Dict().tag(sync=True)
    status = traitlets.Dict().tag(sync=True)
    clickable = traitlets.Bool(False).tag(sync=True)
    plotly_source = traitlets.Instance(Widget).tag(sync=True, **widget_serialization)

    def __init__(self, *figures: Figure, columns: int = 2) -> None:
        columns = check_count("columns", columns, maximum=6)
        super().__init__(plotly_source=_plotly_source(), status=_status("fresh"))
        self._columns = columns
        self._version = 0
        self._on_click: list[Callable[[Click], None]] = []
        self._on_drag: list[Callable[[Drag], None]] = []
        self.on_msg(self._on_page_message)
        self.screen = Screen()
        self.show(Screen(figures))

    def show(self, screen: Screen) -> None:
        """Put ``screen`` up, in one message, and mark it as fresh."""
        content = self._content(screen)
        with self.hold_sync():
            self.content = content
            self.status = _status("fresh")
        self.screen = screen

    def mark(self, kind: str, text: str = "") -> None:
        """Say how the figures on screen stand to what was asked for.

        Args:
            kind: ``fresh``; ``working`` (they are being replaced), ``estimate`` (from a part of the
                data), ``error`` (what was asked for failed, they are of an earlier setting) or
                ``locked`` (hidden until a prediction is made).
            text: one plain sentence, shown beside the mark.
        """
        self.status = _status(kind, text)

    def on_click(self, callback: Callable[[Click], None]) -> None:
        """Call ``callback(click)`` whenever a point of a figure is clicked on a page.

        A callback that fails shows its sentence as an error mark.
        """
        self._on_click.append(callback)
        self.clickable = True

    def on_drag(self, callback: Callable[[Drag], None]) -> None:
        """Call ``callback(drag)`` whenever a line of a figure is dragged on a page.

        The lines of a figure can be dragged where its ``layout.meta`` says ``draggable``. A
        callback that fails shows its sentence as an error mark.
        """
        self._on_drag.append(callback)

    def _on_page_message(self, _widget: Any, content: Any, _buffers: Any) -> None:
        figures = self.screen.figures
        click = read_click(content, len(figures))
        drag = read_drag(content, [len(figure.layout.shapes or ()) for figure in figures])
        # A page cannot touch what it does not show.
        if self.status["kind"] == "locked":
            return
        calls = [(call, click) for call in self._on_click if click is not None]
        calls += [(call, drag) for call in self._on_drag if drag is not None]
        for callback, event in calls:
            try:
                callback(event)
            except Exception as error:
                # ipywidgets would only log it; whoever touched it must see it.
                self.mark("error", error_text(error))

    def png(self) -> bytes:
        """Return the figures as a picture, for pages that have no kernel behind them."""
        figures = [*self.screen.figures, *self.screen.still()]
        return snapshot_png(figures, columns=self._columns)

    def _content(self, screen: Screen) -> dict[str, Any]:
        for figure in screen.figures:
            if not isinstance(figure, Figure):
                raise TypeError(
                    f"figures must be plotly.graph_objects.Figure, got {type(figure).__name__}."
                )
        self._version += 1
        return {
            "version": self._version,
            "figures": [figure.to_json(validate=False) for figure in screen.figures],
            "columns": self._columns,
            "headline": screen.headline,
            "details": screen.details,
            "code": screen.code,
        }

    def __repr__(self) -> str:
        """A fixed text, so that saved notebooks do not differ from run to run."""
        return f"LivePlot({len(self.screen.figures)} figures)"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return with_png(super()._repr_mimebundle_(**kwargs), self)


def error_text(error: Exception) -> str:
    """Return what to show of an error: our own sentences alone, others after their kind."""
    known = isinstance(error, ValueError | TypeError) and str(error)
    return str(error) if known else f"{type(error).__name__}: {error}"


def _status(kind: str, text: str = "") -> dict[str, str]:
    return {"kind": kind, "text": text}


def with_png(bundle: Any, plot: LivePlot) -> Any:
    """Add the picture of ``plot`` to a display bundle that holds a widget view."""
    if not bundle or not plot.screen.figures or plot.status["kind"] == "locked":
        return bundle
    data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
    picture = base64.b64encode(plot.png()).decode("ascii")
    return {**data, "image/png": picture}, metadata
