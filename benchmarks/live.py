"""How live the labs are: key to redrawn and re-scored figure, in a real Chromium.

    python benchmarks/live.py [--moves 50] [--data ../shared/data] [--only prune channels ...]

Everything is measured in one run on one page and reported beside the floor of that page: the way of
an IntSlider's key press to a Label that shows its value, which computes and draws nothing.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import nbformat
from playwright.sync_api import Browser, Page

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "browser"))
from browser_harness import Server, chromium, jupyter_server, open_notebook, run_all

FLOOR = """
import ipywidgets as widgets
slider, label = widgets.IntSlider(50, 0, 1000), widgets.Label("50")
slider.observe(lambda change: setattr(label, "value", str(change["new"])), names="value")
label.add_class("floor-label"); slider.add_class("floor-slider")
widgets.VBox([slider, label])
"""
LAB = """
from lwlab import data
from lwlab.labs import PruneLab
from lwlab.models import SimpleCNN
from lwlab.train import fit
dataset = data.load("{name}")
model = SimpleCNN(dataset.input_shape, dataset.num_classes)
for record in fit(model, dataset, epochs={epochs}, steps_per_record=20):
    if record.step >= 100: break
lab = PruneLab(model, dataset, sparsity=0.3)
lab.add_class("bench-lab")
lab
"""
QUANTIZE = """
from lwlab import data
from lwlab.labs.quantize import QuantizeLab
from lwlab.models import SimpleCNN
from lwlab.train import fit
dataset = data.load("digits")
model = SimpleCNN(dataset.input_shape, dataset.num_classes)
for record in fit(model, dataset, epochs=10, steps_per_record=20):
    if record.step >= 100: break
lab = QuantizeLab(model, dataset, num_bits=4, rule="{rule}")
lab.add_class("bench-lab")
if {forgetful}:
    lab.live.observe(lambda _: lab._bench.quantizers.forget(), names="content")
lab
"""
CHANNELS = """
from lwlab import data
from lwlab.labs import ChannelLab
from lwlab.models import {network}
from lwlab.train import fit
dataset = data.load("digits")
model = {network}(dataset.input_shape, dataset.num_classes)
for record in fit(model, dataset, epochs=3): pass
lab = ChannelLab(model, dataset, pruning_ratio=0.3)
lab.add_class("bench-lab")
lab
"""
DISTILL = """
from lwlab import data
from lwlab.labs.distill import DistillLab
from lwlab.models import SimpleCNN
from lwlab.train import fit
dataset = data.load("digits")
teacher = SimpleCNN(dataset.input_shape, dataset.num_classes, width=16, hidden=64)
for _ in fit(teacher, dataset, epochs=10): pass
student = SimpleCNN(dataset.input_shape, dataset.num_classes, width={width}, hidden={hidden})
lab = DistillLab(teacher, student, dataset, epochs={epochs})
lab.add_class("bench-lab")
lab
"""
PACK = """
from lwlab import data
from lwlab.labs.pack import PackLab
from lwlab.models import SimpleCNN
from lwlab.train import fit
dataset = data.load("digits")
model = SimpleCNN(dataset.input_shape, dataset.num_classes)
for record in fit(model, dataset, epochs=10, steps_per_record=20):
    if record.step >= 100: break
lab = PackLab(model, dataset, sparsity=0.5)
lab.add_class("bench-lab")
if {forgetful}:
    lab.live.observe(lambda _: lab._bench.forget(), names="content")
lab
"""
EIGHT_SETUP = """
import numpy, torch
from IPython.display import display
from lwlab import plots
from lwlab.labs import LivePlot
"""
EIGHT = """
for n in range(8):
    display(LivePlot(plots.weight_histogram(torch.randn(100_000), threshold=0.1 * n), columns=1))
"""

# Keydown to the moment the watched element has changed, in the page's own clock.
ARM = """([selector, attribute]) => {
    const node = document.querySelector(selector);
    window.__moved = new Promise(resolve => {
        let pressed = null;
        const key = () => { pressed ??= performance.now(); };
        document.addEventListener('keydown', key, {capture: true, once: true});
        const watch = new MutationObserver(() => {
            if (pressed === null) return;
            watch.disconnect();
            resolve(performance.now() - pressed);
        });
        watch.observe(node, attribute
            ? {attributes: true, attributeFilter: [attribute]}
            : {childList: true, characterData: true, subtree: true});
    });
}"""


def notebook(folder: Path, name: str, *cells: str) -> str:
    """Write a notebook of code cells and return its file name."""
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell.strip()) for cell in cells])
    nb.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    (folder / name).write_text(nbformat.writes(nb))
    return name


def percentiles(times: list[float]) -> tuple[float, float]:
    """Return p50 and p95."""
    ordered = sorted(times)
    return statistics.median(ordered), ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]


def timed_moves(page: Page, handle: str, watched: str, attribute: str | None, moves: int):
    """Press an arrow key ``moves`` times, each after the last was answered; return milliseconds."""
    page.locator(handle).first.focus()
    times = []
    for move in range(moves + 3):
        page.evaluate(ARM, [watched, attribute])
        page.keyboard.press("ArrowLeft" if move % 2 else "ArrowRight")
        elapsed = page.evaluate("() => window.__moved")
        page.wait_for_timeout(120)
        if move >= 3:  # the first ones warm up
            times.append(elapsed)
    return times


def wait_at_rest(page: Page) -> None:
    """Wait until the lab shows a whole, fresh result."""
    page.wait_for_selector('.bench-lab .lwlab-live[data-status="fresh"][data-drawn]')


def burst(page: Page, handle: str, presses: int = 60) -> tuple[float, str]:
    """Press a key many times at once; return ms from the last press to the last drawing."""
    page.locator(handle).first.focus()
    page.evaluate(
        """() => {
            window.__last = 0; window.__drawn = 0;
            const pressed = () => { window.__last = performance.now(); };
            document.addEventListener('keydown', pressed, true);
            new MutationObserver(() => { window.__drawn = performance.now(); }).observe(
                document.querySelector('.bench-lab .lwlab-live'),
                {attributes: true, attributeFilter: ['data-drawn']});
        }"""
    )
    for _ in range(presses):
        page.keyboard.press("ArrowRight")
    page.wait_for_timeout(1500)
    readout = page.locator(".bench-lab .widget-readout").first.inner_text()
    return page.evaluate("() => window.__drawn - window.__last"), readout


def bench_beside_floor(page: Page, name: str, moves: int, rounds: int, wanted: int) -> None:
    """Floor of a page and the first slider of its lab, in turn."""
    for attempt in range(rounds):
        floor = percentiles(
            timed_moves(page, ".floor-slider .noUi-handle", ".floor-label", None, moves)
        )
        lab = percentiles(
            timed_moves(
                page, ".bench-lab .noUi-handle", ".bench-lab .lwlab-live", "data-drawn", moves
            )
        )
        print(f"round {attempt + 1}, {moves} moves, p50 / p95 in ms")
        print(f"  {'floor':12s} {floor[0]:6.1f} / {floor[1]:6.1f}")
        print(f"  {name:12s} {lab[0]:6.1f} / {lab[1]:6.1f}")
        ratios = lab[0] / floor[0], lab[1] / floor[1]
        print(
            f"  {'ratio':12s} {ratios[0]:6.2f} / {ratios[1]:6.2f}"
            f"  (wanted at most {wanted} / {wanted})"
        )


def bench_prune(page: Page, moves: int) -> None:
    """Floor and PruneLab on digits, on one page."""
    bench_beside_floor(page, "PruneLab", moves, rounds=3, wanted=4)
    after, readout = burst(page, ".bench-lab .noUi-handle")
    shown = page.locator(".bench-lab .lwlab-headline").inner_text().replace("\n", " ")
    print(f"  60 quick moves: the last at {readout}, drawn {after:.0f} ms after it (wanted 150)")
    print(f"    on screen: {shown[:160]}")


def bench_channels(page: Page, network: str, moves: int) -> None:
    """A move of ChannelLab's ratio to the figure of the smaller network, scored and timed."""
    handle, watched = ".bench-lab .noUi-handle", ".bench-lab .lwlab-live"
    p50, p95 = percentiles(timed_moves(page, handle, watched, "data-drawn", moves))
    print(f"ChannelLab, {network} on digits, {moves} moves, p50 / p95 in ms")
    print(f"  {p50:6.1f} / {p95:6.1f}  (wanted at p95: 500)")


def bench_fashion(page: Page, moves: int) -> None:
    """First estimate, and the whole validation split at rest, on Fashion-MNIST."""
    firsts, wholes = [], []
    handle = page.locator(".bench-lab .noUi-handle").first
    for move in range(moves):
        wait_at_rest(page)
        handle.focus()
        page.evaluate(ARM, [".bench-lab .lwlab-live", "data-drawn"])
        page.evaluate(
            """() => { window.__rest = new Promise(resolve => {
                const live = document.querySelector('.bench-lab .lwlab-live');
                let pressed = null, estimated = false;
                document.addEventListener('keydown', () => { pressed ??= performance.now(); },
                                          {capture: true, once: true});
                const watch = new MutationObserver(() => {
                    if (live.dataset.status === 'estimate') estimated = true;
                    if (pressed === null || !estimated || live.dataset.status !== 'fresh') return;
                    watch.disconnect();
                    resolve(performance.now() - pressed);
                });
                watch.observe(live, {attributes: true});
            }); }"""
        )
        page.keyboard.press("ArrowLeft" if move % 2 else "ArrowRight")
        firsts.append(page.evaluate("() => window.__moved"))
        wholes.append(page.evaluate("() => window.__rest"))
    print(f"fashion_mnist, 5,000 validation images, {moves} moves, p50 / p95 in ms")
    for label, times, wanted in (("first estimate", firsts, 250), ("whole split", wholes, 1000)):
        p50, p95 = percentiles(times)
        print(f"  {label:15s} {p50:6.0f} / {p95:6.0f}  (wanted {wanted})")


def bench_eight(browser, server: Server) -> None:
    """Bytes and seconds for a page with eight plots."""
    page = open_notebook(browser, server, "eight.ipynb")
    received = []
    page.on("websocket", lambda ws: ws.on("framereceived", lambda data: received.append(len(data))))
    page.reload()  # so that the counter sees the kernel's socket from the start
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    page.wait_for_timeout(4000)
    commands = "window.jupyterapp.commands.execute"
    page.evaluate(f"() => {commands}('notebook:move-cursor-up')")
    page.evaluate(f"() => {commands}('notebook:run-cell-and-select-next')")
    before, started = sum(received), time.perf_counter()
    page.evaluate(f"() => {commands}('notebook:run-cell')")
    page.wait_for_function(
        "() => document.querySelectorAll('.lwlab-live[data-drawn]').length === 8", timeout=60_000
    )
    elapsed = time.perf_counter() - started
    print(
        f"eight plots: {elapsed:.2f} s to the last one drawn (wanted 3), "
        f"{(sum(received) - before) / 1e6:.2f} MB over the websocket (wanted under 6)"
    )


def opened(browser: Browser, server: Server, name: str) -> Page:
    """Open a notebook with one lab, run it and wait for its first whole result."""
    page = open_notebook(browser, server, name)
    run_all(page)
    wait_at_rest(page)
    return page


def part_prune(browser: Browser, server: Server, moves: int) -> None:
    notebook(server.folder, "digits.ipynb", FLOOR, LAB.format(name="digits", epochs=10))
    with closing(opened(browser, server, "digits.ipynb")) as page:
        bench_prune(page, moves)


def part_quantize(browser: Browser, server: Server, moves: int) -> None:
    """As it is used, where a width that was tried before is remembered; and with all found anew."""
    for rule, forgetful in (("min_max", False), ("min_max", True), ("mean_squared", True)):
        memory = "found anew at each move" if forgetful else "remembered"
        print(f"QuantizeLab on digits, a scale for each channel by {rule}, {memory}")
        name = f"quantize_{rule}_{forgetful}.ipynb"
        notebook(server.folder, name, FLOOR, QUANTIZE.format(rule=rule, forgetful=forgetful))
        with closing(opened(browser, server, name)) as page:
            bench_beside_floor(page, "QuantizeLab", moves, rounds=3, wanted=5)


def part_fashion(browser: Browser, server: Server, moves: int) -> None:
    notebook(server.folder, "fashion.ipynb", LAB.format(name="fashion_mnist", epochs=1))
    with closing(opened(browser, server, "fashion.ipynb")) as page:
        bench_fashion(page, min(20, moves))


def part_channels(browser: Browser, server: Server, moves: int) -> None:
    for network in ("SimpleCNN", "ResNet8"):
        notebook(server.folder, f"{network}.ipynb", CHANNELS.format(network=network))
        with closing(opened(browser, server, f"{network}.ipynb")) as page:
            bench_channels(page, network, moves)


def part_distill(browser: Browser, server: Server, moves: int) -> None:
    """Three students; the temperature before, while and after they learn; Stop."""
    sizes = {"width": 8, "hidden": 32}
    notebook(server.folder, "distill.ipynb", FLOOR, DISTILL.format(epochs=10, **sizes))
    with closing(opened(browser, server, "distill.ipynb")) as page:
        bench_beside_floor(page, "two figures", moves, rounds=1, wanted=4)
        seconds = press(page, "Start", "seed 0, finished") / 1000
        print(f"three students on digits, 10 epochs: {seconds:.1f} s (wanted at most 30)")
        bench_beside_floor(page, "four figures", moves, rounds=3, wanted=4)
    notebook(server.folder, "long.ipynb", FLOOR, DISTILL.format(epochs=2000, **sizes))
    with closing(opened(browser, server, "long.ipynb")) as page:
        press(page, "Start", "epoch 2 of")
        bench_beside_floor(page, "in training", moves, rounds=3, wanted=4)
        print(f"Stop: {press(page, 'Stop', 'stopped'):.0f} ms (wanted at most 300)")


def part_pack(browser: Browser, server: Server, moves: int) -> None:
    """As it is used, where what was tried before is remembered; and with all made anew."""
    for forgetful in (False, True):
        print(f"PackLab on digits, {'made anew at each move' if forgetful else 'remembered'}")
        name = f"pack_{forgetful}.ipynb"
        notebook(server.folder, name, FLOOR, PACK.format(forgetful=forgetful))
        with closing(opened(browser, server, name)) as page:
            bench_beside_floor(page, "PackLab", moves, rounds=3, wanted=5)


def press(page: Page, button: str, awaited: str) -> float:
    """Press a button of the lab; return ms until its headline says what is awaited."""
    return page.evaluate(
        """([button, awaited]) => new Promise(resolve => {
            const headline = document.querySelector('.bench-lab .lwlab-headline');
            const pressed = performance.now();
            const watch = new MutationObserver(() => {
                if (!headline.innerText.includes(awaited)) return;
                watch.disconnect();
                resolve(performance.now() - pressed);
            });
            watch.observe(headline, {childList: true, characterData: true, subtree: true});
            [...document.querySelectorAll('.bench-lab button')]
                .find(one => one.innerText.trim() === button).click();
        })""",
        [button, awaited],
    )


def part_eight(browser: Browser, server: Server, moves: int) -> None:
    del moves
    notebook(server.folder, "eight.ipynb", EIGHT_SETUP, EIGHT)
    bench_eight(browser, server)


PARTS = {
    "prune": part_prune,
    "quantize": part_quantize,
    "fashion": part_fashion,
    "channels": part_channels,
    "distill": part_distill,
    "pack": part_pack,
    "eight": part_eight,
}


def main() -> None:
    """Run the parts that are asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moves", type=int, default=50)
    parser.add_argument("--data", default=os.environ.get("LWLAB_DATA", "../shared/data"))
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="lwlab-live-"))
    # The tries of a benchmark are none of the user's.
    environment = {"LWLAB_DATA": str(Path(options.data).resolve()), "LWLAB_JOURNAL": "off"}
    with jupyter_server(folder, environment) as server, chromium() as browser:
        for name in options.only:
            PARTS[name](browser, server, options.moves)


if __name__ == "__main__":
    main()
