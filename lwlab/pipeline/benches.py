"""Setting up a bench, and working through steps on it without measuring between them."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from torch import nn
from torch.nn.utils import parametrize

from lwlab.checks import check_module
from lwlab.data import Dataset
from lwlab.distill import Teacher
from lwlab.pipeline.step import Bench, Step

__all__ = ["SELDOM", "bench_for", "carry_out", "step_seed"]

SELDOM = 10**6  # batches between two records that nobody reads


def step_seed(seed: int, index: int) -> int:
    """Return the seed of step ``index``, counted from 1."""
    return 1000 * seed + index


def bench_for(
    model: nn.Module,
    dataset: Dataset,
    teacher: nn.Module | Teacher | None = None,
    steps_per_record: int = SELDOM,
) -> Bench:
    """Return a bench with a copy of ``model`` on it.

    Raises:
        TypeError: an argument is of another kind.
        ValueError: the model is not plain.
    """
    check_module("model", model)
    if not isinstance(dataset, Dataset):
        raise TypeError(
            f"dataset must be an lwlab.data.Dataset, got {type(dataset).__name__}. "
            f"Try data.from_arrays."
        )
    if any(parametrize.is_parametrized(module) for module in model.modules()):
        raise ValueError(
            "model must be plain, got one with masks or quantizers on it. Give the model that it "
            "was made from, and let the steps put them on."
        )
    answers = Teacher(model) if teacher is None else teacher
    answers = answers if isinstance(answers, Teacher) else Teacher(answers)
    return Bench(
        model=copy.deepcopy(model),
        start=copy.deepcopy(model),
        dataset=dataset,
        teacher=answers,
        own_teacher=teacher is not None,
        steps_per_record=steps_per_record,
    )


def carry_out(bench: Bench, steps: Sequence[Step], seed: int = 0) -> None:
    """Carry out ``steps`` on ``bench`` without measuring between them; as ``run`` would."""
    for index, step in enumerate(steps, start=1):
        bench.seed = step_seed(seed, index)
        for _ in step.apply_(bench):
            pass
