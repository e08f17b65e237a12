"""One JupyterLab on a copy of the lessons and one Chromium for all browser tests."""

from __future__ import annotations

import shutil

import pytest
from browser_harness import chromium, jupyter_server


@pytest.fixture(scope="session")
def server(project, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lessons")
    for lesson in (project / "notebooks").glob("*.ipynb"):
        shutil.copy(lesson, folder)
    shutil.copytree(project / "notebooks" / "results", folder / "results")
    with jupyter_server(folder) as running:
        yield running


@pytest.fixture(scope="session")
def browser():
    with chromium() as running:
        yield running
