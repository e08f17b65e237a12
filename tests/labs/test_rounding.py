import re

import pytest
import torch
from torch import nn

from lwlab import labs, quantize
from lwlab.labs.rounding import round_table
from lwlab.models import SimpleCNN
from lwlab.plots import describe

TABLE = torch.tensor([[0.9, -0.5, 0.1], [0.3, 0.2, -0.05]])


@pytest.fixture
def lab():
    return labs.RoundingLab(TABLE)


def drawn(lab):
    return [figure.to_dict()["data"] for figure in lab.live.screen.figures]


def code_of(lab):
    scope = {"values": TABLE}
    exec(lab.live.screen.code, scope)
    return scope


def test_the_first_table_is_the_one_worked_out_by_hand(lab):
    # 3 bits, symmetric: the largest, 0.9, becomes 3, so a step is 0.3.
    assert lab.result.quantized.codes.tolist() == [[3, -2, 0], [1, 1, 0]]
    assert lab.result.quantized.scale.tolist() == pytest.approx([0.3])
    expected = torch.tensor([[0.0, -0.1, -0.1], [0.0, 0.1, 0.05]])
    assert torch.allclose(lab.result.error, expected, atol=1e-6)
    assert lab.result.mean_squared_error == pytest.approx(float(expected.square().mean()), rel=1e-4)


def test_a_result_is_what_quantize_tensor_gives():
    values = torch.randn(8, 10, generator=torch.Generator().manual_seed(0))
    for sharing, granularity in {
        "the whole table": quantize.PerTensor(),
        "a row": quantize.PerChannel(),
    }.items():
        for symmetric in (True, False):
            for bits in range(2, 9):
                params = labs.RoundingParams(bits, sharing, symmetric)
                expected = quantize.quantize_tensor(values, bits, granularity, symmetric=symmetric)
                got = round_table(values, params)
                assert torch.equal(got.quantized.codes, expected.codes)
                assert torch.equal(got.rounded, expected.dequantize())


@pytest.mark.parametrize(
    "change",
    [{"num_bits": 5}, {"sharing": "a row"}, {"symmetric": False}, {"clip": 0.5}, {"outlier": 7.0}],
    ids=str,
)
def test_every_control_changes_the_result_the_screen_and_the_code(lab, change):
    before, figures, code = lab.result, drawn(lab), lab.live.screen.code
    ((name, value),) = change.items()
    lab.controls[name].value = value
    assert lab.wait(20)
    assert lab.error is None
    assert getattr(lab.params, name) == value
    assert not torch.equal(lab.result.rounded, before.rounded)
    assert drawn(lab) != figures
    assert lab.live.screen.code != code
    scope = code_of(lab)
    assert torch.equal(scope["codes"].reshape(2, 3), lab.result.quantized.codes)
    assert torch.equal(scope["back"].reshape(2, 3), lab.result.rounded)
    assert torch.equal(scope["table"], lab.result.values)


def test_an_outlier_of_one_row_spoils_the_others_only_if_they_share_its_scale(lab):
    def error_of_second_row(**changes):
        lab.set(**changes)
        assert lab.wait(20)
        return float(lab.result.error[1].square().mean())

    assert error_of_second_row(outlier=20.0) > 5 * error_of_second_row(outlier=1.0)
    alone = error_of_second_row(sharing="a row")
    assert error_of_second_row(outlier=20.0) == alone


def test_a_cell_shows_number_code_way_back_error_scale_and_zero_point(lab):
    lab.set(symmetric=False)
    assert lab.wait(20)
    codes = drawn(lab)[1][0]
    assert codes["text"][0] == ["6", "0", "2"]
    assert codes["hovertext"][0][1] == (
        "number -0.5<br>code 0<br>back (0 - 2) x 0.2 = -0.4<br>error +0.1"
        "<br>scale 0.2, zero point 2"
    )


def test_the_lines_show_every_place_that_a_symmetric_grid_can_reach(lab):
    places, _, before, after = drawn(lab)[2]
    assert sorted(set(places["x"])) == pytest.approx([-0.9, -0.6, -0.3, 0, 0.3, 0.6, 0.9], abs=1e-6)
    assert before["x"] == TABLE.flatten().tolist()
    assert after["x"] == lab.result.rounded.flatten().tolist()


def test_the_headline_counts_codes_and_bytes(lab):
    text = re.sub(r"<[^>]*>", " ", lab.live.screen.headline)
    for figures in ("as float32   24 B", "codes + scales   3 + 4 B", "codes used   4 of 8"):
        assert figures in text.replace("    ", "   ")


def test_every_figure_says_what_it_shows(lab):
    texts = [describe(figure) for figure in lab.live.screen.figures]
    assert texts[0] == "The numbers: a table of 2 rows of 3, from -0.5 to 0.9."
    assert texts[2] == "Each number moves to the nearest place; the widest step is 0.3."


def test_a_model_shows_its_layers_and_is_left_alone():
    model = SimpleCNN()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    lab = labs.RoundingLab(model, layer="conv2", outlier=3.0)
    assert lab.result.values.shape == (8, 10)
    scope = {"model": model}
    exec(lab.live.screen.code, scope)
    assert torch.equal(scope["back"].reshape(8, 10), lab.result.rounded)
    lab.controls["layer"].value = "conv1"
    assert lab.wait(20)
    assert lab.result.values.shape == (8, 9)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_layer_alone_is_a_model():
    lab = labs.RoundingLab(nn.Linear(4, 3))
    scope = {"model": nn.Linear(4, 3)}
    exec(lab.live.screen.code, scope)
    assert scope["back"].shape == lab.result.rounded.shape == (3, 4)


@pytest.mark.parametrize(
    ("values", "error", "sentence"),
    [
        ([1.0], TypeError, "values must be a floating-point tensor or a model, got list."),
        (
            torch.tensor([1, 2]),
            TypeError,
            "values must be a floating-point tensor or a model, got torch.int64.",
        ),
        (
            torch.zeros(2, 2, 2),
            ValueError,
            (
                "values must have one or two dimensions and at least one number, got shape "
                "(2, 2, 2). Try weight.flatten(1)."
            ),
        ),
        (
            nn.ReLU(),
            ValueError,
            "values must be a model with a convolution or linear layer, got ReLU without one.",
        ),
    ],
    ids=str,
)
def test_what_is_no_table_is_refused(values, error, sentence):
    with pytest.raises(error, match=f"^{re.escape(sentence)}$"):
        labs.RoundingLab(values)


def test_nan_is_refused():
    with pytest.raises(ValueError, match="values must"):
        labs.RoundingLab(torch.tensor([1.0, float("nan")]))


@pytest.mark.parametrize(
    ("first", "sentence"),
    [
        ({"num_bits": 9}, "num_bits must be a whole number from 2 to 8, got 9."),
        ({"clip": 0.0}, "clip must be a finite number above 0 and of at most 1, got 0.0."),
        (
            {"outlier": 0.5},
            "outlier must be a finite number of at least 1 and of at most 20, got 0.5.",
        ),
    ],
    ids=str,
)
def test_a_setting_out_of_range_is_refused(first, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        labs.RoundingLab(TABLE, **first)


def test_a_misspelt_setting_is_refused():
    sentence = (
        "RoundingLab() knows 'num_bits', 'sharing', 'symmetric', 'clip', 'outlier' or 'layer', "
        "got 'num_bit'. Did you mean 'num_bits'?"
    )
    with pytest.raises(TypeError, match=f"^{re.escape(sentence)}$"):
        labs.RoundingLab(TABLE, num_bit=4)
