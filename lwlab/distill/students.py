"""Students over seeds: several arms of an experiment, and rows to compare them by.

    rows = list(train_students(standard_arms(student, teacher), dataset, seeds=range(5), epochs=10))
    print(summarize_students(rows, against="alone"))

For one seed, all arms of one student begin with the same weights and see the same batches in the
same order, so that they are compared pair by pair; next: ``student_table``. To see several arms of
one seed while they train: ``lockstep``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from lwlab.checks import check_count
from lwlab.data import Dataset, Split
from lwlab.distill.arm import Arm
from lwlab.distill.lockstep import check_arms, starts_of, train_arm
from lwlab.distill.student_table import StudentRow
from lwlab.measure import accuracy
from lwlab.measure.predicting import check_split

__all__ = ["train_students"]


def train_students(
    arms: Mapping[str, Arm],
    dataset: Dataset,
    *,
    seeds: Iterable[int],
    epochs: int,
    batch_size: int = 64,
    split: Split | None = None,
    done: Iterable[StudentRow] = (),
) -> Iterator[StudentRow]:
    """Train a student for each seed and arm, and yield its accuracy as soon as it is known.

    The rows come seed by seed, so that a stop leaves whole pairs. To go on later, hand the rows
    that there are as ``done``: what they hold is not trained again.

    Args:
        arms: by name.
        dataset: as for ``fit``.
        seeds: one student of each arm for each.
        epochs: passes over the train split, where an arm has no number of its own.
        batch_size: examples a step.
        split: what the accuracies are of; None takes the validation split.
        done: rows of an earlier call with the same settings.

    Raises:
        TypeError, ValueError: at the call, for arguments that are empty or out of range.
        TrainingDivergedError: while running, with the name of the arm.
    """
    arms = check_arms(arms, dataset)
    numbers = _checked_seeds(seeds)
    epochs = check_count("epochs", epochs)
    batch_size = check_count("batch_size", batch_size)
    scored_on = dataset.validation if split is None else check_split(split)
    known = {(row.arm, row.seed) for row in done}
    return _rows(arms, dataset, numbers, epochs, batch_size, scored_on, known)


def _rows(
    arms: Mapping[str, Arm],
    dataset: Dataset,
    seeds: list[int],
    epochs: int,
    batch_size: int,
    split: Split,
    known: set[tuple[str, int]],
) -> Iterator[StudentRow]:
    for seed in seeds:
        wanted = {name: arm for name, arm in arms.items() if (name, seed) not in known}
        for name, start in starts_of(wanted, dataset, seed, batch_size).items():
            for _ in train_arm(name, wanted[name], start, epochs):
                pass
            yield StudentRow(name, seed, accuracy(start.student, split).value)


def _checked_seeds(seeds: Iterable[int]) -> list[int]:
    if not isinstance(seeds, Iterable):
        raise TypeError(f"seeds must be a list of whole numbers, got {seeds!r}. Try range(5).")
    numbers = [check_count("seeds", seed, minimum=0) for seed in seeds]
    if not numbers:
        raise ValueError("seeds must hold at least one seed, got none.")
    for seed in numbers:
        if numbers.count(seed) > 1:
            raise ValueError(f"seeds must all be different, got {seed} more than once.")
    return numbers
