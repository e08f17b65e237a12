"""LeNet-5 and LeNet-300-100 on MNIST in the fewest bytes, against the published records.

    LWLAB_DATA=../shared/data python benchmarks/records.py [--seeds 3] [--only row] [--cache folder]

Published, test error and bytes (what they count differs, see each paper):

    LeNet-5        44,000 B   0.74 %   Deep Compression (Han et al. 2016, arXiv:1510.00149)
    LeNet-5         3,030 B   0.69 %   MIRACLE (Havasi et al. 2019, arXiv:1810.00440)
    LeNet-5         1,520 B   0.96 %   MIRACLE
    LeNet-5         1,140 B   0.98 %   a file in a public repository, made by MIRACLE's method
    LeNet-300-100  27,000 B   1.58 %   Deep Compression
    LeNet-300-100   8,560 B   1.9 %    Oktay et al. 2020, arXiv:1906.06624

Wanted, in the mean of three seeds: better than Deep Compression in both columns; and, as a record
in the open, at most 3,030 bytes at 0.80 % with LeNet-5, 8,560 at 1.9 % with LeNet-300-100. A row
of its own, ``lenet300-small``, asks how far down 1.9 % reaches.

The recipe, for each seed (``_short_codes.py`` holds its parts):

1. one epoch in float, from the start with a teacher;
2. weights and biases become codes of 4 bits with one learned step for each tensor (LSQ), and train
   on with a penalty on the bits of the codes, whose strength rises from 0;
3. units without effect are taken out;
4. the learning rate falls to 0 along a cosine, the penalty stays;
5. units without effect are taken out, the rest is written to a file by ``packing`` (codes and
   positions by a range coder that learns as it goes), and the network that is loaded back scored.

LeNet-300-100 starts at full width. LeNet-5 starts with 8-20-200 units of its 20-50-500, which takes
a quarter of the time; the file is loaded into a full ``LeNet5`` (``resize=True``). The bytes are
those of the whole file: header, names, scales and checksum are in it; the class is not.

The teacher is a larger convolutional network, trained on warped images; all seeds share it. It
answers six copies of the training images, five of them warped, and these are what the networks
learn. As far as is known the published ones had neither teacher nor warped images. Both are allowed
here, since the record is one of a network and its bytes; what they would reach with them is open.

Strengths and passes were chosen on the validation split, 5,000 of the 60,000 training images, with
another seed (100). Bits, rates, warp and temperature are first guesses. The test split is scored
once for each row and seed.

Seen with these settings, 3 seeds, one run from the start:

    lenet5          2,868 B at 0.693 %   2,781 to 2,921 B, 0.61 to 0.76 %
    lenet300        4,228 B at 1.273 %   4,171 to 4,259 B, 1.23 to 1.34 %
    lenet300-small  3,393 B at 1.407 %   3,343 to 3,427 B, 1.32 to 1.54 %

LeNet-5 is smaller than MIRACLE's file and level with it in the error, of which one seed has a
standard error of 0.08 points. In an earlier run, whose teacher had answered in bfloat16, the rows
were 2,906 B at 0.623 %, 4,215 B at 1.283 % and 3,431 B at 1.453 %.

A run took 34 minutes on one thread, 25 of them at work, beside others. What was tried on validation
data and left: prices by the row and column of a weight (the same bytes, on the network of
``packed.py``); LeNet-5 trained at full width for an epoch and cut to 10-24-60 units (no better when
it was given up, halfway); units sorted by density (1 % at most); half of the lessons unwarped (the
same curve for LeNet-300-100). Below about 2.5 kB the error of LeNet-5 rises fast: trained on from
3,016 bytes at nearly five times the price, it came to 1.28 % of the validation split at 1,701
bytes, where MIRACLE has 0.96 % of the test split at 1,520.

With --cache the teacher's answers and the results of finished seeds are kept there and taken from
there. Their names hold neither strength nor passes: take a new folder when settings change.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from _lessons import Lessons, Warp, trained_teacher
from _short_codes import Recipe, from_file, shortened
from torch import Tensor, nn

from lwlab import data, measure, packing
from lwlab.models import LeNet5, LeNet300
from lwlab.train import fit

COPIES = 6  # of each training image: itself, and warped five times
TEACHER_WIDTH = 32
TEACHER_EPOCHS = 9
TEACHER_BATCH_SIZE = 128
FLOAT_RATE = 2e-3


@dataclass(frozen=True)
class Mark:
    """What was published, or is wanted: at most so many bytes at most so much test error."""

    name: str
    size_bytes: int
    error: float  # percent
    required: bool = False  # the run fails without it

    def reached(self, size_bytes: float, error: float) -> bool:
        """Return whether both are reached; means of seeds are compared at 0.001 %."""
        return size_bytes <= self.size_bytes and round(error, 3) <= self.error


@dataclass(frozen=True)
class Row:
    """One line of the table: a network, how it is trained, and what it is held against.

    Attributes:
        network: makes the network that the file is loaded into.
        start: makes the network that is trained.
        recipe: of ``shortened``.
        marks: what the mean of the seeds is held against.
    """

    network: Callable[..., nn.Module]
    start: Callable[..., nn.Module]
    recipe: Recipe
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Result:
    """One seed of one row. Errors in percent, time in seconds."""

    row: str
    seed: int
    float_validation_error: float
    validation_error: float
    error: float
    size_bytes: int
    shapes: list[list[int]]
    seconds: float


DEEP_COMPRESSION = "Deep Compression"
ROWS = {
    "lenet5": Row(
        LeNet5,
        partial(LeNet5, width=8),
        Recipe(strength=1.8e-5, wide_passes=1, narrow_passes=4),
        (
            Mark(DEEP_COMPRESSION, 44_000, 0.74, required=True),
            Mark("wanted beyond it", 3_030, 0.80),
            Mark("MIRACLE", 3_030, 0.69),
        ),
    ),
    "lenet300": Row(
        LeNet300,
        LeNet300,
        Recipe(strength=2e-5, wide_passes=2, narrow_passes=5, batch_size=256),
        (
            Mark(DEEP_COMPRESSION, 27_000, 1.58, required=True),
            Mark("Oktay et al.", 8_560, 1.9),
        ),
    ),
    "lenet300-small": Row(
        LeNet300,
        LeNet300,
        Recipe(strength=3.2e-5, wide_passes=2, narrow_passes=5, batch_size=256),
        (Mark("Oktay et al.", 8_560, 1.9),),
    ),
}


def error(model: nn.Module, split: data.Split) -> float:
    """Return the percentage that ``model`` gets wrong."""
    return 100 * (1 - measure.accuracy(model, split).value)


def teach(dataset: data.Dataset, cache: Path | None) -> Lessons:
    """Return warped images with the teacher's answers, both from the cache if they are there."""
    lessons = Lessons.make(dataset, COPIES, Warp())
    path = None if cache is None else cache / f"answers-{TEACHER_EPOCHS}-{COPIES}.lwlab"
    if path is not None and path.exists():
        return lessons.with_answers(_kept(path, len(lessons.dataset.train)))
    teacher = trained_teacher(
        dataset, width=TEACHER_WIDTH, epochs=TEACHER_EPOCHS, batch_size=TEACHER_BATCH_SIZE
    )
    lessons = lessons.answered_by(teacher)
    if path is not None:
        packing.save(_Table(lessons.logits), path)
    return lessons


class _Table(nn.Module):
    """A tensor as a module, so that it can be kept in a packed file."""

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.register_buffer("values", values)


def _kept(path: Path, count: int) -> Tensor:
    table = _Table(torch.zeros(count, 10))
    packing.load_(table, path)
    return table.values


def train_plainly(model: nn.Module, lessons: Lessons, recipe: Recipe, seed: int) -> float:
    """Train one epoch on the images as they are; return the validation error."""
    first = lessons.take(len(lessons.original.train))
    for record in fit(
        model,
        first.dataset,
        epochs=1,
        learning_rate=FLOAT_RATE,
        batch_size=recipe.batch_size,
        loss=first.loss(recipe.temperature, recipe.alpha),
        seed=seed,
    ):
        accuracy = record.validation_accuracy
    return 100 * (1 - accuracy)


def run(name: str, seed: int, lessons: Lessons, cache: Path | None) -> Result:
    """Train, shorten, pack and score the network of one seed, or return what the cache holds."""
    path = None if cache is None else cache / f"{name}-{seed}.json"
    if path is not None and path.exists():
        return Result(**json.loads(path.read_text()))
    started, row = time.perf_counter(), ROWS[name]
    model = row.start(seed=seed)
    float_error = train_plainly(model, lessons, row.recipe, seed)
    model = shortened(model, row.start, lessons, row.recipe, seed)
    loaded, size = from_file(model, row.network)
    result = Result(
        row=name,
        seed=seed,
        float_validation_error=float_error,
        validation_error=error(loaded, lessons.original.validation),
        error=error(loaded, lessons.original.test),
        size_bytes=size,
        shapes=[list(p.shape) for p in loaded.parameters() if p.dim() > 1],
        seconds=time.perf_counter() - started,
    )
    if path is not None:
        packing.save(model, path.with_suffix(".lwlab"))
        path.write_text(json.dumps(dataclasses.asdict(result)))
    return result


def describe(result: Result) -> str:
    """Return one line of the table."""
    shapes = " ".join("x".join(map(str, shape)) for shape in result.shapes)
    return (
        f"{result.row} seed {result.seed}: {result.size_bytes:6,} B at {result.error:.2f} % test "
        f"error (validation {result.validation_error:.2f} %), {shapes}; {result.seconds:.0f} s"
    )


def conclude(name: str, results: list[Result]) -> bool:
    """Print the mean of a row beside its marks; return whether it reaches those required."""
    row = ROWS[name]
    size = statistics.mean(result.size_bytes for result in results)
    mean_error = statistics.mean(result.error for result in results)
    plain = 4 * sum(parameter.numel() for parameter in row.network().parameters())
    print(
        f"{name}: mean of {len(results)} seeds {size:,.0f} B at {mean_error:.3f} % test error, "
        f"1/{plain / size:.0f} of {plain:,} B",
        flush=True,
    )
    for mark in row.marks:
        verdict = "Reached" if mark.reached(size, mean_error) else "Missed"
        print(f"  {mark.name}: {mark.size_bytes:,} B at {mark.error:.2f} %. {verdict}.", flush=True)
    return all(mark.reached(size, mean_error) for mark in row.marks if mark.required)


def main() -> None:
    """Run all rows and seeds, print the table, and fail if a required mark is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=list(ROWS), nargs="+", default=list(ROWS))
    parser.add_argument("--cache", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.cache is not None:
        options.cache.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    lessons = teach(data.load("mnist"), options.cache)
    reached = []
    for name in options.only:
        results = []
        for seed in range(options.seeds):
            results.append(run(name, seed, lessons, options.cache))
            print(describe(results[-1]), flush=True)
        reached.append(conclude(name, results))
    print(
        f"{time.perf_counter() - started:.0f} s in all on one thread, "
        f"{time.process_time():.0f} s of them at work"
    )
    sys.exit(not all(reached))


if __name__ == "__main__":
    main()
