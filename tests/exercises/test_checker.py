"""check() on functions that do anything but answer: it never raises, and says what happened."""

import sys
import threading
import time

import numpy as np
import pytest
import torch

from lwlab.exercises import check
from lwlab.exercises.display import in_notebook

NAME = "prune.threshold_mask"


def right(weight, threshold):
    return weight.abs() >= threshold


def raises_in_its_third_line(weight, threshold):
    size = weight.abs
    return size >= threshold


def recursive(weight, threshold):
    return recursive(weight, threshold)


def changes(weight, threshold):
    weight[weight.abs() < threshold] = 0
    return weight != 0


def changes_and_returns_nothing(weight, threshold):
    weight.zero_()


def returns_only_sometimes(weight, threshold):
    if threshold == 0.25:
        return weight.abs() >= threshold
    return None


class Unprintable:
    def __repr__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            raises_in_its_third_line,
            (
                "It raised TypeError: '>=' not supported between instances of "
                "'builtin_function_or_method' and 'float'. In line 3 of the function: "
                "return size >= threshold"
            ),
        ),
        (lambda w, t: sys.exit(), "It raised SystemExit."),
        (changes, "It changed its argument weight in place. Return something new instead."),
        (
            changes_and_returns_nothing,
            "It changed its argument weight in place. Return something new instead.",
        ),
        (
            returns_only_sometimes,
            "It returned None for this input. Is a `return` missing on one path?",
        ),
        (lambda w, t: 3, "The result must be a torch tensor, got int 3."),
        (
            lambda w, t: (w.abs() >= t).numpy(),
            "The result must be a torch tensor, got a numpy array (try torch.from_numpy).",
        ),
        (
            lambda w, t: w.abs,
            (
                "The result must be a torch tensor, got a builtin_function_or_method "
                "(are the brackets of a call missing?)."
            ),
        ),
        (
            lambda w, t: Unprintable(),
            "The result must be a torch tensor, got Unprintable <no text: RuntimeError>.",
        ),
        (
            lambda w, t: torch.ones(3, dtype=torch.bool),
            "The result must have the shape (2, 2), got (3,).",
        ),
        (
            lambda w, t: w.long(),
            "The result must be of dtype torch.bool, got torch.int64.",
        ),
        (
            lambda w, t: (w.abs() >= t).to_sparse(),
            "The result must be an ordinary tensor with its values in it.",
        ),
        (
            lambda w, t: (w.abs() >= t).to("meta"),
            "The result must be an ordinary tensor with its values in it.",
        ),
        (lambda w, t: torch.ones_like(w, dtype=torch.bool), "2 of 4 values differ."),
    ],
    ids=lambda value: "" if isinstance(value, str) else getattr(value, "__name__", ""),
)
def test_whatever_a_function_does_is_told_in_a_sentence(function, message):
    result = check(NAME, function)
    assert result.status == "wrong"
    assert result.message == message
    assert str(result)
    assert result._repr_html_()


def test_endless_recursion_is_told_with_its_kind():
    assert check(NAME, recursive).message.startswith("It raised RecursionError: maximum recursion")


def test_an_endless_loop_is_stopped_and_leaves_no_thread():
    def endless(weight, threshold):
        while True:
            pass

    before = threading.active_count()
    result = check(NAME, endless, seconds=0.2)
    assert result.status == "wrong"
    assert result.message == ("It took longer than 0.2 s and was stopped. Does a loop never end?")
    assert "got" not in str(result)
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_a_slow_second_input_is_stopped_too():
    calls = []

    def slow_later(weight, threshold):
        calls.append(threshold)
        while len(calls) > 1:
            pass
        return right(weight, threshold)

    result = check(NAME, slow_later, seconds=0.3)
    assert result.difference.label == "weights exactly on the threshold"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (float("nan"), "The result is NaN (not a number)."),
        (True, "The result must be a number, got bool True."),
        ("0.25", "The result must be a number, got str '0.25'."),
        (torch.zeros(2), "The result must be a number, got a tensor of shape (2,)."),
        (1j, "The result must be a number, got complex 1j."),
        (0.5, "The result is another number."),
    ],
)
def test_answers_that_should_be_numbers(answer, message):
    assert check("prune.sparsity", lambda weight: answer).message == message


@pytest.mark.parametrize("kind", [float, np.float32, np.float64, torch.tensor])
def test_numbers_of_any_kind_pass(kind):
    assert check("prune.sparsity", lambda w: kind(float((w == 0).float().mean()))).passed


def test_a_float_answer_that_is_nan_is_told():
    result = check("start.keep_largest", lambda values, k: values * float("nan"))
    assert result.message == "The result holds NaN (not a number)."


def test_answers_that_carry_a_gradient_pass():
    def mine(values, k):
        values = values.clone().requires_grad_()
        return values * (values.abs() >= (sorted(values.abs().tolist())[-k] if k else 1e9))

    assert check("start.keep_largest", mine).passed


def test_none_is_not_yet_and_a_value_is_no_function():
    assert check(NAME, None).status == "not yet"
    result = check(NAME, torch.ones(2))
    assert result.status == "wrong"
    assert result.message == (
        "Hand over the function itself, without brackets: check('prune.threshold_mask', "
        "my_function). Got a tensor of shape (2,)."
    )


def test_a_function_with_other_arguments_is_told_which_it_needs():
    result = check(NAME, lambda weight: weight)
    assert result.message == "The function must take (weight, threshold), got (weight)."


def test_a_function_with_defaults_or_stars_is_fine():
    assert check(NAME, lambda w, t=0.5, *, unused=None: right(w, t)).passed
    assert check(NAME, right).passed


def test_a_built_in_function_without_a_signature_is_run():
    assert check("prune.sparsity", max).status == "wrong"


@pytest.mark.parametrize("name", ["prune.threshold", 3, None])
def test_an_unknown_exercise_is_a_text_and_no_error(name):
    result = check(name, right)
    assert result.status == "wrong"
    assert result.message.startswith("There is no such exercise; there are 'start.size_of_floats'")
    if isinstance(name, str):
        assert result.message.endswith(" Did you mean 'prune.threshold_mask'?")


def test_the_text_shows_the_first_difference_with_marks():
    assert str(check(NAME, lambda w, t: w.abs() > t)) == "\n".join(
        [
            "✗ prune.threshold_mask: wrong. 2 of 3 values differ.",
            "  Input: weights exactly on the threshold",
            "    weight     [ 0.5  -0.5  0.25]",
            "    threshold  0.5",
            "    expected   [ True   True  False]",
            "    got        [False!  False!   False]",
            (
                "  Likely mistake: A weight exactly on the threshold stays: "
                "only |weight| < threshold is pruned."
            ),
        ]
    )


def test_html_escapes_what_comes_from_the_learner():
    def fails(weight, threshold):
        raise ValueError("<script>alert(1)</script>")

    html = check(NAME, fails)._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_html_marks_differences_by_more_than_colour():
    html = check(NAME, lambda w, t: w.abs() > t)._repr_html_()
    assert html.count("False!</td>") == 2
    assert html.count("font-weight:bold") == 2


def test_outside_a_notebook_the_result_is_printed(capsys):
    assert not in_notebook()
    result = check(NAME, right)
    assert capsys.readouterr().out == f"{result}\n"
    assert str(result) == ("✓ prune.threshold_mask: passed. All 3 inputs give the expected answer.")


def test_in_a_notebook_nothing_is_printed(capsys, monkeypatch):
    monkeypatch.setattr("lwlab.exercises.display.in_notebook", lambda: True)
    check(NAME, right)
    assert capsys.readouterr().out == ""


def test_the_functions_own_print_comes_through(capsys):
    def talks(weight, threshold):
        print("looking at", threshold)
        return right(weight, threshold)

    check(NAME, talks)
    assert "looking at 0.25" in capsys.readouterr().out


def test_a_wrong_time_limit_is_the_teachers_mistake_and_raises():
    with pytest.raises(ValueError, match=r"^seconds must be a finite number above 0, got 0.0\.$"):
        check(NAME, right, seconds=0)


def test_cases_are_the_same_after_a_function_spoilt_its_copies():
    check(NAME, changes_and_returns_nothing)
    assert check(NAME, right).passed
