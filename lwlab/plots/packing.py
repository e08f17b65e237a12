"""Bytes by purpose: a ladder of files that falls, and the layers of one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plotly.graph_objects import Figure

from lwlab.plots.packing_parts import (
    LONGEST_NAME,
    PURPOSES,
    Rung,
    check_parts,
    ends,
    frame,
    stacks,
)
from lwlab.plots.template import build, plain_text, shorten
from lwlab.units import format_bytes, format_count

__all__ = ["PURPOSES", "LayerBytes", "Rung", "byte_ladder", "layer_bytes"]

_BOUND = "#d55e00"
_MOST_LAYERS = 12


@dataclass(frozen=True)
class LayerBytes:
    """What one layer takes in a file.

    Attributes:
        name: of the layer.
        parts: bytes by purpose, names out of ``PURPOSES``.
        coding: how its tensors are written, in words.
    """

    name: str
    parts: Mapping[str, int]
    coding: str = ""

    @property
    def total(self) -> int:
        """All bytes of the layer."""
        return sum(self.parts.values())


def byte_ladder(
    rungs: Sequence[Rung],
    *,
    bound_bytes: float | None = None,
    present: int | None = None,
    longest: int | None = None,
    title: str = "The file, coding by coding",
) -> Figure:
    """Return one stacked bar a rung, top to bottom, with a line at the bound.

    Args:
        rungs: one file each; the first one is the file before anything was done.
        bound_bytes: what no file can go below; None for no line.
        present: which rung is on screen elsewhere; its name is in bold and marked.
        longest: bytes that the axis reaches to at least, so that it stands still.
        title: above the plot.

    Raises:
        ValueError: there is no rung with parts, or a part is negative or of no known purpose.
    """
    shown = [rung.parts for rung in rungs if rung.parts is not None]
    if not shown:
        raise ValueError("rungs must hold at least one with parts, got none.")
    for parts in shown:
        check_parts(parts)
    totals = [None if rung.parts is None else sum(rung.parts.values()) for rung in rungs]
    reach = max(longest or 1, *(total or 0 for total in totals), bound_bytes or 0)
    names = [plain_text(shorten(rung.name, LONGEST_NAME)) for rung in rungs]
    if present is not None:
        names[present] = f"<b>\N{BLACK RIGHT-POINTING SMALL TRIANGLE} {names[present]}</b>"
    columns = [(i, rung.parts, rung.name, "") for i, rung in enumerate(rungs) if rung.parts]
    traces = [*stacks(columns), ends(rungs, totals, present)]
    if bound_bytes is not None:
        traces.append(_bound_line(bound_bytes, len(rungs)))
    return build(
        traces,
        title=title,
        summary=_ladder_summary(title, rungs, totals, present, bound_bytes),
        **frame(names, reach, noted=any(rung.parts and rung.note for rung in rungs)),
    )


def layer_bytes(layers: Sequence[LayerBytes], *, title: str = "The file, layer by layer") -> Figure:
    """Return one stacked bar a layer, top to bottom in the order of the file.

    Of many layers the largest are shown, and the rest together in one bar.

    Args:
        layers: of one file.
        title: above the plot.

    Raises:
        ValueError: there is no layer, or a part is negative or of no known purpose.
    """
    if not layers:
        raise ValueError("layers must hold at least one layer, got none.")
    for layer in layers:
        check_parts(layer.parts)
    layers = _largest(layers)
    names = [plain_text(shorten(layer.name, LONGEST_NAME)) for layer in layers]
    columns = [(i, layer.parts, layer.name, layer.coding) for i, layer in enumerate(layers)]
    totals = [layer.total for layer in layers]
    behind = ends([Rung(layer.name, layer.parts) for layer in layers], totals, None)
    largest = max(layers, key=lambda layer: layer.total)
    return build(
        [*stacks(columns), behind],
        title=title,
        summary=(
            f"{len(layers)} bars, {format_bytes(sum(totals))} in all; the longest is "
            f"{largest.name} with {format_bytes(largest.total)}."
        ),
        **frame(names, max(totals)),
    )


def _largest(layers: Sequence[LayerBytes]) -> list[LayerBytes]:
    if len(layers) <= _MOST_LAYERS:
        return list(layers)
    ordered = sorted(layers, key=lambda layer: -layer.total)
    kept = {id(layer) for layer in ordered[: _MOST_LAYERS - 1]}
    rest = [layer for layer in layers if id(layer) not in kept]
    sums = {p: sum(layer.parts.get(p, 0) for layer in rest) for p in PURPOSES}
    together = LayerBytes(f"{len(rest)} others", sums, ", ".join(layer.name for layer in rest))
    return [*(layer for layer in layers if id(layer) in kept), together]


def _bound_line(bound_bytes: float, rows: int) -> dict[str, Any]:
    text = f"Shannon bound: {format_count(round(bound_bytes))} bytes"
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "Shannon bound",
        "x": [bound_bytes, bound_bytes],
        "y": [-0.5, rows - 0.5],
        "line": {"color": _BOUND, "width": 2, "dash": "dash"},
        "text": [text, text],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _ladder_summary(
    title: str,
    rungs: Sequence[Rung],
    totals: Sequence[int | None],
    present: int | None,
    bound_bytes: float | None,
) -> str:
    steps = ", ".join(
        f"{rung.name} {format_bytes(total)}"
        for rung, total in zip(rungs, totals, strict=True)
        if total is not None
    )
    now = (
        ""
        if present is None or totals[present] is None
        else (f" The file on screen has {format_bytes(totals[present])}.")
    )
    bound = "" if bound_bytes is None else f" The Shannon bound is {format_bytes(bound_bytes)}."
    return f"{title}: {steps}.{now}{bound}"
