"""What integer inference costs on a CPU, and whether ONNX Runtime agrees with it.

    LWLAB_DATA=../shared/data python benchmarks/integer.py [--epochs 1] [--rounds 3]

SimpleCNN and ResNet8 are trained on Fashion-MNIST, quantized to 8 bits (ResNet8 also with its
BatchNorms folded) and converted. The float network and the integer one take turns over the test
images in one run, on one thread; the ratio of the medians is reported. ONNX Runtime runs the same
quantized model, written as QDQ ONNX.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
import time
from pathlib import Path

import torch
from torch import nn

from lwlab import data
from lwlab.models import ResNet8, SimpleCNN
from lwlab.quantize import prepare_
from lwlab.quantize.activations import prepare_activations
from lwlab.quantize.folding import fold_batchnorm
from lwlab.quantize.integer import convert
from lwlab.train import fit

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "quantize" / "integer"))
from onnx_twin import onnx_logits, onnx_twin


@torch.no_grad()
def answers(model: nn.Module, images: torch.Tensor, batch_size: int) -> tuple[torch.Tensor, float]:
    """Return the classes and the seconds that they took."""
    started = time.perf_counter()
    classes = torch.cat([model(batch).argmax(1) for batch in images.split(batch_size)])
    return classes, time.perf_counter() - started


def row(name: str, model: nn.Module, dataset: data.Dataset, options: argparse.Namespace) -> str:
    """Quantize, convert and measure one network; return its line of the table."""
    quantized = copy.deepcopy(model)
    prepare_(quantized, num_bits=8)
    prepared = prepare_activations(quantized, dataset.train.take(500)).eval()
    integer = convert(prepared)
    test = dataset.test.take(options.images)
    for warm in (model, integer):
        answers(warm, test.inputs[: options.batch_size], options.batch_size)
    float_seconds, integer_seconds = [], []
    for _ in range(options.rounds):
        float_classes, seconds = answers(model, test.inputs, options.batch_size)
        float_seconds.append(seconds)
        classes, seconds = answers(integer, test.inputs, options.batch_size)
        integer_seconds.append(seconds)
    slow, fast = statistics.median(integer_seconds), statistics.median(float_seconds)
    prepared_classes, _ = answers(prepared, test.inputs, options.batch_size)
    runtime_classes = onnx_logits(onnx_twin(prepared), test.inputs).argmax(1)

    def share(a: torch.Tensor, b: torch.Tensor) -> str:
        return f"{100 * (a == b).double().mean():.2f} %"

    cells = [
        name, share(float_classes, test.targets), share(classes, test.targets),
        share(classes, runtime_classes), share(classes, prepared_classes),
        f"{fast:.2f} s", f"{slow:.2f} s", f"{slow / fast:.2f}", str(len(integer.float_operations)),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def trained(model: nn.Module, dataset: data.Dataset, epochs: int) -> nn.Module:
    for _ in fit(model, dataset, epochs=epochs, batch_size=128):
        pass
    return model.eval()


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--batch-size", type=int, default=250)
    parser.add_argument("--only", help="SimpleCNN or ResNet8")
    options = parser.parse_args()
    torch.set_num_threads(1)
    dataset = data.load("fashion_mnist")
    heads = [
        "network", "float accuracy", "integer accuracy", "same as ONNX Runtime (>= 99.9 %)",
        "same as prepared", "float", "integers", "ratio (SimpleCNN <= 3)", "in float",
    ]  # fmt: skip
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}", flush=True)
    for make in (SimpleCNN, ResNet8):
        if options.only in (None, make.__name__):
            model = trained(make(dataset.input_shape), dataset, options.epochs)
            print(row(make.__name__, model, dataset, options), flush=True)
            if make is ResNet8:
                folded = fold_batchnorm(model).eval()
                print(row("ResNet8, folded", folded, dataset, options), flush=True)


if __name__ == "__main__":
    main()
