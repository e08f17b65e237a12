"""``search``: try many recipes and keep the front; alone, or with workers on one study.

    found = search(model, dataset, trials=60, workers=2, study_path="study.log")
    print(found)

Every finished try is in the file of the study before the next one begins. A search that was
stopped or killed goes on when it is called again; two calls at once, on one machine or on two that
share a folder, work on the same study and finish the wanted tries together.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from lwlab.checks import check_count, check_module
from lwlab.data import Dataset
from lwlab.journal import Journal, Origin, default_journal, model_fingerprint
from lwlab.search.alive import Beat, Watch
from lwlab.search.evaluating import Evaluate, evaluate
from lwlab.search.space import SearchSpace
from lwlab.search.study import finished_trials
from lwlab.search.trials import SearchResult, SearchTrial
from lwlab.search.worker import Job, keep_in_journal, work

__all__ = ["search", "search_trials"]

_LOOK_SECONDS = 0.1
_MOST_RESTARTS = 3  # without a single try finished in between


def search(
    model: nn.Module,
    dataset: Dataset,
    *,
    trials: int,
    study_path: str | os.PathLike[str],
    space: SearchSpace | None = None,
    workers: int = 1,
    seed: int = 0,
    journal: Journal | None = None,
    progress: Callable[[SearchTrial], None] | None = None,
    evaluate: Evaluate = evaluate,
) -> SearchResult:
    """Try recipes until ``trials`` are finished, and return them with their front.

    Accuracy on the validation split is maximised and the packed file minimised together, by a
    tree-structured Parzen estimator. With one worker the same arguments give the same tries, also
    when the search was killed in between.

    Args:
        model: plain and trained; left as it is.
        dataset: ``train`` mends the model after each step, ``validation`` scores it.
        trials: how many finished tries are wanted in all, with those of earlier calls.
        study_path: file of the study, new or of the same search.
        space: what may vary; None for all of it.
        workers: processes, by joblib: inside ``joblib.parallel_config(backend="dask")`` they are
            those of a cluster, which must see the folder of ``study_path``. Each computes with one
            thread where there are several.
        seed: of the choices and of the training.
        journal: where each finished try goes; None for ``default_journal()``.
        progress: called with each newly finished try.
        evaluate: carries out a try, as ``search.evaluate`` does.

    Raises:
        ImportError: Optuna is not installed.
        TypeError, ValueError: an argument is of another kind or out of range; the file is something
            else or of another search; or the space does not fit the model.
        FileNotFoundError: the folder of ``study_path`` does not exist.

    Source: Ozaki et al. 2020, "Multiobjective tree-structured Parzen estimator for computationally
    expensive optimization problems", GECCO; Akiba et al. 2019, "Optuna", arXiv:1907.10902.
    """
    job = _job(model, dataset, space, seed, trials, study_path, journal, evaluate)
    workers = check_count("workers", workers)
    for trial in _trials(job, workers):
        if progress is not None:
            progress(trial)
    return SearchResult(tuple(finished_trials(job.open())))


def search_trials(
    model: nn.Module,
    dataset: Dataset,
    *,
    trials: int,
    study_path: str | os.PathLike[str],
    space: SearchSpace | None = None,
    workers: int = 1,
    seed: int = 0,
    journal: Journal | None = None,
    evaluate: Evaluate = evaluate,
) -> Iterator[SearchTrial]:
    """Search as ``search`` does, and yield each try as it finishes, whoever finished it.

    Closing the generator is Stop: what is under way is given up, what is finished stays. With one
    worker the try under way goes on only while the next one is asked for.

    Raises:
        ImportError, TypeError, ValueError, FileNotFoundError: as for ``search``.
    """
    job = _job(model, dataset, space, seed, trials, study_path, journal, evaluate)
    return _trials(job, check_count("workers", workers))


def _job(
    model: Any,
    dataset: Any,
    space: SearchSpace | None,
    seed: int,
    trials: int,
    study_path: str | os.PathLike[str],
    journal: Journal | None,
    evaluate: Evaluate,
) -> Job:
    check_module("model", model)
    if any(parametrize.is_parametrized(module) for module in model.modules()):
        raise ValueError(
            "model must be plain, got one with masks or quantizers on it. Give the model that it "
            "was made from."
        )
    if not isinstance(dataset, Dataset):
        raise TypeError(f"dataset must be an lwlab.data.Dataset, got {type(dataset).__name__}.")
    if space is not None and not isinstance(space, SearchSpace):
        raise TypeError(f"space must be a SearchSpace, got {type(space).__name__}.")
    job = Job(
        model=model,
        dataset=dataset,
        space=space or SearchSpace(),
        seed=check_count("seed", seed, minimum=0, maximum=2**20),
        origin=Origin(model_fingerprint(model), dataset.name),
        trials=check_count("trials", trials),
        path=Path(study_path).absolute(),
        journal=journal or default_journal(),
        evaluate=evaluate,
    )
    job.open()
    return job


def _trials(job: Job, workers: int) -> Iterator[SearchTrial]:
    """Yield finished tries until there are enough; a worker that was killed is replaced."""
    study = job.open()
    known = {trial.key for trial in finished_trials(study)}
    restarts = 0
    while len(known) < job.trials:
        before = len(known)
        try:
            found = _alone(job) if workers == 1 else _together(job, workers)
            with contextlib.closing(found):
                for trial in found:
                    if trial.key not in known:
                        known.add(trial.key)
                        yield trial
        except _worker_killed():
            restarts = 0 if len(known) > before else restarts + 1
            if restarts >= _MOST_RESTARTS:
                raise
    keep_in_journal(study, job, {})


def _alone(job: Job) -> Iterator[SearchTrial]:
    """Work in this very thread; yields all finished tries again and again."""
    study = job.open()
    yield from finished_trials(study)
    while len(finished_trials(study)) < job.trials:
        done: list[None] = []
        work(
            job, stopped=lambda done=done: bool(done), finished=lambda done=done: done.append(None)
        )
        yield from finished_trials(study)


def _together(job: Job, workers: int) -> Iterator[SearchTrial]:
    """Let workers of joblib work; yields all finished tries again and again."""
    from joblib import Parallel, delayed  # noqa: PLC0415 (heavy)

    study = job.open()
    with Beat(job.path) as parent:
        # Made here, so that the backend is the one that the caller's context names; read below.
        ends = Parallel(n_jobs=workers, return_as="generator_unordered")(
            delayed(_work_for)(job, parent.id) for _ in range(workers)
        )
        failures: list[BaseException] = []
        reader = threading.Thread(target=_read, args=(ends, failures), name="lwlab search")
        reader.start()
        try:
            while reader.is_alive():
                yield from finished_trials(study)
                reader.join(_LOOK_SECONDS)
        finally:
            # Workers see that this process no longer waits, and give up.
            with contextlib.suppress(OSError):
                parent.end()
            reader.join()
    if failures:
        raise failures[0]
    yield from finished_trials(study)


def _read(ends: Iterator[None], failures: list[BaseException]) -> None:
    try:
        for _ in ends:
            pass
    except BaseException as error:
        failures.append(error)


def _work_for(job: Job, parent: str) -> None:
    """Work in a process of joblib, as long as the one that wanted it lives and waits."""
    torch.set_num_threads(1)
    watch = _Seldom(Watch(job.path), parent)
    work(job, stopped=watch)


class _Seldom:
    """Asks whether a parent is gone, but not more than a few times a second."""

    def __init__(self, watch: Watch, parent: str) -> None:
        self._watch, self._parent = watch, parent
        self._next, self._gone = 0.0, False

    def __call__(self) -> bool:
        if not self._gone and time.monotonic() >= self._next:
            self._gone = not self._watch.alive(self._parent)
            self._next = time.monotonic() + _LOOK_SECONDS
        return self._gone


def _worker_killed() -> type[BaseException]:
    from joblib.externals.loky.process_executor import TerminatedWorkerError  # noqa: PLC0415

    return TerminatedWorkerError
