"""What all our figures share: colours, margins, axes, and the sentence that describes a figure.

Colours are those of Okabe and Ito, which colour-blind readers can tell apart; no meaning rests on
a colour alone. Backgrounds are transparent, and the colour of text and grid is left to the live
plot, which takes it from the notebook's theme, light or dark. Margins and axis ranges are fixed, so
that nothing jumps while a slider moves.
"""

from __future__ import annotations

from typing import Any

from plotly.graph_objects import Figure

__all__ = ["BLUE", "GREEN", "GREY", "ORANGE", "axis", "build", "describe", "legend", "plain_text"]

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#e69f00", "#009e73", "#888888"

_HEIGHT = 270
_FONT = {"family": "system-ui, sans-serif", "size": 13, "color": "#444444"}
_GRID = "rgba(128,128,128,0.25)"


def build(traces: list[dict[str, Any]], *, title: str, summary: str, **layout: Any) -> Figure:
    """Return a plotly figure of ``traces`` in the common style.

    Args:
        traces: plotly trace dictionaries.
        title: short; stands at the left above the plot.
        summary: one sentence that says what is to be seen, for readers who do not see it.
        **layout: further plotly layout, such as ``xaxis`` and ``yaxis``.
    """
    common = {
        "template": {},
        "title": {"text": plain_text(title), "x": 0.01, "xanchor": "left", "font": {"size": 14}},
        "font": _FONT,
        "height": _HEIGHT,
        "margin": {"l": 58, "r": 14, "t": 34, "b": 44},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "hovermode": "closest",
        "uirevision": "keep",
        "meta": {"summary": summary},
    }
    return Figure({"data": traces, "layout": {**common, **layout}})


def axis(title: str, **settings: Any) -> dict[str, Any]:
    """Return a plotly axis with a title that names its unit, and a thin grid."""
    return {
        "title": {"text": title, "standoff": 8},
        "gridcolor": _GRID,
        "zerolinecolor": _GRID,
        "linecolor": GREY,
        "showline": True,
        "ticks": "",
        "fixedrange": True,
        **settings,
    }


def legend() -> dict[str, Any]:
    """Return layout for a legend in one row, at the right above the plot."""
    return {
        "showlegend": True,
        "legend": {
            "orientation": "h",
            "x": 1,
            "xanchor": "right",
            "y": 1.0,
            "yanchor": "bottom",
            "font": {"size": 12},
        },
    }


def plain_text(text: str) -> str:
    """Return ``text`` so that plotly shows it letter by letter.

    Plotly reads a little HTML in every text; a class named by a stranger must not become a link.
    """
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def describe(figure: Figure) -> str:
    """Return one sentence that says what ``figure`` shows."""
    return figure.layout.meta["summary"]
