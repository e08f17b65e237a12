"""Every lesson runs from top to bottom: as a newcomer opens it, and with its exercises solved."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

PROJECT = Path(__file__).parents[1]
LESSONS = sorted((PROJECT / "notebooks").glob("[0-9]*.ipynb"))
RESULTS = PROJECT / "notebooks" / "results"  # tables that a lesson shows, written by benchmarks
SOLUTIONS = PROJECT / "notebooks" / "solutions"
FEWEST_EXERCISES = 2

# Runs before the lesson's own first cell, so that it imports the recording check.
RECORD = """
import lwlab.exercises as _exercises
_results, _check = {}, _exercises.check
def _recording_check(name, *arguments, **options):
    _results[name] = result = _check(name, *arguments, **options)
    return result
_exercises.check = _recording_check
"""
COMPARE = """
_seen = {name: result.status for name, result in _results.items()}
assert _seen == dict.fromkeys(TASKS, STATUS), _seen
"""
# No data folder, no unlocked answers, no network: what a newcomer has.
OFFLINE = {
    "http_proxy": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
}


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def parsed(source):
    """Return the tree of a cell that may have a top-level ``await``."""
    return compile(source, "cell", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def functions_of(source):
    """Return the names of the functions that a cell defines."""
    return {node.name for node in parsed(source).body if isinstance(node, ast.FunctionDef)}


def tasks_of(notebook):
    """Return the names of the exercises that a notebook checks, from its source."""
    return {
        node.args[0].value
        for cell in code_cells(notebook)
        for node in ast.walk(parsed(cell.source))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2] == "check"
        and isinstance(node.args[0], ast.Constant)
    }


def solved(lesson, solution):
    """Return the lesson with each stub replaced by the solution's cell of the same function."""
    answers = {
        name: cell.source for cell in code_cells(solution) for name in functions_of(cell.source)
    }
    result = nbformat.from_dict(lesson)
    used = set()
    for cell in code_cells(result):
        for name in functions_of(cell.source) & set(answers):
            cell.source = answers[name]
            assert name not in used, f"{name} is defined in two cells of the lesson"
            used.add(name)
    assert used, "no function of the solution is in the lesson"
    return result


def recorded(lesson, status):
    """Return the lesson between two cells that record its checks and demand ``status`` of all."""
    last = COMPARE.replace("TASKS", repr(sorted(tasks_of(lesson)))).replace("STATUS", repr(status))
    first, last = (nbformat.v4.new_code_cell(source) for source in (RECORD, last))
    result = nbformat.from_dict(lesson)
    result.cells = [first, *result.cells, last]
    return result


def run(notebook, path):
    """Run a notebook with nbval (lax: a cell must not raise) in a kernel of this environment."""
    nbformat.write(notebook, path)
    shutil.copytree(RESULTS, path.parent / RESULTS.name, dirs_exist_ok=True)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LWLAB_")}
    options = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=300"]
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, path.name],
        cwd=path.parent,
        env=environment | OFFLINE,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr, time.monotonic() - started


def assert_runs(notebook, path, capsys, variant):
    code, text, seconds = run(notebook, path)
    with capsys.disabled():
        print(f"\n{path.name} {variant}: {seconds:.1f} s", end=" ")
    assert code == 0, text


def test_there_are_lessons_and_each_has_exercises_with_solutions():
    assert len(LESSONS) >= 3
    for path in LESSONS:
        assert len(tasks_of(nbformat.read(path, as_version=4))) >= FEWEST_EXERCISES, path.name
        assert (SOLUTIONS / path.name).is_file(), path.name


@pytest.mark.notebook
@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_untouched_lesson_runs_through_and_its_checks_say_not_yet(path, tmp_path, capsys):
    lesson = nbformat.read(path, as_version=4)
    assert_runs(recorded(lesson, "not yet"), tmp_path / path.name, capsys, "untouched")


@pytest.mark.notebook
@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_solved_lesson_runs_through_and_its_checks_pass(path, tmp_path, capsys):
    lesson = nbformat.read(path, as_version=4)
    solution = nbformat.read(SOLUTIONS / path.name, as_version=4)
    notebook = recorded(solved(lesson, solution), "passed")
    assert tasks_of(notebook) == tasks_of(lesson), "a solution took a check away or added one"
    assert_runs(notebook, tmp_path / path.name, capsys, "solved")


def notebook_of(*sources):
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources])


STUB = "def double(x):\n    return None"


def test_a_solution_replaces_the_stub_of_the_same_name_only():
    lesson = notebook_of("import math", STUB, "check('double', double)", "def other(): pass")
    solution = notebook_of("import math", "def double(x):\n    return 2 * x", "double(2)")
    sources = [cell.source for cell in solved(lesson, solution).cells]
    assert sources[1] == "def double(x):\n    return 2 * x"
    assert sources[0::2] == ["import math", "check('double', double)"]
    assert lesson.cells[1].source == STUB
    assert sources[3] == "def other(): pass"


def test_a_solution_of_something_else_is_a_failure():
    with pytest.raises(AssertionError, match="no function of the solution is in the lesson"):
        solved(notebook_of(STUB), notebook_of("def triple(x): return 3 * x"))


def test_tasks_are_read_from_the_source():
    lesson = notebook_of(
        "check('a.b', f)", "exercises.check('c', f)\nawait lab.done()", "hint('d')"
    )
    assert tasks_of(lesson) == {"a.b", "c"}


@pytest.mark.notebook
@pytest.mark.parametrize(
    ("source", "status", "good"),
    [
        ("check('prune.sparsity', None)", "not yet", True),
        ("check('prune.sparsity', None)", "passed", False),
        ("1 / 0", "not yet", False),
    ],
)
def test_the_runner_sees_what_fails(source, status, good, tmp_path):
    lesson = recorded(notebook_of("from lwlab.exercises import check", source), status)
    code, text, _ = run(lesson, tmp_path / "lesson.ipynb")
    assert (code == 0) == good, text
