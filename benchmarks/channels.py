"""Removing channels, side by side with Torch-Pruning (Fang et al. 2023, arXiv:2301.12900).

    pip install --no-deps torch-pruning==1.6.1
    LWLAB_DATA=../shared/data python benchmarks/channels.py [--seeds 3] [--ratio 0.5]

SimpleCNN and ResNet8 are trained on Fashion-MNIST. The same trained network is then cut by both
libraries at the same ratio, each with its own L2 norm, and fine-tuned with the same settings and
seed. Both smaller networks are scored on the test split, once, at the end.

Wanted: not more parameters and multiply-accumulates than Torch-Pruning leaves, and, as a mean over
the seeds, a test accuracy of no more than 0.5 point below.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
import time

import torch
from torch import nn

from lwlab import data, measure, prune
from lwlab.models import ResNet8, SimpleCNN
from lwlab.train import cosine, fit
from lwlab.units import format_count, format_percent, format_points

try:
    import torch_pruning
except ImportError:
    sys.exit("This comparison needs: pip install --no-deps torch-pruning==1.6.1")

TRAIN_EPOCHS = {"SimpleCNN": 3, "ResNet8": 2}
TUNE_EPOCHS = 1
MOST_BELOW = 0.005
NETWORKS = {"SimpleCNN": SimpleCNN, "ResNet8": ResNet8}


def train(model: nn.Module, dataset: data.Dataset, epochs: int, seed: int) -> None:
    for _ in fit(model, dataset, epochs=epochs, seed=seed, schedule=cosine):
        pass


def cut_by_lwlab(model: nn.Module, ratio: float, example: torch.Tensor) -> nn.Module:
    return prune.remove_channels(model, pruning_ratio=ratio, example_inputs=example)


def cut_by_torch_pruning(model: nn.Module, ratio: float, example: torch.Tensor) -> nn.Module:
    cut = copy.deepcopy(model)
    last = [module for module in cut.modules() if isinstance(module, nn.Linear)][-1]
    pruner = torch_pruning.pruner.MetaPruner(
        cut,
        example,
        importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio=ratio,
        ignored_layers=[last],
    )
    pruner.step()
    return cut


CUTTERS = {"lwlab": cut_by_lwlab, "Torch-Pruning": cut_by_torch_pruning}


def one_seed(
    name: str, dataset: data.Dataset, ratio: float, seed: int
) -> dict[str, tuple[int, int, float]]:
    """Return parameters, multiply-accumulates and test accuracy by library."""
    model = NETWORKS[name](dataset.input_shape, dataset.num_classes, seed=seed)
    train(model, dataset, TRAIN_EPOCHS[name], seed)
    whole = measure.accuracy(model, dataset.test)
    print(f"{name}, seed {seed}: whole {format_percent(whole.value, 2)}", flush=True)
    row = {}
    for library, cut in CUTTERS.items():
        small = cut(model, ratio, dataset.train.inputs[:1])
        untuned = measure.accuracy(small, dataset.validation)
        train(small, dataset, TUNE_EPOCHS, seed + 100)
        scored = measure.accuracy(small, dataset.test)
        costs = measure.num_parameters(small), measure.macs(small, dataset.input_shape)
        row[library] = (*costs, scored.value)
        print(
            f"    {library:14} {format_count(costs[0])} parameters, {format_count(costs[1])} MACs"
        )
        print(f"        as cut, on validation: {untuned}")
        print(f"        fine-tuned, on test:   {scored}", flush=True)
    return row


def verdict(name: str, rows: list[dict[str, tuple[int, int, float]]]) -> bool:
    """Print the means of a network and return whether what is wanted was reached."""
    ours, theirs = ([row[library] for row in rows] for library in CUTTERS)
    pairs = list(zip(ours, theirs, strict=True))
    smaller = all(a[0] <= b[0] and a[1] <= b[1] for a, b in pairs)
    difference = statistics.mean(a[2] - b[2] for a, b in pairs)
    means = [format_percent(statistics.mean(row[2] for row in rows), 2) for rows in (ours, theirs)]
    print(
        f"{name}, mean of {len(rows)} seeds: {means[0]} against {means[1]}, "
        f"{format_points(difference)}; {'not more' if smaller else 'MORE'} parameters and MACs"
    )
    return smaller and difference >= -MOST_BELOW


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ratio", type=float, default=0.5)
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    arguments = parser.parse_args()
    dataset = data.load("fashion_mnist")
    started = time.perf_counter()
    reached = []
    for name in arguments.networks:
        rows = [one_seed(name, dataset, arguments.ratio, seed) for seed in range(arguments.seeds)]
        reached.append(verdict(name, rows))
    minutes = (time.perf_counter() - started) / 60
    print(f"{minutes:.1f} minutes on {torch.get_num_threads()} threads")
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
