import re
import sys
from pathlib import Path

import pytest

from lwlab.cli import find_chromium


def make_program(path):
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_variable_comes_before_the_path(tmp_path, monkeypatch):
    make_program(tmp_path / "chromium")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LWLAB_CHROMIUM", sys.executable)
    assert find_chromium() == Path(sys.executable)


@pytest.mark.parametrize("name", ["chromium", "chromium-browser", "google-chrome"])
def test_the_usual_names_are_found_on_the_path(tmp_path, monkeypatch, name):
    monkeypatch.delenv("LWLAB_CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_chromium() is None
    assert find_chromium() != make_program(tmp_path / name) == find_chromium()


def test_a_variable_that_names_no_program_is_one_sentence(tmp_path, monkeypatch):
    make_program(tmp_path / "chromium")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LWLAB_CHROMIUM", "/no/such/browser")
    sentence = (
        "LWLAB_CHROMIUM must name a Chromium program, got '/no/such/browser'. "
        "Correct it, or unset it to search the PATH."
    )
    with pytest.raises(FileNotFoundError, match=f"^{re.escape(sentence)}$"):
        find_chromium()
