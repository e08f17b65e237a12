"""``run``: carry out the steps one after the other, and measure what each of them leaves.

    for record in run(model, dataset, [Prune(0.9), FineTune(epochs=3), Quantize(4), Pack()]):
        if isinstance(record, StepRecord):
            print(record)

Because it is a generator, whoever reads the records is in charge: ``break`` stops between two
batches. The model that was given is never changed; what a step left is in its record.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import nn

from lwlab import packing
from lwlab.checks import check_count
from lwlab.data import Dataset
from lwlab.distill import Teacher
from lwlab.journal import Entry, Journal, Origin, model_fingerprint
from lwlab.pipeline.benches import SELDOM, bench_for, step_seed
from lwlab.pipeline.folder import Folder, StoredStep, fingerprints
from lwlab.pipeline.keeping import keep, step_entry
from lwlab.pipeline.order import check_order
from lwlab.pipeline.packed import StepScorecard, loaded_back, score
from lwlab.pipeline.recipe import recipe_to_json
from lwlab.pipeline.records import PipelineResult, Progress, StepRecord
from lwlab.pipeline.step import Bench, Step
from lwlab.pipeline.training import Train

__all__ = ["run", "run_all"]


def run(
    model: nn.Module,
    dataset: Dataset,
    steps: Sequence[Step],
    *,
    teacher: nn.Module | Teacher | None = None,
    seed: int = 0,
    folder: str | os.PathLike[str] | None = None,
    journal: Journal | None = None,
    test: bool = False,
    steps_per_record: int = 1,
) -> Iterator[StepRecord | Progress]:
    """Carry out ``steps`` on a copy of ``model``.

    Yields a ``Progress`` between the batches of a training, and a ``StepRecord`` after each step.
    The same arguments and number of threads give the same files, byte for byte. The caller's random
    stream is left alone.

    Args:
        model: plain, trained or to be trained by the first step; left as it is.
        dataset: ``train`` is learned, ``validation`` is scored after each step.
        steps: in an order that makes sense, see ``check_order``.
        teacher: whom ``Distil`` and ``distil=True`` learn from; None for the model itself as it was
            given, or as ``Train`` left it.
        seed: of all that is random; step k has the seed ``1000 * seed + k``.
        folder: keep each finished step there. A run with the same arguments goes on after the last
            finished one, and ends with the same bytes as one that was never stopped.
        journal: keep each newly finished step there as a try, with its file; for the one that labs
            write to, ``lwlab.journal.default_journal()``. One that fails warns.
        test: score the last step on ``dataset.test`` too.
        steps_per_record: batches between two ``Progress``; the run can be stopped there.

    Returns:
        A generator; nothing is done before the first record is asked for.

    Raises:
        TypeError, ValueError: at the call: an argument is of another kind, the order makes no
            sense, the model is not plain, or the folder is one of another pipeline. While running:
            a step does not fit the model, as from the function that it stands for.
        TrainingDivergedError: while running, as from ``fit``.
    """
    steps = check_order(steps)
    seed = check_count("seed", seed, minimum=0)
    bench = bench_for(model, dataset, teacher, check_count("steps_per_record", steps_per_record))
    kept = None
    if folder is not None:
        given = bench.teacher if bench.own_teacher else None
        identity = {"recipe": recipe_to_json(steps, seed)}
        kept = Folder(folder, identity | fingerprints(bench.start, dataset, given))
    records = _run(bench, steps, seed, kept, bool(test))
    if journal is None:
        return records
    origin = Origin(model_fingerprint(bench.start), dataset.name)
    return _journaled(records, journal, lambda record: step_entry(record, steps, seed, origin))


def run_all(
    model: nn.Module, dataset: Dataset, steps: Sequence[Step], **settings: Any
) -> PipelineResult:
    """Carry out ``steps`` to the end, and return what they leave.

    Args:
        model: as for ``run``.
        dataset: as for ``run``.
        steps: as for ``run``.
        settings: the other arguments of ``run``.

    Raises:
        TypeError, ValueError: as for ``run``.
    """
    settings = {"steps_per_record": SELDOM, **settings}
    found = [r for r in run(model, dataset, steps, **settings) if isinstance(r, StepRecord)]
    data = found[-1].data
    return PipelineResult(loaded_back(data, model), tuple(found), data)


def _run(
    bench: Bench, steps: tuple[Step, ...], seed: int, folder: Folder | None, test: bool
) -> Iterator[StepRecord | Progress]:
    finished = [] if folder is None else _resumed_(bench, steps, folder)
    total = len(steps)
    for index, (card, old) in enumerate(finished, start=1):
        last = test and index == total and card.test is None
        known = _scored(bench, old.data, test=True) if last else card
        seconds = float(old.record["seconds"])
        yield StepRecord(index, total, steps[index - 1], known, seconds, old.data, resumed=True)
    for index, step in enumerate(steps[len(finished) :], start=len(finished) + 1):
        bench.seed = step_seed(seed, index)
        clock = _Clock()
        for training in step.apply_(bench):
            with clock.stopped():
                yield Progress(index, total, step, training)
        seconds = clock.seconds()
        data = packing.to_bytes(bench.model) if bench.data is None else bench.data
        card = _scored(bench, data, test=test and index == total)
        if folder is not None:
            folder.store(index, bench.model, {**card.to_json(), "seconds": seconds}, data)
        yield StepRecord(index, total, step, card, seconds, data)


def _journaled(
    records: Iterator[StepRecord | Progress],
    journal: Journal,
    entry: Callable[[StepRecord], Entry],
) -> Iterator[StepRecord | Progress]:
    """Yield ``records``; each step that this run has finished is kept before."""
    for record in records:
        if isinstance(record, StepRecord) and not record.resumed:
            keep(journal, entry(record))
        yield record


def _resumed_(
    bench: Bench, steps: tuple[Step, ...], folder: Folder
) -> list[tuple[StepScorecard, StoredStep]]:
    """Return the steps that are finished, and put the bench where the last of them left it."""
    finished: list[tuple[StepScorecard, StoredStep]] = []
    for index, step in enumerate(steps, start=1):
        stored = folder.finished(bench.start, index)
        if stored is None:
            break
        finished.append((StepScorecard.from_json(stored.record), stored))
        bench.model = stored.model
        if isinstance(step, Train):
            step.hand_on_(bench)
    return finished


def _scored(bench: Bench, data: bytes, *, test: bool) -> StepScorecard:
    return score(bench.model, bench.dataset, into=bench.start, test=test, data=data)


class _Clock:
    """Seconds of work, without those in which the reader has the word."""

    def __init__(self) -> None:
        self._began, self._away = time.perf_counter(), 0.0

    @contextmanager
    def stopped(self) -> Iterator[None]:
        left = time.perf_counter()
        yield
        self._away += time.perf_counter() - left

    def seconds(self) -> float:
        return time.perf_counter() - self._began - self._away
