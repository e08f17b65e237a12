"""A journal of its own for each test."""

from __future__ import annotations

import pytest

from lwlab.journal import Entry, Journal


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.sqlite"


@pytest.fixture
def journal(path):
    return Journal(path)


@pytest.fixture
def make():
    """Make a try, with what matters to the test."""

    def entry(accuracy=0.9, size_bytes=1000, **fields):
        fields = {"source": "test", "params": {"bits": 4}, **fields}
        return Entry(accuracy=accuracy, size_bytes=size_bytes, **fields)

    return entry
