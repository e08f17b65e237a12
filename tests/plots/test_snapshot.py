import io
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import plotly.graph_objects as go
import pytest
from PIL import Image

from lwlab.plots import layer_bars, per_class_bars, weight_histogram
from lwlab.plots.snapshot import snapshot_png

BLUE, ORANGE = (0, 0x72, 0xB2), (0xE6, 0x9F, 0)


def size(png):
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert png[12:16] == b"IHDR"
    return struct.unpack(">II", png[16:24])


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def count(picture, color):
    return int((np.abs(picture - np.array(color)).max(axis=-1) < 8).sum())


def bars(height=None):
    return go.Figure({"data": [{"type": "bar", "y": [3]}], "layout": {"height": height}})


@pytest.mark.parametrize(
    ("figures", "columns", "expected"),
    [
        (1, 2, (960, 270)),
        (2, 2, (960, 270)),
        (3, 2, (960, 540)),
        (4, 2, (960, 540)),
        (4, 1, (960, 1080)),
        (4, 4, (960, 270)),
    ],
)
def test_the_grid_has_as_many_rows_as_it_needs(figures, columns, expected):
    assert size(snapshot_png([bars()] * figures, columns)) == expected


def test_a_row_is_as_high_as_its_highest_figure():
    assert size(snapshot_png([bars(300), bars(400), bars(250)], width_px=700)) == (700, 650)


@pytest.mark.parametrize(
    "kind", ["histogram", "tradeoff", "loss", "accuracy", "classes", "layers", "sizes"]
)
def test_every_kind_of_figure_is_drawn_in_its_colours(every_figure, kind):
    figure = every_figure[kind]
    picture = pixels(snapshot_png([figure]))
    assert count(picture, BLUE) > 40
    assert count(picture, (255, 255, 255)) > picture.size / 3 / 3
    # Without its traces the same figure has nothing blue.
    empty = go.Figure({"data": [], "layout": {**figure.to_dict()["layout"], "shapes": ()}})
    assert count(pixels(snapshot_png([empty])), BLUE) == 0


def test_all_kinds_fit_into_one_picture(every_figure):
    figures = list(every_figure.values())
    width, height = size(snapshot_png(figures, 2, 800))
    rows = [figures[i : i + 2] for i in range(0, len(figures), 2)]
    assert (width, height) == (800, sum(max(f.layout.height for f in row) for row in rows))


def test_bars_have_the_area_of_their_numbers():
    small, large = (pixels(snapshot_png([layer_bars(["a"], [f], [1])])) for f in (0.2, 0.4))
    assert count(large, BLUE) == pytest.approx(2 * count(small, BLUE), rel=0.02)


def test_the_cut_is_drawn_in_its_own_colour():
    import torch

    weights = torch.linspace(-1, 1, 600)
    none, half = (
        pixels(snapshot_png([weight_histogram(weights, kept=weights.abs() >= t)])) for t in (0, 0.5)
    )
    assert count(half, ORANGE) > 10 * count(none, ORANGE)
    assert count(half, BLUE) < 0.6 * count(none, BLUE)


def test_the_first_class_stands_left_also_when_only_the_baseline_has_it(score):
    figure = per_class_bars([None, score(0.9)], class_names=["a", "b"], baseline=[score(0.9), None])
    picture = pixels(snapshot_png([figure]))[figure.layout.margin.t :]  # without the legend
    middle = picture.shape[1] // 2
    assert count(picture[:, :middle], BLUE) == 0
    assert count(picture[:, middle:], BLUE) > 1000


def test_nothing_is_drawn_outside_of_the_axes():
    trace = {
        "type": "scatter",
        "mode": "lines",
        "x": [-9, 9],
        "y": [-9, 9],
        "line": {"color": "#0072b2"},
    }
    axes = {"xaxis": {"range": [0, 1]}, "yaxis": {"range": [0, 1]}}
    picture = pixels(snapshot_png([go.Figure({"data": [trace], "layout": axes})]))
    rows, columns = np.nonzero(np.abs(picture - np.array(BLUE)).max(axis=-1) < 8)
    assert (rows.min(), columns.min()) >= (33, 57)
    assert (rows.max(), columns.max()) <= (270 - 43, 960 - 13)


def test_dollar_signs_and_html_are_written_as_they_are():
    # "$x" alone, or a broken formula, would stop matplotlib if it read mathematics.
    names = ["$\\frac{$", "<b>", "&amp;", "5$"]
    assert size(snapshot_png([layer_bars(names, [0.5] * 4, [1] * 4, title="$\\q$ <b>")]))


def test_a_figure_of_a_stranger_is_drawn_or_named_and_never_fails():
    bare = go.Figure({"data": [{"type": "bar", "y": [1, None, 2]}, {"type": "scatter", "y": [3]}]})
    arrays = go.Figure(go.Scatter(x=np.arange(4), y=np.arange(4.0)))
    assert size(snapshot_png([bare, arrays, go.Figure()])) == (960, 540)
    assert count(pixels(snapshot_png([bare])), BLUE) > 1000
    log = go.Figure({"data": bare.data, "layout": {"xaxis": {"type": "log"}}})
    for strange in (go.Figure(go.Heatmap(z=[[1, 2]])), log):  # a note, not a wrong picture
        picture = pixels(snapshot_png([strange]))
        assert count(picture, BLUE) == 0
        assert count(picture, (0x44, 0x44, 0x44)) > 50


def test_pictures_are_the_same_whichever_thread_draws_them(every_figure):
    figures = list(every_figure.values())
    expected = [snapshot_png([figure]) for figure in figures]
    with ThreadPoolExecutor(4) as pool:
        drawn = list(pool.map(lambda figure: snapshot_png([figure]), figures * 4))
    assert drawn == expected * 4


def test_a_picture_is_drawn_without_pyplot():
    script = (
        "import sys\n"
        "from lwlab.plots import layer_bars\n"
        "from lwlab.plots.snapshot import snapshot_png\n"
        "snapshot_png([layer_bars(['a'], [0.5], [1])])\n"
        "print('matplotlib.pyplot' in sys.modules)\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_mistakes_are_answered_by_one_sentence(says):
    with says(ValueError, "figures must hold at least one figure, got none."):
        snapshot_png([])
    with says(ValueError, "columns must be a whole number of at least 1, got 0."):
        snapshot_png([bars()], columns=0)
    with says(ValueError, "width_px must be a whole number of at least 400, got 300."):
        snapshot_png([bars(), bars()], width_px=300)
