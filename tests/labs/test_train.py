import asyncio
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from lwlab import data
from lwlab.labs import TrainLab
from lwlab.measure import accuracy
from lwlab.models import SimpleCNN
from lwlab.quantize import current_bits, prepare_, quantized_weights
from lwlab.quantize.activations import prepare_activations, quantized_activations
from lwlab.quantize.learning import learn_clips_, learn_steps_
from lwlab.train import Record, TrainingDivergedError, fit

LONG = 60


class Guess:
    """A prediction that is answered when the test says so."""

    def __init__(self):
        self.answered, self.callbacks = False, []

    def on_answer(self, callback):
        self.callbacks.append(callback)

    def answer(self):
        self.answered = True
        for callback in self.callbacks:
            callback()


def small(seed=0):
    return SimpleCNN(width=4, hidden=16, seed=seed)


def until(condition):
    for _ in range(LONG * 100):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen within a minute")


def done(lab):
    """Await ``lab.done()`` in a thread of its own: a browser test may have left a loop in ours."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(lab.done())).result(LONG)


def running(lab):
    until(lambda: lab.result is not None and lab.result.state == "running")


def test_run_trains_in_place_as_fit_does(digits):
    by_lab, by_fit = small(), small()
    lab = TrainLab(by_lab, digits, epochs=3, seed=2)
    result = lab.run()
    *_, last = fit(by_fit, digits, epochs=3, seed=2)
    assert result.state == "finished"
    assert result.validation_accuracy == last.validation_accuracy
    assert result.validation_accuracy == accuracy(by_lab, digits.validation).value
    for a, b in zip(by_lab.state_dict().values(), by_fit.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_nothing_is_trained_before_start(digits):
    model = small()
    before = model.fc1.weight.detach().clone()
    lab = TrainLab(model, digits)
    assert lab.result is None
    assert torch.equal(model.fc1.weight, before)
    assert "Start" in lab.live.screen.headline


def test_done_starts_a_training_that_nobody_started_and_waits_for_it(digits):
    lab = TrainLab(small(), digits, epochs=2)
    result = done(lab)
    assert result.state == "finished"
    assert result is lab.result


def test_done_does_not_train_again_what_is_trained(digits):
    lab = TrainLab(small(), digits, epochs=1)
    first = lab.run()
    assert done(lab) is first


def test_stop_ends_the_training_and_keeps_what_was_learned(digits):
    model = small()
    before = model.fc1.weight.detach().clone()
    lab = TrainLab(model, digits, epochs=500)
    lab.start_button.click()
    running(lab)
    assert not lab.stop_button.disabled
    lab.stop_button.click()
    assert lab.wait(LONG)
    assert lab.result.state == "stopped"
    assert lab.result.records[-1].epoch < 500
    assert not torch.equal(model.fc1.weight, before)
    assert lab.stop_button.disabled
    assert lab.error is None


def test_pause_holds_the_training_and_go_on_continues_it(digits):
    lab = TrainLab(small(), digits, epochs=200)
    lab.start_button.click()
    running(lab)
    lab.pause_button.click()
    assert lab.pause_button.description == "Go on"
    until(lambda: lab.live.status == {"kind": "estimate", "text": "Paused."})
    weight = lab._model.fc1.weight.detach().clone()
    time.sleep(0.2)
    assert torch.equal(lab._model.fc1.weight, weight)
    assert lab.live.status == {"kind": "estimate", "text": "Paused."}
    lab.pause_button.click()
    assert lab.pause_button.description == "Pause"
    until(lambda: not torch.equal(lab._model.fc1.weight, weight))
    lab.stop()
    assert lab.wait(LONG)


def test_pause_without_a_training_has_no_effect(digits):
    lab = TrainLab(small(), digits, epochs=1)
    lab.pause()
    assert lab.stop_button.disabled
    assert lab.pause_button.description == "Pause"
    assert lab.run().state == "finished"


def test_a_locked_lab_cannot_be_started_until_the_guess_is_made(digits):
    guess = Guess()
    lab = TrainLab(small(), digits, epochs=1, after=guess)
    assert lab.start_button.disabled
    guess.answer()
    assert not lab.start_button.disabled
    assert lab.stop_button.disabled  # nothing runs


def test_a_learning_rate_beyond_the_slider_makes_the_slider_reach_it(digits):
    lab = TrainLab(small(), digits, learning_rate=1e-6)
    assert lab.controls["learning_rate"].value == pytest.approx(1e-6)
    sentence = (
        "learning_rate must be from 1e-06 to 1 in this lab, got 3.0. "
        "Give the first value to the lab itself to make its slider reach further."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        lab.set(learning_rate=3.0)


def test_stop_works_while_paused(digits):
    lab = TrainLab(small(), digits, epochs=200)
    lab.start()
    running(lab)
    lab.pause()
    lab.stop()
    assert lab.wait(LONG)
    assert lab.result.state == "stopped"


def test_start_again_begins_with_the_first_weights_and_shows_the_run_before_as_a_ghost(digits):
    lab = TrainLab(small(), digits, epochs=1)
    first = lab.run()
    second = lab.run()
    assert [r.loss for r in first.records] == [r.loss for r in second.records]
    names = {trace.name for figure in lab.live.screen.figures for trace in figure.data}
    assert "before" in names


def test_start_while_running_begins_again_with_the_new_settings(digits):
    lab = TrainLab(small(), digits, epochs=300)
    lab.start()
    running(lab)
    lab.set(epochs=2)
    assert lab.result.state == "running"
    lab.start()
    assert lab.wait(LONG)
    assert lab.result.state == "finished"
    assert lab.result.records[-1].total_steps == lab.result.records[-1].step
    assert lab.params.epochs == 2


@pytest.mark.parametrize(
    ("control", "value"),
    [("epochs", 2), ("learning_rate", 0.0005), ("batch_size", 32), ("seed", 7)],
)
def test_each_control_changes_the_next_training_its_figures_and_the_code(digits, control, value):
    lab = TrainLab(small(), digits, epochs=1)
    first, screen = lab.run(), lab.live.screen
    lab.controls[control].value = value
    assert lab.result is first  # a touch does not throw a training away
    second = lab.run()
    assert getattr(lab.params, control) == pytest.approx(value)
    assert [r.loss for r in second.records] != [r.loss for r in first.records]
    for before, after in zip(screen.figures, lab.live.screen.figures, strict=True):
        assert before.to_json() != after.to_json()
    assert lab.live.screen.code != screen.code


def test_this_parametrization_covers_every_control(digits):
    assert set(TrainLab(small(), digits).controls) == {
        "epochs", "learning_rate", "batch_size", "seed"
    }  # fmt: skip


def test_a_diverging_training_shows_its_sentence_and_done_raises_it(digits):
    lab = TrainLab(small(), digits, loss=lambda outputs, batch: outputs.sum() * float("nan"))
    with pytest.raises(TrainingDivergedError, match="the loss became nan at step 1"):
        done(lab)
    assert lab.live.status["kind"] == "error"
    assert "Try a learning rate 10 times smaller" in lab.live.status["text"]
    assert isinstance(lab.error, TrainingDivergedError)
    assert lab.stop_button.disabled


def test_settings_out_of_range_are_refused(digits):
    sentence = "learning_rate must be a finite number above 0, got 0.0."
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        TrainLab(small(), digits, learning_rate=0)


def test_a_penalty_and_ones_own_tensors(digits):
    inputs = torch.randn(90, 5, generator=torch.Generator().manual_seed(1))
    own = data.from_arrays(inputs, (inputs[:, 1] > 0).long())
    model = torch.nn.Linear(5, 2)
    lab = TrainLab(model, own, epochs=2, penalty=lambda m: 10 * m.weight.abs().sum())
    assert lab.run().records[0].loss > 1


def names_of(lab):
    return [[trace.name for trace in figure.data] for figure in lab.live.screen.figures]


def float_run(steps=40):
    return [
        Record(step, steps, 1, 1.0 / step, 0.5, 0.75 if step == steps else None, 1.0)
        for step in range(10, steps + 1, 10)
    ]


def test_a_given_training_is_a_ghost_from_the_start_and_stays(digits):
    lab = TrainLab(small(), digits, epochs=1, ghost=float_run(400), ghost_name="in float")
    assert names_of(lab) == [["in float"], ["in float"]]
    lab.run()
    loss, accuracies = names_of(lab)
    assert loss == ["in float", "loss"]
    assert accuracies == ["in float", "train", "validation"]
    # The longer of the two sets the end of the axis.
    assert lab.live.screen.figures[0].layout.xaxis.range == (0, 400)
    lab.run()
    assert names_of(lab)[0] == ["in float", "before", "loss"]


def test_the_records_of_another_lab_can_be_the_ghost(digits):
    first = TrainLab(small(), digits, epochs=1)
    records = first.run().records
    lab = TrainLab(small(), digits, ghost=records)
    assert names_of(lab)[0] == ["float"]
    assert list(lab.live.screen.figures[0].data[0].y) == [record.loss for record in records]


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        (
            {"ghost": []},
            ValueError,
            "ghost must hold at least one record, got none. Leave it out for no ghost.",
        ),
        (
            {"ghost": [1.0, 2.0]},
            TypeError,
            (
                "ghost must be the records of a training, got list. Try list(fit(...)) or "
                "lab.result.records."
            ),
        ),
        (
            {"ghost": float_run()[0]},
            TypeError,
            (
                "ghost must be the records of a training, got Record. Try list(fit(...)) or "
                "lab.result.records."
            ),
        ),
        (
            {"ghost": float_run(), "ghost_name": 3},
            TypeError,
            "ghost_name must be a text, got 3.",
        ),
        (
            {"ghost": float_run(), "ghost_name": "before"},
            ValueError,
            "ghost_name must not be 'before', which is the run before. Try 'float'.",
        ),
    ],
)
def test_a_ghost_that_is_none_is_refused(digits, arguments, error, sentence):
    with pytest.raises(error, match=f"^{re.escape(sentence)}$"):
        TrainLab(small(), digits, **arguments)


def quantized(trained, digits):
    model = prepare_activations(trained, digits.train.take(500), num_bits=3)
    prepare_(model, num_bits=2)
    learn_steps_(model)
    learn_clips_(model, points=["fc1"])
    return model


def test_a_model_with_learned_quantizers_starts_again_from_its_first_steps(digits, trained):
    model = quantized(trained, digits)
    first = {key: value.clone() for key, value in model.state_dict().items()}
    lab = TrainLab(model, digits, epochs=2, ghost=float_run())
    one = lab.run()
    after = {key: value.clone() for key, value in model.state_dict().items()}
    learned = [key for key in first if "log_" in key]
    assert len(learned) == len(current_bits(model)) + len(quantized_activations(model))
    assert all(not torch.equal(first[key], after[key]) for key in learned)
    two = lab.run()
    assert [r.loss for r in one.records] == [r.loss for r in two.records]
    for key, value in model.state_dict().items():
        assert torch.equal(value, after[key])


def test_the_code_of_a_quantized_model_quantizes_and_trains_the_same_one(digits, trained):
    by_lab = quantized(trained, digits)
    lab = TrainLab(by_lab, digits, epochs=2, seed=3)
    lab.run()
    code = lab.live.screen.code
    assert "# model: your trained SimpleCNN; dataset: the one this lab was given\n" in code
    namespace = {"model": trained, "dataset": digits}
    exec(code, namespace)
    by_code = namespace["model"]
    assert current_bits(by_code) == current_bits(by_lab)
    for name, weight in quantized_weights(by_code).items():
        assert torch.equal(weight.dequantize(), quantized_weights(by_lab)[name].dequantize())
    for key, value in by_code.state_dict().items():
        assert torch.equal(value, by_lab.state_dict()[key])


def test_the_code_of_a_float_model_is_as_short_as_ever(digits):
    lab = TrainLab(small(), digits, epochs=3)
    assert lab.live.screen.code == (
        "from lwlab.train import fit\n\n"
        "# model: a fresh SimpleCNN; dataset: the one this lab was given\n"
        "for record in fit(model, dataset, epochs=3, learning_rate=0.002,\n"
        "                  batch_size=64, seed=0):\n"
        "    print(record.epoch, record.loss, record.validation_accuracy)"
    )
