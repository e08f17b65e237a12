"""Ten budgets on three models: does the file fit, and does combining beat each technique alone?

    LWLAB_DATA=../shared/data python benchmarks/compress.py [--only SimpleCNN] [--budgets 10]

Each model is trained once. The budgets go in equal ratios from half of the float file to a
twentieth of it. For each of them ``compress`` chooses among all families of recipes, and once more
among the families of one technique alone: pruning, removing channels, quantizing with one width,
sharing weights. All are trained for as many epochs. What a model's survey knows is used for all
budgets.

Wanted: every file at most its budget, and the chosen one not below the best single technique on the
validation split. That holds by construction, since the single techniques are among those that are
chosen from, and is checked all the same. The test split, which nothing was chosen on, is shown
beside it: there the best of several validation scores may turn out to have been a little lucky.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from dataclasses import dataclass

import torch
from torch import nn

from lwlab import data
from lwlab.measure import paired_difference, predictions
from lwlab.models import LeNet300, ResNet8, SimpleCNN
from lwlab.pipeline import FAMILIES, score
from lwlab.pipeline.choosing import best_within
from lwlab.pipeline.packed import loaded_back
from lwlab.pipeline.survey import Survey, Tried
from lwlab.train import cosine, fit
from lwlab.units import format_points

SMALLEST, LARGEST = 1 / 20, 1 / 2  # of the float file


@dataclass(frozen=True)
class Case:
    """A model, its data, and how long it and its compressed versions are trained."""

    model: nn.Module
    dataset: data.Dataset
    train_epochs: int
    epochs: int = 2


def subset(name: str, train: int, validation: int, test: int) -> data.Dataset:
    whole = data.load(name)
    return data.Dataset(
        name,
        whole.train.take(train),
        whole.validation.take(validation),
        whole.test.take(test),
        whole.class_names,
    )


def simple_cnn() -> Case:
    dataset = subset("fashion_mnist", 3000, 1000, 2000)
    return Case(SimpleCNN((1, 28, 28), width=8, hidden=32), dataset, train_epochs=8)


def lenet300() -> Case:
    dataset = data.load("digits")
    return Case(LeNet300((1, 8, 8)), dataset, train_epochs=20)


def resnet8() -> Case:
    dataset = data.load("digits")
    return Case(ResNet8((1, 8, 8), width=8), dataset, train_epochs=15)


CASES = {"SimpleCNN": simple_cnn, "LeNet300": lenet300, "ResNet8": resnet8}


def budgets_for(float_bytes: int, count: int) -> list[int]:
    """Return budgets in equal ratios, the largest first."""
    steps = max(1, count - 1)
    factor = (SMALLEST / LARGEST) ** (1 / steps)
    return [math.floor(float_bytes * LARGEST * factor**step) for step in range(count)]


def best_single(survey: Survey, budget: int, epochs: int) -> Tried | None:
    """Return the best of the families of one technique that reach the budget."""
    singles = [family for family in FAMILIES.values() if family.single]
    able = [family for family in singles if survey.fitting(family, budget) is not None]
    return best_within(survey, budget, epochs=epochs, families=able) if able else None


def run_case(name: str, count: int, seed: int) -> tuple[int, int, int]:
    """Print a table for one model; return how many files fit, how many hold, and the budgets."""
    case = CASES[name]()
    started = time.perf_counter()
    for _ in fit(case.model, case.dataset, epochs=case.train_epochs, schedule=cosine, seed=seed):
        pass
    card = score(case.model, case.dataset, test=True)
    print(
        f"\n{name} on {case.dataset.name}: {card.size_bytes:,} bytes, validation "
        f"{card.accuracy.value:.3f}, test {card.test.value:.3f}"
    )
    print(
        f"{'budget':>8} {'file':>8} {'valid.':>7} {'single':>7} {'test':>7} {'single':>7} "
        f"{'difference on test (95 %)':>45}  recipe / best single"
    )
    survey = Survey(case.model, case.dataset, seed=seed)
    fit_count = hold_count = 0
    budgets = budgets_for(card.size_bytes, count)
    for budget in budgets:
        best = best_within(survey, budget, epochs=case.epochs, families=FAMILIES.values())
        single = best_single(survey, budget, case.epochs)
        fit_count += len(best.data) <= budget
        hold_count += single is None or best.scorecard.accuracy.correct >= (
            single.scorecard.accuracy.correct
        )
        print(row(case, budget, best, single), flush=True)
    print(f"{time.perf_counter() - started:.0f} s; {len(survey.tried)} recipes carried out")
    return fit_count, hold_count, len(budgets)


def row(case: Case, budget: int, best: Tried, single: Tried | None) -> str:
    alone = best if single is None else single
    mine, theirs = right_on_test(case, best), right_on_test(case, alone)
    gap = paired_difference(mine, theirs)
    interval = f"{format_points(gap.mean)} ({format_points(gap.low)} to {format_points(gap.high)})"
    return (
        f"{budget:8,} {best.size_bytes:8,} {best.scorecard.accuracy.value:7.3f} "
        f"{alone.scorecard.accuracy.value:7.3f} {statistics.mean(mine):7.3f} "
        f"{statistics.mean(theirs):7.3f} {interval:>45}  {best.family} / "
        f"{'none reaches it' if single is None else single.family}"
    )


def right_on_test(case: Case, tried: Tried) -> list[float]:
    """Return 1 for each test example that the file answers rightly, else 0."""
    found = predictions(loaded_back(tried.data, case.model), case.dataset.test.inputs)
    return (found == case.dataset.test.targets).double().tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=CASES, action="append")
    parser.add_argument("--budgets", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    counts = [run_case(name, options.budgets, options.seed) for name in options.only or CASES]
    fit_count, hold_count, total = (sum(column) for column in zip(*counts, strict=True))
    print(
        f"\n{fit_count} of {total} files are within their budgets; {hold_count} of {total} are "
        f"not below the best single technique on validation."
    )
    if min(fit_count, hold_count) < total:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
