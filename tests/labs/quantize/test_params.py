import re

import pytest

from lwlab.labs.quantize import QuantizeParams


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


WIDTHS = "1, 'ternary', 2, 3, 4, 5, 6, 7, 8, 'float'"


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"num_bits": 0}, ValueError, f"num_bits must be one of {WIDTHS}, 'by layer', got 0."),
        ({"num_bits": 33}, ValueError, f"num_bits must be one of {WIDTHS}, 'by layer', got 33."),
        ({"num_bits": 4.0}, ValueError, f"num_bits must be one of {WIDTHS}, 'by layer', got 4.0."),
        (
            {"num_bits": True},
            ValueError,
            f"num_bits must be one of {WIDTHS}, 'by layer', got True.",
        ),
        ({"layer_bits": {"a": 9}}, ValueError,
         f"num_bits of layer 'a' must be one of {WIDTHS}, got 9."),
        ({"activations": 1}, ValueError,
         "activations must be one of 2, 3, 4, 5, 6, 7, 8, 'float', got 1."),
        ({"granularity": "chanel"}, ValueError,
         ("granularity must be one of 'tensor', 'channel' or 'group', got 'chanel'. "
         "Did you mean 'channel'?")),
        ({"group_size": 0}, ValueError, "group_size must be a whole number of at least 1, got 0."),
        ({"percent": 40.0}, ValueError, "percent must be at least 50, got 40.0."),
        ({"percent": 101.0}, ValueError,
         "percent must be a finite number above 0 and of at most 100, got 101.0."),
        ({"clips": {"a": 3.0}}, ValueError,
         "clip of layer 'a' must be two numbers (low, high), got 3.0."),
        ({"clips": {"a": (0.1, 0.2)}}, ValueError,
         "low end of layer 'a' must be a finite number of at most 0, got 0.1."),
        ({"clips": {"a": (-0.1, -0.2)}}, ValueError,
         "high end of layer 'a' must be a finite number of at least 0, got -0.2."),
        ({"clips": {"a": (0, 0)}}, ValueError,
         "clip of layer 'a' must leave a range, got (0.0, 0.0)."),
        ({"rest": "by_hand"}, ValueError,
         ("rest must be one of 'min_max', 'percentile', 'mean_squared' or 'entropy', got "
         "'by_hand'.")),
        ({"symmetric": 1}, TypeError, "symmetric must be True or False, got 1."),
        ({"rounding": "up"}, ValueError,
         "rounding must be one of 'nearest' or 'stochastic', got 'up'."),
        ({"budget": 0.0}, ValueError, "budget must be a finite number above 0, got 0.0."),
    ],
)  # fmt: skip
def test_what_is_out_of_range_is_one_sentence(changes, error, sentence):
    with says(error, sentence):
        QuantizeParams(**changes)


def test_widths_and_rules_of_a_layer():
    params = QuantizeParams(
        num_bits="by layer",
        layer_bits={"a": 2},
        rule="by_hand",
        rest="entropy",
        clips={"a": (-1, 1)},
    )
    assert (params.width_of("a"), params.width_of("b")) == (2, "float")
    assert (params.rule_of("a"), params.rule_of("b")) == ("by_hand", "entropy")
    assert params.by_rest() == QuantizeParams(
        num_bits="by layer", layer_bits={"a": 2}, rule="entropy", rest="entropy"
    )
    assert QuantizeParams(num_bits=3, layer_bits={"a": 2}).width_of("a") == 3
    assert QuantizeParams(clips={"a": (-1, 1)}).rule_of("a") == "min_max"
