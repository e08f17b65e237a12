"""MNIST distilled as in the paper with which it began (Hinton et al. 2015, arXiv:1503.02531).

    LWLAB_DATA=../shared/data python benchmarks/hinton.py [--seeds 3] [--cache folder]

Published test errors, of 10,000: 67 for a teacher of two layers of 1200 units, trained with dropout
and images shifted by up to two pixels; 146 for two layers of 800 units without either; 74 for
the same student taught at temperature 20, again without shifts. Left out of what the student sees,
the threes are still known to it: 98.6 % of them right, once the bias of their class is raised.
Wanted, in the mean of the seeds: at most 89 errors distilled, at least 100 alone, and at least 97 %
of the test threes for a student that never saw one.

One teacher is trained and shared by all seeds, which takes about half of the time. It has two
phases: with the published dropout, then with little of it, since so few epochs (70 in all) leave a
network with much dropout underfitted. The published teacher had dropout, and limits on the weights
of each unit, which this one has not.

A seed is one of the student's weights and of the order of its batches: alone and distilled have
both in common, and the same number of steps. The student without threes learns from the soft
targets alone, so that no label tells it anything either. Its bias is chosen where the fewest images
of the validation split, held-out training data, are wrong; what that split says of the threes is
the only thing that the student hears of them, apart from the teacher's answers.

Learning rates and dropout were chosen on the validation split, epochs by the time there was. The
teacher of the first phase alone was scored on the test split too (142 errors), before the second
was added because of its training and validation errors (0.95 and 1.24 %). A run scores each network
on the test split once, at the end, and the students without threes also with their learned bias.

Seen with these settings, 3 seeds: teacher 80 errors, alone 132.7, distilled 107.0 (missed), 97.2 %
of the threes (95.6 to 98.2 %).

What separates the student from its teacher is not the length of the training: on the validation
split (46 to 57 of 5,000 wrong, seeds 7 and 8) nothing was gained by 40 epochs (50), batches of 512
(59), momentum in place of Adam (59 at best), a teacher of 130 epochs (50, 50), one with the
published dropout alone (71), or answers averaged over shifted images (48). Temperature 4 may gain a
little (44 and 51); it is not the published setting.

With --cache the phases of the teacher and the results of finished students are kept there and taken
from there. Their names hold the epochs alone: take a new folder when other settings change.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from lwlab import data, packing
from lwlab.data import without_class
from lwlab.distill import CachedAnswers, Distillation, Teacher
from lwlab.models.mlp import MLP
from lwlab.train import LossFunction, cosine, cross_entropy, fit
from lwlab.train.augmenting import Shift

MOST_DISTILLED = 89  # errors, mean of the seeds
FEWEST_ALONE = 100
FEWEST_THREES = 0.97

TEACHER_SEED = 100
TEACHER_BATCH = 256
SHIFT = 2  # pixels

STUDENT_RATE = 2e-3
STUDENT_BATCH = 128
EPOCHS = {"alone": 15, "distilled": 15, "without 3": 8}
TEMPERATURE = 20.0
ALPHA = 0.99
LEFT_OUT = 3
BIASES = torch.linspace(0, 20, 401)


@dataclass(frozen=True)
class Phase:
    """A part of the teacher's training, with a learning rate that falls to 0 in it.

    Attributes:
        epochs: passes over the images.
        rate: learning rate it begins with.
        dropout: of inputs and hidden units.
        half: multiply in bfloat16, which takes about half the time; weights stay float32.
    """

    epochs: int
    rate: float
    dropout: tuple[float, float]
    half: bool


# After the first phase the teacher is wrong on nearly as many training as validation images: it
# underfits, so that the second takes most of the dropout away.
PHASES = (Phase(30, 0.2, (0.2, 0.5), half=False), Phase(40, 0.1, (0.0, 0.2), half=True))


@dataclass(frozen=True)
class Result:
    """One trained network. Errors are counts, time is in seconds.

    Attributes:
        arm: how it was trained.
        seed: of its weights and batches.
        validation_errors: of 5,000.
        errors: of the 10,000 test images.
        threes_right: fraction of the test threes.
        bias: added to the logit of class 3.
        unbiased_errors: on the test images, before that.
        unbiased_threes_right: likewise.
        seconds: of its training.
    """

    arm: str
    seed: int
    validation_errors: int
    errors: int
    threes_right: float
    bias: float
    unbiased_errors: int
    unbiased_threes_right: float
    seconds: float

    def __str__(self) -> str:
        text = (
            f"{self.arm}, seed {self.seed}: {self.errors} test errors, {self.validation_errors} "
            f"of 5,000 in validation, {self.threes_right:.1%} of the threes right"
        )
        if self.bias:
            text += (
                f" with a bias raised by {self.bias:.2f}; before that {self.unbiased_errors} "
                f"errors, {self.unbiased_threes_right:.1%} of the threes"
            )
        return f"{text}; {self.seconds:.0f} s"


def momentum(parameters: list[nn.Parameter], learning_rate: float) -> torch.optim.Optimizer:
    """Return stochastic gradient descent as the teacher uses it."""
    return torch.optim.SGD(parameters, learning_rate, momentum=0.9, weight_decay=1e-5, fused=True)


class HalfPrecision(nn.Module):
    """A network whose products of matrices are taken in bfloat16."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> Tensor:
        """Return float32 logits."""
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.model(inputs).float()


def train_teacher(number: int, model: nn.Module, dataset: data.Dataset) -> None:
    """Train through one phase on shifted images, printing each epoch."""
    phase = PHASES[number]
    records = fit(
        HalfPrecision(model) if phase.half else model,
        dataset,
        epochs=phase.epochs,
        learning_rate=phase.rate,
        batch_size=TEACHER_BATCH,
        seed=TEACHER_SEED + number,
        schedule=cosine,
        optimizer=momentum,
        augment=Shift(SHIFT),
    )
    show(f"teacher, phase {number + 1}", records)


def train_student(arm: str, seed: int, dataset: data.Dataset, loss: LossFunction) -> MLP:
    """Return a trained student of two layers of 800 units, without dropout and shifts."""
    model = MLP(dataset.input_shape, widths=(800, 800), seed=seed)
    records = fit(
        model,
        dataset,
        epochs=EPOCHS[arm],
        learning_rate=STUDENT_RATE,
        batch_size=STUDENT_BATCH,
        loss=loss,
        seed=seed,
        schedule=cosine,
    )
    show(f"{arm}, seed {seed}", records)
    return model


def show(title: str, records: object) -> None:
    """Run a training to its end and print a line each epoch."""
    for record in records:
        wrong = 1 - record.validation_accuracy
        print(
            f"  {title}, epoch {record.epoch:2}: loss {record.loss:.4f}, validation error "
            f"{wrong:.2%}, {record.seconds:.0f} s",
            flush=True,
        )


def make_teacher(dataset: data.Dataset, cache: Path | None) -> tuple[MLP, Result]:
    """Return the teacher and its score; phases that are in the cache are taken from there."""
    started = time.perf_counter()
    state = None
    for number, phase in enumerate(PHASES):
        shape, dropout = dataset.input_shape, phase.dropout
        model = MLP(shape, widths=(1200, 1200), dropout=dropout, seed=TEACHER_SEED)
        if state is not None:
            model.load_state_dict(state)
        path = None if cache is None else cache / f"teacher-{number + 1}-{phase.epochs}.lwlab"
        if path is not None and path.exists():
            packing.load_(model, path)
        else:
            train_teacher(number, model, dataset)
            if path is not None:
                packing.save(model, path)
        state = model.state_dict()
    return model, scored("teacher", TEACHER_SEED, model, dataset, time.perf_counter() - started)


def make_student(
    arm: str, seed: int, dataset: data.Dataset, teacher: Teacher, cache: Path | None
) -> Result:
    """Train one student and score it; or read what was found before."""
    path = None if cache is None else cache / f"{arm.replace(' ', '-')}-{seed}-{EPOCHS[arm]}.lwlab"
    if path is not None and path.with_suffix(".json").exists():
        return Result(**json.loads(path.with_suffix(".json").read_text()))
    started = time.perf_counter()
    seen = without_class(dataset, LEFT_OUT) if arm == "without 3" else dataset
    alpha = 1.0 if arm == "without 3" else ALPHA
    loss = cross_entropy
    if arm != "alone":
        answers = CachedAnswers(teacher, seen)
        loss = Distillation(answers, temperature=TEMPERATURE, alpha=alpha)
    model = train_student(arm, seed, seen, loss)
    result = scored(arm, seed, model, dataset, time.perf_counter() - started)
    keep(path, model, result)
    return result


def keep(path: Path | None, model: nn.Module, result: Result) -> None:
    """Write a network and its score into the cache, the score last."""
    if path is not None:
        packing.save(model, path)
        path.with_suffix(".json").write_text(json.dumps(dataclasses.asdict(result)))


def scored(arm: str, seed: int, model: nn.Module, dataset: data.Dataset, seconds: float) -> Result:
    """Return the score of a network; without threes, with the bias that suits validation best."""
    answers = Teacher(model)
    validation = answers.logits(dataset.validation.inputs)
    test = answers.logits(dataset.test.inputs)
    bias = 0.0
    if arm == "without 3":
        bias = best_bias(validation, dataset.validation.targets)
    raised, targets = with_bias(test, bias), dataset.test.targets
    return Result(
        arm=arm,
        seed=seed,
        validation_errors=count_errors(with_bias(validation, bias), dataset.validation.targets),
        errors=count_errors(raised, targets),
        threes_right=threes_right(raised, targets),
        bias=bias,
        unbiased_errors=count_errors(test, targets),
        unbiased_threes_right=threes_right(test, targets),
        seconds=seconds,
    )


def with_bias(logits: Tensor, bias: float) -> Tensor:
    """Return ``logits`` with the bias of the class that was left out raised."""
    raised = logits.clone()
    raised[:, LEFT_OUT] += bias
    return raised


def best_bias(logits: Tensor, targets: Tensor) -> float:
    """Return the bias with the fewest errors; of several, the one in the middle."""
    errors = torch.tensor([count_errors(with_bias(logits, float(b)), targets) for b in BIASES])
    best = (errors == errors.min()).nonzero().flatten()
    return float(BIASES[best[len(best) // 2]])


def count_errors(logits: Tensor, targets: Tensor) -> int:
    """Return how many are wrong."""
    return int((logits.argmax(dim=1) != targets).sum())


def threes_right(logits: Tensor, targets: Tensor) -> float:
    """Return the fraction of the threes that are right."""
    threes = targets == LEFT_OUT
    return 1 - count_errors(logits[threes], targets[threes]) / int(threes.sum())


def verdict(rows: dict[str, list[Result]]) -> bool:
    """Print the means against what is wanted; return whether all of it is reached."""
    means = {arm: statistics.mean(row.errors for row in found) for arm, found in rows.items()}
    threes = statistics.mean(row.threes_right for row in rows["without 3"])
    reached = {
        f"distilled: {means['distilled']:.1f} test errors (published 74, wanted at most "
        f"{MOST_DISTILLED})": means["distilled"] <= MOST_DISTILLED,
        f"alone: {means['alone']:.1f} test errors (published 146, wanted at least "
        f"{FEWEST_ALONE})": means["alone"] >= FEWEST_ALONE,
        f"never saw a three: {threes:.2%} of the test threes right, {means['without 3']:.1f} "
        f"errors (published 98.6 %, wanted at least {FEWEST_THREES:.0%})": threes >= FEWEST_THREES,
    }
    print(f"\nmean of {len(rows['alone'])} seeds")
    for text, good in reached.items():
        print(f"{text}. {'Reached' if good else 'Missed'}.")
    return all(reached.values())


def main() -> None:
    """Train all, print a line for each and the means, and fail if something wanted is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.cache is not None:
        options.cache.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    dataset = data.load("mnist")
    model, score = make_teacher(dataset, options.cache)
    print(score, flush=True)
    teacher = Teacher(model)
    rows: dict[str, list[Result]] = {arm: [] for arm in EPOCHS}
    for seed in range(options.seeds):
        for arm, found in rows.items():
            found.append(make_student(arm, seed, dataset, teacher, options.cache))
            print(found[-1], flush=True)
    good = verdict(rows)
    print(f"{(time.perf_counter() - started) / 60:.1f} minutes on one thread.")
    sys.exit(not good)


if __name__ == "__main__":
    main()
