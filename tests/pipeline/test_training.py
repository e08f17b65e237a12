import re

import pytest
import torch

from lwlab.distill import Teacher
from lwlab.measure import predictions
from lwlab.models import SimpleCNN
from lwlab.pipeline import Distil, FineTune, Prune, Quantize, ShareWeights, Train, TrainQuantized
from lwlab.pipeline.benches import carry_out
from lwlab.prune import current_masks
from lwlab.quantize import LearnedStep, current_bits, current_codebooks
from lwlab.train import cosine, fit


def test_train_is_fit_with_a_cosine_and_the_seed_of_the_step(bench_of, small, same):
    bench = bench_of(SimpleCNN((1, 4, 4), 3, width=4, hidden=12))
    expected = SimpleCNN((1, 4, 4), 3, width=4, hidden=12)
    carry_out(bench, [Train(epochs=2, learning_rate=0.01)], seed=5)
    for _ in fit(expected, small, epochs=2, learning_rate=0.01, schedule=cosine, seed=5001):
        pass
    assert same(bench.model, expected)


def test_what_train_made_is_the_teacher_unless_one_was_given(bench_of, small):
    start = SimpleCNN((1, 4, 4), 3, width=4, hidden=12)
    bench = bench_of(start)
    before = bench.teacher.logits(small.train.inputs)
    carry_out(bench, [Train(epochs=1)])
    after = bench.teacher.logits(small.train.inputs)
    assert not torch.equal(after, before)
    assert torch.equal(after, Teacher(bench.model).logits(small.train.inputs))
    given = Teacher(SimpleCNN((1, 4, 4), 3, seed=9))
    bench = bench_of(start, teacher=given)
    carry_out(bench, [Train(epochs=1)])
    assert bench.teacher is given


def test_a_student_learns_from_the_teacher_alone_with_alpha_1(bench_of, network, small):
    with torch.no_grad():  # the teacher takes each class for the next one
        network.fc2.weight.copy_(network.fc2.weight.roll(1, 0))
        network.fc2.bias.copy_(network.fc2.bias.roll(1, 0))
    bench = bench_of(SimpleCNN((1, 4, 4), 3, width=8), teacher=network)
    carry_out(bench, [Distil(epochs=40, learning_rate=0.01, alpha=1.0)])
    said = predictions(network, small.validation.inputs)
    found = predictions(bench.model, small.validation.inputs)
    assert float((found == said).float().mean()) > 0.9
    assert float((found == small.validation.targets).float().mean()) < 0.1


def test_fine_tuning_leaves_masks_and_codes_and_moves_the_rest(bench_of, network):
    bench = bench_of(network)
    carry_out(bench, [Prune(0.5), ShareWeights(4)])
    masks, books = current_masks(bench.model), current_codebooks(bench.model)
    carry_out(bench, [FineTune(epochs=1, distil=True)])
    for name, mask in current_masks(bench.model).items():
        assert torch.equal(mask, masks[name])
    for name, book in current_codebooks(bench.model).items():
        assert torch.equal(book.codes, books[name].codes)
        assert not torch.equal(book.centroids, books[name].centroids)


@pytest.mark.parametrize("num_bits", [1, 2, 8, "ternary", {"conv1": 1, "fc1": 3}])
def test_steps_are_learned_where_there_are_some(num_bits, bench_of, network):
    bench = bench_of(network)
    carry_out(bench, [Quantize(num_bits), TrainQuantized(epochs=1, distil=True)])
    learned = {n for n, m in bench.model.named_modules() if isinstance(m, LearnedStep)}
    bits = current_bits(bench.model)
    assert len(learned) == sum(width != 1 for width in bits.values())


def test_a_second_training_goes_on_with_the_steps_of_the_first(bench_of, network):
    bench = bench_of(network)
    carry_out(bench, [Quantize(3), TrainQuantized(epochs=1)])
    step = next(m for m in bench.model.modules() if isinstance(m, LearnedStep))
    first = step.log_step.detach().clone()
    carry_out(bench, [TrainQuantized(epochs=1, learning_rate=1e-9)])
    assert next(m for m in bench.model.modules() if isinstance(m, LearnedStep)) is step
    assert torch.allclose(step.log_step, first, atol=1e-6)


def test_steps_follow_the_weights_where_they_are_not_learned(bench_of, network):
    bench = bench_of(network)
    carry_out(bench, [Quantize(3), TrainQuantized(epochs=1, learned_step=False)])
    assert not any(isinstance(m, LearnedStep) for m in bench.model.modules())


@pytest.mark.parametrize(
    ("step", "line"),
    [
        (Train(epochs=1), "Train for 1 epoch at learning rate 0.002"),
        (
            Distil(epochs=3),
            "Learn from the teacher for 3 epochs at learning rate 0.001 (temperature 4, alpha 0.9)",
        ),
        (
            FineTune(epochs=2, distil=True),
            "Fine-tune for 2 epochs at learning rate 0.001, learning from the teacher too",
        ),
        (
            TrainQuantized(epochs=2),
            "Train through the rounding for 2 epochs at learning rate 0.001, steps learned",
        ),
    ],
)
def test_a_step_says_what_it_does(step, line):
    assert step.describe() == line
    assert step.name == type(step).__name__


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Train(epochs=0), "epochs must be a whole number of at least 1, got 0."),
        (
            lambda: FineTune(learning_rate=0),
            "learning_rate must be a finite number above 0, got 0.0.",
        ),
        (lambda: Distil(temperature=0), "temperature must be a finite number above 0, got 0.0."),
        (
            lambda: Distil(alpha=2),
            "alpha must be a fraction in [0, 1], got 2.0. Did you mean 0.02?",
        ),
        (lambda: TrainQuantized(learned_step=1), "learned_step must be True or False, got 1."),
        (lambda: TrainQuantized(distil="no"), "distil must be True or False, got 'no'."),
    ],
)
def test_a_wrong_field_is_refused(make, sentence):
    with pytest.raises((ValueError, TypeError), match=f"^{re.escape(sentence)}$"):
        make()
    assert Train(epochs=3.0).epochs == 3
