"""DistillLab in a real browser: the temperature moves while three students learn."""

from __future__ import annotations

import nbformat
import pytest
from browser_harness import open_notebook, run_all, screenshot

pytestmark = pytest.mark.browser

SETUP = """
from lwlab import data
from lwlab.labs.distill import DistillLab
from lwlab.models import SimpleCNN
from lwlab.train import fit
digits = data.load("digits")
teacher = SimpleCNN(digits.input_shape, width=16, hidden=64)
for _ in fit(teacher, digits, epochs=10):
    pass
student = SimpleCNN(digits.input_shape, width=4, hidden=16)
"""
PYTHON = {"name": "python3", "display_name": "Python 3", "language": "python"}
LIVE = ".lwlab-distill-lab .lwlab-live"


@pytest.fixture
def page(browser, server, request):
    epochs = request.param
    lab = f"lab = DistillLab(teacher, student, digits, epochs={epochs})\nlab"
    cells = [nbformat.v4.new_code_cell(text) for text in (SETUP, lab)]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": PYTHON})
    nbformat.write(notebook, server.folder / f"lab_distill_{epochs}.ipynb")
    opened = open_notebook(browser, server, f"lab_distill_{epochs}.ipynb")
    run_all(opened)
    opened.wait_for_selector(f"{LIVE}[data-status='fresh'][data-drawn]")
    yield opened
    opened.close()


def press(page, name):
    page.locator(".lwlab-distill-lab button", has_text=name).click()


def says(page, text):
    """Wait until the lab shows a text."""
    page.wait_for_function(
        "([selector, text]) => document.querySelector(selector).innerText.includes(text)",
        arg=[LIVE, text],
    )


def figures(page):
    return page.evaluate(
        """selector => [...document.querySelectorAll(`${selector} .lwlab-cell`)].map(
            cell => JSON.stringify(cell.data))""",
        LIVE,
    )


def drawings(page, move):
    """Return how often each figure is drawn while ``move()`` is answered."""
    page.evaluate(
        """selector => {
            const cells = [...document.querySelectorAll(`${selector} .lwlab-cell`)];
            window.__drawings = cells.map(() => 0);
            cells.forEach((cell, i) => cell.on('plotly_afterplot', () => window.__drawings[i]++));
        }""",
        LIVE,
    )
    move()
    page.wait_for_timeout(800)
    return page.evaluate("() => window.__drawings")


@pytest.mark.parametrize("page", [10], indirect=True)
def test_three_students_learn_at_once_and_their_seed_joins_the_table(page, artifacts):
    assert len(figures(page)) == 2
    image = page.locator(f"{LIVE} img").get_attribute("src")
    press(page, "Next")
    page.wait_for_function(
        "([s, src]) => document.querySelector(s).src !== src", arg=[f"{LIVE} img", image]
    )
    press(page, "Start")
    says(page, "seed 0, finished")
    says(page, "one seed")  # the students are measured after that
    assert len(figures(page)) == 4
    table = page.locator(f"{LIVE} .lwlab-details").inner_text()
    assert all(name in table for name in ("alone", "distilled", "label smoothing", "one seed"))
    assert page.locator(".lwlab-distill-lab input[type=number]").nth(1).input_value() == "1"
    page.wait_for_timeout(300)
    page.locator(".lwlab-distill-lab .noUi-handle").first.focus()
    drawn = drawings(page, lambda: page.keyboard.press("ArrowRight"))
    assert [count > 0 for count in drawn] == [True, True, False, False]  # the students' stay
    screenshot(page, ".lwlab-distill-lab", artifacts / "distill_lab.png")
    drawn = drawings(page, lambda: page.set_viewport_size({"width": 700, "height": 1000}))
    assert all(drawn)  # in the new width
    overflow = page.evaluate(
        "s => { const e = document.querySelector(s); return e.scrollWidth - e.clientWidth; }",
        ".lwlab-distill-lab",
    )
    assert overflow <= 0
    screenshot(page, ".lwlab-distill-lab", artifacts / "distill_lab_700.png")


@pytest.mark.parametrize("page", [5000], indirect=True)
def test_the_temperature_moves_in_training_and_pause_and_stop_answer(page):
    press(page, "Start")
    # A busy machine may show no picture of just the second epoch.
    page.wait_for_function(
        "s => /epoch (?!1 )\\d+ of 5000/.test(document.querySelector(s).innerText)", arg=LIVE
    )
    before = figures(page)
    page.locator(".lwlab-distill-lab .noUi-handle").first.focus()
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    says(page, "at T = 8 of image")
    after = figures(page)
    assert after[0] != before[0]
    assert after[1] != before[1]
    headline = page.locator(f"{LIVE} .lwlab-headline").inner_text()
    assert "running; kl at T = 4" in headline  # the students' own temperature stays
    press(page, "Pause")
    says(page, "paused; kl")
    press(page, "Go on")
    says(page, "running; kl")
    press(page, "Stop")
    says(page, "stopped; kl")
