import time

import pytest
import torch

from lwlab.labs.distill import DistillLab
from lwlab.models import SimpleCNN
from lwlab.train import TrainingDivergedError

LONG = 30


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


def state(lab):
    return "" if lab.result.race is None else lab.result.race.state


def learning(lab):
    race = lab.result.race
    return race is not None and bool(race.records["alone"])


@pytest.fixture
def running(make, until):
    lab = make(epochs=500)
    lab.start_button.click()
    until(lab, learning)
    yield lab
    lab.stop()
    assert lab.wait(LONG)


def steps(lab):
    return {name: len(found) for name, found in lab._bench.race._records.items()}


def test_nothing_is_trained_before_start(make):
    lab = make()
    assert lab.result.race is None
    assert "Start" in lab.live.screen.headline
    assert len(lab.live.screen.figures) == 2
    assert lab.pause_button.disabled
    assert lab.stop_button.disabled


def test_the_temperature_redraws_while_students_train_on_from_where_they_were(running, until):
    race = running._bench.race
    for temperature in (1.0, 2.0, 8.0):
        before = steps(running)["alone"]
        running.set(temperature=temperature)
        until(running, lambda lab, t=temperature: lab.params.temperature == t)
        assert running._bench.race is race
        assert state(running) == "running"
        shown = running.live.screen.figures[0].data[0].name
        assert shown == f"T = {temperature:g}"
        until(running, lambda lab, n=before: steps(lab)["alone"] > n)
    assert running.result.race.params.temperature == 4.0  # as it was at Start


def test_all_three_are_held_at_the_same_step_by_pause_and_go_on_together(running, until):
    running.pause_button.click()
    until(running, lambda lab: state(lab) == "paused")
    assert running.live.status == {"kind": "estimate", "text": "Paused."}
    assert running.pause_button.description == "Go on"
    held = steps(running)
    assert len(set(held.values())) == 1
    weight = running.trained_student("alone").fc1.weight
    running.set(temperature=7.0)  # the pictures move, the students do not
    until(running, lambda lab: lab.params.temperature == 7.0)
    time.sleep(0.1)
    assert (state(running), steps(running)) == ("paused", held)
    assert torch.equal(running.trained_student("alone").fc1.weight, weight)
    running.pause_button.click()
    until(running, lambda lab: steps(lab)["alone"] > held["alone"])
    assert running.pause_button.description == "Pause"


def test_stop_keeps_and_measures_what_was_learned_and_counts_no_seed(running, until):
    running.stop_button.click()
    assert running.wait(LONG)
    race = running.result.race
    assert race.state == "stopped"
    assert race.records["alone"][-1].epoch < 500
    assert all(score is not None for score in race.scores.values())
    assert running.result.seeds is None
    assert running.controls["seed"].value == 0
    assert running.stop_button.disabled


def test_a_paused_race_can_be_stopped(running, until):
    running.pause()
    until(running, lambda lab: state(lab) == "paused")
    running.stop()
    assert running.wait(LONG)
    assert state(running) == "stopped"
    running.pause()  # no effect any more
    assert running.wait(LONG)
    assert state(running) == "stopped"


def test_start_again_gives_up_the_race_before(running, until):
    first = running._bench.race
    running.set(epochs=1)
    running.start()
    assert running.wait(LONG)
    assert running._bench.race is not first
    assert state(running) == "finished"


def test_the_code_of_a_stopped_race_ends_at_the_same_step(
    running, trained, student, digits, capsys
):
    running.stop()
    assert running.wait(LONG)
    capsys.readouterr()
    names = {"teacher": trained, "student": student, "dataset": digits}
    exec(running.live.screen.code, names)
    printed = capsys.readouterr().out
    for name, score in running.result.race.scores.items():
        assert f"{name} {score.accuracy}" in printed


def test_ctrl_c_in_run_is_stop(make, monkeypatch):
    lab = make(epochs=50)
    publish, count = lab._publish, iter(range(100))

    def interrupted(params, part):
        publish(params, part)
        if next(count) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(lab, "_publish", interrupted)
    race = lab.run()
    assert race.state == "stopped"
    assert lab.result.race.state == "stopped"
    assert all(score is not None for score in race.scores.values())


def test_ctrl_c_inside_a_step_is_stop_too(make, monkeypatch):
    lab = make(epochs=50)
    calls = iter(range(1000))

    class Interrupting(SimpleCNN):
        def forward(self, inputs):
            if next(calls) > 100:
                raise KeyboardInterrupt
            return super().forward(inputs)

    interrupting = DistillLab(
        lab._bench._teacher, lambda seed: Interrupting(width=2, hidden=8), lab._view._dataset
    )
    with monkeypatch.context() as patch:
        patch.setattr("lwlab.labs.distill.race.Race.measure", lambda race: race.scores.update(a=1))
        assert interrupting.run().state == "stopped"


def test_a_training_that_diverges_is_shown_and_raised_and_the_lab_goes_on(make, until):
    lab = make(learning_rate=1e30, epochs=3)
    lab.start_button.click()
    until(lab, lambda lab: lab.live.status["kind"] == "error")
    assert isinstance(lab.error, TrainingDivergedError)
    assert "arm 'alone', seed 0" in lab.live.status["text"]
    with pytest.raises(TrainingDivergedError):
        make(learning_rate=1e30, epochs=3).run()
    lab.set(temperature=6.0)
    assert lab.wait(LONG)
    assert (lab.error, state(lab)) == (None, "failed")
    assert lab.result.seeds is None


def test_a_locked_lab_cannot_be_started_until_the_guess_is_made(trained, student, digits):
    guess = Guess()
    lab = DistillLab(trained, student, digits, after=guess)
    assert lab.wait(LONG)
    assert lab.start_button.disabled
    assert lab.next_button.disabled
    assert lab.controls["temperature"].disabled
    assert lab.live.status["kind"] == "locked"
    guess.answer()
    assert not lab.start_button.disabled
    assert lab.stop_button.disabled  # nothing runs
