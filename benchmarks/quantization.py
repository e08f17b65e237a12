"""Quantization on Fashion-MNIST: naive, best and trained, beside torch and ONNX Runtime.

    pip install "lwlab[export]"
    LWLAB_DATA=../shared/data python benchmarks/quantization.py [--seeds 3] [--cache FOLDER]

SimpleCNN and ResNet8 are trained for each seed; every row of the table starts from the same float
weights. Calibration sees the same 512 training images everywhere. All settings were chosen on the
validation split; the table shows the test split.

Wanted, as means over the seeds: int8 weights and activations within 0.2 point of float; 4-bit
weights by the best recipe within 1.0; 2-bit weights after training within 1.5; and int8 not below
torch's FX quantization and ONNX Runtime's static int8 by more than the noise of the seeds.
"""

from __future__ import annotations

import argparse
import copy
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from lwlab import data, measure, packing, quantize
from lwlab.models import ResNet8, SimpleCNN
from lwlab.train import cosine, fit

try:
    import onnxruntime
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process
except ImportError:
    sys.exit('This comparison needs: pip install "lwlab[export]"')

NETWORKS = {"SimpleCNN": SimpleCNN, "ResNet8": ResNet8}
TRAIN_EPOCHS = {"SimpleCNN": 6, "ResNet8": 6}
LEARN_EPOCHS = 3  # through the rounding
CALIBRATION = 512  # images
BATCH = 500

Score = Callable[[], float]


# ---- ours --------------------------------------------------------------------------------------


def weights_only(model: nn.Module, num_bits: int, **settings) -> nn.Module:
    quantized = copy.deepcopy(model)
    quantize.prepare_(quantized, num_bits=num_bits, **settings)
    return quantized


def naive(model: nn.Module, dataset: data.Dataset, num_bits: int, activations: bool) -> nn.Module:
    """One scale a tensor, stretched to the largest value."""
    quantized = weights_only(model, num_bits, granularity=quantize.PerTensor())
    if activations:
        shown = dataset.train.take(CALIBRATION)
        quantized = quantize.prepare_activations(quantized, shown, num_bits=8)
    return quantized


def eight_bits(model: nn.Module, dataset: data.Dataset) -> nn.Module:
    return quantize.quantize_post_training(model, dataset.train.take(CALIBRATION))


def four_bits(model: nn.Module, dataset: data.Dataset) -> nn.Module:
    return quantize.quantize_post_training(
        model,
        dataset.train.take(CALIBRATION),
        num_bits=4,
        activation_bits=None,
        range_rule=quantize.MeanSquared(),
        rounding="adaptive",
        corrected=True,
    )


def two_bits_trained(model: nn.Module, dataset: data.Dataset, seed: int) -> nn.Module:
    quantized = weights_only(model, 2)
    quantize.learn_steps_(quantized)
    for _ in fit(
        quantized, dataset, epochs=LEARN_EPOCHS, learning_rate=1e-3, schedule=cosine, seed=seed
    ):
        pass
    return quantized


# ---- theirs ------------------------------------------------------------------------------------


def torch_fx(model: nn.Module, dataset: data.Dataset) -> nn.Module:
    """torch.ao's FX graph mode, its default settings for x86 (per-channel weights)."""
    from torch.ao.quantization import get_default_qconfig_mapping, quantize_fx

    images = dataset.train.take(CALIBRATION).inputs
    prepared = quantize_fx.prepare_fx(
        copy.deepcopy(model).eval(), get_default_qconfig_mapping("x86"), (images[:1],)
    )
    with torch.no_grad():
        for batch in images.split(BATCH):
            prepared(batch)
    return quantize_fx.convert_fx(prepared)


class Reader(CalibrationDataReader):
    """Hands ONNX Runtime the calibration images."""

    def __init__(self, images: torch.Tensor) -> None:
        self._batches = iter(images.split(64))

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next batch by the name of the input, or None at the end."""
        batch = next(self._batches, None)
        return None if batch is None else {"x": batch.numpy()}


def ort_static(model: nn.Module, dataset: data.Dataset, folder: Path) -> Path:
    """ONNX Runtime's static int8: per-channel weights, uint8 activations, BatchNorm folded."""
    images = dataset.train.take(CALIBRATION).inputs
    paths = [folder / f"{name}.onnx" for name in ("float", "folded", "int8")]
    torch.onnx.export(
        copy.deepcopy(model).eval(),
        (images[:1],),
        str(paths[0]),
        dynamo=False,
        input_names=["x"],
        output_names=["y"],
        dynamic_axes={"x": {0: "n"}, "y": {0: "n"}},
    )
    quant_pre_process(str(paths[0]), str(paths[1]))
    quantize_static(
        str(paths[1]),
        str(paths[2]),
        Reader(images),
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    return paths[2]


def score_onnx(path: Path, split: data.Split) -> float:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    right = 0
    for inputs, targets in zip(split.inputs.split(BATCH), split.targets.split(BATCH), strict=True):
        logits = session.run(None, {"x": inputs.numpy()})[0]
        right += int((logits.argmax(1) == targets.numpy()).sum())
    return right / len(split)


# ---- the table ---------------------------------------------------------------------------------


def trained(name: str, dataset: data.Dataset, seed: int, cache: Path | None) -> nn.Module:
    model = NETWORKS[name](dataset.input_shape, dataset.num_classes, seed=seed)
    path = cache and cache / f"{name}-{seed}.lwlab"
    if path and path.exists():
        packing.load_(model, path)
        return model
    for _ in fit(model, dataset, epochs=TRAIN_EPOCHS[name], seed=seed, schedule=cosine):
        pass
    if path:
        packing.save(model, path)
    return model


def one_seed(
    name: str, dataset: data.Dataset, seed: int, cache: Path | None, split: data.Split
) -> dict[str, tuple[float, int | None]]:
    """Return accuracy and file bytes of each row of the table."""
    model = trained(name, dataset, seed, cache)
    ours = {
        "float": lambda: model,
        "8/8 naive": lambda: naive(model, dataset, 8, True),
        "8/8 lwlab": lambda: eight_bits(model, dataset),
        "8/8 lwlab, integers only": lambda: quantize.convert(eight_bits(model, dataset)),
        "4 naive": lambda: naive(model, dataset, 4, False),
        "4 lwlab": lambda: four_bits(model, dataset),
        "2 naive": lambda: naive(model, dataset, 2, False),
        "2 lwlab, trained": lambda: two_bits_trained(model, dataset, seed + 100),
    }
    rows: dict[str, tuple[float, int | None]] = {}
    for row, make in ours.items():
        network = make()
        accuracy = measure.accuracy(network, split).value
        rows[row] = accuracy, len(packing.to_bytes(network))
        print(f"{name} {seed}  {row:26} {100 * accuracy:6.2f} %  {rows[row][1]:9,} B", flush=True)
    rows["8/8 torch FX"] = measure.accuracy(torch_fx(model, dataset), split).value, None
    with tempfile.TemporaryDirectory() as folder:
        path = ort_static(model, dataset, Path(folder))
        rows["8/8 ONNX Runtime"] = score_onnx(path, split), path.stat().st_size
    for row in ("8/8 torch FX", "8/8 ONNX Runtime"):
        print(f"{name} {seed}  {row:26} {100 * rows[row][0]:6.2f} %", flush=True)
    return rows


LIMITS = {  # points below float that are allowed
    "8/8 lwlab": 0.2,
    "8/8 lwlab, integers only": 0.2,
    "4 lwlab": 1.0,
    "2 lwlab, trained": 1.5,
}


def verdict(name: str, seeds: list[dict[str, tuple[float, int | None]]]) -> bool:
    """Print the means of a network, and return whether what is wanted was reached."""
    reached = True
    print(f"\n{name}, mean of {len(seeds)} seeds   test %   against float     bytes")
    for row in seeds[0]:
        values = [100 * rows[row][0] for rows in seeds]
        gaps = [100 * (rows[row][0] - rows["float"][0]) for rows in seeds]
        gap, size = statistics.mean(gaps), seeds[0][row][1]
        limit = LIMITS.get(row)
        met = limit is None or gap >= -limit
        reached &= met
        note = "" if limit is None else f"  wanted -{limit}" + ("" if met else "  MISSED")
        size_text = "" if size is None else f"{size:,}"
        print(f"  {row:26} {statistics.mean(values):6.2f} {gap:+7.2f} {size_text:>14}{note}")
    for other in ("8/8 torch FX", "8/8 ONNX Runtime"):
        gaps = [100 * (rows["8/8 lwlab"][0] - rows[other][0]) for rows in seeds]
        noise = statistics.stdev(gaps) if len(gaps) > 1 else 0.0
        met = statistics.mean(gaps) >= -max(noise, 0.05)
        reached &= met
        print(
            f"  ours against {other}: {statistics.mean(gaps):+.2f} points, standard deviation "
            f"{noise:.2f}{'' if met else '  MISSED'}"
        )
    return reached


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--cache", type=Path, help="folder for the trained float networks")
    parser.add_argument("--split", default="test", choices=["validation", "test"])
    arguments = parser.parse_args()
    if arguments.cache:
        arguments.cache.mkdir(parents=True, exist_ok=True)
    warnings.filterwarnings("ignore", module="torch")
    os.environ.setdefault("ORT_LOGGING_LEVEL", "3")
    dataset = data.load("fashion_mnist")
    started = time.perf_counter()
    reached = []
    for name in arguments.networks:
        seeds = [
            one_seed(name, dataset, seed, arguments.cache, getattr(dataset, arguments.split))
            for seed in range(arguments.seeds)
        ]
        reached.append(verdict(name, seeds))
    minutes = (time.perf_counter() - started) / 60
    print(f"\n{minutes:.1f} minutes on {torch.get_num_threads()} threads")
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
