"""What a script pays for: no plots, no widgets, and nothing at all for ``import lwlab`` alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
UPPER_ROWS = {"plots", "labs", "exercises", "cli", "__main__"}
DISPLAY = {"plotly", "ipywidgets", "anywidget", "matplotlib", "IPython"}
# scikit-learn costs a second, and only digits need it; torch is what import lwlab alone can spare.
SLOW = {"sklearn", "scipy"}


def lower_modules() -> list[str]:
    """Return every module of the rows below the plots, by its dotted name."""
    names = []
    for path in sorted((PROJECT / "lwlab").rglob("*.py")):
        parts = path.relative_to(PROJECT).with_suffix("").parts
        if parts[1] not in UPPER_ROWS:
            names.append(".".join(parts).removesuffix(".__init__"))
    return names


def loaded_by(*modules: str) -> set[str]:
    """Return the top-level packages in ``sys.modules`` after importing ``modules`` afresh."""
    script = (
        "import importlib, json, sys\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *modules],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_everything_below_the_plots_loads_nothing_to_display():
    modules = lower_modules()
    assert {"lwlab", "lwlab.models", "lwlab.prune.masks"} <= set(modules)
    loaded = loaded_by(*modules)
    assert {"lwlab", "torch"} <= loaded
    assert loaded & (DISPLAY | SLOW) == set()


def test_import_lwlab_alone_is_light():
    assert loaded_by("lwlab") & (DISPLAY | SLOW | {"torch", "numpy"}) == set()


def test_the_command_is_light():
    assert loaded_by("lwlab.cli") & (DISPLAY | SLOW | {"torch", "numpy"}) == set()


@pytest.mark.parametrize("package", sorted(DISPLAY))
def test_the_probe_would_see_it(package):
    assert package in loaded_by(package)
