"""What ``import lwlab`` costs over ``import torch``, and what it loads.

    python benchmarks/imports.py [--rounds 7]

Each import runs in a fresh interpreter; the two take turns, so that both meet the same machine.
Also measured: the memory of a kernel that has run lesson 03.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

PARTS = "lwlab.data, lwlab.measure, lwlab.models, lwlab.packing, lwlab.prune, lwlab.train"
HEAVY = ("plotly", "ipywidgets", "anywidget", "matplotlib", "sklearn")
CODE = """
import sys, time
started = time.perf_counter()
import {module}
print(time.perf_counter() - started, *(name for name in {heavy} if name in sys.modules))
"""
LESSON_MEMORY = """
import resource, sys
import nbformat
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in nbformat.read({path!r}, as_version=4).cells:
    if cell.cell_type == "code":
        shell.run_cell(cell.source, silent=True).raise_error()
print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, file=sys.stderr)
"""


def import_once(module: str) -> tuple[float, list[str]]:
    """Return the seconds of one import in a fresh interpreter, and the heavy modules it loaded."""
    code = CODE.format(module=module, heavy=HEAVY)
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    return float(output[0]), output[1:]


def memory_of_lesson(path: Path) -> float:
    """Return the peak resident bytes of a process that ran every code cell of a lesson."""
    code = LESSON_MEMORY.format(path=str(path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stderr.rsplit("peak", 1)[1])


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    import_once("lwlab")  # the first one writes the byte code
    times: dict[str, list[float]] = {"torch": [], "lwlab": [], PARTS: []}
    loaded: list[str] = []
    for _ in range(options.rounds):
        for module, values in times.items():
            seconds, heavy = import_once(module)
            values.append(seconds)
            loaded = heavy if module == PARTS else loaded
    torch_seconds, alone, parts = (statistics.median(times[name]) for name in times)
    extra = parts - torch_seconds
    print(f"import torch {torch_seconds:.2f} s, import lwlab {alone:.2f} s (medians)")
    print(f"  and with everything below the plots ({PARTS}): {parts:.2f} s")
    print(f"  over torch: {extra:+.2f} s, ratio {parts / torch_seconds:.2f}  (wanted +0.25 s)")
    print(f"  of {', '.join(HEAVY)} it loads: {', '.join(loaded) or 'none'}")
    lesson = Path(__file__).parents[1] / "notebooks" / "03_prune.ipynb"
    print(f"lesson 03: {memory_of_lesson(lesson) / 1e6:.0f} MB peak of the process that ran it")


if __name__ == "__main__":
    main()
