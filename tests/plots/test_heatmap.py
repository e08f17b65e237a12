import io
import re

import numpy as np
import plotly.graph_objects as go
import pytest
from PIL import Image

from lwlab.measure import Accuracy
from lwlab.plots import describe
from lwlab.plots.colors import color_at, ink_on
from lwlab.plots.heatmap import sensitivity_heatmap
from lwlab.plots.snapshot import snapshot_png

LINK = "<a h>%{y}</a>"
DARK, LIGHT = (0, 0x22, 0x4E), (0xFE, 0xE8, 0x38)


def points(*rows):
    return [[None if c is None else Accuracy(c, 100) for c in row] for row in rows]


ROWS = points([95, 60, None], [96, None, None])


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def count(picture, color):
    return int((np.abs(picture - np.array(color)).max(axis=-1) < 8).sum())


def draw(**changes):
    arguments = {"layers": ["conv1", LINK], "sparsities": [0.0, 0.5, 0.975], "accuracies": ROWS}
    return sensitivity_heatmap(**{**arguments, **changes})


def test_rows_are_layers_and_columns_are_sparsities():
    figure = draw()
    cells, numbers, waiting = figure.data
    assert [list(row) for row in cells.z] == [[95, 60, None], [96, None, None]]
    assert list(figure.layout.xaxis.ticktext) == ["0", "50", "97.5"]
    assert figure.layout.yaxis.range == (1.5, -0.5)  # the first layer on top
    assert list(zip(numbers.x, numbers.y, numbers.text, strict=True)) == [
        (0, 0, "95"),
        (1, 0, "60"),
        (0, 1, "96"),
    ]
    assert list(zip(waiting.x, waiting.y, strict=True)) == [(2, 0), (1, 1), (2, 1)]
    assert (numbers.hoverinfo, waiting.hoverinfo) == ("skip", "skip")  # clicks go to the cells
    go.Figure(figure.to_dict())  # plotly checks each property


def test_a_cell_says_under_the_mouse_what_was_measured():
    (cells, *_) = draw(baseline=Accuracy(97, 100)).data
    assert cells.hovertext[0][1] == (
        "conv1 at 50.0 % zeros<br>60.0 % right (50.2-69.1 %), -37.0 points against before"
    )
    assert cells.hovertext[0][2] == "conv1 at 97.5 % zeros<br>not measured"
    (bare, *_) = draw().data
    assert bare.hovertext[0][1] == "conv1 at 50.0 % zeros<br>60.0 % right (50.2-69.1 %)"


def test_the_summary_counts_what_is_measured_and_names_the_lowest():
    assert describe(draw(baseline=Accuracy(97, 100))) == (
        "Accuracy with one layer pruned, 3 of 6 measured; the lowest is conv1 at 50.0 % zeros, "
        "60.0 %; before pruning 97.0 %."
    )
    empty = draw(accuracies=points([None] * 3, [None] * 3))
    assert describe(empty) == "Accuracy with one layer pruned, 0 of 6 measured."


def test_chosen_cells_are_framed_and_what_is_no_cell_is_not():
    figure = draw(chosen={"conv1": 0.5, LINK: 0.7, "other": 0.5})
    (frame,) = figure.layout.shapes
    assert (frame.x0 + frame.x1, frame.y0 + frame.y1) == (2, 0)  # around column 1, row 0
    assert draw().layout.shapes == ()


def test_a_layer_of_a_stranger_stays_text():
    figure = draw(baseline=Accuracy(97, 100))
    assert figure.layout.yaxis.ticktext[1] == "&lt;a h&gt;&#37;{y}&lt;/a&gt;"
    figure.layout.meta = None
    assert LINK not in str(figure.to_dict())
    assert "a h" not in figure.data[0].hovertemplate


def test_many_layers_make_a_higher_figure():
    few, many = (
        sensitivity_heatmap([str(i) for i in range(n)], [0.5], points(*[[9]] * n)).layout.height
        for n in (2, 20)
    )
    assert many - few == 20 * 28 - 192


def test_the_still_picture_shows_cells_numbers_frames_and_leaves_the_rest_empty():
    def colours(**changes):
        picture = pixels(snapshot_png([draw(layers=["a", "b"], **changes)], width_px=400))
        return picture, count(picture, DARK), count(picture, LIGHT)

    picture, dark, light = colours(accuracies=points([0, 100, None], [100, 100, None]))
    assert light == pytest.approx(3 * dark, rel=0.1)
    assert dark > 5000
    right = picture[:, -100:]
    assert count(right, DARK) == count(right, LIGHT) == 0
    framed, *_ = colours(accuracies=points([0] * 3, [0] * 3), chosen={"a": 0.5})
    assert count(framed, (0xD5, 0x5E, 0x00)) > 300
    assert count(picture, (0xD5, 0x5E, 0x00)) == 0


def test_colours_lie_between_their_stops():
    scale = [[0.0, "#000000"], [0.5, "#64c800"], [1.0, "#ffffff"]]
    places = [-1, 0, 0.25, 0.5, 1, 2]
    assert [color_at(scale, place) for place in places] == [
        (0, 0, 0),
        (0, 0, 0),
        (50, 100, 0),
        (100, 200, 0),
        (255, 255, 255),
        (255, 255, 255),
    ]


def contrast(one, other):
    def luminance(color):
        share = np.array(color) / 255
        linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_every_number_reads_on_its_cell():
    rows = points(range(101))
    (cells, numbers, _) = sensitivity_heatmap(["a"], np.linspace(0, 0.99, 101).tolist(), rows).data
    inks = {"black": (0, 0, 0), "white": (255, 255, 255)}
    for value, ink in zip(cells.z[0], numbers.textfont.color, strict=True):
        assert contrast(inks[ink], color_at(cells.colorscale, value / 100)) > 4.5
    assert ink_on((0, 0, 0)) == "white"
    assert ink_on((255, 255, 255)) == "black"


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"layers": ["a"]}, "2 rows for 1 layers, of 3 points for 3 sparsities."),
        ({"sparsities": [0.5]}, "2 rows for 2 layers, of 3 points for 1 sparsities."),
        ({"accuracies": []}, "0 rows for 2 layers, of no points for 3 sparsities."),
        (
            {"accuracies": points([1], [1, 2])},
            "2 rows for 2 layers, of 1, 2 points for 3 sparsities.",
        ),
        (
            {"sparsities": [], "accuracies": [[], []]},
            "2 rows for 2 layers, of 0 points for 0 sparsities.",
        ),
    ],
)
def test_rows_that_do_not_fit_are_refused(changes, found):
    sentence = (
        "accuracies must hold a row for each layer and in it a point for each sparsity, at least "
        f"one, got {found}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        draw(**changes)
