"""Which layer bears how few bits: scans in the background, and widths chosen by them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from torch import nn

from lwlab.data import Split
from lwlab.labs.quantize.groups import FittingGroups
from lwlab.labs.quantize.params import QuantizeParams, Width
from lwlab.labs.quantize.settings import observer_of
from lwlab.labs.scans import Scans
from lwlab.quantize import PerChannel, PerTensor
from lwlab.quantize.mixed.allocation import allocate_bits
from lwlab.quantize.mixed.sensitivity import scan_bits
from lwlab.quantize.mixed.sensitivity_table import BitSensitivity

__all__ = ["BitScans", "ScanKey", "scan_key"]


class ScanKey(NamedTuple):
    """What a scan depends on, beside the network: equal keys share one scan."""

    granularity: str
    group_size: int
    rule: str
    percent: float
    symmetric: bool


def scan_key(params: QuantizeParams) -> ScanKey:
    """Return which scan belongs to a setting: lines by hand are of a layer, and no part of it."""
    rule = params.by_rest().rule
    return ScanKey(
        params.granularity,
        params.group_size if params.granularity == "group" else 0,
        rule,
        params.percent if rule == "percentile" else 0.0,
        params.symmetric,
    )


class BitScans(Scans[ScanKey, BitSensitivity]):
    """Which layer bears how few bits, with each kind of scale, as far as it was measured.

    Args:
        model: the network in float.
        split: accuracies are measured on it.
    """

    def __init__(self, model: nn.Module, split: Split) -> None:
        super().__init__(self._begin)
        self._model, self._split = model, split

    def allocate(self, key: ScanKey, target_bytes: int) -> dict[str, Width]:
        """Return widths by layer name whose file is at most ``target_bytes`` long.

        Raises:
            ValueError: nothing is measured yet, or the target is out of reach.
        """
        table = self.newest(key)
        if table is None:
            raise ValueError(
                "sensitivity must be measured for these scales before it can fill the sliders, "
                "got none. Press Measure sensitivity first."
            )
        plan = allocate_bits(
            table,
            self._model,
            target_bytes=target_bytes,
            split=self._split,
            by_channel=False,
            **_settings(key),
        )
        return plan.bits

    def _begin(self, key: ScanKey) -> Iterator[BitSensitivity]:
        return scan_bits(self._model, self._split, **_settings(key))


def _settings(key: ScanKey) -> dict[str, Any]:
    granularities = {"tensor": PerTensor(), "channel": PerChannel()}
    return {
        "granularity": granularities.get(key.granularity) or FittingGroups(key.group_size),
        "range_rule": observer_of(key.rule, key.percent),
        "symmetric": key.symmetric,
    }
