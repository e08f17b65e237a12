"""What all our figures share: colours, margins, axes, and the sentence that describes a figure.

Colours are those of Okabe and Ito, which colour-blind readers can tell apart; no meaning rests on
a colour alone. Backgrounds are transparent, and the colour of text and grid is left to the live
plot, which takes it from the notebook's theme, light or dark. Margins and axis ranges are fixed, so
that nothing jumps while a slider moves; title and legend have a row each, so that they never meet,
however narrow the page is.
"""

from __future__ import annotations

import textwrap
from typing import Any

from plotly.graph_objects import Figure

__all__ = [
    "BLUE",
    "GREEN",
    "GREY",
    "ORANGE",
    "OUTLINE",
    "axis",
    "build",
    "describe",
    "hatch",
    "legend",
    "plain_text",
    "shorten",
]

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#e69f00", "#009e73", "#888888"
OUTLINE = {"color": "rgba(0,0,0,0)", "line": {"color": GREY, "width": 2}}  # of a hollow bar

_FONT = {"family": "system-ui, sans-serif", "size": 13, "color": "#444444"}
_GRID = "rgba(128,128,128,0.25)"
_TITLE_WIDTH = 48  # letters of 14 pixels on the narrowest cell of a live plot, 360 pixels
_LINE, _LEGEND = 18, 22  # pixels above the plot for a line of the title, and for the legend


def build(
    traces: list[dict[str, Any]],
    *,
    title: str,
    summary: str,
    plot_height: int = 192,
    legend_rows: int = 1,
    left: int = 58,
    bottom: int = 44,
    **layout: Any,
) -> Figure:
    """Return a plotly figure of ``traces`` in the common style.

    Args:
        traces: plotly trace dictionaries.
        title: short; stands at the left above the plot.
        summary: one sentence that says what is to be seen, for readers who do not see it. Plain
            text, not HTML: it is spoken, not drawn.
        plot_height: pixels between the axes; the figure is as much higher as title, legend and
            labels need.
        legend_rows: rows that the legend takes on a narrow page, if there is one.
        left: pixels left of the plot, for labels.
        bottom: pixels below the plot, for labels.
        **layout: further plotly layout, such as ``xaxis`` and ``yaxis``.
    """
    lines = textwrap.wrap(title, _TITLE_WIDTH) or [""]
    top = 16 + _LINE * len(lines) + (_LEGEND * legend_rows if layout.get("showlegend") else 0)
    common = {
        "template": {},
        "title": _title(lines),
        "font": _FONT,
        "height": top + plot_height + bottom,
        "margin": {"l": left, "r": 14, "t": top, "b": bottom},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "hovermode": "closest",
        "uirevision": "keep",
        "meta": {"summary": summary},
    }
    # Plotly's validation of every property takes 2 ms a figure, at each move of a slider. Ours are
    # made here and nowhere else, and a test validates each kind.
    return Figure({"data": traces, "layout": {**common, **layout}}, _validate=False)


def _title(lines: list[str]) -> dict[str, Any]:
    return {
        "text": "<br>".join(plain_text(line) for line in lines),
        "font": {"size": 14},
        "x": 0.01,
        "xanchor": "left",
        "y": 1,
        "yanchor": "top",
        "pad": {"t": 8 + _LINE * (len(lines) - 1) // 2},  # plotly centres several lines
    }


def axis(title: str, **settings: Any) -> dict[str, Any]:
    """Return a plotly axis with a title that names its unit, and a thin grid."""
    return {
        "title": {"text": title, "standoff": 8, "font": {"size": 13}},
        "tickfont": {"size": 12},
        "gridcolor": _GRID,
        "zerolinecolor": _GRID,
        "linecolor": GREY,
        "showline": True,
        "ticks": "",
        "fixedrange": True,
        **settings,
    }


def legend() -> dict[str, Any]:
    """Return layout for a legend in one row of its own, between title and plot."""
    return {
        "showlegend": True,
        "legend": {
            "orientation": "h",
            "traceorder": "normal",
            "x": 0,
            "xanchor": "left",
            "y": 1.0,
            "yanchor": "bottom",
            "font": {"size": 12},
            "bgcolor": "rgba(0,0,0,0)",
            "itemclick": False,  # a trace that is clicked away would come back with the next redraw
            "itemdoubleclick": False,
        },
    }


def hatch(shape: str) -> dict[str, Any]:
    """Return the pattern of a bar, lines over its full colour; ``shape`` "" is a plain bar."""
    return {
        "shape": shape,
        "fillmode": "overlay",
        "fgcolor": "rgba(0,0,0,0.4)",
        "size": 7,
        "solidity": 0.2,
    }


def plain_text(text: str) -> str:
    """Return ``text`` so that plotly shows it letter by letter.

    Plotly reads a little HTML in every text, and fills in ``%{...}`` in titles and names; a class
    named by a stranger must become neither a link nor another text.
    """
    safe = str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return safe.replace("%{", "&#37;{")


def shorten(name: str, width: int) -> str:
    """Return ``name`` in at most ``width`` letters, its middle left out where it is longer."""
    if len(name) <= width:
        return name
    end = (width - 1) // 2
    return f"{name[: width - 1 - end]}\N{HORIZONTAL ELLIPSIS}{name[len(name) - end :]}"


def describe(figure: Figure) -> str:
    """Return one sentence that says what ``figure`` shows."""
    return figure.layout.meta["summary"]
