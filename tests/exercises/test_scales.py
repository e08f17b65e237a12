import re

import pytest
import torch

from lwlab.exercises.scales import ChoiceScale, NumberScale


def test_fractions_are_printed_in_percent_and_gaps_in_points():
    scale = NumberScale()
    assert scale.text(0.9557) == "95.6 %"
    assert scale.verdict(0.65, 0.937) == "The guess was 28.7 points too low."
    assert scale.verdict(0.9, 0.7) == "The guess was 20.0 points too high."


def test_other_units_are_printed_behind_the_number():
    scale = NumberScale(0, 5000, "kB")
    assert scale.text(1234.4) == "1,234 kB"
    assert scale.text(0.25) == "0.25 kB"
    assert scale.verdict(100, 300) == "The guess was 200 kB too low."
    assert NumberScale(0, 10, "").text(3.0) == "3"


@pytest.mark.parametrize(("guess", "spot_on"), [(0.5, True), (0.5049, True), (0.506, False)])
def test_half_a_step_of_the_slider_is_spot_on(guess, spot_on):
    assert (NumberScale().verdict(guess, 0.5) == "Spot on.") is spot_on


def test_the_picture_places_both_values_and_the_gap():
    picture = NumberScale(0, 10, "ms").picture(2.0, 7.5)
    assert "left:20.0%" in picture.split("your guess 2 ms")[0].rsplit("<div", 1)[1]
    assert "left:75.0%" in picture.split("measured 7.5 ms")[0].rsplit("<div", 1)[1]
    assert "left:20.0%;width:55.0%" in picture


def test_a_measured_value_outside_stands_at_the_end_of_the_bar():
    picture = NumberScale(0, 10, "ms").picture(None, 70.0)
    assert "left:100.0%" in picture
    assert "measured 70 ms" in picture
    assert "your guess" not in picture


def test_tensors_with_one_number_are_measured_values():
    assert NumberScale().check_actual(torch.tensor(0.5)) == 0.5


class HasValue:
    value = 0.5

    def __repr__(self):
        return "HasValue()"


@pytest.mark.parametrize(
    ("call", "kind", "sentence"),
    [
        (
            lambda: NumberScale(low=2, high=1),
            ValueError,
            "high must be above low = 2, got 1.",
        ),
        (lambda: NumberScale(step=0), ValueError, "step must be a finite number above 0, got 0.0."),
        (
            lambda: NumberScale(low=float("nan")),
            ValueError,
            "low must be a finite number, got nan.",
        ),
        (
            lambda: NumberScale().check_guess(65),
            ValueError,
            "guess must be from 0 to 1, got 65.0. Did you mean 0.65?",
        ),
        (
            lambda: NumberScale(0, 10, "ms").check_guess(11),
            ValueError,
            "guess must be from 0 to 10, got 11.0.",
        ),
        (
            lambda: NumberScale().check_actual("0.5"),
            TypeError,
            "actual must be a number, got str '0.5'.",
        ),
        (
            lambda: NumberScale().check_actual(HasValue()),
            TypeError,
            "actual must be a number, got HasValue HasValue(). Try its .value.",
        ),
        (
            lambda: NumberScale().check_actual(float("nan")),
            ValueError,
            "actual must be a finite number, got nan.",
        ),
        (
            lambda: ChoiceScale(["a", "a"]),
            ValueError,
            "choices must be at least two different texts, got ['a', 'a'].",
        ),
        (
            lambda: ChoiceScale(["a"]),
            ValueError,
            "choices must be at least two different texts, got ['a'].",
        ),
        (lambda: ChoiceScale("ab"), TypeError, "choices must be a list of texts, got 'ab'."),
        (
            lambda: ChoiceScale(["conv1", "fc1"]).check_guess("conv"),
            ValueError,
            "guess must be one of 'conv1' or 'fc1', got 'conv'. Did you mean 'conv1'?",
        ),
        (
            lambda: ChoiceScale(["conv1", "fc1"]).check_actual("x"),
            ValueError,
            "actual must be one of 'conv1' or 'fc1', got 'x'.",
        ),
    ],
)
def test_refusals_are_one_sentence(call, kind, sentence):
    with pytest.raises(kind, match="^" + re.escape(sentence) + "$"):
        call()


def test_a_choice_is_right_or_another_one():
    scale = ChoiceScale(("a", "b"))
    assert scale.verdict("a", "a") == "The guess was right."
    assert scale.verdict("a", "b") == "The guess was another one."
    assert scale.picture("a", "b") == ""
