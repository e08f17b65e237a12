"""The steps that leave few distinct values: evenly spaced ones, or a table of free ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lwlab.checks import check_choice, check_count
from lwlab.pipeline.step import Bench, Step, set_field_
from lwlab.quantize import (
    Granularity,
    MeanSquared,
    MinMax,
    Observer,
    PerChannel,
    PerGroup,
    PerTensor,
    allocate_bits,
    prepare_,
    scan_bits,
    share_weights_,
)
from lwlab.quantize.codebook import INITIALIZATIONS, MOST_CLUSTERS
from lwlab.quantize.tensor import check_bits
from lwlab.train import Record
from lwlab.units import format_bytes

__all__ = [
    "RANGE_RULES",
    "Quantize",
    "ShareWeights",
    "granularity_from",
    "granularity_name",
    "range_rule_name",
]

RANGE_RULES: dict[str, type[Observer]] = {"min-max": MinMax, "mse": MeanSquared}
"""Which range a grid spans, by its name in a recipe."""

_GRANULARITIES = ("tensor", "channel")
_Bits = int | str | Mapping[str, int | str]


@dataclass(frozen=True)
class Quantize(Step):
    """Put the weights onto evenly spaced grids.

    Attributes:
        num_bits: 1 to 8 or ``"ternary"``, for all layers; or a dict that gives layers their own,
            and leaves those that are not in it as they are. None with ``budget_bytes``.
        granularity: which weights share a scale: ``"tensor"``, ``"channel"``, or the size of a
            group.
        range_rule: ``"min-max"`` spans all weights, ``"mse"`` clips where the squared error is
            least.
        budget_bytes: in place of ``num_bits``: each channel gets the width that the accuracy on
            the validation split speaks for, so that the file has at most so many bytes.

    Raises:
        TypeError, ValueError: a field is out of range, or not exactly one of ``num_bits`` and
            ``budget_bytes`` is given.
    """

    num_bits: _Bits | None = field(default=None, hash=False)
    granularity: str | int = "channel"
    range_rule: str = "min-max"
    budget_bytes: int | None = None

    def __post_init__(self) -> None:
        if (self.num_bits is None) == (self.budget_bytes is None):
            got = "none" if self.num_bits is None else "both"
            raise ValueError(
                f"exactly one of num_bits and budget_bytes must be given, got {got}. "
                f"Try num_bits=4."
            )
        if self.num_bits is not None:
            set_field_(self, num_bits=_check_widths(self.num_bits))
        else:
            set_field_(self, budget_bytes=check_count("budget_bytes", self.budget_bytes))
        set_field_(self, granularity=_check_granularity(self.granularity))
        if self.num_bits is None and self.granularity == "tensor":
            raise ValueError(
                "granularity must be 'channel' or the size of a group with budget_bytes, which "
                "gives each channel its own width, got 'tensor'."
            )
        check_choice("range_rule", self.range_rule, tuple(RANGE_RULES))

    def describe(self) -> str:
        """Return one plain line that says what will be done."""
        shared = self.granularity
        scales = f"a scale for each {shared if isinstance(shared, str) else f'{shared} weights'}"
        clipped = ", clipped for the least squared error" if self.range_rule == "mse" else ""
        return f"Quantize the weights to {self._widths()}, {scales}{clipped}"

    def _widths(self) -> str:
        if self.num_bits is None:
            return f"mixed widths for {format_bytes(self.budget_bytes)}"
        if isinstance(self.num_bits, Mapping):
            return ", ".join(f"{bits} ({name})" for name, bits in self.num_bits.items()) + " bits"
        if isinstance(self.num_bits, str):
            return "three values"
        return f"{self.num_bits} bit{'' if self.num_bits == 1 else 's'}"

    def apply_(self, bench: Bench) -> Iterator[Record]:
        """Put quantizers on ``bench.model``."""
        settings: dict[str, Any] = {
            "granularity": granularity_from(self.granularity),
            "range_rule": RANGE_RULES[self.range_rule](),
        }
        bits = self.num_bits
        if bits is None:
            *_, scan = scan_bits(bench.model, bench.dataset.validation, **settings)
            split = bench.dataset.validation
            plan = allocate_bits(
                scan, bench.model, target_bytes=self.budget_bytes, split=split, **settings
            )
            bits = plan.bits
        prepare_(bench.model, num_bits=bits, **settings)
        yield from ()


@dataclass(frozen=True)
class ShareWeights(Step):
    """Give each layer a table of few values, of which each weight is one. Zeros stay zeros.

    Attributes:
        values: 2 to 256 in each layer's table; where weights are pruned, 0 is one of them.
        initialization: how the values are found: ``"linear"`` as in Deep Compression,
            ``"density"``, ``"random"``, or ``"optimal"`` for the least squared error.

    Raises:
        TypeError, ValueError: a field is out of range.

    Source: Han et al. 2016, "Deep compression", arXiv:1510.00149, section 3.
    """

    values: int = 16
    initialization: str = "linear"

    def __post_init__(self) -> None:
        count = check_count("values", self.values, minimum=2, maximum=MOST_CLUSTERS)
        set_field_(self, values=count)
        check_choice("initialization", self.initialization, INITIALIZATIONS)

    def describe(self) -> str:
        """Return one plain line that says what will be done."""
        return f"Share the weights: {self.values} values in each layer ({self.initialization})"

    def apply_(self, bench: Bench) -> Iterator[Record]:
        """Put tables on the layers of ``bench.model``."""
        share_weights_(
            bench.model,
            num_clusters=self.values,
            initialization=self.initialization,
            seed=bench.seed,
        )
        yield from ()


def _check_widths(num_bits: Any) -> _Bits:
    if not isinstance(num_bits, Mapping):
        return check_bits(num_bits)
    if not num_bits:
        raise ValueError("num_bits must name at least one layer, got none.")
    for name in num_bits:
        if not isinstance(name, str):
            raise TypeError(f"num_bits must go by the names of layers, got {name!r}.")
    return {name: check_bits(w, f"num_bits of layer {name!r}") for name, w in num_bits.items()}


def _check_granularity(value: Any) -> str | int:
    if isinstance(value, str):
        return check_choice("granularity", value, _GRANULARITIES)
    return check_count("granularity", value)


def granularity_from(value: str | int) -> Granularity:
    """Return the granularity that a recipe calls ``value``."""
    if isinstance(value, int):
        return PerGroup(value)
    return PerTensor() if value == "tensor" else PerChannel()


def granularity_name(granularity: Granularity) -> str | int:
    """Return what a recipe calls a granularity that ``granularity_from`` made."""
    if isinstance(granularity, PerGroup):
        return granularity.size
    return "tensor" if isinstance(granularity, PerTensor) else "channel"


def range_rule_name(rule: Observer) -> str:
    """Return what a recipe calls a range rule."""
    return next(name for name, kind in RANGE_RULES.items() if type(rule) is kind)
