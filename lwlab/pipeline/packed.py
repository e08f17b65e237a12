"""From a model to its packed file, back into a plain model, and what that one is worth."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from lwlab import packing
from lwlab.checks import check_count
from lwlab.data import Dataset
from lwlab.measure import Accuracy, accuracy, folded, macs
from lwlab.units import format_bytes, format_count

__all__ = ["StepScorecard", "loaded_back", "score"]


@dataclass(frozen=True)
class StepScorecard:
    """What was measured of a model after a step, all of it on the file that was loaded back.

    Attributes:
        accuracy: on the validation split.
        size_bytes: length of the packed file.
        macs: multiply-accumulates for one example.
        test: accuracy on the test split; None where it was not asked for.
    """

    accuracy: Accuracy
    size_bytes: int
    macs: int
    test: Accuracy | None = None

    def __str__(self) -> str:
        return "; ".join(f"{name} {text}" for name, text in self.cells().items())

    def cells(self) -> dict[str, str]:
        """Return the figures as text, by what they are."""
        cells = {
            "accuracy (validation)": str(self.accuracy),
            "file size": format_bytes(self.size_bytes),
            "MACs": format_count(self.macs),
        }
        return cells if self.test is None else {**cells, "accuracy (test)": str(self.test)}

    def to_json(self) -> dict[str, Any]:
        """Return it as numbers that a JSON file holds; ``from_json`` reads them."""
        return {
            "accuracy": [self.accuracy.correct, self.accuracy.total],
            "size_bytes": self.size_bytes,
            "macs": self.macs,
            "test": None if self.test is None else [self.test.correct, self.test.total],
        }

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> StepScorecard:
        """Return the scorecard that ``to_json`` wrote.

        Raises:
            KeyError, TypeError, ValueError: the values are not such.
        """
        test = values["test"]
        return StepScorecard(
            accuracy=Accuracy(*values["accuracy"]),
            size_bytes=check_count("size_bytes", values["size_bytes"]),
            macs=check_count("macs", values["macs"], minimum=0),
            test=None if test is None else Accuracy(*test),
        )


def loaded_back(data: bytes, plain: nn.Module) -> nn.Module:
    """Return what the packed file ``data`` loads into: a copy of ``plain``, which stays as it is.

    Layers get the widths in the file, which are smaller where channels were removed.

    Raises:
        PackingError: the file is not of this model.
    """
    loaded = copy.deepcopy(plain)
    packing.from_bytes_(loaded, data, resize=True)
    return loaded


def score(
    model: nn.Module,
    dataset: Dataset,
    *,
    into: nn.Module | None = None,
    test: bool = False,
    data: bytes | None = None,
) -> StepScorecard:
    """Pack ``model``, load the file back into a copy, and measure that. ``model`` stays as it is.

    Args:
        model: plain or prepared.
        dataset: its validation split is scored.
        into: a plain model of this class, a copy of which the file is loaded into; None for one
            made from ``model``.
        test: score the test split too. That is for the end, when nothing is chosen any more.
        data: the packed file of ``model``, where it was made already.

    Raises:
        TypeError, ValueError: as for ``measure.accuracy`` and ``packing.to_bytes``.
    """
    data = packing.to_bytes(model) if data is None else data
    loaded = loaded_back(data, folded(model) if into is None else into)
    return StepScorecard(
        accuracy=accuracy(loaded, dataset.validation),
        size_bytes=len(data),
        macs=macs(loaded, dataset.validation.inputs[:1]),
        test=accuracy(loaded, dataset.test) if test else None,
    )
