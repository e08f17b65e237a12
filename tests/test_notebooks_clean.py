"""Notebooks are committed stripped, and keep to the form of a lesson."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

PROJECT = Path(__file__).parents[1]
NOTEBOOKS = sorted(
    path
    for path in (PROJECT / "notebooks").rglob("*.ipynb")
    if ".ipynb_checkpoints" not in path.parts
)
CODE_LINES = 12
SYSTEM_CALL = re.compile(r"^\s*(!|%%?(pip|conda|mamba|uv|cd|bash|sh|system|sx)\b)", re.MULTILINE)
# /home/..., C:\..., ~/...; a lone slash or a fraction such as "/ 2" is no path.
ABSOLUTE_PATH = re.compile(r"^(/\w|[A-Za-z]:[\\/]|~/)")
URL = re.compile(r"https?://", re.IGNORECASE)
REMOTE_PICTURE = re.compile(r"!\[[^\]]*\]\(\s*https?://|<img[^>]+src=.?https?://", re.IGNORECASE)


def parsed(source: str) -> ast.Module:
    """Return the tree of a cell, which may have magics and a top-level ``await``."""
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    return compile(TransformerManager().transform_cell(source), "cell", "exec", flags)


def texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def faults_of_code(cell: nbformat.NotebookNode, is_first: bool) -> Iterator[str]:
    if cell.outputs:
        yield "outputs"
    if cell.execution_count is not None:
        yield "an execution count"
    if len(cell.source.splitlines()) > CODE_LINES:
        yield f"{len(cell.source.splitlines())} lines"
    if SYSTEM_CALL.search(cell.source):
        yield "a system call or install"
        return
    tree = parsed(cell.source)
    if not is_first and any(isinstance(n, (ast.Import, ast.ImportFrom)) for n in ast.walk(tree)):
        yield "an import after the first code cell"
    if any(ABSOLUTE_PATH.match(text) for text in texts(tree)):
        yield "an absolute path"
    if any(URL.search(text) for text in texts(tree)):
        yield "a web address in code"


def faults(notebook: nbformat.NotebookNode) -> list[str]:
    """Return one entry for each rule that a notebook breaks, with the number of the cell."""
    found = ["metadata.widgets"] if "widgets" in notebook.metadata else []
    code_seen = 0
    for number, cell in enumerate(notebook.cells):
        kinds: Iterator[str] = iter(())
        if cell.cell_type == "code":
            kinds = faults_of_code(cell, is_first=code_seen == 0)
            code_seen += 1
        elif REMOTE_PICTURE.search(cell.source):
            kinds = iter(["a picture from the web"])
        found += [f"cell {number}: {kind}" for kind in kinds]
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_notebook_is_stripped_and_keeps_the_form(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert faults(notebook) == []


def test_there_are_notebooks_to_check():
    assert len(NOTEBOOKS) >= 6, "three lessons and their solutions"


def notebook_of(*cells, **metadata):
    """Build a notebook whose first code cell imports; strings are code, others are cells."""
    made = [nbformat.v4.new_code_cell(c) if isinstance(c, str) else c for c in cells]
    return nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("import math"), *made], metadata=metadata
    )


def with_output():
    cell = nbformat.v4.new_code_cell("1")
    cell.outputs = [nbformat.v4.new_output("stream", text="1")]
    return cell


def with_count():
    cell = nbformat.v4.new_code_cell("1")
    cell.execution_count = 1
    return cell


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("x = 1\n" * 12, []),
        ("x = 1\n" * 13, ["13 lines"]),
        ("await lab.done()\nx = 3 / 2; y = '/'", []),
        (with_output(), ["outputs"]),
        (with_count(), ["an execution count"]),
        ("def f():\n    import torch", ["an import after the first code cell"]),
        ("%pip install lwlab", ["a system call or install"]),
        ("!pip install lwlab", ["a system call or install"]),
        ("%%bash\nls", ["a system call or install"]),
        ("open('/home/me/x')", ["an absolute path"]),
        (r"open('C:\\data')", ["an absolute path"]),
        ("open('~/x')", ["an absolute path"]),
        ("get('https://example.org/x')", ["a web address in code"]),
        (nbformat.v4.new_markdown_cell("![x](https://x.org/a.png)"), ["a picture from the web"]),
        (nbformat.v4.new_markdown_cell("[Han 2015](https://arxiv.org/abs/1506.02626)"), []),
    ],
)
def test_each_rule_bites(cell, expected):
    assert faults(notebook_of(cell)) == [f"cell 1: {kind}" for kind in expected]


def test_widget_state_is_seen():
    assert faults(notebook_of(widgets={"state": {}})) == ["metadata.widgets"]
