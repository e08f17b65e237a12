import plotly.graph_objects as go
import pytest

from lwlab.plots import describe
from lwlab.plots.heatmap_parts import cividis
from lwlab.plots.soft_answers import class_similarity_map, soft_answer_bars

LINK = "<a h>%{y}</a>"
SAFE = "&lt;a h&gt;&#37;{y}&lt;/a&gt;"


def bars(probabilities=(0.6, 0.3996, 0.0004), **changes):
    arguments = {"class_names": ["cat", "dog", LINK], "temperature": 4, "label": 1}
    return soft_answer_bars(probabilities, **{**arguments, **changes})


def likeness(means=((0.9, 0.096, 0.004), None, (0.2, 0.3, 0.5)), **changes):
    arguments = {"class_names": ["cat", "dog", LINK], "temperature": 4}
    return class_similarity_map(means, **{**arguments, **changes})


def test_a_bar_a_class_beside_the_hard_label():
    soft, hard, numbers = bars().data
    assert (soft.name, list(soft.x), list(soft.y)) == (
        "T = 4",
        ["cat", "dog", SAFE],
        [60, 39.96, 0.04],
    )
    assert (hard.name, list(hard.x), list(hard.y)) == ("label", ["dog"], [100])
    assert list(numbers.text) == ["60", "40", ""]  # no 0.0 where it is not nothing
    go.Figure(bars().to_dict())  # plotly checks each property


def test_under_the_mouse_a_small_probability_keeps_its_digits():
    assert bars([1 - 2e-7, 1e-7, 1e-7]).data[0].text[1] == "dog: 1e-05 %"


def test_without_a_label_there_are_the_bars_alone():
    assert [trace.name for trace in bars(label=None).data] == ["T = 4", None]
    assert "example of" not in describe(bars(label=None))


def test_numbers_are_left_out_where_they_would_lie_across_each_other():
    names = [str(number) for number in range(13)]
    assert len(bars([1 / 13] * 13, class_names=names).data) == 2
    flat = likeness([[1 / 13] * 13] * 13, class_names=names)
    assert list(flat.data[1].text) == []
    assert len(flat.data[0].z) == 13


def test_an_answer_is_described_by_its_first_classes():
    assert describe(bars()) == (
        f"Answer to an example of dog at temperature 4: cat 60.0 %, dog 40.0 %, {LINK} 0.0 %."
    )


def test_rows_of_the_map_are_true_classes_and_columns_answers():
    cells, numbers = likeness().data
    assert [list(row) for row in cells.z] == [
        pytest.approx([90, 9.6, 0.4]),
        [None] * 3,
        [20, 30, 50],
    ]
    assert list(zip(numbers.x, numbers.y, numbers.text, strict=True)) == [
        (0, 0, "90"),
        (1, 0, "10"),
        (0, 2, "20"),
        (1, 2, "30"),
        (2, 2, "50"),
    ]
    assert likeness().layout.yaxis.range == (2.5, -0.5)  # the first class on top
    assert list(likeness().layout.xaxis.ticktext) == ["cat", "dog", SAFE]
    assert cells.hovertext[0][1] == "cat, answered dog: 9.6 %"
    assert cells.hovertext[1][0] == "dog: no examples"
    go.Figure(likeness().to_dict())


def test_the_map_is_described_by_the_largest_beside_the_diagonal():
    assert describe(likeness()) == (
        "Mean answer to each true class at temperature 4; beside the diagonal the largest is "
        f"30.0 % for dog where the class is {LINK}."
    )


def test_a_zero_is_a_cell_of_its_own_and_not_a_hole():
    assert list(likeness([[1.0, 0.0], [0.0, 1.0]], class_names=["a", "b"]).data[0].z[0]) == [100, 0]


def test_colours_differ_most_among_small_probabilities():
    scale = likeness().data[0].colorscale
    assert [place for place, _ in scale] == [0, 0.0625**2, 0.25**2, 0.49**2, 0.64**2, 0.81**2, 1]
    assert [color for _, color in scale] == [color for _, color in cividis(lambda p: p)]


def test_long_names_are_turned_and_shortened_in_both():
    names = ["a very long class name indeed", "b" * 30, "c"]
    for figure in (
        bars([0.5, 0.3, 0.2], class_names=names),
        likeness([[0.5, 0.3, 0.2]] * 3, class_names=names),
    ):
        assert figure.layout.xaxis.tickangle == -40
        assert max(len(text) for text in figure.layout.xaxis.ticktext) == 14
        assert figure.layout.margin.b > 44


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: bars([0.5, 0.5]),
            "probabilities must hold one value for each class, at least one, got 2 for 3 classes.",
        ),
        (lambda: bars(label=3), "label must be a class from 0 to 2, got 3."),
        (
            lambda: likeness([[1.0]]),
            (
                "means must hold a row for each of 3 classes, or None, and in it as many "
                "probabilities, got rows of 1."
            ),
        ),
        (
            lambda: likeness([], class_names=[]),
            (
                "means must hold a row for each of 0 classes, or None, and in it as many "
                "probabilities, got rows of nothing."
            ),
        ),
    ],
)
def test_another_shape_is_one_sentence(says, make, sentence):
    with says(ValueError, sentence):
        make()
