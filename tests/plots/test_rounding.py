import re

import plotly.graph_objects as go
import pytest

from lwlab import plots
from lwlab.plots.snapshot import snapshot_png


def table(values):
    texts = [[f"{value:g}" for value in row] for row in values]
    return plots.number_table(values, texts, texts, title="Codes", limit=2, summary="Two rows.")


def test_a_table_is_valid_for_plotly_and_has_a_still_picture():
    for figure in (
        table([[1, -2], [0, 2]]),
        plots.grid_lines([[0.4]], [[0.5]], [[0, 0.5]], title="Lines", summary="One line."),
    ):
        assert go.Figure(figure.to_dict()).to_dict()["data"] == figure.to_dict()["data"]
        assert snapshot_png([figure]).startswith(b"\x89PNG")


def test_the_texts_stand_on_their_cells_in_an_ink_that_reads():
    cells, numbers = table([[2, 0], [-2, 0]]).to_dict()["data"]
    assert cells["z"] == [[2, 0], [-2, 0]]
    assert (numbers["x"], numbers["y"]) == ([0, 1, 0, 1], [0, 0, 1, 1])
    assert numbers["text"] == ["2", "0", "-2", "0"]
    assert numbers["textfont"]["color"] == ["white", "black", "white", "black"]


def test_each_number_has_a_stroke_to_its_place():
    figure = plots.grid_lines(
        [[0.4, 1.0], [0.2, 0.1]],
        [[0.5, 1.0], [0.0, 0.0]],
        [[0, 0.5, 1], [0, 1]],
        title="",
        summary="",
    )
    places, moves, before, after = figure.to_dict()["data"]
    assert list(zip(places["x"], places["y"], strict=True)) == [
        (0, 0), (0.5, 0), (1, 0), (0, 1), (1, 1)
    ]  # fmt: skip
    assert moves["x"][:3] == [0.4, 0.5, None]
    assert before["x"] == [0.4, 1.0, 0.2, 0.1]
    assert after["x"] == [0.5, 1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("values", "got"),
    [
        ([], "0 rows of no numbers"),
        ([[1], [1, 2]], "2 rows of 1, 2 numbers"),
        ([[0] * 11], "1 rows of 11 numbers"),
        ([[0]] * 9, "9 rows of 1 numbers"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused(values, got):
    sentence = f"values must have 1 to 8 rows of equal length, 1 to 10, got {got}."
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        table(values)
