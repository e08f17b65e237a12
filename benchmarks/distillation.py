"""When does a teacher help? Distilled students against students without one, one command.

    LWLAB_DATA=../shared/data python benchmarks/distillation.py [--seeds 5] [--settings ...]

Two settings in which it does: a small student has a few labels and many images without, and a
teacher, which learned from many labels, answers about all of them. (On Fashion-MNIST the teacher
learned from other images than the student's; of the digits there are too few for that.) In the
third there is nothing to tell: all labels are known, and the student is nearly as large as a
teacher that learned from the same images.

Each distilled student is compared with the best of three without a teacher: from the labels alone,
with smoothed labels, and with steps as long as those of distillation. They see their labelled
images again and again, until they have made as many optimizer steps as the distilled one (never
fewer), in batches of as many labelled images as fit. Nobody stops early. A seed decides on the
weights of the student, the labels that are left and the order of the batches; the teacher of a
setting is one and the same. Settings were chosen on the validation split with other seeds
(--choose); accuracies are of the test split.

Writes notebooks/results/distillation.csv, which lesson 02 shows: a file of ``write_students`` whose
arms are named "setting: arm". Prints a summary of each setting.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from lwlab import data, distill, measure
from lwlab.data import few_labels, only_labelled
from lwlab.distill import Arm, Start, StudentRow
from lwlab.models import SimpleCNN
from lwlab.train import fit

RESULTS = Path(__file__).parents[1] / "notebooks" / "results" / "distillation.csv"
WITHOUT_TEACHER = ("alone", "label smoothing", "equal step")
BATCH_SIZE = 64
TEACHER_SEED = 1000
FIRST_CHOOSING_SEED = 100


@dataclass(frozen=True)
class Setting:
    """One experiment.

    Attributes:
        dataset: name of the data set.
        teacher_images: how many of the first training images the teacher learns from, with labels.
        teacher_epochs: passes over them.
        teacher_width: channels of its first convolution.
        student_images: which training images the student sees.
        student_width: channels of its first convolution.
        student_hidden: units of its hidden layer.
        per_class: labels that the student has of each class; None for all.
        epochs: passes of the distilled student.
        temperature: of the soft term.
        alpha: its weight.
        learning_rate: of students.
    """

    dataset: str
    teacher_images: int
    teacher_epochs: int
    teacher_width: int
    student_images: tuple[int, int]
    student_width: int
    student_hidden: int
    per_class: int | None
    epochs: int
    temperature: float = 4.0
    alpha: float = 0.9
    learning_rate: float = 2e-3


SETTINGS = {
    "Fashion-MNIST, few labels": Setting(
        "fashion_mnist", 12_000, 6, 32, (12_000, 18_000), 8, 32, per_class=20, epochs=8
    ),
    "digits, few labels": Setting("digits", 997, 30, 32, (0, 997), 4, 32, per_class=3, epochs=40),
    "Fashion-MNIST, all labels": Setting(
        "fashion_mnist", 6_000, 6, 16, (0, 6_000), 14, 128, per_class=None, epochs=6
    ),
}


def taught_teacher(setting: Setting, dataset: data.Dataset) -> nn.Module:
    """Return the teacher of a setting."""
    model = SimpleCNN(dataset.input_shape, width=setting.teacher_width, seed=TEACHER_SEED)
    train = dataset.train.take(setting.teacher_images)
    lessons = dataclasses.replace(dataset, train=train)
    for _ in fit(model, lessons, epochs=setting.teacher_epochs, seed=TEACHER_SEED):
        pass
    return model


def arms_of(setting: Setting, dataset: data.Dataset, teacher: nn.Module) -> dict[str, Arm]:
    """Return the distilled student and the three without a teacher."""

    def student(seed: int) -> nn.Module:
        width, hidden = setting.student_width, setting.student_hidden
        return SimpleCNN(dataset.input_shape, width=width, hidden=hidden, seed=seed)

    def scarce(whole: data.Dataset, seed: int) -> data.Dataset:
        return few_labels(whole, setting.per_class, seed) if setting.per_class else whole

    def labelled(whole: data.Dataset, seed: int) -> data.Dataset:
        return only_labelled(scarce(whole, seed))

    taught = distill.distilled(
        student,
        teacher,
        temperature=setting.temperature,
        alpha=setting.alpha,
        learning_rate=setting.learning_rate,
        change_dataset=scarce,
    )
    matched = distill.equal_step(taught)

    def matched_rate(start: Start) -> float:
        # Measured on what the distilled student sees: there lie the steps to be matched.
        return matched.rate(dataclasses.replace(start, dataset=scarce(dataset, start.seed)))

    plain = {
        "learning_rate": setting.learning_rate,
        "change_dataset": labelled,
        "epochs": epochs_without_teacher(setting, dataset),
    }
    return {
        "alone": distill.alone(student, **plain),
        "label smoothing": distill.label_smoothing(student, **plain),
        "equal step": distill.alone(student, **plain | {"learning_rate": matched_rate}),
        "distilled": taught,
    }


def epochs_without_teacher(setting: Setting, dataset: data.Dataset) -> int:
    """Return the passes over the labelled images that make as many steps as distillation."""
    if setting.per_class is None:
        return setting.epochs
    steps = setting.epochs * math.ceil(len(dataset.train) / BATCH_SIZE)
    labels = setting.per_class * dataset.num_classes
    return math.ceil(steps / math.ceil(labels / BATCH_SIZE))


def students_of(name: str, seeds: range, choose: bool) -> Iterator[StudentRow]:
    """Train all students of a setting."""
    setting = SETTINGS[name]
    whole = data.load(setting.dataset)
    split = whole.validation if choose else whole.test
    teacher = taught_teacher(setting, whole)
    print(f"\n{name}: teacher {measure.accuracy(teacher, split).value:.1%}", flush=True)
    start, end = setting.student_images
    seen = whole.train.select(torch.arange(start, min(end, len(whole.train))))
    # fit scores the validation split after each epoch: a short one, as students make hundreds.
    dataset = dataclasses.replace(whole, train=seen, validation=whole.validation.take(20))
    arms = arms_of(setting, dataset, teacher)
    return distill.train_students(
        arms, dataset, seeds=seeds, epochs=setting.epochs, batch_size=BATCH_SIZE, split=split
    )


def compare(name: str, seeds: range, choose: bool) -> list[StudentRow]:
    """Return the rows of a setting, and print their summary."""
    started = time.perf_counter()
    rows = list(students_of(name, seeds, choose))
    print(distill.summarize_students(rows, against=WITHOUT_TEACHER))
    print(f"{time.perf_counter() - started:.0f} s", flush=True)
    return [dataclasses.replace(row, arm=f"{name}: {row.arm}") for row in rows]


def main() -> None:
    """Run all settings and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--settings", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--choose", action="store_true", help="validation split, other seeds")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    started = time.perf_counter()
    first = FIRST_CHOOSING_SEED if options.choose else 0
    seeds = range(first, first + options.seeds)
    rows = [row for name in options.settings for row in compare(name, seeds, options.choose)]
    minutes = (time.perf_counter() - started) / 60
    print(f"\n{minutes:.1f} minutes on one thread")
    if not options.choose:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        distill.write_students(options.out, rows)
        print(options.out)


if __name__ == "__main__":
    main()
