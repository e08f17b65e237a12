"""PipelineLab in a real browser: blocks are dragged and moved by keys, run, and brought back."""

from __future__ import annotations

import nbformat
import pytest
from browser_harness import open_notebook, run_all, screenshot

pytestmark = pytest.mark.browser

SETUP = """
from lwlab import data
from lwlab.labs.pipeline import PipelineLab
from lwlab.models import SimpleCNN
from lwlab.pipeline import FineTune, Pack, Prune, Quantize
from lwlab.train import fit
digits = data.load("digits")
model = SimpleCNN(digits.input_shape, width=8, hidden=32)
for _ in fit(model, digits, epochs=8):
    pass
"""
SHOW = """
lab = PipelineLab(model, digits, steps=[Prune(0.7), FineTune({epochs}), Quantize(4), Pack()])
lab
"""
LAB = ".lwlab-pipeline-lab"
LIVE = f"{LAB} .lwlab-live"
STEPS = f"{LAB} .lwlab-steps"
PYTHON = {"name": "python3", "display_name": "Python 3", "language": "python"}


@pytest.fixture
def page(browser, server, request):
    width, epochs = request.param
    cells = [nbformat.v4.new_code_cell(text) for text in (SETUP, SHOW.format(epochs=epochs))]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": PYTHON})
    nbformat.write(notebook, server.folder / f"lab_pipeline_{epochs}.ipynb")
    opened = open_notebook(browser, server, f"lab_pipeline_{epochs}.ipynb", width=width)
    opened.errors = []
    opened.on("pageerror", lambda error: opened.errors.append(str(error)))
    run_all(opened)
    opened.wait_for_selector(f"{LIVE}[data-status='fresh'][data-drawn]")
    opened.locator(STEPS).scroll_into_view_if_needed()
    yield opened
    assert opened.errors == []
    opened.close()


def names(page):
    return [text.split()[1] for text in page.locator(f"{STEPS} .lwlab-step b").all_inner_texts()]


def shows(page, *wanted):
    """Wait until the blocks stand in an order that the kernel knows too."""
    page.wait_for_function(
        """([selector, wanted]) => {
            const blocks = [...document.querySelectorAll(`${selector} .lwlab-step`)];
            return blocks.length === wanted.length && blocks.every((block, i) =>
                block.querySelector('b').textContent.endsWith(` ${wanted[i]}`)
                && block.querySelector('.lwlab-step-text').textContent !== '');
        }""",
        arg=[STEPS, list(wanted)],
    )


def says(page, text, place=LIVE):
    """Wait until the lab shows a text."""
    page.wait_for_function(
        "([selector, text]) => document.querySelector(selector).innerText.includes(text)",
        arg=[place, text],
    )


def block(page, number):
    return page.locator(f"{STEPS} .lwlab-step").nth(number - 1)


def button(page, name):
    return page.locator(f"{LAB} button.jupyter-button", has_text=name)


def overflow(page):
    return page.evaluate(
        "s => { const e = document.querySelector(s); return e.scrollWidth - e.clientWidth; }", LAB
    )


@pytest.mark.parametrize("page", [(1280, 1)], indirect=True)
def test_blocks_are_dragged_into_an_order(page, artifacts):
    box = block(page, 1).bounding_box()
    block(page, 3).drag_to(block(page, 1), target_position={"x": 4, "y": box["height"] / 2})
    shows(page, "Quantize", "Prune", "FineTune", "Pack")
    says(page, "got Prune (step 2) after Quantize (step 1)", f"{STEPS} .lwlab-steps-message")
    assert "lwlab-step-bad" in block(page, 2).get_attribute("class")
    assert button(page, "Run").is_disabled()
    screenshot(page, LAB, artifacts / "pipeline_lab_senseless.png")
    width = block(page, 3).bounding_box()["width"]
    block(page, 1).drag_to(block(page, 3), target_position={"x": width - 4, "y": 10})
    shows(page, "Prune", "FineTune", "Quantize", "Pack")
    page.wait_for_function(
        "s => document.querySelector(s).textContent === ''", arg=f"{STEPS} .lwlab-steps-message"
    )
    assert button(page, "Run").is_enabled()


@pytest.mark.parametrize("page", [(700, 1)], indirect=True)
def test_the_keyboard_moves_adds_and_takes_away(page, artifacts):
    block(page, 3).focus()
    page.keyboard.press("ArrowLeft")
    shows(page, "Prune", "Quantize", "FineTune", "Pack")
    says(page, "TrainQuantized", f"{STEPS} .lwlab-steps-message")
    page.keyboard.press("ArrowRight")  # the block that was moved has the focus still
    shows(page, "Prune", "FineTune", "Quantize", "Pack")
    page.locator(f"{STEPS} .lwlab-steps-add select").select_option("Halve")
    shows(page, "Prune", "FineTune", "Quantize", "Halve", "Pack")
    says(page, "the biases", f"{STEPS} .lwlab-steps-row")
    page.locator(f"{STEPS} .lwlab-steps-form select").select_option("all")
    says(page, "all numbers still in float", f"{STEPS} .lwlab-steps-row")
    assert overflow(page) <= 0
    screenshot(page, LAB, artifacts / "pipeline_lab_700.png")
    block(page, 4).focus()
    page.keyboard.press("Delete")
    shows(page, "Prune", "FineTune", "Quantize", "Pack")
    block(page, 2).get_by_label("Take FineTune away").click()
    shows(page, "Prune", "Quantize", "Pack")
    block(page, 1).get_by_label("Move Prune to the right").click()
    shows(page, "Quantize", "Prune", "Pack")


@pytest.mark.parametrize("page", [(1280, 2)], indirect=True)
def test_a_run_fills_bars_and_front_and_a_click_brings_a_try_back(page, artifacts):
    screenshot(page, LAB, artifacts / "pipeline_lab_1280.png")
    button(page, "Run").click()
    says(page, "4 of 4 steps, seed 0, finished")
    page.wait_for_selector(f"{LIVE}[data-status='fresh']")
    block(page, 1).click()
    field = page.locator(f"{STEPS} .lwlab-steps-form input[type=number]").first
    field.fill("0.9")
    field.press("Enter")
    says(page, "Prune 90.0 %", f"{STEPS} .lwlab-steps-row")
    says(page, "the blocks are another pipeline by now")
    button(page, "Run").click()
    says(page, "8 tries with this model")
    says(page, "4 of 4 steps, seed 0, finished")
    page.wait_for_timeout(500)
    screenshot(page, LAB, artifacts / "pipeline_lab_run.png")
    # The first try of all: its steps are one, and 70 % again.
    page.evaluate(
        """selector => {
            const cell = document.querySelectorAll(`${selector} .lwlab-cell`)[1];
            const tries = cell.data.find(trace => trace.name === 'tries');
            cell.emit('plotly_click', {points: [
                {x: tries.x[0], y: tries.y[0], customdata: tries.customdata[0]}]});
        }""",
        LIVE,
    )
    shows(page, "Prune")
    says(page, "its steps are in the blocks")
    says(page, "Prune 70.0 %", f"{STEPS} .lwlab-steps-row")
    page.locator(f"{LIVE} .lwlab-code summary").click()
    assert overflow(page) <= 0
    page.wait_for_timeout(300)
    screenshot(page, LAB, artifacts / "pipeline_lab_back.png")
    page.set_viewport_size({"width": 700, "height": 1000})
    page.wait_for_timeout(800)
    assert overflow(page) <= 0
    screenshot(page, LAB, artifacts / "pipeline_lab_run_700.png")


@pytest.mark.parametrize("page", [(1280, 5000)], indirect=True)
def test_blocks_move_while_a_run_is_paused_and_stopped(page, artifacts):
    button(page, "Run").click()
    says(page, "trained", f"{LIVE} .lwlab-grid")
    block(page, 4).focus()
    page.keyboard.press("Delete")
    shows(page, "Prune", "FineTune", "Quantize")
    says(page, "the blocks are another pipeline by now")
    button(page, "Pause").click()
    says(page, "1 of 4 steps, seed 0, paused")
    screenshot(page, LAB, artifacts / "pipeline_lab_paused.png")
    button(page, "Go on").click()
    says(page, "1 of 4 steps, seed 0, running")
    button(page, "Stop").click()
    says(page, "1 of 4 steps, seed 0, stopped")
