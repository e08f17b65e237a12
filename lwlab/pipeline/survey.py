"""A survey of one model: what each recipe makes of it, measured once and remembered."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from torch import nn

from lwlab import packing
from lwlab.data import Dataset
from lwlab.distill import Teacher
from lwlab.pipeline.benches import bench_for, carry_out
from lwlab.pipeline.families import Family, Knob, Steps
from lwlab.pipeline.packed import StepScorecard, score
from lwlab.train import TrainingDivergedError

__all__ = ["Survey", "Tried"]

_TRIAL = 2000  # training examples of a short trial


@dataclass(frozen=True)
class Tried:
    """A recipe that was carried out and measured.

    Attributes:
        family: the way it goes, such as ``"prune + 4 bits"``.
        steps: what was done.
        scorecard: of the packed file, loaded back; accuracy on the validation split.
        data: the packed file.
        full: it was trained for all epochs, on all training examples.
    """

    family: str
    steps: Steps
    scorecard: StepScorecard
    data: bytes = field(repr=False)
    full: bool = True

    @property
    def size_bytes(self) -> int:
        """Length of the packed file."""
        return self.scorecard.size_bytes

    def __str__(self) -> str:
        cells = self.scorecard.cells()
        return f"{self.family}: {cells['file size']}, {cells['accuracy (validation)']}"


class Survey:
    """Carries out recipes on copies of a model and remembers what came out.

    The same recipe gives the same file each time, so nothing is done twice.

    Args:
        model: plain; left as it is.
        dataset: to train on and to score on.
        teacher: as for ``run``.
        seed: as for ``run``.
        watch: called with each recipe as soon as it is measured. What it raises ends the search.

    Attributes:
        failures: by family, why a recipe of it could not be carried out on this model.

    Raises:
        TypeError, ValueError: as for ``run``.
    """

    def __init__(
        self,
        model: nn.Module,
        dataset: Dataset,
        *,
        teacher: nn.Module | Teacher | None = None,
        seed: int = 0,
        watch: Callable[[Tried], None] | None = None,
    ) -> None:
        self._bench = bench_for(model, dataset, teacher)
        self._watch = watch
        self.dataset, self.seed = dataset, seed
        train = dataset.train.take(_TRIAL)
        self._short = Dataset(
            dataset.name, train, dataset.validation, dataset.test, dataset.class_names
        )
        self.failures: dict[str, str] = {}
        self._files: dict[Steps, bytes | None] = {}
        self._tried: dict[tuple[Steps, bool], Tried] = {}

    @property
    def model(self) -> nn.Module:
        """The model as it was given."""
        return self._bench.start

    @property
    def tried(self) -> tuple[Tried, ...]:
        """All that was carried out so far and scored, in that order."""
        return tuple(self._tried.values())

    def size_of(self, family: Family, knob: Knob) -> float:
        """Return the length of the file that a family's cut leaves without training.

        Infinite where the steps do not fit the model, such as channels of layers that are tied.
        """
        steps = family.cut(knob)
        if steps not in self._files:
            self._files[steps] = self._file(family, steps, self.dataset)
        data = self._files[steps]
        return math.inf if data is None else len(data)

    def fitting(self, family: Family, budget_bytes: float) -> Knob | None:
        """Return the gentlest knob with which the untrained file fits; None if none does."""
        sizes = [self.size_of(family, family.knobs[end]) for end in (0, -1)]
        fails, fits = 0, len(family.knobs) - 1
        if sizes[0] <= budget_bytes:
            return family.knobs[0]
        if sizes[1] > budget_bytes:
            return None
        while fits - fails > 1:
            middle = _between(fails, fits, sizes, budget_bytes)
            size = self.size_of(family, family.knobs[middle])
            if size <= budget_bytes:
                fits, sizes[1] = middle, size
            else:
                fails, sizes[0] = middle, size
        return family.knobs[fits]

    def smallest(self, families: Iterable[Family]) -> float:
        """Return the length of the smallest file that any family reaches, untrained."""
        return min(self.size_of(family, family.knobs[-1]) for family in families)

    def untrained(self, family: Family, knob: Knob) -> Tried:
        """Return what a family's cut leaves without training; its size must be finite."""
        self.size_of(family, knob)
        steps = family.cut(knob)
        return self._score(family, steps, self._files[steps], full=True)

    def trial(self, family: Family, knob: Knob) -> Tried | None:
        """Return what is left after one short training for each cut: an impression."""
        return self._carried_out(family, family.mended(knob, 1), full=False)

    def trained(self, family: Family, knob: Knob, epochs: int) -> Tried | None:
        """Return what is left after the whole training; None where it fails."""
        return self._carried_out(family, family.mended(knob, epochs), full=True)

    def _carried_out(self, family: Family, steps: Steps, *, full: bool) -> Tried | None:
        if (steps, full) in self._tried:
            return self._tried[steps, full]
        data = self._file(family, steps, self.dataset if full else self._short)
        return None if data is None else self._score(family, steps, data, full=full)

    def _score(self, family: Family, steps: Steps, data: bytes, *, full: bool) -> Tried:
        if (steps, full) not in self._tried:
            card = score(self.model, self.dataset, into=self.model, data=data)
            self._tried[steps, full] = Tried(family.name, steps, card, data, full)
            if self._watch is not None:
                self._watch(self._tried[steps, full])
        return self._tried[steps, full]

    def _file(self, family: Family, steps: Steps, dataset: Dataset) -> bytes | None:
        """Return the packed file that ``steps`` leave; None, and why, where they fail."""
        bench = bench_for(self.model, dataset, self._bench.teacher)
        bench.own_teacher = self._bench.own_teacher
        try:
            # Pack would also load the file back, which is not looked at here.
            carry_out(bench, [step for step in steps if step.name != "Pack"], self.seed)
            return packing.to_bytes(bench.model)
        except (ValueError, TrainingDivergedError) as error:
            self.failures.setdefault(family.name, str(error))
            return None


def _between(fails: int, fits: int, sizes: list[float], budget_bytes: float) -> int:
    """Return where to look next: sizes fall from knob to knob by about the same factor.

    One knob to the side of what that gives, towards the farther end, so that both ends move.
    """
    if math.isinf(sizes[0]):
        return (fails + fits) // 2
    whole, wanted = math.log(sizes[0] / sizes[1]), math.log(sizes[0] / budget_bytes)
    guess = fails + (fits - fails) * wanted / whole
    nudged = guess + (0.5 if guess < (fails + fits) / 2 else -0.5)
    return min(max(round(nudged), fails + 1), fits - 1)
