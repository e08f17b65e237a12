"""Everything a model costs and gives, measured in one call."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from lwlab.data import Split
from lwlab.measure.accuracy import Accuracy, accuracy_of, check_targets
from lwlab.measure.compute import macs
from lwlab.measure.latency import Latency, folded, latency
from lwlab.measure.predicting import Predictor, check_split
from lwlab.measure.size import num_nonzero, num_parameters, packed_bytes
from lwlab.measure.tables import html_table, text_table
from lwlab.units import format_bytes, format_count

__all__ = ["Scorecard", "scorecard"]


@dataclass(frozen=True)
class Scorecard:
    """What was measured of one model.

    Attributes:
        name: what tables call it.
        accuracy: on the split that was given.
        size_bytes: length of the packed file.
        parameters: numbers in its parameters.
        nonzero: how many of them are not zero.
        macs: multiply-accumulates for one example.
        latency: of one example, with masks and other parametrizations folded in.
        predicted: int64 tensor ``(N,)``, its answers, so that two scorecards can be compared
            example by example; None if unknown.
        targets: int64 tensor ``(N,)``, the right answers; None if unknown.
    """

    name: str
    accuracy: Accuracy
    size_bytes: int
    parameters: int
    nonzero: int
    macs: int
    latency: Latency
    predicted: Tensor | None = field(default=None, repr=False, compare=False)
    targets: Tensor | None = field(default=None, repr=False, compare=False)

    def cells(self) -> dict[str, str]:
        """Return the figures as text, by what they are."""
        return {
            "accuracy": str(self.accuracy),
            "file size": format_bytes(self.size_bytes),
            "parameters": format_count(self.parameters),
            "non-zero": format_count(self.nonzero),
            "MACs": format_count(self.macs),
            "latency": str(self.latency),
        }

    def _rows(self) -> list[tuple[str, str]]:
        return [("", self.name), *self.cells().items()]

    def __str__(self) -> str:
        return text_table(self._rows())

    def _repr_html_(self) -> str:
        return html_table(self._rows())


def scorecard(
    model: nn.Module, split: Split, name: str = "model", batch_size: int = 250
) -> Scorecard:
    """Measure ``model`` on ``split``. Nothing of the model changes.

    Args:
        model: as for ``accuracy``.
        split: scored whole; its first example is timed and counted for MACs.
        name: what tables call the model.
        batch_size: inputs per forward pass when scoring, at the most.

    Raises:
        TypeError, ValueError: as for ``accuracy`` and ``packed_bytes``.
    """
    check_split(split)
    predictor = Predictor(model, batch_size)
    predicted = predictor(split.inputs)
    check_targets(split.targets, predictor.num_classes)
    example = split.inputs[:1]
    return Scorecard(
        name=name,
        accuracy=accuracy_of(predicted, split.targets),
        size_bytes=packed_bytes(model),
        parameters=num_parameters(model),
        nonzero=num_nonzero(model),
        macs=macs(model, example),
        latency=latency(folded(model), example),
        predicted=predicted,
        targets=split.targets,
    )
