import pytest

from lwlab.labs.quantize import QuantizeLab

LONG = 30

SETTINGS = [
    {},
    {"bits": "float"},
    {"bits": "ternary", "granularity": "tensor"},
    {"bits": 1, "symmetric": False},
    {"bits": 3, "rule": "mean_squared", "symmetric": False},
    {"bits": 4, "rule": "entropy", "granularity": "tensor"},
    {"bits": 3, "rule": "percentile", "percent": 95.0},
    {"bits": 4, "granularity": "group", "group_size": 16},
    {"bits": 3, "rule": "by_hand", "rest": "percentile", "clips": {"fc1": (-0.1, 0.12)}},
    {"bits": "by layer", "layer_bits": {"conv1": 1, "conv2": 4, "fc1": "ternary"}},
    {"bits": "by layer"},
    {"bits": 3, "rounding": "stochastic", "granularity": "group"},
    {"bits": 4, "activations": 4},
    {"bits": 2, "activations": 8, "rounding": "stochastic", "rule": "mean_squared"},
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
    lab = QuantizeLab(trained, digits, bits=3, activations=8, rounding="stochastic", **setting)
    assert max(map(len, lab.live.screen.code.splitlines())) <= 100
