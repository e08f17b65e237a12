import math
import re

import pytest
import torch
from torch import nn

from lwlab import checks


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


@pytest.mark.parametrize("value", [0, 0.5, 0.999])
def test_a_fraction_comes_back_as_a_float(value):
    assert checks.check_fraction("sparsity", value) == value


def test_a_value_just_above_one_gets_no_silly_suggestion():
    with says(ValueError, "progress must be a fraction in [0, 1), got 1.1."):
        checks.check_fraction("progress", 1.1)


def test_one_is_a_fraction_only_where_allowed():
    assert checks.check_fraction("alpha", 1, allow_one=True) == 1.0
    with says(ValueError, "sparsity must be a fraction in [0, 1), got 1.0."):
        checks.check_fraction("sparsity", 1)


def test_a_percentage_in_place_of_a_fraction_gets_a_suggestion():
    with says(ValueError, "sparsity must be a fraction in [0, 1), got 30.0. Did you mean 0.3?"):
        checks.check_fraction("sparsity", 30)


@pytest.mark.parametrize("value", [-0.1, 1.0, 100, math.nan, math.inf])
def test_what_is_no_fraction_is_refused(value):
    with pytest.raises(ValueError, match=r"^sparsity must be a fraction in \[0, 1\), got "):
        checks.check_fraction("sparsity", value)


@pytest.mark.parametrize("value", ["0.5", None, True, [0.5]])
def test_a_fraction_of_another_type_is_a_type_error(value):
    with says(TypeError, f"sparsity must be a fraction in [0, 1), got {value!r}."):
        checks.check_fraction("sparsity", value)


def test_numbers_have_bounds():
    assert checks.check_number("learning_rate", 1e-3, above=0) == 1e-3
    with says(ValueError, "learning_rate must be a finite number above 0, got 0.0."):
        checks.check_number("learning_rate", 0, above=0)
    with says(ValueError, "threshold must be a finite number of at least 0, got -1.0."):
        checks.check_number("threshold", -1, minimum=0)
    with says(ValueError, "threshold must be a finite number, got nan."):
        checks.check_number("threshold", math.nan)
    with says(TypeError, "threshold must be a finite number, got 'x'."):
        checks.check_number("threshold", "x")
    with says(ValueError, "clip must be a finite number above 0 and of at most 1, got 1.5."):
        checks.check_number("clip", 1.5, above=0, maximum=1)


def test_counts_are_whole():
    assert checks.check_count("epochs", 3.0) == 3
    assert isinstance(checks.check_count("epochs", 3.0), int)
    with says(ValueError, "epochs must be a whole number of at least 1, got 2.5."):
        checks.check_count("epochs", 2.5)
    with says(ValueError, "num_bits must be a whole number from 1 to 8, got 33."):
        checks.check_count("num_bits", 33, maximum=8)
    with says(ValueError, "epochs must be a whole number of at least 1, got inf."):
        checks.check_count("epochs", math.inf)
    with says(TypeError, "epochs must be a whole number of at least 1, got True."):
        checks.check_count("epochs", True)


def test_a_near_miss_among_choices_gets_a_suggestion():
    assert checks.check_choice("scope", "global", ("global", "layer")) == "global"
    with says(
        ValueError, "scope must be one of 'global' or 'layer', got 'globl'. Did you mean 'global'?"
    ):
        checks.check_choice("scope", "globl", ("global", "layer"))


def test_a_name_in_other_letters_is_a_near_miss():
    assert checks.did_you_mean("MNIST", ["mnist", "digits"]) == " Did you mean 'mnist'?"
    assert checks.did_you_mean("zzz", ["mnist", "digits"]) == ""


def test_finite_tensors_pass_and_others_say_where():
    tensor = torch.tensor([[1.0, 2.0], [math.nan, math.inf]])
    assert checks.check_finite("inputs", tensor[:1]) is not None
    with says(
        ValueError,
        "inputs must be finite, got 2 NaN or infinite of 4 values (the first at index (1, 0)).",
    ):
        checks.check_finite("inputs", tensor)


def test_integers_are_always_finite():
    codes = torch.tensor([1, 2])
    assert checks.check_finite("codes", codes) is codes


def test_a_module_is_told_from_its_class_and_from_anything_else():
    layer = nn.Linear(1, 1)
    assert checks.check_module("model", layer) is layer
    with says(TypeError, "model must be a torch.nn.Module, got list."):
        checks.check_module("model", [layer])


@pytest.mark.parametrize(
    ("names", "text"), [((), ""), (("a",), "'a'"), (("a", "b", "c"), "'a', 'b' or 'c'")]
)
def test_lists_read_as_english(names, text):
    assert checks.quoted_list(names) == text


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("two\n  lines "), "ValueError: two lines"),
        (KeyError("a"), "KeyError: 'a'"),
        (RuntimeError(), "RuntimeError: no message"),
    ],
)
def test_an_error_is_told_on_one_line(error, text):
    assert checks.one_line(error) == text
