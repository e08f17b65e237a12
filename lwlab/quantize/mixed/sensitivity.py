"""Bit sensitivity: what quantizing one layer alone costs, for each layer and many widths.

    for sensitivity in scan_bits(model, dataset.validation):
        print(sensitivity.done, "of", sensitivity.total)

A layer that keeps its accuracy at 2 bits need not have 8; one that collapses at 4 ruins the whole
network, however many bits the others have. The scan says nothing about two layers quantized
together: their losses add up only roughly. Next: ``allocation``, which chooses by it.

Few answers flip at 4 bits and more, so that the accuracy of a point is mostly noise there. The
divergence from the float outputs is measured in the same pass and is not: it looks at all class
probabilities of every example,

    divergence = mean over examples of  sum over classes c of  p_c log(p_c / q_c)

with p before and q after.

Because it is a generator, whoever reads is in charge: a plot redraws between two points, ``break``
stops, and ``known=`` the last sensitivity goes on where it stopped.

Source: Dong et al. 2019, "HAWQ", arXiv:1905.03696, for a width per layer by its sensitivity; Cai et
al. 2020, "ZeroQ", arXiv:2001.00281, section 3.2, for the divergence as its measure.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lwlab.checks import check_finite, check_fraction
from lwlab.data import Split
from lwlab.measure import Accuracy, accuracy_of
from lwlab.measure.accuracy import check_targets
from lwlab.measure.layer_scan import check_same_baseline, check_same_scan
from lwlab.measure.predicting import Predictor, check_split
from lwlab.quantize.fake import FakeQuantize
from lwlab.quantize.granularity import Granularity
from lwlab.quantize.mixed.bit_point import BitPoint
from lwlab.quantize.mixed.modules import layer_module
from lwlab.quantize.mixed.sensitivity_table import BitSensitivity, check_widths
from lwlab.quantize.observers import Observer
from lwlab.quantize.preparing import prepare_
from lwlab.quantize.stacking import put_on_top_, take_off_top_, top_of
from lwlab.quantize.targets import select_layers

__all__ = ["BITS", "scan_bits"]

BITS = (2, 3, 4, 6, 8)
"""Widths that a scan tries unless told otherwise: closer together where layers break."""


def scan_bits(
    model: nn.Module,
    split: Split,
    *,
    bits: Iterable[int] = BITS,
    layers: Iterable[str] | None = None,
    granularity: Granularity | None = None,
    range_rule: Observer | None = None,
    symmetric: bool = True,
    tolerance: float | None = None,
    known: BitSensitivity | None = None,
) -> Iterator[BitSensitivity]:
    """Quantize one layer at a time, at one width after the other, and measure what comes out.

    Each point is the model after ``prepare_(copy, num_bits={layer: width})``: the other layers are
    as they came. The first yield has the baseline and what is known, each further one has one point
    more, layer after layer, the widest first. Every yield is a whole table of its own.

    Args:
        model: any module with convolutions or linear layers; left as it is. It is copied when the
            first value is asked for.
        split: examples to measure on; choices are made on ``dataset.validation``.
        bits: widths from 1 to 8, rising.
        layers: names of the layers to scan; None takes all convolutions and linear layers.
        granularity: as in ``prepare_``; ``PerChannel()`` if None.
        range_rule: as in ``prepare_``; ``MinMax()`` if None.
        symmetric: as in ``prepare_``.
        tolerance: once the accuracy of a layer is more than this below the baseline, a fraction in
            [0, 1], its narrower widths are skipped; None measures all.
        known: an earlier sensitivity of the same model, split, layers and widths; what it has
            measured is not measured again. The tolerance may be another one.

    Returns:
        A generator; nothing is run before the first value is asked for.

    Raises:
        TypeError, ValueError: at the call, as for ``prepare_`` and ``accuracy``, or if ``known`` is
            of other layers or widths; at the first value, if its baseline is not what the model
            reaches now, or the logits of the model are not finite.
    """
    bits = check_widths(bits)
    if tolerance is not None:
        tolerance = check_fraction("tolerance", tolerance, allow_one=True)
    check_split(split)
    names = tuple(select_layers(model, layers))
    settings = {"granularity": granularity, "range_rule": range_rule, "symmetric": symmetric}
    # On a copy, for its checks: whatever it would refuse is refused now.
    prepare_(copy.deepcopy(model), num_bits=dict.fromkeys(names, bits[-1]), **settings)
    if known is not None:
        check_same_scan(known, BitSensitivity, names, bits)
    empty = (names, bits, tolerance)
    return _scan(model, split, empty, settings, known)


def _scan(
    model: nn.Module,
    split: Split,
    empty: tuple,
    settings: dict,
    known: BitSensitivity | None,
) -> Iterator[BitSensitivity]:
    quantized = copy.deepcopy(model)
    reference = _Reference.of(quantized, split)
    table = BitSensitivity.empty(reference.accuracy, *empty)
    if known is not None:
        check_same_baseline(known.baseline, table.baseline, "quantizing")
        table = dataclasses.replace(table, points=known.points)
    yield table
    for name in table.layers:
        module = layer_module(quantized, name)
        untouched = top_of(module, FakeQuantize)
        for width in reversed(table.bits):
            if table.is_settled(name, width):
                continue
            prepare_(quantized, num_bits={name: width}, **settings)
            table = table.with_point(name, width, reference.point_of(quantized))
            yield table
        _put_back_(module, untouched)


def _put_back_(module: nn.Module, quantizer: FakeQuantize | None) -> None:
    if quantizer is None:
        take_off_top_(module, FakeQuantize)
    else:
        put_on_top_(module, quantizer, FakeQuantize)


@dataclass(frozen=True)
class _Reference:
    """The model as it came: what every point is compared with."""

    split: Split
    log_probabilities: Tensor
    accuracy: Accuracy

    @classmethod
    def of(cls, model: nn.Module, split: Split) -> _Reference:
        log_probabilities = _log_probabilities(model, split)
        check_targets(split.targets, log_probabilities.shape[1])
        return cls(split, log_probabilities, _accuracy(log_probabilities, split))

    def point_of(self, model: nn.Module) -> BitPoint:
        found, targets = _log_probabilities(model, self.split), self.split.targets
        increase = F.nll_loss(found, targets) - F.nll_loss(self.log_probabilities, targets)
        divergence = F.kl_div(found, self.log_probabilities, reduction="batchmean", log_target=True)
        # Rounding can leave a tiny number below 0 where the outputs are the same.
        return BitPoint(_accuracy(found, self.split), float(increase), max(float(divergence), 0.0))


def _log_probabilities(model: nn.Module, split: Split) -> Tensor:
    """Return the logarithms of the class probabilities, ``(N, C)``, float64."""
    logits = Predictor(model).logits(split.inputs)
    return torch.log_softmax(check_finite("logits of the model", logits).double(), dim=1)


def _accuracy(log_probabilities: Tensor, split: Split) -> Accuracy:
    return accuracy_of(log_probabilities.argmax(dim=1), split.targets)
