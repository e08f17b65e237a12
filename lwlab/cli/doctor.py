"""One screen to paste into a bug report: versions, machine, data, widgets, browser.

Every line is a check of its own. One that fails says so on its line; none stops the others.
"""

from __future__ import annotations

import importlib
import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import lwlab
from lwlab.cli.browser import CHROMIUM_VARIABLE, find_chromium
from lwlab.cli.lessons import lessons_source
from lwlab.units import format_bytes

__all__ = ["Finding", "examine", "report"]

_PACKAGES = ("numpy", "scikit-learn", "plotly", "matplotlib", "ipywidgets", "anywidget")
_MANAGER = "@jupyter-widgets/jupyterlab-manager"


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        name: what was looked at.
        text: what was found, or what is wrong and what to do.
        fine: False where something does not work.
    """

    name: str
    text: str
    fine: bool = True


def examine() -> list[Finding]:
    """Look at everything that lwlab stands on. Never raises."""
    findings = [Finding("lwlab", f"{lwlab.__version__} ({_at_home(Path(lwlab.__file__).parent)})")]
    checks: dict[str, Callable[[], str]] = {
        "python": lambda: f"{platform.python_version()} ({_at_home(Path(sys.executable))})",
        "platform": platform.platform,
        "machine": _machine,
        "torch": _torch,
    }
    checks |= {package: _version_of(package) for package in _PACKAGES}
    checks["jupyterlab"] = _jupyterlab
    findings += [_guarded(name, check) for name, check in checks.items()]
    findings += _data()
    checks = {"lessons": lambda: _at_home(lessons_source()), "widgets": _widgets}
    checks |= {"in JupyterLab": _labextensions, "chromium": _chromium}
    return findings + [_guarded(name, check) for name, check in checks.items()]


def report(findings: list[Finding]) -> str:
    """Return the findings as lines, and a last line that counts what does not work."""
    width = max(len(finding.name) for finding in findings)
    lines = [
        f"{'  ' if finding.fine else '! '}{finding.name:<{width}}  {finding.text}"
        for finding in findings
    ]
    bad = sum(not finding.fine for finding in findings)
    return "\n".join(
        [*lines, f"{bad} of {len(findings)} need attention (!)" if bad else "All well."]
    )


def _guarded(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, check())
    except Exception as error:  # a doctor that falls ill helps nobody
        return _failed(name, error)


def _failed(name: str, error: Exception) -> Finding:
    sentence = str(error).splitlines()[0] if str(error) else ""
    # Our own sentences are of these kinds and speak for themselves.
    if isinstance(error, (OSError, LookupError)) and sentence:
        return Finding(name, sentence, fine=False)
    return Finding(name, f"{type(error).__name__}: {sentence}", fine=False)


def _version_of(package: str) -> Callable[[], str]:
    def version() -> str:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            raise LookupError(f"not installed: pip install {package}") from None

    return version


def _machine() -> str:
    cores = os.cpu_count()
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows
        return f"{cores} cores"
    return f"{cores} cores, {format_bytes(memory)} of memory"


def _torch() -> str:
    torch = importlib.import_module("torch")
    return f"{torch.__version__}, {torch.get_num_threads()} threads"


def _jupyterlab() -> str:
    try:
        return metadata.version("jupyterlab")
    except metadata.PackageNotFoundError:
        raise LookupError('not installed: pip install "lwlab[lab]"') from None


def _data() -> Iterator[Finding]:
    """Yield one finding a data set; a set that is not there can be downloaded, so that is fine."""
    try:
        found = importlib.import_module("lwlab.data").available()
    except Exception as error:
        yield _failed("data", error)
        return
    for name, place in found.items():
        where = _at_home(place) if place else "not here; load() downloads it"
        yield Finding(f"data {name}", where)


def _widgets() -> str:
    # By name: the labs stand in the same row as this command, which must not depend on them.
    importlib.import_module("lwlab.labs")
    return "lwlab.labs imports"


def _labextensions() -> str:
    """Look for the two packages without which a widget shows as text in JupyterLab."""
    folders = [Path(path) / "labextensions" for path in _jupyter_path()]
    for name in (_MANAGER, "anywidget"):
        if not any((folder / name / "package.json").is_file() for folder in folders):
            package = "jupyterlab_widgets" if name == _MANAGER else "anywidget"
            raise LookupError(
                f"the extension {name} is missing: pip install --force-reinstall {package}"
            )
    return f"extensions {_MANAGER} and anywidget"


def _jupyter_path() -> list[str]:
    return importlib.import_module("jupyter_core.paths").jupyter_path()


def _chromium() -> str:
    path = find_chromium()
    if path is None:
        return f"none; only the browser tests need one (set {CHROMIUM_VARIABLE})"
    return str(path)


def _at_home(path: Path | str) -> str:
    """Return a path with the user's home folder as ``~``: reports get pasted in public."""
    text, home = str(path), str(Path.home())
    return f"~{text[len(home) :]}" if text.startswith(home + os.sep) else text
