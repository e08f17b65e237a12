import re
import threading
from dataclasses import dataclass

import ipywidgets as widgets
import plotly.graph_objects as go
import pytest

from lwlab.labs import Lab, Part, Screen

LONG = 10


@dataclass(frozen=True)
class Params:
    number: int = 1
    word: str = "a"

    def __post_init__(self):
        if not 0 <= self.number <= 9:
            raise ValueError(f"number must be 0 to 9, got {self.number}.")


class ToyLab(Lab):
    """Squares a number in two parts; 7 fails, 8 waits for ``gate``."""

    def __init__(self, after=None):
        self.computed, self.gate, self.begun = [], threading.Event(), threading.Event()
        controls = {"number": widgets.IntSlider(1, 0, 9), "word": widgets.Text("a")}
        super().__init__(
            params=Params(), controls=controls, rows=list(controls.values()), after=after
        )
        self.compute_first()

    def compute(self, params):
        self.computed.append(params.number)
        if params.number == 7:
            raise RuntimeError("seven <b>is</b> unlucky")
        yield Part(params.number, estimate="a first guess")
        if params.number == 8:
            self.begun.set()
            self.gate.wait(LONG)
        yield Part(params.number**2)

    def act(self, action, params, result):
        return (action, params.number, result)

    def draw(self, params, result):
        figure = go.Figure({"data": [{"type": "bar", "y": [params.number]}]})
        return Screen((figure,), headline=f"{result} {params.word}")


@pytest.fixture
def lab():
    lab = ToyLab()
    assert lab.wait(LONG)
    return lab


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def test_the_constructor_computes_once(lab):
    assert lab.computed == [1]
    assert (lab.params, lab.result, lab.error) == (Params(), 1, None)
    assert lab.live.status["kind"] == "fresh"


def test_moving_a_control_as_a_browser_does_brings_a_new_result(lab):
    lab.controls["number"].value = 3
    assert lab.wait(LONG)
    assert lab.result == 9
    assert lab.live.screen.headline == "9 a"


def test_set_moves_the_controls_too_and_asks_once(lab):
    lab.set(number=5, word="b")
    assert lab.wait(LONG)
    assert (lab.controls["number"].value, lab.controls["word"].value) == (5, "b")
    assert lab.params == Params(5, "b")
    assert lab.computed == [1, 5]


def test_set_refuses_unknown_names_and_bad_values_and_moves_nothing(lab):
    with says(ValueError, "set() knows 'number' or 'word', got 'nunber'. Did you mean 'number'?"):
        lab.set(nunber=3)
    with says(ValueError, "number must be 0 to 9, got 30."):
        lab.set(word="b", number=30)
    assert (lab.controls["number"].value, lab.controls["word"].value) == (1, "a")
    assert lab.computed == [1]


def test_an_error_is_kept_and_shown_and_the_result_on_screen_stays_what_it_was(lab):
    lab.set(number=7)
    assert lab.wait(LONG)
    assert isinstance(lab.error, RuntimeError)
    assert lab.live.status == {"kind": "error", "text": "RuntimeError: seven <b>is</b> unlucky"}
    assert (lab.params, lab.result) == (Params(1), 1)
    lab.set(number=2)
    assert lab.wait(LONG)
    assert (lab.error, lab.result) == (None, 4)
    assert lab.live.status["kind"] == "fresh"


def test_a_newer_wish_makes_the_rest_of_the_older_one_stale(lab):
    lab.set(number=8)
    assert lab.begun.wait(LONG)
    assert lab.live.status == {"kind": "estimate", "text": "a first guess"}
    assert lab.result == 8
    lab.set(number=2)
    lab.gate.set()
    assert lab.wait(LONG)
    assert lab.result == 4


def test_long_work_is_marked_while_the_old_figures_are_still_there(lab, monkeypatch):
    marked = threading.Event()
    lab.live.observe(lambda c: c["new"]["kind"] == "working" and marked.set(), names="status")
    slow, quick = threading.Event(), lab.compute

    def compute(params):
        slow.wait(LONG)
        yield from quick(params)

    monkeypatch.setattr(lab, "compute", compute)
    lab.set(number=4)
    assert marked.wait(LONG)
    assert lab.params.number == 1
    slow.set()
    assert lab.wait(LONG)
    assert lab.live.status["kind"] == "fresh"
    assert lab.result == 16


def test_an_action_comes_after_the_whole_result(lab):
    lab.request(Params(3), "double check")
    assert lab.wait(LONG)
    assert lab.result == ("double check", 3, 9)


class Guess:
    def __init__(self):
        self.answered, self.callbacks = False, []

    def on_answer(self, callback):
        self.callbacks.append(callback)


def test_a_lab_behind_a_prediction_is_locked_until_the_guess_is_made():
    guess = Guess()
    lab = ToyLab(after=guess)
    assert lab.wait(LONG)
    assert lab.live.status["kind"] == "locked"
    assert all(control.disabled for control in lab.controls.values())
    assert lab.result == 1  # a headless run has its first result all the same
    lab.set(number=2)
    assert lab.wait(LONG)
    assert lab.live.status["kind"] == "locked"
    guess.answered = True
    for callback in guess.callbacks:
        callback()
    assert lab.live.status["kind"] == "fresh"
    assert not any(control.disabled for control in lab.controls.values())


def test_what_happens_behind_the_lock_is_shown_as_what_it_is_when_it_opens():
    guess = Guess()
    lab = ToyLab(after=guess)
    lab.set(number=7)
    assert lab.wait(LONG)
    assert isinstance(lab.error, RuntimeError)
    assert lab.live.status["kind"] == "locked"  # an error is no way around the lock
    lab.set(number=8)
    assert lab.begun.wait(LONG)
    for callback in guess.callbacks:
        callback()
    assert lab.live.status == {"kind": "estimate", "text": "a first guess"}
    lab.gate.set()
    assert lab.wait(LONG)
    assert lab.live.status["kind"] == "fresh"


def test_what_goes_wrong_behind_a_button_is_shown(lab):
    def broken():
        raise KeyError("gone")

    lab.pressed(broken)
    assert isinstance(lab.error, KeyError)
    assert lab.live.status == {"kind": "error", "text": "KeyError: 'gone'"}


def test_an_answered_prediction_locks_nothing():
    guess = Guess()
    guess.answered = True
    lab = ToyLab(after=guess)
    assert lab.live.status["kind"] != "locked"
    assert not any(control.disabled for control in lab.controls.values())


class ForgetfulLab(ToyLab):
    history_length = 2


def test_the_history_keeps_the_newest_whole_results_as_many_as_the_class_says():
    lab = ForgetfulLab()
    for number in (2, 3, 4):
        assert lab.wait(LONG)
        lab.set(number=number)
    assert lab.wait(LONG)
    assert [(params.number, result) for params, result in lab.history] == [(3, 9), (4, 16)]
    assert ToyLab.history_length == 200
