"""Mixed precision under a byte budget: 20 random budgets on two networks, one table.

    LWLAB_DATA=../shared/data python benchmarks/budget.py [--budgets 20] [--models SimpleCNN ...]

Each network is trained for two epochs on the first 12,000 images of Fashion-MNIST. One scan
measures what every layer costs at 2 to 8 bits, on the validation split. Then, for random budgets
between the file at 2 bits and the file at 8 bits, ``allocate_bits`` makes a plan; the plan's file
is written, loaded into a fresh network and scored on the same split, beside the best single width
that fits. All use a scale per channel and the range of least squared error.

Also printed: how well HAWQ-V2's proxy (Hessian trace times rounding error) ranks the measured
costs, and the test accuracy of plan and single width, on which no choice rests.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import random
import sys
import time

import torch
from scipy.stats import spearmanr
from torch import nn

from lwlab import data, packing
from lwlab.measure import accuracy
from lwlab.measure.tables import text_table
from lwlab.models import ResNet8, SimpleCNN
from lwlab.quantize import MeanSquared, prepare_
from lwlab.quantize.mixed import (
    BitSensitivity,
    allocate_bits,
    hessian_trace,
    scan_bits,
    trace_proxy,
)
from lwlab.train import fit

MODELS = {"SimpleCNN": SimpleCNN, "ResNet8": ResNet8}
MOST_EXAMPLES = 12_000
BITS = (2, 3, 4, 5, 6, 7, 8)
RULE = MeanSquared()
HEAD = [
    "budget", "written", "used", "found by", "plan", "one width", "bits", "test", "test, one width",
]  # fmt: skip


def trained(kind: type, dataset: data.Dataset, epochs: int) -> nn.Module:
    model = kind(dataset.input_shape, dataset.num_classes)
    for _ in fit(model, dataset, epochs=epochs):
        pass
    return model


def written(model: nn.Module, bits) -> tuple[nn.Module, int]:
    """Return a fresh network loaded from the file of ``model`` at these widths, and its length."""
    prepared = copy.deepcopy(model)
    prepare_(prepared, num_bits=bits, range_rule=RULE)
    file = packing.to_bytes(prepared)
    plain = type(model)(model.input_shape, model.num_classes)
    packing.from_bytes_(plain, file)
    return plain, len(file)


def print_correlation(model: nn.Module, dataset: data.Dataset, scan: BitSensitivity) -> None:
    """Print how the proxy goes with what was measured, over all layers and widths."""
    traces = hessian_trace(model, dataset.train.take(500), probes=10)
    proxy = trace_proxy(model, traces, bits=BITS, range_rule=RULE)
    cells = [(name, width) for name in scan.layers for width in BITS]
    guessed = [proxy[name][width] for name, width in cells]
    for what, measured in {
        "divergence": [scan.point_at(*cell).divergence for cell in cells],
        "drop of accuracy": [scan.drop_at(*cell) for cell in cells],
    }.items():
        rank = spearmanr(guessed, measured).statistic
        print(f"rank correlation of the Hessian proxy with the measured {what}: {rank:.2f}")
    for width in BITS[:3]:
        rank = spearmanr(
            [proxy[name][width] for name in scan.layers],
            [scan.point_at(name, width).divergence for name in scan.layers],
        ).statistic
        print(f"  with the divergence of the layers at {width} bits alone: {rank:.2f}")


def rows_of(model: nn.Module, dataset: data.Dataset, scan: BitSensitivity, count: int):
    """Yield a row of the table, and whether all three promises are kept, for each budget."""
    single = {width: written(model, width) for width in BITS}
    scores = {width: accuracy(net, dataset.validation) for width, (net, _) in single.items()}
    rng = random.Random(0)
    smallest, largest = single[BITS[0]][1], single[BITS[-1]][1]
    for budget in sorted(rng.randint(smallest, largest) for _ in range(count)):
        plan = allocate_bits(
            scan, model, target_bytes=budget, split=dataset.validation, range_rule=RULE
        )
        net, size = written(model, plan.bits)
        fitting = [width for width in BITS if single[width][1] <= budget]
        # The best that fits, which need not be the widest.
        best = max(fitting, key=lambda width: scores[width].correct)
        score = accuracy(net, dataset.validation)
        kept = (
            size <= budget,
            size >= 0.97 * budget,
            score.correct >= scores[best].correct,
        )
        tests = [accuracy(n, dataset.test).value for n in (net, single[best][0])]
        cells = [f"{budget:,}", f"{size:,}", f"{size / budget:.1%}", plan.strategy]
        cells += [f"{score.value:.2%}", f"{scores[best].value:.2%}", str(best)]
        cells += [f"{value:.2%}" for value in tests]
        print("  ".join(cells), file=sys.stderr)  # how far it is; the table comes at the end
        yield cells, kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budgets", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    arguments = parser.parse_args()
    started = time.perf_counter()
    dataset = data.load("fashion_mnist")
    dataset = dataclasses.replace(dataset, train=dataset.train.take(MOST_EXAMPLES))
    for name in arguments.models:
        model = trained(MODELS[name], dataset, arguments.epochs)
        *_, scan = scan_bits(model, dataset.validation, bits=BITS, range_rule=RULE)
        print(f"\n{name}, float: {scan.baseline}\n{scan}", flush=True)
        print_correlation(model, dataset, scan)
        rows, kept = zip(*rows_of(model, dataset, scan, arguments.budgets), strict=True)
        print(text_table([HEAD, *rows]))
        for what, each in zip(
            ("within the budget", "97 % used", "no worse than one width"),
            zip(*kept, strict=True),
            strict=True,
        ):
            print(f"{what}: {sum(each)} of {len(each)}")
    minutes = (time.perf_counter() - started) / 60
    print(f"\n{minutes:.1f} minutes on {torch.get_num_threads()} threads")


if __name__ == "__main__":
    main()
