"""Pruning criteria against each other: equal cuts, five seeds, two data sets, one command.

    LWLAB_DATA=../shared/data python benchmarks/criteria.py [--seeds 5] [--datasets digits ...]

For each seed a SimpleCNN is trained; on Fashion-MNIST with the first 12,000 images of the train
split, which keeps the whole run below half an hour. Every criterion then cuts the same share of
each layer but the last, whole channels or single weights; the network is scored as cut, fine-tuned
for one epoch of the same images, and scored again. Accuracies are of the test split: no choice
rests on them.

Writes notebooks/results/criteria.csv, which lesson 03 shows, and prints its summary.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path

import torch
from torch import nn

from lwlab import data, prune
from lwlab.models import SimpleCNN
from lwlab.train import fit

RESULTS = Path(__file__).parents[1] / "notebooks" / "results" / "criteria.csv"
EPOCHS = {"digits": 15, "fashion_mnist": 5}
MOST_EXAMPLES = 12_000
CUTS = {
    "channels": (prune.CHANNEL_CRITERIA, (0.25, 0.5, 0.7, 0.85)),
    "weights": (prune.WEIGHT_CRITERIA, (0.5, 0.7, 0.9, 0.95)),
}


def loaded(name: str) -> data.Dataset:
    dataset = data.load(name)
    train = dataset.train.take(min(MOST_EXAMPLES, len(dataset.train)))
    return dataclasses.replace(dataset, train=train)


def trained(dataset: data.Dataset, seed: int) -> nn.Module:
    model = SimpleCNN(dataset.input_shape, dataset.num_classes, seed=seed)
    for _ in fit(model, dataset, epochs=EPOCHS[dataset.name], seed=seed):
        pass
    return model


def compare(dataset: data.Dataset, seeds: int) -> dict[tuple[str, str], list[prune.ComparisonRow]]:
    """Return the rows of a data set by (data set, kind of cut), and print their summary."""
    models = [trained(dataset, seed) for seed in range(seeds)]
    found = {}
    for cut, (criteria, sparsities) in CUTS.items():
        rows = prune.compare_criteria(
            models,
            dataset,
            criteria,
            sparsities=sparsities,
            recover_epochs=1,
            split=dataset.test,
        )
        found[dataset.name, cut] = list(rows)
        print(f"\n{dataset.name}, {cut}, {seeds} seeds, test split")
        print(prune.summarize(found[dataset.name, cut]), flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--datasets", nargs="+", choices=list(EPOCHS), default=list(EPOCHS))
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    started = time.perf_counter()
    groups = {}
    for name in arguments.datasets:
        groups |= compare(loaded(name), arguments.seeds)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    prune.write_rows(arguments.out, groups)
    minutes = (time.perf_counter() - started) / 60
    print(f"\n{minutes:.1f} minutes on {torch.get_num_threads()} threads; {arguments.out}")


if __name__ == "__main__":
    main()
