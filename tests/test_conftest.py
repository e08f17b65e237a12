import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
THREE_TESTS = """
import pytest
@pytest.mark.browser
@pytest.mark.parametrize("n", range(3))
def test_in_a_browser(n):
    assert n < 3
def test_elsewhere():
    assert True
"""


@pytest.fixture
def run_suite(tmp_path):
    """Run three browser tests and another one under our conftest, and return exit code and text."""
    shutil.copy(PROJECT / "tests" / "conftest.py", tmp_path)
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    (tmp_path / "test_three.py").write_text(THREE_TESTS)

    def run(**variables):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LWLAB_")}
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "test_three.py", "-p", "no:cacheprovider"],
            cwd=tmp_path,
            env=environment | {"PYTHONPATH": str(PROJECT)} | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    return run


def test_without_a_browser_its_tests_are_skipped_with_one_line(run_suite):
    code, text = run_suite(LWLAB_CHROMIUM="/no/such/browser")
    assert code == 0
    assert "1 passed, 3 skipped" in text
    [line] = [line for line in text.splitlines() if "Browser tests were left out." in line]
    assert line.startswith("SKIPPED [3]")
    assert "got '/no/such/browser'" in line


def test_an_empty_path_is_no_browser_either(run_suite, tmp_path):
    code, text = run_suite(PATH=str(tmp_path))
    assert code == 0
    assert text.count("No Chromium was found: install one, or name it in LWLAB_CHROMIUM.") == 1


def test_a_browser_that_is_required_and_missing_is_a_failure(run_suite):
    code, text = run_suite(LWLAB_CHROMIUM="/no/such/browser", LWLAB_REQUIRE_BROWSER="1")
    assert code == 1
    assert "1 passed, 3 errors" in text
    assert "LWLAB_REQUIRE_BROWSER=1 makes this a failure." in text


def test_with_a_browser_its_tests_run(run_suite):
    code, text = run_suite(LWLAB_CHROMIUM=sys.executable)
    assert code == 0
    assert "4 passed" in text
