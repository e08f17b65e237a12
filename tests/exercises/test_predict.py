"""Predictions driven as a learner would: move, lock in, skip, reveal in any order."""

import re

import ipywidgets
import pytest

from lwlab.exercises import predict

HIDDEN = "Lock in a guess above, or skip it, to see the measured value."


def test_an_untouched_guess_hides_the_measured_value():
    guess = predict("How accurate?")
    reveal = guess.reveal(0.937)
    assert not guess.answered
    assert guess.value is None
    assert reveal.text == HIDDEN
    assert "93.7" not in reveal.value
    assert "93.7" not in repr(reveal)


def test_locking_in_by_the_button_opens_a_reveal_that_is_on_screen_already():
    guess = predict("How accurate?")
    reveal = guess.reveal(0.937, note="on 300 images")
    guess.control.value = 0.65
    guess.lock_button.click()
    assert guess.answered
    assert guess.value == 0.65
    words = "Your guess: 65.0 %. Measured: 93.7 %. The guess was 28.7 points too low."
    assert reveal.text == words
    assert words in reveal.value
    assert "on 300 images" in reveal.value
    guess.lock_button.click()  # a double click is one answer
    assert "Locked in: 65.0 %." in guess.message.value
    assert guess.control.disabled
    assert guess.lock_button.disabled
    assert guess.skip_button.disabled


def test_a_reveal_after_the_guess_is_open_at_once():
    guess = predict("How large?", low=0, high=500, unit="kB")
    guess.set(212)
    assert guess.reveal(37.1).text == (
        "Your guess: 212 kB. Measured: 37.1 kB. The guess was 174.9 kB too high."
    )
    assert guess.control.value == 212


def test_skipping_shows_the_measured_value_alone():
    guess = predict("How accurate?")
    reveal = guess.reveal(0.5)
    guess.skip_button.click()
    assert guess.answered
    assert guess.value is None
    assert reveal.text == "Measured: 50.0 %. No guess was made."
    guess.skip()
    assert guess.answered


def test_one_guess_can_open_several_reveals():
    guess = predict("How accurate?")
    reveals = [guess.reveal(value) for value in (0.1, 0.2)]
    guess.set(0.1)
    assert [reveal.text.split(". ")[-1] for reveal in reveals] == [
        "Spot on.",
        "The guess was 10.0 points too low.",
    ]


def test_choices_are_radio_buttons_and_need_one_to_be_chosen():
    guess = predict("Which layer?", choices=["conv1", "fc1"])
    reveal = guess.reveal("fc1")
    assert isinstance(guess.control, ipywidgets.RadioButtons)
    guess.lock_button.click()
    assert not guess.answered
    assert "Choose one of the answers first, or skip." in guess.message.value
    guess.control.value = "conv1"
    guess.lock_button.click()
    assert reveal.text == "Your guess: conv1. Measured: fc1. The guess was another one."


def test_callbacks_run_once_when_the_answer_comes_or_at_once_if_it_is_there():
    guess, calls = predict("How accurate?"), []
    guess.on_answer(lambda: calls.append("before"))
    assert calls == []
    guess.skip()
    guess.on_answer(lambda: calls.append("after"))
    assert calls == ["before", "after"]
    guess.skip()
    assert calls == ["before", "after"]


def test_a_callback_sees_the_answer():
    guess, seen = predict("How accurate?"), []
    guess.on_answer(lambda: seen.append((guess.answered, guess.value)))
    guess.set(0.25)
    assert seen == [(True, 0.25)]


def test_a_failing_callback_is_shown_and_kept_and_the_others_run():
    guess, calls = predict("How accurate?"), []

    def fails():
        raise RuntimeError("<no lab>")

    guess.on_answer(fails)
    guess.on_answer(lambda: calls.append(1))
    guess.lock_button.click()
    assert isinstance(guess.error, RuntimeError)
    assert "What waited for this guess failed: RuntimeError: &lt;no lab&gt;" in guess.message.value
    assert calls == [1]
    assert guess.answered


def test_a_second_guess_is_refused_and_the_first_stands():
    guess = predict("How accurate?")
    guess.set(0.65)
    sentence = "guess must be made once, got 30.0 % after 65.0 %. Run its cell again to guess anew."
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        guess.set(0.3)
    assert guess.value == 0.65


def test_a_guess_out_of_range_is_refused_and_does_not_answer():
    guess = predict("How accurate?")
    sentence = "guess must be from 0 to 1, got 65.0. Did you mean 0.65?"
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        guess.set(65)
    assert not guess.answered


@pytest.mark.parametrize("switch", ["1", "yes"])
def test_the_teachers_switch_answers_at_once_and_a_driver_can_still_guess(monkeypatch, switch):
    monkeypatch.setenv("LWLAB_UNLOCK", switch)
    guess, calls = predict("How accurate?"), []
    guess.on_answer(lambda: calls.append(1))
    reveal = guess.reveal(0.9)
    assert guess.answered
    assert calls == [1]
    assert reveal.text == "Measured: 90.0 %. No guess was made."
    guess.set(0.8)
    assert reveal.text.startswith("Your guess: 80.0 %.")
    assert calls == [1]


@pytest.mark.parametrize("switch", ["", "0"])
def test_the_teachers_switch_is_off_when_empty_or_zero(monkeypatch, switch):
    monkeypatch.setenv("LWLAB_UNLOCK", switch)
    assert not predict("How accurate?").answered


def test_texts_are_escaped():
    guess = predict("Is <b>this</b> safe?")
    guess.set(0.5)
    assert "&lt;b&gt;this" in guess.children[0].value
    assert "&lt;i&gt;" in guess.reveal(0.5, note="<i>").value
    choice = predict("Which?", choices=["<u>", "b"])
    choice.set("<u>")
    assert "<u>" not in choice.reveal("<u>").value
    assert "<u>" not in choice.message.value


def test_a_guess_shows_as_a_widget_with_a_text_for_pages_without_widgets():
    guess = predict("How accurate?")
    bundle = guess._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/plain"] == "Prediction: How accurate?"


def test_the_slider_has_a_hundred_steps_or_the_ones_asked_for():
    slider = predict("How fast?", low=0, high=50, unit="ms").control
    assert (slider.min, slider.max, slider.step, slider.value) == (0, 50, 0.5, 25)
    assert predict("How many?", low=0, high=9, unit="", step=1).control.step == 1


@pytest.mark.parametrize("question", ["", "  ", 3])
def test_a_question_must_be_a_text(question):
    sentence = f"question must be a text, got {question!r}."
    with pytest.raises(TypeError, match="^" + re.escape(sentence) + "$"):
        predict(question)


def test_misspelt_arguments_are_refused():
    with pytest.raises(TypeError, match="hihg"):
        predict("How accurate?", hihg=2)
