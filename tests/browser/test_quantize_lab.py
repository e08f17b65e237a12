"""QuantizeLab in a real browser: a slider, a line that is dragged, and numbers that are typed."""

from __future__ import annotations

import nbformat
import pytest
from browser_harness import open_notebook, run_all, screenshot

pytestmark = pytest.mark.browser

SETUP = """
from lwlab import data
from lwlab.labs.quantize import QuantizeLab
from lwlab.models import SimpleCNN
from lwlab.train import fit
digits = data.load("digits")
model = SimpleCNN(digits.input_shape, width=8, hidden=32)
for _ in fit(model, digits, epochs=8):
    pass
"""
SHOW = """
lab = QuantizeLab(model, digits, num_bits=4, granularity="tensor", layer="fc1")
lab
"""
LIVE = ".lwlab-quantize-lab .lwlab-live"
PYTHON = {"name": "python3", "display_name": "Python 3", "language": "python"}


@pytest.fixture
def page(browser, server, request):
    cells = [nbformat.v4.new_code_cell(text) for text in (SETUP, SHOW)]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": PYTHON})
    nbformat.write(notebook, server.folder / "lab_quantize.ipynb")
    opened = open_notebook(browser, server, "lab_quantize.ipynb", width=request.param)
    opened.errors = []
    opened.on("pageerror", lambda error: opened.errors.append(str(error)))
    run_all(opened)
    opened.wait_for_selector(f"{LIVE}[data-status='fresh'][data-drawn]")
    yield opened
    assert opened.errors == []
    opened.close()


def shown(page):
    """Return what the lab shows: headline, bars, the lines of the histogram."""
    return page.evaluate(
        """selector => {
            const live = document.querySelector(selector);
            const [histogram] = live.querySelectorAll('.lwlab-cell');
            return {
                drawn: live.dataset.drawn,
                headline: live.querySelector('.lwlab-headline').innerText,
                details: live.querySelector('.lwlab-details').innerText,
                lines: histogram.layout.shapes.map(shape => shape.x0),
                slant: histogram.layout.shapes.map(shape => shape.x1 - shape.x0),
                figures: [...live.querySelectorAll('.lwlab-cell')].map(
                    cell => JSON.stringify(cell.data)),
            };
        }""",
        LIVE,
    )


def next_at_rest(page, drawn):
    """Wait for a newer drawing than ``drawn``, whole and marked as fresh."""
    page.wait_for_function(
        """([selector, drawn]) => {
            const live = document.querySelector(selector);
            return live.dataset.status === 'fresh' && live.dataset.drawn !== drawn;
        }""",
        arg=[LIVE, drawn],
    )
    page.wait_for_timeout(300)
    return shown(page)


def drag_line(page, line, share):
    """Drag a line of the histogram by a share of the plot's width, a little up as hands do."""
    cell = page.locator(f"{LIVE} .lwlab-cell").first
    cell.scroll_into_view_if_needed()
    width = cell.locator(".nsewdrag").first.bounding_box()["width"]
    # Each line is two paths: the one that is seen, and a wider one that is grasped.
    box = cell.locator(".shapelayer path").nth(2 * line + 1).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for step in range(1, 6):
        page.mouse.move(x + step / 5 * share * width, y - step)
    page.mouse.up()


@pytest.mark.parametrize("page", [1280, 700], indirect=True)
def test_a_line_is_dragged_and_the_layer_has_its_range_by_hand(page, artifacts):
    before = shown(page)
    drag_line(page, 1, -0.2)
    after = next_at_rest(page, before["drawn"])
    assert 0 < after["lines"][1] < 0.7 * before["lines"][1]
    assert after["lines"][0] == pytest.approx(-after["lines"][1])  # symmetric: both move
    assert after["slant"] == [0, 0]
    assert "which you can drag" in after["headline"]
    assert after["details"] != before["details"]
    assert all(a != b for a, b in zip(before["figures"], after["figures"], strict=True))
    screenshot(page, ".lwlab-quantize-lab", artifacts / "quantize_lab_dragged.png")
    # Beyond the outermost weight a line goes back to it, and is drawn there.
    drag_line(page, 1, 0.45)
    back = next_at_rest(page, after["drawn"])
    assert back["lines"] == pytest.approx(before["lines"])


@pytest.mark.parametrize("page", [1280], indirect=True)
def test_a_number_that_is_typed_does_what_a_drag_does(page):
    before = shown(page)
    page.locator(".lwlab-quantize-lab select:visible").first.select_option("by hand")
    rest = next_at_rest(page, before["drawn"])
    assert rest["lines"] == pytest.approx(before["lines"])
    field = page.locator(".lwlab-quantize-lab input[type=number]:visible").nth(1)
    field.fill("0.1")
    field.press("Enter")
    page.wait_for_function(
        "s => document.querySelector(s).innerText.includes('from -0.')", arg=LIVE
    )
    typed = next_at_rest(page, rest["drawn"])
    assert "% of fc1 clipped" in typed["headline"]


@pytest.mark.parametrize("page", [1280], indirect=True)
def test_the_keyboard_moves_the_bits_and_a_layer_has_its_own(page, artifacts):
    before = shown(page)
    page.locator(".lwlab-quantize-lab .noUi-handle").first.focus()
    page.keyboard.press("ArrowLeft")
    moved = next_at_rest(page, before["drawn"])
    assert "3 bits" in moved["details"]
    page.get_by_text("Layer by layer").first.click()
    page.get_by_role("button", name="Measure sensitivity").click()
    page.wait_for_function(
        "() => document.querySelectorAll('.lwlab-quantize-lab [title^=\"8 bits\"]').length === 4"
    )
    page.wait_for_selector(f"{LIVE}[data-status='fresh']")
    measured = shown(page)
    layer = page.locator(".lwlab-quantize-lab .noUi-handle").nth(-1)
    layer.focus()
    page.keyboard.press("ArrowLeft")  # from float to 8 bits
    chosen = next_at_rest(page, measured["drawn"])
    assert chosen["details"].count("float, no noise") == 3
    assert "8 bits" in chosen["details"]
    screenshot(page, ".lwlab-quantize-lab", artifacts / "quantize_lab_desk.png")
