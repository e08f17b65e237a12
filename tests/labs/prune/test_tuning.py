import copy
import re

import pytest
import torch

from lwlab import data, measure, packing, prune
from lwlab.labs import PruneLab
from lwlab.models import SimpleCNN
from lwlab.prune.iterative import prune_iteratively
from lwlab.train import fit

LONG = 60


def tuned(lab, **changes):
    if changes:
        lab.set(**changes)
        assert lab.wait(LONG)
    lab.finetune()
    assert lab.wait(LONG)
    assert lab.error is None
    return lab.result


def started(lab):
    return lab.result.recovery is not None and len(lab.result.recovery.points) > 2


def same_weights(model, other):
    mine, theirs = model.state_dict(), other.state_dict()
    return list(mine) == list(theirs) and all(torch.equal(mine[n], theirs[n]) for n in mine)


def test_fine_tuning_is_fit_on_the_masked_copy_and_the_model_is_left_alone(lab, trained, digits):
    before = copy.deepcopy(trained)
    untuned = lab.result
    result = tuned(lab, sparsity=0.8, epochs=2)
    reference = copy.deepcopy(trained)
    masks = prune.mask_model_(reference, sparsity=0.8)
    for _ in fit(reference, digits, epochs=2, learning_rate=2e-3):
        pass
    prune.bake_(reference)
    assert same_weights(lab.pruned_model(), reference)
    assert same_weights(trained, before)
    assert all(torch.equal(result.masks[name], mask) for name, mask in masks.items())
    assert result.accuracy == measure.accuracy(reference, digits.validation)
    assert result.accuracy != untuned.accuracy


def test_after_it_accuracy_and_file_stand_beside_those_without(lab, digits, tmp_path):
    lab.set(sparsity=0.8)
    assert lab.wait(LONG)
    cut = lab.result
    result = tuned(lab)
    recovery = result.recovery
    assert (recovery.untuned, recovery.untuned_bytes) == (cut.accuracy, cut.size_bytes)
    assert (recovery.state, result.tuned, recovery.epochs_done) == ("finished", True, 5)
    assert result.accuracy.value == recovery.validation_accuracy
    path = tmp_path / "tuned.lwlab"
    assert packing.save(lab.pruned_model(), path) == result.size_bytes
    loaded = SimpleCNN(width=8, hidden=32, seed=99)
    packing.load_(loaded, path)
    assert measure.accuracy(loaded, digits.validation) == result.accuracy
    headline = lab.live.screen.headline
    assert "finished after 5.0 of 5 epochs" in headline
    assert f"without it {100 * cut.accuracy.value:.1f} % right" in headline
    recovered, tradeoff = lab.live.screen.figures
    assert recovered.layout.title.text == "Fine-tuning"
    ys = {trace.name: list(trace.y) for trace in tradeoff.data}
    assert ys["now"] == [100 * result.accuracy.value]
    assert 100 * cut.accuracy.value in ys["tries"]


def test_the_curve_has_every_record_and_both_ghosts(lab):
    before = lab.live.screen.figures[0]
    result = tuned(lab, sparsity=0.8, epochs=2)
    curve = {trace.name: trace for trace in lab.live.screen.figures[0].data}
    assert list(curve["validation"].x) == [point.epoch for point in result.recovery.points]
    assert list(curve["validation"].x) == sorted(curve["validation"].x)
    assert len(curve["validation"].x) >= 8  # not only the ends of the two epochs
    assert list(curve["after the cut"].y) == [100 * result.recovery.untuned.value] * 2
    assert "before" in curve
    assert before.layout.title.text == "Which weights go"


def test_it_is_seen_live_and_stop_keeps_what_is_there(lab, until, digits, run_shown_code):
    lab.set(sparsity=0.8, epochs=30)
    lab.finetune()
    until(lab, started)
    assert lab.live.status["kind"] == "estimate"
    assert lab.live.status["text"].startswith("Fine-tuning")
    assert lab.stop_button.layout.visibility == "visible"
    assert not lab.result.tuned
    assert "running" in lab.live.screen.headline
    lab.stop_button.click()
    assert lab.wait(LONG)
    result = lab.result
    assert (result.recovery.state, result.tuned, lab.error) == ("stopped", True, None)
    assert 0 < result.recovery.epochs_done < 30
    assert result.accuracy == measure.accuracy(lab.pruned_model(), digits.validation)
    assert lab.stop_button.layout.visibility == "hidden"
    assert lab.live.status["kind"] == "fresh"
    *_, accuracy, size = run_shown_code(lab)
    assert (accuracy, size) == (str(result.accuracy), f"{result.size_bytes} bytes")


def test_moving_a_slider_drops_the_training_and_moving_back_does_not_bring_it_back(lab, until):
    lab.set(sparsity=0.8, epochs=30)
    lab.tune_button.click()
    until(lab, started)
    lab.set(sparsity=0.7)
    assert lab.wait(LONG)
    assert (lab.result.recovery, lab.params.sparsity) == (None, 0.7)
    assert lab.live.screen.figures[0].layout.title.text == "Which weights go"
    assert lab.stop_button.layout.visibility == "hidden"
    lab.set(sparsity=0.8)
    assert lab.wait(LONG)
    assert lab.result.recovery is None


def test_looking_at_something_else_neither_stops_nor_drops_a_training(lab, until):
    lab.set(sparsity=0.8, epochs=8)
    lab.finetune()
    until(lab, started)
    lab.set(show="classes")
    assert lab.wait(LONG)
    assert (lab.result.recovery.state, lab.result.recovery.epochs_done) == ("finished", 8)
    assert lab.result.damage is not None
    assert len(lab.result.recovery.points) == len(set(lab.result.recovery.points))


@pytest.mark.parametrize(
    ("control", "value"), [("epochs", 2), ("learning_rate", 1e-4), ("schedule", "linear")]
)
def test_its_settings_count_at_the_next_press(lab, control, value):
    first = tuned(lab, sparsity=0.9, epochs=3)
    lab.controls[control].value = value
    assert lab.wait(LONG)
    assert lab.result.recovery.points == first.recovery.points
    assert getattr(lab.params, control) != value  # what is on screen was trained otherwise
    code = lab.live.screen.code
    second = tuned(lab)
    assert getattr(lab.params, control) == value
    assert second.recovery.points != first.recovery.points
    assert lab.live.screen.code != code


@pytest.mark.parametrize(
    "setting",
    [
        {"schedule": "cubic"},
        {"schedule": "linear", "scope": "layer"},
        {"schedule": "cubic", "criterion": "taylor"},
        {"schedule": "cubic", "criterion": "random"},
        {"schedule": "cubic", "criterion": "activation_entropy"},
        {"schedule": "cubic", "layer_sparsities": {"conv2": 0.5, "fc1": 0.95}},
        {"criterion": "weight_entropy"},
        {"by": "n_of_m"},
        {"by": "deviations", "deviations": 1.0},
    ],
    ids=str,
)
def test_the_shown_code_trains_the_same_network(lab, run_shown_code, setting):
    result = tuned(lab, sparsity=0.7, epochs=2, **setting)
    *_, accuracy, size = run_shown_code(lab)
    assert (accuracy, size) == (str(result.accuracy), f"{result.size_bytes} bytes")


def test_a_rising_schedule_raises_the_masks_from_epoch_to_epoch(lab, trained, digits):
    result = tuned(lab, sparsity=0.8, epochs=4, schedule="linear")
    at_cuts = [p.sparsity for p in result.recovery.points if p.training_accuracy is None]
    assert at_cuts == pytest.approx([0.2, 0.4, 0.6, 0.8], abs=0.001)
    assert result.sparsity == pytest.approx(0.8, abs=0.001)
    reference = copy.deepcopy(trained)
    rising = {"steps": 4, "schedule": prune.linear, "learning_rate": 2e-3}
    for _ in prune_iteratively(reference, digits, sparsity=0.8, **rising):
        pass
    prune.bake_(reference)
    assert same_weights(lab.pruned_model(), reference)
    zeros = [trace for trace in lab.live.screen.figures[0].data if trace.name == "zeros"]
    assert len(zeros) == 1


def test_stop_in_a_rising_schedule_leaves_the_sparsity_that_was_reached(lab, until, run_shown_code):
    lab.set(sparsity=0.9, epochs=30, schedule="linear")
    lab.finetune()
    until(lab, started)
    lab.stop()
    assert lab.wait(LONG)
    result = lab.result
    assert result.sparsity == pytest.approx(result.recovery.points[-1].sparsity)
    assert 0 < result.sparsity < 0.9
    *_, accuracy, size = run_shown_code(lab)
    assert (accuracy, size) == (str(result.accuracy), f"{result.size_bytes} bytes")


def test_a_rising_schedule_without_a_sparsity_is_one_sentence(lab):
    sentence = (
        "schedule must be 'one_shot' unless the cut is a sparsity, which can rise, got 'cubic' "
        "for 'threshold'. Try to prune by sparsity."
    )
    lab.set(by="threshold", threshold=0.1, schedule="cubic")
    assert lab.wait(LONG)
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        lab.finetune()
    lab.tune_button.click()
    assert lab.live.status == {"kind": "error", "text": sentence}


def test_a_training_that_diverges_says_so_and_the_next_move_goes_on(lab):
    lab.set(learning_rate=0.1, sparsity=0.3)
    assert lab.wait(LONG)
    for parameter in lab._bench._model.parameters():
        parameter.data.mul_(1e30)
    lab.finetune()
    assert lab.wait(LONG)
    assert "the loss became" in str(lab.error)
    assert lab.stop_button.layout.visibility == "hidden"
    lab.set(sparsity=0.4)
    assert lab.wait(LONG)
    assert (lab.error, lab.result.recovery) == (None, None)


def test_the_test_button_scores_the_fine_tuned_network(lab, digits):
    tuned(lab, sparsity=0.8, epochs=1)
    lab.test_button.click()
    assert lab.wait(LONG)
    assert lab.result.tuned
    assert lab.result.test_accuracy == measure.accuracy(lab.pruned_model(), digits.test)


def test_a_long_validation_split_is_scored_at_the_ends_of_the_epochs_only(trained_once, digits):
    many = data.Split(
        digits.validation.inputs.repeat(2, 1, 1, 1), digits.validation.targets.repeat(2)
    )
    dataset = data.Dataset("many", digits.train, many, digits.test, digits.class_names)
    lab = PruneLab(trained_once, dataset, epochs=2)
    lab.finetune()
    assert lab.wait(LONG)
    points = lab.result.recovery.points
    scored = [point.epoch for point in points if point.validation_accuracy is not None]
    assert scored == [1, 2]
    assert len(points) > 4
