"""The house stays readable: short files, short functions, everything public named and explained."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
FILE_LINES = 250
FUNCTION_LINES = 40
MEDIAN_LINES = 15
FILES = sorted((PROJECT / "lwlab").rglob("*.py"))
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def lines_of(function: Function) -> int:
    """Return the lines of a function from its ``def`` on, without its docstring."""
    total = function.end_lineno - function.lineno + 1
    first = function.body[0]
    has_docstring = ast.get_docstring(function) is not None
    return total - (first.end_lineno - first.lineno + 1 if has_docstring else 0)


def public_definitions(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Yield the public functions and classes of a module, and the public methods of these."""
    for node in tree.body:
        if isinstance(node, (*Function.__args__, ast.ClassDef)) and not node.name.startswith("_"):
            yield node.name, node
            for inner in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(inner, Function) and not inner.name.startswith("_"):
                    yield f"{node.name}.{inner.name}", inner


def exported(tree: ast.Module) -> list[str] | None:
    """Return the module's ``__all__``, or None where it has none."""
    for node in tree.body:
        target = node.target if isinstance(node, ast.AnnAssign) else None
        target = node.targets[0] if isinstance(node, ast.Assign) else target
        if isinstance(target, ast.Name) and target.id == "__all__":
            return ast.literal_eval(node.value)
    return None


def faults(source: str) -> list[str]:
    """Return one sentence for each rule that a module's source breaks."""
    tree = ast.parse(source)
    count = len(source.splitlines())
    found = [f"{count} lines"] if count > FILE_LINES else []
    found += [
        f"{function.name} has {lines_of(function)} lines"
        for function in functions(tree)
        if lines_of(function) > FUNCTION_LINES
    ]
    found += [
        f"{name} has no docstring"
        for name, node in public_definitions(tree)
        if ast.get_docstring(node) is None
    ]
    if exported(tree) is None:
        found.append("no __all__")
    if any(isinstance(n, ast.ImportFrom) and n.names[0].name == "*" for n in ast.walk(tree)):
        found.append("import *")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_module_keeps_to_the_budget(path):
    assert faults(path.read_text()) == []


def test_half_of_all_functions_are_short():
    counts = [lines_of(f) for path in FILES for f in functions(ast.parse(path.read_text()))]
    assert len(counts) > 100
    assert statistics.median(counts) < MEDIAN_LINES


def body(lines):
    return "    x = 1\n" * lines


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("__all__ = []\n" + "x = 1\n" * 249, []),
        ("__all__ = []\n" + "x = 1\n" * 250, ["251 lines"]),
        (f"__all__ = []\ndef _f():\n{body(39)}", []),
        (f"__all__ = []\ndef _f():\n{body(40)}", ["_f has 41 lines"]),
        (f'__all__ = []\ndef f():\n    """Two.\n\n    Lines."""\n{body(39)}', []),
        ("__all__: list[str] = []\ndef f():\n    pass", ["f has no docstring"]),
        (
            '__all__ = []\nclass C:\n    """A."""\n    def m(self): ...\n    def _p(self): ...',
            ["C.m has no docstring"],
        ),
        ("x = 1", ["no __all__"]),
        ("from math import *\n__all__ = []", ["import *"]),
    ],
)
def test_each_rule_bites(source, expected):
    assert faults(source) == expected
