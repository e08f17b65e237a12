"""What one worker of a search does: take a try, carry it out, write down what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from lwlab.data import Dataset
from lwlab.journal import Journal, Origin
from lwlab.journal.entry import now
from lwlab.pipeline import recipe_to_json
from lwlab.search.alive import Beat, Watch
from lwlab.search.evaluating import Evaluate, StoppedError
from lwlab.search.space import SearchSpace
from lwlab.search.study import claiming, finished_trials, open_study

if TYPE_CHECKING:
    import optuna

__all__ = ["Job", "keep_in_journal", "work"]

_LOOK_SECONDS = 0.1
_MOST_REFUSALS = 5  # one after the other: then the space does not fit the model


@dataclass(frozen=True)
class Job:
    """What all workers of a search are told.

    Attributes:
        model, dataset, space, seed: of the search.
        origin: of the model and the data set.
        trials: how many are wanted in all.
        path: of the study.
        journal: where each finished try goes; None for nowhere.
        evaluate: carries out a try.
    """

    model: nn.Module
    dataset: Dataset
    space: SearchSpace
    seed: int
    origin: Origin
    trials: int
    path: Path
    journal: Journal | None
    evaluate: Evaluate

    def open(self) -> optuna.Study:
        """Open the study of this search; see ``open_study``."""
        identity = {
            "model": self.origin.model,
            "data set": self.origin.dataset,
            "space": self.space.to_json(),
            "seed": self.seed,
        }
        return open_study(self.path, identity)


def work(
    job: Job, stopped: Callable[[], bool], finished: Callable[[], None] = lambda: None
) -> None:
    """Carry out tries until as many as wanted are finished, by whomever, or ``stopped()``.

    Where the others have taken all that are left, wait for them: one of them may die.

    Args:
        job: of the search.
        stopped: asked before and amid each try.
        finished: called after each finished one.

    Raises:
        ValueError: several recipes in a row do not fit the model; what the last one was refused by.
        Exception: what else a try failed with.
    """
    study, watch, refusals = job.open(), Watch(job.path), 0
    with Beat(job.path) as beat:
        while not stopped() and len(finished_trials(study)) < job.trials:
            trial = _take(study, job, beat, watch)
            if trial is None:
                time.sleep(_LOOK_SECONDS)
                continue
            refusal = _carry_out(study, trial, job, stopped)
            refusals = 0 if refusal is None else refusals + 1
            if refusals >= _MOST_REFUSALS:
                raise refusal
            if refusal is None:
                finished()


def _take(study: optuna.Study, job: Job, beat: Beat, watch: Watch) -> optuna.trial.Trial | None:
    """Take a new try; None where those that are finished or under way are as many as wanted."""
    from optuna.samplers import TPESampler  # noqa: PLC0415 (heavy)
    from optuna.trial import TrialState  # noqa: PLC0415 (heavy)

    with claiming(job.path):
        taken, refused = set(), set()
        for trial in study.get_trials(deepcopy=False):
            index = trial.user_attrs.get("index")
            if trial.state == TrialState.COMPLETE:
                taken.add(index)
            elif trial.state == TrialState.RUNNING and watch.alive(trial.user_attrs.get("worker")):
                taken.add(index)
            elif trial.state == TrialState.RUNNING:
                study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
            elif "refused" in trial.user_attrs:
                refused.add(index)
        if len(taken) >= job.trials:
            return None
        index = next(i for i in range(len(taken | refused) + 1) if i not in taken | refused)
        # By its index alone: the try that takes the place of a lost one makes the same choices.
        [state] = np.random.SeedSequence([job.seed, index]).generate_state(1)
        study.sampler = TPESampler(seed=int(state), multivariate=False)
        trial = study.ask()
        trial.set_user_attr("index", index)
        trial.set_user_attr("worker", beat.id)
    return trial


def _carry_out(
    study: optuna.Study, trial: optuna.trial.Trial, job: Job, stopped: Callable[[], bool]
) -> ValueError | None:
    """Carry out a try; return why the recipe was refused, if it does not fit the model."""
    try:
        steps = job.space.steps(trial)
        outcome = job.evaluate(job.model, job.dataset, steps, job.seed, stopped)
    except StoppedError:
        _give_up(study, trial)
        return None
    except ValueError as refusal:
        _give_up(study, trial, refused=str(refusal))
        return refusal
    except BaseException:
        _give_up(study, trial)
        raise
    found = {
        "recipe": recipe_to_json(steps, job.seed),
        "seconds": outcome.seconds,
    }
    if _tell(study, trial, found, (outcome.accuracy, float(outcome.size_bytes))):
        keep_in_journal(study, job, {trial.number: outcome.data})
    return None


def keep_in_journal(study: optuna.Study, job: Job, data: dict[int, bytes]) -> None:
    """Add the finished tries that the journal lacks; ``data`` has the files of some, by number.

    A worker that dies between the study and the journal leaves a gap, which the next one fills.
    """
    if job.journal is None:
        return
    known = job.journal.entries("search", model=job.origin.model, dataset=job.origin.dataset)
    keys = {entry.key for entry in known}
    for trial in finished_trials(study):
        if trial.key not in keys:
            state = data.get(int(trial.key.rpartition(" ")[2]))
            job.journal.add(trial.entry(job.origin, job.seed, state))


def _give_up(study: optuna.Study, trial: optuna.trial.Trial, **found: str) -> None:
    _tell(study, trial, found, None)


def _tell(
    study: optuna.Study,
    trial: optuna.trial.Trial,
    found: dict[str, Any],
    values: tuple[float, float] | None,
) -> bool:
    """Write down the end of a try; return whether it was still open.

    Somebody may have taken us for dead meanwhile, and another try has our place: then ours counts
    for nothing.
    """
    from optuna.exceptions import UpdateFinishedTrialError  # noqa: PLC0415 (heavy)
    from optuna.trial import TrialState  # noqa: PLC0415 (heavy)

    state = TrialState.FAIL if values is None else TrialState.COMPLETE
    try:
        for name, value in {**found, "finished": now()}.items():
            trial.set_user_attr(name, value)  # the first to complain, if another has ended it
        study.tell(trial, values, state=state)
    except UpdateFinishedTrialError:
        return False
    return True
