"""Imports go only downwards, never aside within a row; heavy libraries stay in the upper rows."""

from __future__ import annotations

import ast
import graphlib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "lwlab"
# Lowest first. A new module gets its row here, on purpose.
ROWS = (
    ("checks", "units"),
    ("data", "models"),
    ("packing",),
    ("measure",),
    ("train",),
    ("distill", "prune", "quantize"),
    ("journal",),
    ("pipeline", "export"),
    ("search",),
    ("plots",),
    ("labs", "exercises", "cli"),
    ("__main__",),
)
WIDGET_ROWS = {"labs", "exercises", "cli"}
ONLY_IN = {
    "plotly": {"plots", "labs"},
    "matplotlib": {"plots"},
    "ipywidgets": WIDGET_ROWS,
    "anywidget": WIDGET_ROWS,
    "IPython": WIDGET_ROWS,
}
ROW_OF = {name: row for row, names in enumerate(ROWS) for name in names}


def sources() -> dict[str, str]:
    """Return dotted module name -> source of everything in the package."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text()
    return found


def imported(tree: ast.AST, names: set[str]) -> list[str]:
    """Return the modules that a tree imports, as deep as ``names`` (the known modules) go."""
    modules = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute here"
            deeper = [f"{node.module}.{alias.name}" for alias in node.names]
            modules += [name if name in names else node.module for name in deeper]
    return modules


def violations(files: dict[str, str]) -> list[str]:
    """Return one sentence for each import that goes up, aside, or brings a library too low."""
    sentences = []
    for module, source in files.items():
        unit = module.split(".")[1] if "." in module else None
        if unit is not None and unit not in ROW_OF:
            sentences.append(f"{module} has no row in tests/test_layers.py")
            continue
        for target in imported(ast.parse(source), set(files)):
            top, _, rest = target.partition(".")
            if top in ONLY_IN and unit not in ONLY_IN[top]:
                sentences.append(f"{module} imports {top}")
            other = rest.split(".")[0]
            if top != "lwlab" or not other or other == unit:
                continue
            if unit is None or ROW_OF.get(other, len(ROWS)) >= ROW_OF[unit]:
                sentences.append(f"{module} imports {target}, which is not below it")
    return sentences


class WithoutTypeChecking(ast.NodeTransformer):
    """Drops what stands under ``if TYPE_CHECKING:``: it is for the reader and never runs."""

    def visit_If(self, node):
        return None if ast.unparse(node.test) == "TYPE_CHECKING" else self.generic_visit(node)


def cycle(files: dict[str, str]) -> list[str]:
    """Return a cycle of modules that import each other when they run, or an empty list."""
    trees = {
        module: WithoutTypeChecking().visit(ast.parse(source)) for module, source in files.items()
    }
    graph = {
        module: {name for name in imported(tree, set(files)) if name in files}
        for module, tree in trees.items()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def test_imports_go_only_downwards_and_heavy_libraries_stay_in_their_rows():
    files = sources()
    assert {"lwlab", "lwlab.checks", "lwlab.models.layers"} <= set(files)
    assert violations(files) == []


def test_no_module_imports_itself_by_a_detour():
    assert cycle(sources()) == []


@pytest.mark.parametrize(
    ("module", "source", "sentence"),
    [
        ("lwlab.models.x", "from lwlab import prune", "imports lwlab.prune, which is not below it"),
        ("lwlab.models.x", "import lwlab.data", "imports lwlab.data, which is not below it"),
        ("lwlab.prune.x", "from lwlab.quantize.y import z", "lwlab.quantize.y, which is not below"),
        ("lwlab.checks", "def f():\n    import lwlab.units", "lwlab.units, which is not below it"),
        ("lwlab.packing", "from lwlab.measure import size", "lwlab.measure, which is not below it"),
        ("lwlab", "from lwlab import labs", "lwlab imports lwlab.labs, which is not below it"),
        ("lwlab.measure.x", "import plotly.graph_objects as go", "lwlab.measure.x imports plotly"),
        ("lwlab.exercises.x", "import plotly", "lwlab.exercises.x imports plotly"),
        ("lwlab.plots.x", "from ipywidgets import HTML", "lwlab.plots.x imports ipywidgets"),
        ("lwlab.labs.x", "from matplotlib import pyplot", "lwlab.labs.x imports matplotlib"),
        ("lwlab.novelty", "import math", "lwlab.novelty has no row in tests/test_layers.py"),
    ],
)
def test_each_kind_of_violation_is_seen(module, source, sentence):
    known = dict.fromkeys(("lwlab", "lwlab.data", "lwlab.prune", "lwlab.labs"), "")
    known |= {"lwlab.quantize.y": "", "lwlab.measure": "", "lwlab.units": ""}
    [found] = violations(known | {module: source})
    assert sentence in found


def test_a_cycle_is_seen():
    assert cycle({"lwlab.a": "import lwlab.b", "lwlab.b": "from lwlab.a import x"})
    assert not cycle({"lwlab.a": "import lwlab.b", "lwlab.b": "import math"})
    hinted = "if TYPE_CHECKING:\n    from lwlab.a import x"
    assert not cycle({"lwlab.a": "import lwlab.b", "lwlab.b": hinted})
