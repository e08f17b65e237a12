"""How PackLab looks: its two figures, its headline, its tables."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from lwlab.labs.live_plot import Screen
from lwlab.labs.pack.bench import Bench
from lwlab.labs.pack.choices import GROUPS
from lwlab.labs.pack.code import code
from lwlab.labs.pack.params import LADDER, PackParams
from lwlab.labs.pack.result import LoadedBack, PackResult
from lwlab.packing import Breakdown, TensorBytes
from lwlab.plots.packing import LayerBytes, Rung, byte_ladder, layer_bytes
from lwlab.units import (
    format_bytes,
    format_count,
    format_interval,
    format_percent,
    format_points,
    format_ratio,
)

__all__ = ["PackView", "layers_of"]

_NAMES = {family: text for group in GROUPS.values() for family, (text, _) in group.items()}


class PackView:
    """Draws results of PackLab; holds only what does not change while the sliders move.

    Args:
        bench: what computes the results; its baseline is shown.
        model_name: for the code.
    """

    def __init__(self, bench: Bench, model_name: str) -> None:
        self._bench, self._model_name = bench, model_name

    def draw(self, params: PackParams, result: PackResult) -> Screen:
        """Return the screen of ``result``."""
        ladder = byte_ladder(
            _rungs(result),
            bound_bytes=result.bound_bytes,
            present=result.present,
            longest=self._bench.dense_bytes,
        )
        return Screen(
            (ladder, layer_bytes(layers_of(result.breakdown))),
            headline=self._headline(result),
            details=_details(result),
            code=code(
                params,
                result,
                scales=self._bench.shrinker.scales(params),
                model_name=self._model_name,
                came_plain=self._bench.came_plain,
            ),
        )

    def _headline(self, result: PackResult) -> str:
        now, before = result.accuracy, self._bench.baseline
        over = result.size_bytes - result.bound_bytes
        test = ""
        if result.test_accuracy is not None:
            test = f"<tr><th>on test</th><td>{escape(str(result.test_accuracy))}</td></tr>"
        return (
            "<table><tr>"
            f"<th>file</th><td><strong>{format_bytes(result.size_bytes)}</strong>, "
            f"{format_ratio(self._bench.dense_bytes / result.size_bytes)} smaller than dense "
            f"float32; {format_count(round(over))} bytes over the Shannon bound of its "
            f"codes (header {format_count(result.breakdown.header)}, codebooks "
            f"{format_count(result.breakdown.codebook)})</td></tr>"
            f"<tr><th>validation</th><td><strong>{format_percent(now.value)}</strong> right "
            f"({format_interval(now.low, now.high)}, {now.total:,} examples), "
            f"{format_points(now.value - before.value)} against float; "
            f"{_loaded_text(result.loaded)}</td></tr>{test}</table>"
        )


def _loaded_text(loaded: LoadedBack) -> str:
    if loaded.identical and not loaded.examples:
        return "loaded back from the file: every tensor equal to the bit"
    if loaded.identical:
        return (
            "loaded back from the file: every tensor and the logits of "
            f"{format_count(loaded.examples)} examples equal to the bit"
        )
    what = "logits" if loaded.same_tensors else "tensors"
    return f"<b>loaded back from the file, its {what} differ</b>"


def _rungs(result: PackResult) -> list[Rung]:
    names = ["dense", *(f"+ {_NAMES[family]}" for family in LADDER)]
    notes = ["follows" if i in result.missing else "off" for i in range(len(names))]
    return [
        Rung(name, parts, note if parts is None else "")
        for name, parts, note in zip(names, result.rungs, notes, strict=True)
    ]


def layers_of(breakdown: Breakdown) -> list[LayerBytes]:
    """Return the bytes of each layer of a file, and of the frame around all."""
    groups: dict[str, list[TensorBytes]] = {}
    for row in breakdown.tensors:
        groups.setdefault(row.name.rpartition(".")[0] or row.name, []).append(row)
    frame = LayerBytes("(frame)", {"header": breakdown.frame_bytes}, "magic, version, checksum")
    return [*(_layer(name, rows) for name, rows in groups.items()), frame]


def _layer(name: str, rows: Sequence[TensorBytes]) -> LayerBytes:
    parts = {
        "values": sum(row.values_bytes for row in rows),
        "positions": sum(row.positions_bytes for row in rows),
        "codebooks": sum(row.codebook_bytes for row in rows),
        "header": sum(row.header_bytes for row in rows),
        "other": sum(row.other_bytes for row in rows),
    }
    codings = ", ".join(
        f"{row.name.rpartition('.')[2]}: {row.coding}, {format_count(row.total)}" for row in rows
    )
    return LayerBytes(name, parts, codings)


def _details(result: PackResult) -> str:
    table = (
        '<details style="flex:1 1 100%;overflow-x:auto;white-space:nowrap">'
        f"<summary>Every tensor, byte by byte</summary>{result.breakdown._repr_html_()}</details>"
    )
    if result.containers is None:
        return table
    return (
        '<div style="flex:1 1 100%;overflow-x:auto"><h4 style="margin:4px 0;font-weight:400">'
        f"The same network in other containers</h4>{result.containers._repr_html_()}</div>{table}"
    )
