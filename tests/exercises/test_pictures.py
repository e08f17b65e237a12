import torch
from torch import nn

from lwlab.exercises.pictures import html_of, text_of


def test_a_matrix_becomes_aligned_rows():
    assert text_of(torch.tensor([[1.0, -0.25], [10.0, 2.0]])) == "[    1  -0.25]\n[   10      2]"


def test_a_negative_zero_looks_like_a_zero():
    assert text_of(torch.tensor([-0.0, 0.0])) == "[0  0]"


def test_marks_stand_behind_the_values():
    assert text_of(torch.tensor([1, 2]), torch.tensor([False, True])) == "[ 1  2!]"


def test_marks_of_another_shape_are_left_out():
    assert text_of(torch.tensor([1, 2]), torch.tensor([True])) == "[1  2]"


def test_more_than_two_dimensions_become_rows_of_the_last():
    assert text_of(torch.arange(4).reshape(2, 1, 2)) == "[0  1]\n[2  3]"


def test_large_tensors_are_cut():
    lines = text_of(torch.zeros(20, 30)).splitlines()
    assert len(lines) == 9
    assert lines[0].endswith("...]")
    assert lines[-1].strip("[ ]") == "..."


def test_empty_and_scalar_tensors_numbers_models_and_lists_of_tensors_have_a_text():
    assert text_of(torch.zeros(0)) == ""
    assert text_of(torch.zeros(2, 0)) == ""
    assert text_of(torch.tensor(3)) == "tensor(3)"
    assert text_of(1 / 3) == "0.333333"
    assert text_of([]) == "[]"
    assert text_of(nn.Linear(1, 1)) == "Linear"
    assert text_of([torch.zeros(2, 3)]) == "[tensor of shape (2, 3)]"


def test_html_of_a_tensor_is_a_table_and_of_the_rest_escaped_code():
    html = html_of(torch.tensor([1.5, 2.0]), torch.tensor([True, False]))
    assert html.count("<td") == 2
    assert "2px solid currentColor;font-weight:bold" in html.split("</td>")[0]
    assert ">1.5!</td>" in html
    assert html_of("<b>") == "<code>&#x27;&lt;b&gt;&#x27;</code>"
