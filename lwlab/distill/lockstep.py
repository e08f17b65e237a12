"""Several arms of one seed in lockstep.

Whoever reads the records is in charge of all of them: a pause or a stop holds all students at the
same step.

    for records in train_side_by_side(arms, dataset, seed=0, epochs=5, steps_per_record=10):
        print({name: record.loss for name, record in records.items()})
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from torch import nn

from lwlab.checks import check_count
from lwlab.data import Dataset
from lwlab.distill.arm import Arm, Start
from lwlab.train import Record, TrainingDivergedError, fit

__all__ = ["SideBySide", "check_arms", "starts_of", "train_arm", "train_side_by_side"]


def train_side_by_side(
    arms: Mapping[str, Arm],
    dataset: Dataset,
    *,
    seed: int,
    epochs: int,
    steps_per_record: int | None = None,
    batch_size: int = 64,
) -> SideBySide:
    """Train all arms of one seed in lockstep; yields the record of each at the same step.

    Each is trained as it would be alone, bit for bit. An arm whose training is shorter than
    others' is in the first dictionaries only.

    Args:
        arms: by name.
        dataset: as for ``fit``.
        seed: of the students and their batches.
        epochs: as for ``train_students``.
        steps_per_record: as for ``fit``.
        batch_size: examples a step.

    Returns:
        An iterator of ``{arm: Record}``. Stopping it, or ``close()``, stops all. Its ``students``
        are the networks under training.

    Raises:
        TypeError, ValueError: at the call, for arguments that are empty or out of range.
        TrainingDivergedError: while running, with the name of the arm; it stops all.
    """
    arms = check_arms(arms, dataset)
    seed = check_count("seed", seed, minimum=0)
    epochs = check_count("epochs", epochs)
    batch_size = check_count("batch_size", batch_size)
    if steps_per_record is not None:
        steps_per_record = check_count("steps_per_record", steps_per_record)
    starts = starts_of(arms, dataset, seed, batch_size)
    return SideBySide(arms, starts, epochs, steps_per_record)


class SideBySide(Iterator[dict[str, Record]]):
    """Several trainings in lockstep, as ``train_side_by_side`` returns them.

    Args:
        arms: by name.
        starts: what each begins with.
        epochs: where an arm has no number of its own.
        steps_per_record: as for ``fit``.

    Attributes:
        students: the network of each arm, trained in place as the iterator advances.
    """

    def __init__(
        self,
        arms: Mapping[str, Arm],
        starts: Mapping[str, Start],
        epochs: int,
        steps_per_record: int | None,
    ) -> None:
        self.students: dict[str, nn.Module] = {name: s.student for name, s in starts.items()}
        self._rounds = _lockstep(arms, starts, epochs, steps_per_record)

    def __next__(self) -> dict[str, Record]:
        """Advance each arm to its next record."""
        return next(self._rounds)

    def close(self) -> None:
        """Stop all; the students keep what they have learned so far."""
        self._rounds.close()


def _lockstep(
    arms: Mapping[str, Arm],
    starts: Mapping[str, Start],
    epochs: int,
    steps_per_record: int | None,
) -> Iterator[dict[str, Record]]:
    with contextlib.ExitStack() as stack:
        running = {}
        for name, arm in arms.items():
            training = train_arm(name, arm, starts[name], epochs, steps_per_record)
            running[name] = stack.enter_context(contextlib.closing(training))
        while True:
            found = {name: next(training, None) for name, training in running.items()}
            records = {name: record for name, record in found.items() if record is not None}
            if not records:
                return
            yield records


def train_arm(
    name: str, arm: Arm, start: Start, epochs: int, steps_per_record: int | None = None
) -> Iterator[Record]:
    """Train one student in place, by the records of ``fit``.

    Args:
        name: of the arm, for messages.
        arm: how to train.
        start: what it begins with.
        epochs: where the arm has no number of its own.
        steps_per_record: as for ``fit``.

    Raises:
        TrainingDivergedError: with the name of the arm and the seed.
    """
    rate = arm.rate(start)
    with arm.loss(start) as loss:
        records = fit(
            start.student,
            start.dataset,
            epochs=epochs if arm.epochs is None else arm.epochs,
            learning_rate=rate,
            batch_size=start.batch_size,
            loss=loss,
            seed=start.seed,
            steps_per_record=steps_per_record,
            schedule=arm.schedule,
            optimizer=arm.optimizer,
            augment=arm.augment,
        )
        try:
            yield from records
        except TrainingDivergedError as error:
            raise TrainingDivergedError(f"arm {name!r}, seed {start.seed}: {error}") from error


def starts_of(
    arms: Mapping[str, Arm], dataset: Dataset, seed: int, batch_size: int
) -> dict[str, Start]:
    """Return what each arm begins with; arms of one change of the data set share the result.

    A teacher remembers its answers by the split, so that it answers once for all of them.

    Args:
        arms: by name.
        dataset: of the experiment.
        seed: of the students.
        batch_size: examples a step.

    Raises:
        TypeError: a factory of an arm returns something else than it should.
    """
    changed: dict[int, Dataset] = {id(None): dataset}
    starts = {}
    for name, arm in arms.items():
        change = arm.change_dataset
        if id(change) not in changed:
            changed[id(change)] = arm.changed(dataset, seed)
        starts[name] = arm.start(changed[id(change)], seed, batch_size)
    return starts


def check_arms(arms: Mapping[str, Arm], dataset: Dataset) -> dict[str, Arm]:
    """Return ``arms`` as a dictionary of their own, if they and ``dataset`` can be trained.

    Raises:
        TypeError, ValueError: they are of another kind, or there is none.
    """
    if not isinstance(arms, Mapping):
        raise TypeError(
            f"arms must be a dictionary of arms by name, got {type(arms).__name__}. "
            f"Try {{'alone': alone(student)}}."
        )
    if not arms:
        raise ValueError("arms must hold at least one arm, got none.")
    for name, arm in arms.items():
        if not isinstance(name, str) or not isinstance(arm, Arm):
            raise TypeError(
                f"arms must hold a distill.Arm under each name, got {type(arm).__name__} under "
                f"{name!r}."
            )
    if not isinstance(dataset, Dataset):
        raise TypeError(
            f"dataset must be an lwlab.data.Dataset, got {type(dataset).__name__}. "
            f"Try data.from_arrays."
        )
    return dict(arms)
