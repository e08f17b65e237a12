"""Iterative pruning: cut, train on, cut again."""

import itertools
import re

import pytest
import torch

from lwlab import data, measure
from lwlab.models import LeNet300, SimpleCNN
from lwlab.prune import (
    RandomImportance,
    apply_masks_,
    cubic,
    current_masks,
    linear,
    mask_model_,
    one_shot,
    taylor_importance,
)
from lwlab.prune.iterative import prune_iteratively
from lwlab.train import fit

DIGITS = data.load("digits")
SMALL = data.Dataset(
    "small",
    DIGITS.train.take(200),
    DIGITS.validation.take(100),
    DIGITS.test.take(50),
    DIGITS.class_names,
)


def network(seed=0):
    return LeNet300((1, 8, 8), width=30, seed=seed)


def pruned_in(model):
    return sum(int((~mask).sum()) for mask in current_masks(model).values())


def run(model, **options):
    """Return a row (step, pruned weights, masks) after each cut, and all records."""
    rows, records = [], []
    for record in prune_iteratively(model, SMALL, **options):
        records.append(record)
        if record.training is None:
            rows.append((record.step, pruned_in(model), current_masks(model)))
    return rows, records


@pytest.mark.parametrize("schedule", [cubic, linear, one_shot])
def test_each_step_prunes_exactly_what_the_schedule_says(schedule):
    model = network()
    rows, records = run(model, sparsity=0.9, steps=3, schedule=schedule)
    total = 64 * 30 + 30 * 10 + 10 * 10
    expected = [round(schedule(step / 3, 0.9) * total) for step in (1, 2, 3)]
    assert [(step, pruned) for step, pruned, _ in rows] == list(
        zip((1, 2, 3), expected, strict=False)
    )
    assert [r.sparsity for r in records if r.training is None] == [n / total for n in expected]
    assert measure.sparsity(model) * total == pytest.approx(round(0.9 * total))


def test_a_hand_worked_cubic_schedule():
    # 2320 weights, to 80 % in two steps: 0.8 * (1 - 0.5^3) = 0.7, then 0.8.
    rows, _ = run(network(), sparsity=0.8, steps=2)
    assert [pruned for _, pruned, _ in rows] == [1624, 1856]


@pytest.mark.parametrize("importance", [torch.abs, RandomImportance(1)], ids=["abs", "random"])
@pytest.mark.parametrize("scope", ["global", "layer"])
def test_pruned_weights_stay_pruned(scope, importance):
    rows, _ = run(network(), sparsity=0.8, steps=3, scope=scope, importance=importance)
    for (_, _, before), (_, _, after) in itertools.pairwise(rows):
        assert not any(bool((after[name] & ~before[name]).any()) for name in after)


def test_one_record_comes_after_the_cut_and_one_with_each_of_fits():
    model = network()
    _, records = run(model, sparsity=0.5, steps=2, epochs_per_step=2, steps_per_record=2)
    of_step = [r for r in records if r.step == 1]
    assert [r.training and r.training.step for r in of_step] == [None, 2, 4, 6, 8]
    assert [r.validation_accuracy is None for r in of_step] == [False, True, False, True, False]
    assert {r.steps for r in records} == {2}
    assert records[-1].validation_accuracy == measure.accuracy(model, SMALL.validation).value
    assert of_step[2].validation_accuracy == of_step[2].training.validation_accuracy


def test_the_accuracy_after_the_cut_is_measured_before_training():
    model, twin = network(), network()
    first = next(prune_iteratively(model, SMALL, sparsity=0.5, steps=1))
    mask_model_(twin, sparsity=0.5)
    assert first.validation_accuracy == measure.accuracy(twin, SMALL.validation).value
    assert torch.equal(model.fc1.weight, twin.fc1.weight)


def test_it_equals_cutting_and_fitting_by_hand():
    model, twin = network(), network()
    run(model, sparsity=0.8, steps=2, learning_rate=1e-2, seed=3)
    for step in (1, 2):
        scores = {name: getattr(twin, name).weight.abs() for name in ("fc1", "fc2", "fc3")}
        mask_model_(twin, sparsity=cubic(step / 2, 0.8), importance=scores)
        for _ in fit(twin, SMALL, epochs=1, learning_rate=1e-2, seed=3000 + step):
            pass
    state = twin.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_the_same_seed_gives_the_same_weights_and_another_does_not():
    models = [network() for _ in range(3)]
    for model, seed in zip(models, (1, 1, 2), strict=True):
        run(model, sparsity=0.8, steps=2, seed=seed)
    assert torch.equal(models[0].fc1.weight, models[1].fc1.weight)
    assert not torch.equal(models[0].fc1.weight, models[2].fc1.weight)


def test_a_break_leaves_a_model_masked_as_the_last_record_says():
    model = network()
    for record in prune_iteratively(model, SMALL, sparsity=0.9, steps=4, steps_per_record=1):
        if record.step == 2 and record.training is not None:
            break
    assert pruned_in(model) == round(record.sparsity * 2320) == round(cubic(0.5, 0.9) * 2320)
    assert measure.sparsity(model) == pytest.approx(record.sparsity)
    assert all(module.training for module in model.modules())
    for _ in fit(model, SMALL, epochs=1):  # it trains on
        pass


def test_nothing_is_changed_before_the_first_record(unchanged):
    model = network()
    with unchanged(model):
        prune_iteratively(model, SMALL, sparsity=0.9)


def test_a_function_of_the_model_is_asked_before_each_cut():
    asked = []

    def score(model):
        asked.append(pruned_in(model))
        return taylor_importance(model, SMALL.train.take(50))

    rows, _ = run(network(), sparsity=0.6, steps=2, model_importance=score)
    assert asked == [0, rows[0][1]]
    assert rows[1][1] == round(0.6 * 2320)


def test_a_masked_model_is_pruned_on_from_where_it_is():
    model = network()
    mask_model_(model, sparsity=0.5)
    rows, _ = run(model, sparsity=0.9, steps=2, schedule=linear)
    assert [pruned for _, pruned, _ in rows] == [round(0.7 * 2320), round(0.9 * 2320)]


def test_a_share_rounded_up_is_no_higher_sparsity():
    model = network()
    apply_masks_(model, {"fc3": (torch.arange(100) >= 51).reshape(10, 10)})
    rows, _ = run(model, sparsity={"fc3": 0.506}, steps=1)
    assert rows[0][1] == 51


def test_a_dict_takes_each_layer_to_its_own_sparsity():
    model = SimpleCNN(width=4)
    mask_model_(model, sparsity={"fc2": 0.2})
    run(model, sparsity={"fc1": 0.9, "fc2": 0.5}, steps=2)
    masks = current_masks(model)
    assert list(masks) == ["fc1", "fc2"]
    assert int((~masks["fc1"]).sum()) == round(0.9 * masks["fc1"].numel())
    assert int((~masks["fc2"]).sum()) == 640


def test_small_steps_recover_what_one_cut_loses():
    trained = SimpleCNN(width=8, hidden=32)
    for _ in fit(trained, DIGITS, epochs=6):
        pass
    state = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    reached = {}
    for schedule in (cubic, one_shot):
        model = SimpleCNN(width=8, hidden=32)
        model.load_state_dict(state)
        for record in prune_iteratively(
            model, DIGITS, sparsity=0.95, steps=6, schedule=schedule, seed=1
        ):
            if record.training is None and record.step == 1:
                first_cut = record.validation_accuracy
        reached[schedule] = (first_cut, record.validation_accuracy)
    assert reached[cubic][1] > reached[one_shot][0] + 0.2  # training mends
    assert reached[cubic][0] > reached[one_shot][0]  # and a first small cut hurts less


@pytest.mark.parametrize(
    ("options", "kind", "sentence"),
    [
        (
            {"sparsity": 90},
            ValueError,
            "sparsity must be a fraction in [0, 1), got 90.0. Did you mean 0.9?",
        ),
        (
            {"sparsity": 0.9, "steps": 0},
            ValueError,
            "steps must be a whole number of at least 1, got 0.",
        ),
        (
            {"sparsity": 0.9, "epochs_per_step": 0},
            ValueError,
            "epochs_per_step must be a whole number of at least 1, got 0.",
        ),
        (
            {"sparsity": 0.9, "epochs": 3},
            TypeError,
            "epochs must be given as epochs_per_step here, got epochs.",
        ),
        (
            {"sparsity": 0.9, "seed": -1},
            ValueError,
            "seed must be a whole number of at least 0, got -1.",
        ),
        (
            {"sparsity": 0.3},
            ValueError,
            (
                "sparsity must be at least 0.5, which is pruned already, got 0.3. To bring weights "
                "back, use mask_model_."
            ),
        ),
        (
            {"sparsity": 0.9, "steps": 2, "schedule": lambda p, final, initial: final * (1 - p)},
            ValueError,
            (
                "sparsity by the schedule must never fall, got 0.45 after 0.5 at step 1. "
                "Try prune.cubic."
            ),
        ),
        (
            {"sparsity": {"fc3": 0.9}, "steps": 1, "schedule": lambda p, final, initial: 90},
            ValueError,
            (
                "sparsity of layer 'fc3' by the schedule must be a fraction in [0, 1), got 90.0. "
                "Did you mean 0.9?"
            ),
        ),
        (
            {"sparsity": 0.9, "importance": {}},
            ValueError,
            "importance must hold each layer, got none for 'fc1'.",
        ),
        (
            {"sparsity": 0.9, "learning_rate": 0},
            ValueError,
            "learning_rate must be a finite number above 0, got 0.0.",
        ),
        (
            {"sparsity": 0.9, "layers": ["fc4"]},
            ValueError,
            "layers must be one of 'fc1', 'fc2' or 'fc3', got 'fc4'. Did you mean 'fc3'?",
        ),
    ],
)
def test_a_wrong_argument_is_refused_at_the_call(options, kind, sentence, unchanged):
    model = network()
    mask_model_(model, sparsity=0.5)
    with unchanged(model), pytest.raises(kind, match="^" + re.escape(sentence) + "$"):
        prune_iteratively(model, SMALL, **options)
