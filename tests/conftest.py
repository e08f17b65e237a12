"""What every test may ask for: the data folder, a Chromium, a place for screenshots."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from lwlab.cli import find_chromium

PROJECT = Path(__file__).parents[1]

# No deadline: no test asserts a time. In CI the same examples each run, so that red means a change.
hypothesis.settings.register_profile(
    "lwlab", deadline=None, derandomize=os.environ.get("CI", "").lower() in ("1", "true")
)
hypothesis.settings.load_profile("lwlab")


@pytest.fixture(scope="session", autouse=True)
def _no_journal_of_the_user() -> Iterator[None]:
    """Keep the tries of tests, and of the kernels they start, out of the user's own journal."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LWLAB_JOURNAL", "off")
        yield


@pytest.fixture(scope="session")
def project() -> Path:
    """The root of the checkout."""
    return PROJECT


@pytest.fixture(scope="session")
def lwlab_data() -> Path:
    """The folder with the original files of MNIST and others; a skip where there is none."""
    folder = Path(os.environ.get("LWLAB_DATA") or PROJECT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"No folder with data sets at {folder}: set LWLAB_DATA.")
    return folder.resolve()


@pytest.fixture(scope="session")
def artifacts() -> Path:
    """A folder for screenshots that are looked at after the run."""
    folder = Path(os.environ.get("LWLAB_ARTIFACTS") or PROJECT / "artifacts")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip browser tests without a browser, all with one reason: one line at the end. Or fail."""
    if item.get_closest_marker("browser") is None:
        return
    reason = _why_no_browser()
    if reason and os.environ.get("LWLAB_REQUIRE_BROWSER") == "1":
        pytest.fail(f"{reason} LWLAB_REQUIRE_BROWSER=1 makes this a failure.", pytrace=False)
    if reason:
        pytest.skip(f"Browser tests were left out. {reason}")


def _why_no_browser() -> str | None:
    try:
        path = find_chromium()
    except FileNotFoundError as error:
        return str(error)
    return None if path else "No Chromium was found: install one, or name it in LWLAB_CHROMIUM."
