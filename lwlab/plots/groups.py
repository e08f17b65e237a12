"""Which layers must be cut together: the dependency groups of a network as a graph.

Layers stand in rows, in the order of the network; groups in columns. A mark is a connection: the
group cuts that layer's outputs, or its inputs, or goes through it. The line that joins the marks of
a column is the group. Drawn this way no two edges cross, however deep the network is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from plotly.graph_objects import Figure

from lwlab.plots.template import BLUE, GREY, ORANGE, axis, build, legend, plain_text, shorten

__all__ = ["channel_groups"]

_LONGEST_LAYER = 20
_ROW_PIXELS = 22
_FLAT_LABELS = 7  # more columns than these have their labels turned
_ROLES = (
    ("producers", "outputs cut", {"color": BLUE, "size": 13, "symbol": "circle"}),
    ("followers", "passes them on", {"color": GREY, "size": 7, "symbol": "circle"}),
    ("consumers", "inputs cut", {"color": ORANGE, "size": 12, "symbol": "diamond"}),
)


class GroupLike(Protocol):
    """The fields of ``lwlab.prune.ChannelGroup`` that are drawn."""

    name: str
    channels: int
    kept: Sequence[int]
    producers: Sequence[str]
    followers: Sequence[str]
    consumers: Sequence[str]


def channel_groups(
    layers: Sequence[str],
    groups: Sequence[GroupLike],
    *,
    title: str = "Which layers are cut together",
) -> Figure:
    """Return the graph of the groups: a row for each layer, a column for each group.

    Under each column stands ``kept/all`` of its channels.

    Args:
        layers: names of all layers to show, in the network's order; may have more than are cut.
        groups: what is bound together.
        title: above the plot.

    Raises:
        ValueError: there is no layer, or a group names one that is not in ``layers``.
    """
    rows = {name: row for row, name in enumerate(layers)}
    if not rows:
        raise ValueError("layers must hold at least one name, got none.")
    for group in groups:
        for name in _members(group):
            if name not in rows:
                raise ValueError(f"layers must hold each layer of a group, got none {name!r}.")
    traces = [_links(rows, groups), *(_marks(rows, groups, *role) for role in _ROLES)]
    shown = [shorten(name, _LONGEST_LAYER) for name in layers]
    labels = [f"{len(group.kept)}/{group.channels}" for group in groups]
    return build(
        [trace for trace in traces if trace["x"]],
        title=title,
        summary=_summary(groups),
        plot_height=max(192, _ROW_PIXELS * len(rows)),
        legend_rows=2,
        left=max(58, 14 + 7 * max(len(name) for name in shown)),
        xaxis=_axis(
            "channels kept, by group", labels, tickangle=-90 * (len(labels) > _FLAT_LABELS)
        ),
        yaxis=_axis("", [plain_text(name) for name in shown], autorange="reversed"),
        **legend(),
    )


def _members(group: GroupLike) -> tuple[str, ...]:
    return (*group.producers, *group.followers, *group.consumers)


def _links(rows: dict[str, int], groups: Sequence[GroupLike]) -> dict[str, Any]:
    """Return one line down each column, from the group's first layer to its last."""
    x: list[float | None] = []
    y: list[float | None] = []
    for column, group in enumerate(groups):
        places = sorted(rows[name] for name in _members(group))
        x += [column, column, None]
        y += [places[0], places[-1], None]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y,
        "line": {"color": GREY, "width": 2},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _marks(
    rows: dict[str, int], groups: Sequence[GroupLike], role: str, label: str, marker: dict[str, Any]
) -> dict[str, Any]:
    places = [
        (column, group, name)
        for column, group in enumerate(groups)
        for name in getattr(group, role)
    ]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": label,
        "x": [column for column, _, _ in places],
        "y": [rows[name] for _, _, name in places],
        "text": [
            f"{plain_text(name)}: {label}<br>{len(group.kept)} of {group.channels} channels stay"
            for _, group, name in places
        ],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": marker,
    }


def _axis(title: str, labels: Sequence[str], **settings: Any) -> dict[str, Any]:
    """Return an axis of whole places with a label each, and half a place of room at both ends."""
    ends = [-0.5, max(len(labels), 1) - 0.5]
    if settings.pop("autorange", None) == "reversed":
        ends.reverse()
    return axis(
        title,
        range=ends,
        tickvals=list(range(len(labels))),
        ticktext=list(labels),
        zeroline=False,
        **settings,
    )


def _summary(groups: Sequence[GroupLike]) -> str:
    kept = sum(len(group.kept) for group in groups)
    total = sum(group.channels for group in groups)
    return f"{len(groups)} groups of layers that are cut together; {kept} of {total} channels stay."
