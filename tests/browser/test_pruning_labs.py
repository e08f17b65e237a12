"""The labs of pruning in a real browser: clicks, buttons and sliders reach the kernel and back."""

from __future__ import annotations

import nbformat
import pytest
from browser_harness import open_notebook, run_all, screenshot

pytestmark = pytest.mark.browser

SETUP = """
from lwlab import data
from lwlab.labs import ChannelLab, PruneLab, SensitivityLab
from lwlab.models import SimpleCNN
from lwlab.train import fit
digits = data.load("digits")
model = SimpleCNN(digits.input_shape, width=8, hidden=32)
for _ in fit(model, digits, epochs=8):
    pass
"""
PYTHON = {"name": "python3", "display_name": "Python 3", "language": "python"}
LABS = {
    "sensitivity": "SensitivityLab(model, digits)",
    "channel": "ChannelLab(model, digits, pruning_ratio=0.25)",
    "prune": "PruneLab(model, digits, sparsity=0.9)",
}


@pytest.fixture
def page(browser, server, request):
    name = request.param
    cells = [nbformat.v4.new_code_cell(text) for text in (SETUP, LABS[name])]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": PYTHON})
    nbformat.write(notebook, server.folder / f"lab_{name}.ipynb")
    opened = open_notebook(browser, server, f"lab_{name}.ipynb")
    opened.live = f".lwlab-{name}-lab .lwlab-live"
    run_all(opened)
    opened.wait_for_selector(f"{opened.live}[data-status='fresh'][data-drawn]")
    yield opened
    opened.close()


def shown(page):
    """Return what the lab shows: its headline, its bars, the data of its figures."""
    return page.evaluate(
        """selector => {
            const live = document.querySelector(selector);
            return {
                drawn: live.dataset.drawn,
                headline: live.querySelector('.lwlab-headline').innerText,
                details: live.querySelector('.lwlab-details').innerText,
                figures: [...live.querySelectorAll('.lwlab-cell')].map(
                    cell => JSON.stringify(cell.data)),
            };
        }""",
        page.live,
    )


def next_at_rest(page, drawn):
    """Wait for a newer drawing than ``drawn``, whole and marked as fresh."""
    page.wait_for_function(
        """([selector, drawn]) => {
            const live = document.querySelector(selector);
            return live.dataset.status === 'fresh' && live.dataset.drawn !== drawn;
        }""",
        arg=[page.live, drawn],
    )
    page.wait_for_timeout(300)
    return shown(page)


@pytest.mark.parametrize("page", ["sensitivity"], indirect=True)
def test_a_click_on_the_heatmap_prunes_that_layer(page, artifacts):
    page.wait_for_function("() => document.body.innerText.includes('Scan complete')")
    before = shown(page)
    plot = page.locator(f"{page.live} .lwlab-cell").first.locator(".nsewdrag")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    row, column = 2, 7  # the third of four layers, at 85 % of eleven columns
    page.mouse.click(
        box["x"] + (column + 0.5) / 11 * box["width"], box["y"] + (row + 0.5) / 4 * box["height"]
    )
    after = next_at_rest(page, before["drawn"])
    assert "85.0 % of" in after["details"]
    assert after["headline"] != before["headline"]
    screenshot(page, page.live, artifacts / "sensitivity_lab.png")


@pytest.mark.parametrize("page", ["channel"], indirect=True)
def test_the_ratio_moves_groups_costs_and_accuracy(page, artifacts):
    before = shown(page)
    page.locator(".lwlab-channel-lab .noUi-handle").first.focus()
    for _ in range(25):
        page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "s => document.querySelector(s).querySelector('.lwlab-headline').innerText.includes('28')",
        arg=page.live,
    )
    after = next_at_rest(page, before["drawn"])
    assert "28 of 56" in after["headline"]  # half of 8, 16 and 32 channels
    assert after["details"] != before["details"]
    changed = [a != b for a, b in zip(before["figures"], after["figures"], strict=True)]
    assert changed == [True, True]
    screenshot(page, page.live, artifacts / "channel_lab.png")


@pytest.mark.parametrize("page", ["prune"], indirect=True)
def test_fine_tuning_runs_live_and_a_slider_drops_it(page, artifacts):
    before = shown(page)
    page.get_by_role("button", name="Fine-tune").click()
    page.wait_for_function(
        "s => document.querySelector(s).innerText.includes('finished after')", arg=page.live
    )
    tuned = next_at_rest(page, before["drawn"])
    assert tuned["figures"][0] != before["figures"][0]
    screenshot(page, ".lwlab-prune-lab", artifacts / "prune_lab_tuned.png")
    page.locator(".lwlab-prune-lab .noUi-handle").first.focus()
    page.keyboard.press("ArrowLeft")
    moved = next_at_rest(page, tuned["drawn"])
    assert "none at this cut" in moved["headline"]
