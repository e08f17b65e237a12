"""How fast ``measure.accuracy`` scores, against the loop everybody writes, with the same answer.

    LWLAB_DATA=../shared/data python benchmarks/accuracy.py [--rounds 7]

10,000 Fashion-MNIST test images through a SimpleCNN: the plain loop (eager, batch 1,000, NCHW) and
``measure.accuracy`` take turns in one run; the ratio of the medians is reported.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time

import torch

from lwlab import data, measure, prune
from lwlab.models import SimpleCNN
from lwlab.train import fit


def plain_accuracy(model: torch.nn.Module, split: data.Split) -> int:
    """Count right answers as a tutorial does."""
    model.eval()
    correct = 0
    with torch.no_grad():
        for start in range(0, len(split), 1000):
            outputs = model(split.inputs[start : start + 1000])
            correct += (outputs.argmax(1) == split.targets[start : start + 1000]).sum().item()
    return correct


def compare(name: str, model: torch.nn.Module, split: data.Split, rounds: int) -> None:
    """Print both times, their ratio and both answers."""
    plain_accuracy(model, split), measure.accuracy(model, split)  # warm-up
    plain, ours = [], []
    for _ in range(rounds):
        started = time.perf_counter()
        expected = plain_accuracy(model, split)
        plain.append(time.perf_counter() - started)
        started = time.perf_counter()
        correct = measure.accuracy(model, split).correct
        ours.append(time.perf_counter() - started)
    ratio = statistics.median(plain) / statistics.median(ours)
    print(
        f"{name}: plain {statistics.median(plain):.2f} s ({expected:,} right), measure.accuracy "
        f"{statistics.median(ours):.2f} s ({correct:,} right), {ratio:.2f} times as fast "
        f"(wanted 3), {torch.get_num_threads()} threads"
    )


def main() -> None:
    """Score a float and a masked network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    dataset = data.load("fashion_mnist")
    model = SimpleCNN(dataset.input_shape)
    for record in fit(model, dataset, epochs=1, batch_size=128, steps_per_record=10):
        if record.step >= 100:
            break
    masked = copy.deepcopy(model)
    prune.mask_model_(masked, sparsity=0.8)
    compare("float ", model, dataset.test, options.rounds)
    compare("masked", masked, dataset.test, options.rounds)


if __name__ == "__main__":
    main()
