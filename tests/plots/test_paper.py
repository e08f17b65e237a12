import io

import numpy as np
from PIL import Image

from lwlab.plots.paper import Paper, text_width

RED = [255, 0, 0]


def pixels(paper):
    return np.asarray(Image.open(io.BytesIO(paper.png())).convert("RGB"))


def reds(paper):
    rows, columns = np.nonzero((pixels(paper) == RED).all(axis=-1))
    return (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1), len(rows)


def test_an_empty_paper_is_white_and_of_its_size():
    picture = pixels(Paper(60, 40))
    assert picture.shape == (40, 60, 3)
    assert (picture == 255).all()


def test_a_box_fills_exactly_its_pixels_counted_from_the_upper_left():
    paper = Paper(60, 40)
    paper.rectangles([(10, 5, 30, 15)], fill="red")
    assert reds(paper) == ((5, 15, 10, 30), 200)


def test_what_comes_later_lies_on_top_and_nothing_leaves_its_box():
    paper = Paper(60, 40)
    paper.rectangles([(0, 0, 60, 40)], fill="blue")
    paper.rectangles([(-10, -10, 99, 99)], fill="red", inside=(20, 10, 40, 30))
    assert reds(paper) == ((10, 30, 20, 40), 400)


def test_a_pattern_darkens_a_part_of_the_box():
    paper = Paper(60, 40)
    paper.rectangles([(0, 0, 60, 40)], fill="red", pattern="/")
    assert 0.3 < reds(paper)[1] / 2400 < 0.95


def test_text_starts_at_its_place_and_is_about_as_wide_as_promised():
    paper = Paper(300, 40)
    paper.text(20, 10, "validation split", color="red")
    rows, columns = np.nonzero((pixels(paper) != 255).any(axis=-1))
    assert 19 <= columns.min() <= 23
    assert 9 <= rows.min() <= 14
    assert columns.max() - columns.min() <= 1.1 * text_width("validation split")
