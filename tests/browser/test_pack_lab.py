"""PackLab in a real browser: codings are ticked on and off, and the bars fall and rise."""

from __future__ import annotations

import nbformat
import pytest
from browser_harness import open_notebook, run_all, screenshot

pytestmark = pytest.mark.browser

SETUP = """
from lwlab import data
from lwlab.labs.pack import PackLab
from lwlab.models import SimpleCNN
from lwlab.train import fit
digits = data.load("digits")
model = SimpleCNN(digits.input_shape, width=8, hidden=32)
for _ in fit(model, digits, epochs=8):
    pass
"""
SHOW = "lab = PackLab(model, digits)\nlab"
LAB = ".lwlab-pack-lab"
LIVE = f"{LAB} .lwlab-live"
PYTHON = {"name": "python3", "display_name": "Python 3", "language": "python"}


@pytest.fixture
def page(browser, server, request):
    cells = [nbformat.v4.new_code_cell(text) for text in (SETUP, SHOW)]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": PYTHON})
    nbformat.write(notebook, server.folder / "lab_pack.ipynb")
    opened = open_notebook(browser, server, "lab_pack.ipynb", width=request.param)
    opened.errors = []
    opened.on("pageerror", lambda error: opened.errors.append(str(error)))
    run_all(opened)
    opened.wait_for_selector(f"{LIVE}[data-status='fresh'][data-drawn]")
    yield opened
    assert opened.errors == []
    opened.close()


def shown(page):
    """Return what the lab shows: headline, figures, and how high each part stands."""
    return page.evaluate(
        """selector => {
            const live = document.querySelector(selector);
            const cells = [...live.querySelectorAll('.lwlab-cell')];
            return {
                drawn: live.dataset.drawn,
                headline: live.querySelector('.lwlab-headline').innerText,
                details: live.querySelector('.lwlab-details').innerText,
                figures: cells.map(cell => JSON.stringify(cell.data)),
                heights: cells.map(cell => cell.getBoundingClientRect().height),
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


def press(page, handle, key, times):
    page.locator(f"{LAB} .noUi-handle").nth(handle).focus()
    for _ in range(times):
        page.keyboard.press(key)


def overflow(page):
    return page.evaluate(
        "s => { const e = document.querySelector(s); return e.scrollWidth - e.clientWidth; }", LAB
    )


def moved(page, before, act):
    """Do something, and demand that headline and both figures follow; return what is shown."""
    act()
    after = next_at_rest(page, before["drawn"])
    assert after["headline"] != before["headline"]
    assert all(a != b for a, b in zip(before["figures"], after["figures"], strict=True))
    assert after["heights"] == before["heights"]  # nothing jumps
    return after


@pytest.mark.parametrize("page", [1280, 700], indirect=True)
def test_every_control_moves_the_file(page, artifacts):
    width = page.viewport_size["width"]
    screenshot(page, LAB, artifacts / f"pack_lab_{width}.png")
    now = moved(page, shown(page), lambda: press(page, 0, "ArrowRight", 10))  # sparsity
    now = moved(page, now, lambda: press(page, 1, "ArrowRight", 2))  # 2 bits
    for name in ("range coder", "scales", "bitmask"):
        box = page.locator(f"{LAB} .widget-checkbox label", has_text=name).locator("input")
        before, now = now, moved(page, now, box.uncheck)
        assert before["headline"] != now["headline"]
        now = moved(page, now, box.check)
    page.locator(f"{LAB} .lm-Accordion, {LAB} .jupyter-widget-Collapse-header").first.click()
    page.wait_for_timeout(500)
    now = moved(page, now, page.locator(f"{LAB} button", has_text="global").click)
    menu = page.locator(f"{LAB} select:visible").last
    now = moved(page, now, lambda: menu.select_option("biases in half"))
    page.locator(f"{LAB} button", has_text="Compare containers").click()
    now = next_at_rest(page, now["drawn"])
    assert "torch.save" in now["details"]
    page.locator(f"{LAB} summary", has_text="Every tensor").click()
    assert overflow(page) <= 0
    screenshot(page, LAB, artifacts / f"pack_lab_moved_{width}.png")


@pytest.mark.parametrize("page", [1280], indirect=True)
def test_hovering_over_a_bar_tells_its_bytes(page):
    bar = page.locator(f"{LIVE} .lwlab-cell").first.locator(".barlayer .point path").first
    box = bar.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=5)
    label = page.locator(f"{LIVE} .hoverlayer .hovertext").first
    label.wait_for()
    assert "bytes" in label.text_content()
