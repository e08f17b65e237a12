"""The lessons in a real JupyterLab and a real Chromium: do they run, draw and answer?"""

from __future__ import annotations

import time

import pytest
from browser_harness import open_notebook, run_all, screenshot

pytestmark = pytest.mark.browser

LAB = ".lwlab-prune-lab"
LIVE = f"{LAB} .lwlab-live"


@pytest.fixture
def page(browser, server, request):
    opened = open_notebook(browser, server, f"{request.param}.ipynb")
    messages = []
    opened.on("console", lambda m: messages.append(m.text) if m.type == "error" else None)
    opened.on("pageerror", lambda error: messages.append(str(error)))
    opened.console_errors = messages
    yield opened
    opened.close()


def ours(messages):
    """Return the console's errors that come from lwlab's own code."""
    return [text for text in messages if "lwlab" in text.lower() or "plotly" in text.lower()]


def unlock(page):
    """Skip the prediction that stands before the lab, as a person in a hurry would."""
    for button in page.get_by_role("button", name="Skip", exact=True).all():
        if button.is_enabled():
            button.click()


def state(page):
    """Return what the lab shows at this moment: status, headline, figures."""
    return page.evaluate(
        """selector => {
            const live = document.querySelector(selector);
            const bars = [...live.querySelectorAll('.lwlab-cell')].map(
                cell => JSON.stringify(cell.data?.map(trace => [trace.x, trace.y])));
            return {
                status: live.dataset.status,
                drawn: live.dataset.drawn,
                headline: live.querySelector('.lwlab-headline').innerText,
                details: live.querySelector('.lwlab-details').innerText,
                figures: bars,
            };
        }""",
        LIVE,
    )


def at_rest(page, after):
    """Wait until a newer result than ``after`` is on screen, whole, and return its state."""
    page.wait_for_function(
        """([selector, drawn]) => {
            const live = document.querySelector(selector);
            return live.dataset.status === 'fresh' && live.dataset.drawn !== drawn;
        }""",
        arg=[LIVE, after],
    )
    page.wait_for_timeout(300)
    return state(page)


@pytest.mark.parametrize(
    "page",
    ["00_start_here", "01_measure", "03_prune", "04_channels"],
    indirect=True,
    ids=lambda name: name,
)
def test_run_all_runs_without_an_error_and_draws_every_plot(page, artifacts, request):
    run_all(page)
    unlock(page)
    page.wait_for_function(
        "() => [...document.querySelectorAll('.lwlab-live')].every(live => live.dataset.drawn)"
    )
    assert page.locator('[data-mime-type="application/vnd.jupyter.error"]').count() == 0
    assert page.locator(".lwlab-live .main-svg").count() > 0
    assert ours(page.console_errors) == []
    name = request.node.callspec.params["page"]
    for number in range(page.locator(".lwlab-live").count()):
        if page.locator(".lwlab-live").nth(number).is_visible():
            screenshot(page, f".lwlab-live >> nth={number}", artifacts / f"{name}_{number}.png")


@pytest.mark.parametrize("page", ["00_start_here"], indirect=True)
def test_the_lab_is_locked_until_the_guess_and_then_the_keyboard_moves_all_its_figures(
    page, artifacts
):
    run_all(page)
    page.wait_for_selector(f"{LIVE}[data-status='locked']", state="attached")
    assert page.locator(f"{LAB} .lwlab-grid").is_hidden()
    page.get_by_role("button", name="Lock in").first.click()
    page.wait_for_selector(f"{LIVE}[data-status='fresh']")
    page.wait_for_selector(f"{LAB} .main-svg")
    before = state(page)
    page.locator(f"{LAB} .noUi-handle").first.focus()
    for _ in range(40):
        page.keyboard.press("ArrowRight")
    after = at_rest(page, before["drawn"])
    assert "70.0 %" in after["headline"]  # 50 % and 40 steps of half a percent
    assert after["headline"] != before["headline"]
    assert len(before["figures"]) == 2
    assert after["details"] != before["details"]
    assert "fc1" in after["details"]
    changed = [a != b for a, b in zip(before["figures"], after["figures"], strict=True)]
    assert changed == [True] * 2
    screenshot(page, LAB, artifacts / "prune_lab.png")


@pytest.mark.parametrize("page", ["00_start_here"], indirect=True)
def test_the_test_button_scores_the_test_split(page):
    run_all(page)
    unlock(page)
    before = state(page)
    page.get_by_role("button", name="Score on test").click()
    after = at_rest(page, before["drawn"])
    assert "on test" in after["headline"]
    assert "500" in after["headline"]


@pytest.mark.parametrize("page", ["00_start_here"], indirect=True)
def test_stop_ends_a_training_and_the_sliders_answer_while_it_runs(page, artifacts):
    run_all(page)
    unlock(page)
    lab = page.locator(".lwlab-train-lab").first
    lab.scroll_into_view_if_needed()
    epochs = lab.locator(".noUi-handle").first
    epochs.focus()
    page.keyboard.press("End")  # 50 epochs
    lab.get_by_role("button", name="Start").click()
    page.wait_for_function(
        "() => document.querySelector('.lwlab-train-lab .lwlab-live').dataset.status === 'estimate'"
    )
    before = state(page)
    page.locator(f"{LAB} .noUi-handle").first.focus()
    page.keyboard.press("ArrowRight")
    at_rest(page, before["drawn"])
    assert lab.locator(".lwlab-live").get_attribute("data-status") == "estimate"
    screenshot(page, ".lwlab-train-lab", artifacts / "train_lab.png")
    started = time.monotonic()
    lab.get_by_role("button", name="Stop").click()
    page.wait_for_function(
        "() => document.querySelector('.lwlab-train-lab .lwlab-headline')"
        ".innerText.includes('stopped')"
    )
    print(f"from Stop to stopped: {1000 * (time.monotonic() - started):.0f} ms")
    assert "epoch 50 of" not in lab.locator(".lwlab-headline").inner_text()
