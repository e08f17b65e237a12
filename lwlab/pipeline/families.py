"""Families of recipes, each with one knob from a large file to a small one.

A budget of bytes does not say which recipe: few bits for all weights, more bits for few weights,
fewer channels. Each family is one such way. Its knob runs from gentle to harsh, so that a budget is
met by turning it until the file fits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lwlab.pipeline.closing import Halve, Pack
from lwlab.pipeline.pruning import Prune, RemoveChannels
from lwlab.pipeline.rounding import Quantize, ShareWeights
from lwlab.pipeline.step import Step
from lwlab.pipeline.training import FineTune, TrainQuantized

__all__ = ["FAMILIES", "Family", "Knob", "Steps"]

Knob = float | int | str
Steps = tuple[Step, ...]

_SPARSITIES = tuple(round(1 - 0.95**power, 4) for power in range(91))  # 0 to 0.99
_RATIOS = tuple(step / 20 for step in range(19))  # of channels: 0 to 0.9
_WIDTHS = (8, 7, 6, 5, 4, 3, 2, "ternary", 1)
_VALUES = (256, 192, 128, 96, 64, 48, 32, 24, 16, 12, 8, 6, 5, 4, 3, 2)
_SHARING_RATE = 1e-4  # a shared value moves for all its weights at once


@dataclass(frozen=True)
class Family:
    """Recipes that differ in one number.

    Attributes:
        name: such as ``"prune + 4 bits"``.
        knobs: the values of that number, from the largest file to the smallest.
        cut: ``knob -> steps`` that take away; they decide the size.
        mended: ``(knob, epochs) -> steps``: the same ones, each with the training that mends it,
            for ``2 * epochs`` epochs in all.
        single: it uses one technique alone.
    """

    name: str
    knobs: tuple[Knob, ...]
    cut: Callable[[Knob], Steps]
    mended: Callable[[Knob, int], Steps]
    single: bool = False


def _tune(epochs: int) -> Step:
    return FineTune(epochs=epochs, distil=True)


def _tune_table(epochs: int) -> Step:
    return FineTune(epochs=epochs, distil=True, learning_rate=_SHARING_RATE)


def _learn(epochs: int) -> Step:
    return TrainQuantized(epochs=epochs, distil=True)


def _grid(bits: Knob) -> Step:
    return Quantize(bits, range_rule="mse")


def _pruned(sparsity: float) -> Steps:
    return (Prune(sparsity),) if sparsity else ()


_END = (Pack(),)
_HALF_END = (Halve("all"), Pack())

_SINGLE = (
    Family("float", (0,), lambda _: _END, lambda _, epochs: _END, single=True),
    Family(
        "prune",
        _SPARSITIES[1:],
        lambda sparsity: (Prune(sparsity), *_END),
        lambda sparsity, epochs: (Prune(sparsity), _tune(2 * epochs), *_END),
        single=True,
    ),
    Family(
        "channels",
        _RATIOS[1:],
        lambda ratio: (RemoveChannels(ratio), *_END),
        lambda ratio, epochs: (RemoveChannels(ratio), _tune(2 * epochs), *_END),
        single=True,
    ),
    Family(
        "quantize",
        _WIDTHS,
        lambda bits: (_grid(bits), *_END),
        lambda bits, epochs: (_grid(bits), _learn(2 * epochs), *_END),
        single=True,
    ),
    Family(
        "share",
        _VALUES,
        lambda values: (ShareWeights(values), *_END),
        lambda values, epochs: (ShareWeights(values), _tune_table(2 * epochs), *_END),
        single=True,
    ),
)


def _prune_and_quantize(bits: int | str, ratio: float = 0.0) -> Family:
    """Return the family: fewer channels, then fewer weights, then fewer bits."""
    narrower = (RemoveChannels(ratio),) if ratio else ()

    def cut(sparsity: float) -> Steps:
        return (*narrower, *_pruned(sparsity), _grid(bits), *_HALF_END)

    def mended(sparsity: float, epochs: int) -> Steps:
        first = (*narrower, *_pruned(sparsity))
        tuned = (_tune(epochs),) if first else ()
        learned = _learn(epochs if first else 2 * epochs)
        return (*first, *tuned, _grid(bits), learned, *_HALF_END)

    title = "three values" if bits == "ternary" else f"{bits} bits"
    channels = f"{ratio:.0%} of channels + " if ratio else ""
    return Family(f"{channels}prune + {title}", _SPARSITIES, cut, mended)


def _prune_and_share(values: int) -> Family:
    def cut(sparsity: float) -> Steps:
        return (*_pruned(sparsity), ShareWeights(values), *_HALF_END)

    def mended(sparsity: float, epochs: int) -> Steps:
        tuned = (Prune(sparsity), _tune(epochs)) if sparsity else ()
        last = _tune_table(epochs if tuned else 2 * epochs)
        return (*tuned, ShareWeights(values), last, *_HALF_END)

    return Family(f"prune + {values} values", _SPARSITIES, cut, mended)


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        *_SINGLE,
        *(_prune_and_quantize(bits) for bits in (8, 6, 5, 4, 3, 2)),
        *(_prune_and_share(values) for values in (32, 16, 8)),
        *(_prune_and_quantize(bits, ratio) for ratio in (0.25, 0.5) for bits in (6, 4, 3)),
    )
}
"""All ways that ``compress`` tries, by name."""
