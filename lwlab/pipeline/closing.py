"""The steps at the end: what is left is rounded for the file, and the file is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lwlab import packing
from lwlab.checks import check_choice
from lwlab.packing.halving import halve_
from lwlab.pipeline.packed import loaded_back
from lwlab.pipeline.step import Bench, Step
from lwlab.train import Record

__all__ = ["HALVED", "Halve", "Pack"]

HALVED = ("biases", "batchnorm", "all")


@dataclass(frozen=True)
class Halve(Step):
    """Round numbers that are stored as float32 to float16, so that they take 2 bytes each.

    Attributes:
        tensors: ``"biases"``, ``"batchnorm"`` or ``"all"``: all that no quantizer or table covers.

    Raises:
        ValueError: it is none of these.
    """

    tensors: str = "biases"

    def __post_init__(self) -> None:
        check_choice("tensors", self.tensors, HALVED)

    def describe(self) -> str:
        """Return one plain line that says what will be done."""
        meant = {"biases": "the biases", "batchnorm": "the BatchNorm numbers"}
        return f"Round {meant.get(self.tensors, 'all numbers still in float')} to half precision"

    def apply_(self, bench: Bench) -> Iterator[Record]:
        """Round tensors of ``bench.model``."""
        halve_(bench.model, tensors=self.tensors)
        yield from ()


@dataclass(frozen=True)
class Pack(Step):
    """Write the packed file, and take what it loads back: a plain model of the same answers.

    The plain model has the values but no longer knows of grids and tables: packed once more it
    would make a larger file. So the bytes are kept as they were written.
    """

    def describe(self) -> str:
        """Return one plain line that says what will be done."""
        return "Pack into one file and load it back"

    def apply_(self, bench: Bench) -> Iterator[Record]:
        """Put the file and the model that was loaded back on the bench."""
        bench.data = packing.to_bytes(bench.model)
        bench.model = loaded_back(bench.data, bench.start)
        yield from ()
