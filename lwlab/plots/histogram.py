"""Where the weights are, and which of them go.

A browser gets sixty counts, never the weights. What is cut is counted from the mask itself, not
from the bars, so the coloured share is exact also where the cut runs through the middle of a bar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from plotly.graph_objects import Figure
from torch import Tensor

from lwlab.checks import check_count, check_finite, check_number
from lwlab.plots.template import BLUE, ORANGE, axis, build, hatch, legend
from lwlab.units import format_count, format_percent

__all__ = ["WeightBins", "bin_weights", "weight_histogram"]


@dataclass(frozen=True, eq=False)
class WeightBins:
    """Weights sorted into bars once, so that each move of a slider only counts.

    Attributes:
        edges: the limits of the bars, ``(bins + 1,)``.
        place: the bar of each weight, int64 ``(n,)``, in the order the weights were given.
    """

    edges: Tensor
    place: Tensor

    def counts(self, mask: Tensor | None = None) -> list[int]:
        """Return the weights in each bar, all of them or those where ``mask`` is True."""
        # By numpy: torch shares this out among threads that wait for each other, which on a busy
        # machine costs 88 ms a figure of 50,000 weights in place of 1.
        place = self.place.numpy()
        shown = place if mask is None else place[mask.numpy()]
        return np.bincount(shown, minlength=len(self.edges) - 1).tolist()


def bin_weights(
    weights: Tensor | Sequence[Tensor], bins: int = 60, *, limit: float | None = None
) -> WeightBins:
    """Sort weights into ``bins`` bars of equal width, from minus to plus ``limit``.

    Args:
        weights: a tensor of any shape, or several, taken together.
        bins: number of bars, 1 to 1,000.
        limit: where the bars end, above 0, to compare several histograms; weights beyond it count
            in the last bar on their side. None takes the largest ``|w|``.

    Raises:
        TypeError: something else than a tensor is given.
        ValueError: there is no weight, or one is NaN or infinite.
    """
    bins = check_count("bins", bins, maximum=1000)
    flat = _flat("weights", weights)
    if not flat.numel():
        raise ValueError("weights must hold at least one value, got none.")
    largest = float(check_finite("weights", flat).abs().max())
    limit = max(largest, 1e-12) if limit is None else check_number("limit", limit, above=0)
    edges = torch.linspace(-limit, limit, bins + 1, dtype=torch.float64)
    place = torch.bucketize(flat.double(), edges, right=True) - 1
    return WeightBins(edges, place.clamp_(0, bins - 1))


def weight_histogram(
    weights: Tensor | Sequence[Tensor] | WeightBins,
    *,
    threshold: float | None = None,
    kept: Tensor | Sequence[Tensor] | None = None,
    title: str = "Weights",
) -> Figure:
    """Return a histogram of weights in which those that are cut stand out.

    Args:
        weights: tensors, or ``bin_weights`` of them where the same weights are drawn many times.
        threshold: cut ``|w| < threshold`` and draw lines at plus and minus ``threshold``.
        kept: bool tensors of the weights' shapes, True keeps: for cuts that are no threshold.
        title: above the plot.

    Raises:
        ValueError: both ``threshold`` and ``kept`` are given, or their sizes do not fit.
    """
    bars = weights if isinstance(weights, WeightBins) else bin_weights(weights)
    mask = _mask(weights, bars, threshold, kept)
    counts = bars.counts()
    traces = _stays_and_goes(bars, mask)
    limit = float(bars.edges[-1])
    cut = "" if mask is None else f"; {format_percent(sum(traces[1]['y']) / sum(counts))} are cut"
    return build(
        traces,
        title=title,
        summary=f"Histogram of {format_count(sum(counts))} weights, all within plus or minus "
        f"{limit:.3g}{cut}.",
        barmode="stack",
        bargap=0,
        xaxis=axis("weight", range=[-limit, limit], zeroline=False),
        yaxis=axis("number of weights", range=[0, 1.08 * max(counts)]),
        shapes=_lines(threshold),
        **({} if mask is None else legend()),
    )


def _stays_and_goes(bars: WeightBins, mask: Tensor | None) -> list[dict[str, Any]]:
    middles = ((bars.edges[1:] + bars.edges[:-1]) / 2).tolist()
    everything = bars.counts()
    if mask is None:
        return [_bars("weights", middles, everything, BLUE, "")]
    stays = bars.counts(mask)
    goes = [total - kept for total, kept in zip(everything, stays, strict=True)]
    return [_bars("stays", middles, stays, BLUE, ""), _bars("goes", middles, goes, ORANGE, "/")]


def _flat(name: str, tensors: Tensor | Sequence[Tensor]) -> Tensor:
    several = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    for tensor in several:
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{name} must be tensors, got {type(tensor).__name__}.")
    return torch.cat([t.detach().flatten() for t in several]) if several else torch.empty(0)


def _mask(
    weights: object, bars: WeightBins, threshold: float | None, kept: object
) -> Tensor | None:
    if threshold is not None and kept is not None:
        raise ValueError("one of threshold and kept must be left out, got both.")
    if threshold is not None:
        threshold = check_number("threshold", threshold, minimum=0)
        if isinstance(weights, WeightBins):
            raise ValueError("threshold needs the weights themselves, got bins. Try kept=mask.")
        return _flat("weights", weights).abs() >= threshold
    if kept is None:
        return None
    mask = _flat("kept", kept)
    if mask.dtype != torch.bool or len(mask) != len(bars.place):
        raise ValueError(
            f"kept must be bool tensors with {len(bars.place)} values in all, got {len(mask)} of "
            f"{mask.dtype}."
        )
    return mask


def _bars(name: str, x: list[float], y: list[int], color: str, pattern: str) -> dict[str, Any]:
    return {
        "type": "bar",
        "name": name,
        "x": x,
        "y": y,
        "marker": {"color": color, "pattern": hatch(pattern), "line": {"width": 0}},
        "hovertemplate": f"%{{y:,}} near %{{x:.3~g}}: {name}<extra></extra>",
    }


def _lines(threshold: float | None) -> list[dict[str, Any]]:
    if threshold is None:
        return []
    line = {"color": ORANGE, "width": 2, "dash": "dash"}
    return [
        {"type": "line", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1, "line": line}
        for x in (-threshold, threshold)
    ]
