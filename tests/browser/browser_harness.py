"""A real JupyterLab on loopback and a real Chromium in front of it, for tests and benchmarks."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from lwlab.cli import find_chromium

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_QUIET = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}
}


@dataclass(frozen=True)
class Server:
    """A running JupyterLab.

    Attributes:
        url: its address on loopback.
        folder: the folder it serves.
    """

    url: str
    folder: Path


@contextmanager
def jupyter_server(folder: Path, environment: dict[str, str] | None = None) -> Iterator[Server]:
    """Serve ``folder`` with JupyterLab on a free port of loopback, and stop it afterwards."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = Path(tempfile.mkdtemp(prefix="lwlab-jupyter-"))
    settings = home / "config" / "labconfig" / "default_setting_overrides.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps(_QUIET))
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root",
        "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0",
        "--IdentityProvider.token=", "--ServerApp.password=", "--LabApp.expose_app_in_browser=True",
        f"--ServerApp.root_dir={folder}",
    ]  # fmt: skip
    places = {
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTER_PLATFORM_DIRS": "1",
    }
    log = (home / "server.log").open("w")
    process = subprocess.Popen(
        command, env=os.environ | places | (environment or {}), stdout=log, stderr=log
    )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_up(url, process, home / "server.log")
        yield Server(url, folder)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
        log.close()
        shutil.rmtree(home, ignore_errors=True)


def _wait_until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        if process.poll() is not None:
            raise RuntimeError(f"JupyterLab ended at once:\n{log.read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(f"{url}/api", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not answer within a minute:\n{log.read_text()[-2000:]}")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a headless Chromium with an empty profile."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(find_chromium()), args=CHROMIUM_ARGUMENTS
        )
        try:
            yield browser
        finally:
            browser.close()


def open_notebook(browser: Browser, server: Server, path: str, width: int = 1280) -> Page:
    """Open a notebook in JupyterLab's single-document mode and wait until its kernel is idle."""
    page = browser.new_page(viewport={"width": width, "height": 1000})
    page.goto(f"{server.url}/lab/workspaces/auto-{time.time_ns()}/tree/{path}?reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    page.wait_for_function("() => window.jupyterapp !== undefined", timeout=60_000)
    page.evaluate("() => window.jupyterapp.commands.execute('application:set-mode', "
                  "{mode: 'single-document'})")  # fmt: skip
    page.evaluate(
        """async () => {
            const shell = window.jupyterapp.shell;
            for (let i = 0; i < 600; i++) {
                const context = shell.currentWidget?.context?.sessionContext;
                if (context?.session?.kernel?.status === 'idle') return;
                await new Promise(done => setTimeout(done, 100));
            }
            throw new Error('the kernel did not get idle within a minute');
        }"""
    )
    collapse_left_area(page)
    return page


def collapse_left_area(page: Page) -> None:
    """Give the notebook the whole width of the window."""
    page.evaluate(
        "() => { const shell = window.jupyterapp.shell;"
        " if (!shell.leftCollapsed) shell.collapseLeft(); }"
    )


def run_all(page: Page, timeout: float = 120_000) -> None:
    """Run all cells of the notebook in front and wait until every code cell has run.

    Raises:
        AssertionError: a cell raised; the text of its error is in the message.
    """
    page.set_default_timeout(timeout)
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    errors = page.locator('.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.error"]')
    texts = errors.all_inner_texts()
    assert not texts, "\n".join(texts)
    page.wait_for_function(
        """() => window.jupyterapp.shell.currentWidget.content.widgets
            .filter(cell => cell.model.type === 'code')
            .every(cell => cell.model.executionCount)"""
    )


def screenshot(page: Page, selector: str, path: Path) -> None:
    """Scroll to an element of the notebook and take a picture of it."""
    page.locator(selector).first.scroll_into_view_if_needed()
    page.wait_for_timeout(400)
    page.locator(selector).first.screenshot(path=path)
