import pytest

from lwlab.labs.quantize import QuantizeLab

LONG = 30

SETTINGS = [
    {},
    {"num_bits": "float"},
    {"num_bits": "ternary", "granularity": "tensor"},
    {"num_bits": 1, "symmetric": False},
    {"num_bits": 3, "rule": "mean_squared", "symmetric": False},
    {"num_bits": 4, "rule": "entropy", "granularity": "tensor"},
    {"num_bits": 3, "rule": "percentile", "percent": 95.0},
    {"num_bits": 4, "granularity": "group", "group_size": 16},
    {"num_bits": 3, "rule": "by_hand", "rest": "percentile", "clips": {"fc1": (-0.1, 0.12)}},
    {"num_bits": "by layer", "layer_bits": {"conv1": 1, "conv2": 4, "fc1": "ternary"}},
    {"num_bits": "by layer"},
    {"num_bits": 3, "rounding": "stochastic", "granularity": "group"},
    {"num_bits": 4, "activations": 4},
    {"num_bits": 2, "activations": 8, "rounding": "stochastic", "rule": "mean_squared"},
]


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_the_shown_code_reproduces_the_state(trained, digits, run_shown_code, setting):
    lab = QuantizeLab(trained, digits, **setting)
    assert lab.wait(LONG)
    assert lab.error is None
    accuracy, size = run_shown_code(lab)
    assert accuracy == str(lab.result.accuracy)
    assert size == f"{lab.result.size_bytes} bytes"


def test_no_line_is_too_long_to_read(trained, digits):
    setting = {"granularity": "group", "rule": "by_hand", "clips": {"fc1": (-0.1, 0.1)}}
    lab = QuantizeLab(trained, digits, num_bits=3, activations=8, rounding="stochastic", **setting)
    assert max(map(len, lab.live.screen.code.splitlines())) <= 100
