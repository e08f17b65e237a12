import importlib
import sys
from importlib import metadata
from pathlib import Path

import pytest

from lwlab.cli import Finding, examine, report


def finding(name):
    [found] = [found for found in examine() if found.name == name]
    return found


def test_versions_are_those_of_the_installed_packages():
    for package in ("numpy", "scikit-learn", "plotly", "ipywidgets", "anywidget", "jupyterlab"):
        assert finding(package) == Finding(package, metadata.version(package))


def test_torch_is_named_with_its_threads():
    torch = importlib.import_module("torch")
    assert finding("torch").text == f"{torch.__version__}, {torch.get_num_threads()} threads"


def test_widgets_are_ready_here():
    assert finding("widgets").fine
    assert finding("in JupyterLab").fine


def test_a_missing_labextension_is_named(monkeypatch):
    monkeypatch.setattr("lwlab.cli.doctor._jupyter_path", lambda: ["/nowhere"])
    assert finding("in JupyterLab") == Finding(
        "in JupyterLab",
        "the extension @jupyter-widgets/jupyterlab-manager is missing: "
        "pip install --force-reinstall jupyterlab_widgets",
        fine=False,
    )


@pytest.mark.parametrize(
    ("package", "command"), [("plotly", "plotly"), ("jupyterlab", '"lwlab[lab]"')]
)
def test_a_missing_package_is_a_line_with_what_to_do(monkeypatch, package, command):
    real = metadata.version

    def version(name):
        if name == package:
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr("lwlab.cli.doctor.metadata.version", version)
    assert finding(package) == Finding(package, f"not installed: pip install {command}", fine=False)


def test_a_module_that_fails_to_import_is_a_line_not_a_traceback(monkeypatch):
    real = importlib.import_module

    def import_module(name):
        if name in ("lwlab.labs", "lwlab.data", "torch"):
            raise RuntimeError(f"{name} is broken\nsecond line")
        return real(name)

    monkeypatch.setattr("lwlab.cli.doctor.importlib.import_module", import_module)
    findings = {found.name: found for found in examine()}
    for name, module in (("widgets", "lwlab.labs"), ("data", "lwlab.data"), ("torch", "torch")):
        assert findings[name] == Finding(name, f"RuntimeError: {module} is broken", fine=False)
    assert report(list(findings.values())).splitlines()[-1].startswith("3 of ")


def test_data_sets_are_listed_with_their_place(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "lwlab.data.available", lambda: {"digits": "scikit-learn", "mnist": None, "own": tmp_path}
    )
    assert finding("data digits").text == "scikit-learn"
    assert finding("data mnist") == Finding("data mnist", "not here; load() downloads it")
    assert finding("data own").text == str(tmp_path)


def test_a_wrong_data_folder_is_a_line(monkeypatch):
    monkeypatch.setenv("LWLAB_DATA", "/no/such/folder")
    found = finding("data")
    assert not found.fine
    assert "'/no/such/folder'" in found.text


def test_no_chromium_is_fine_for_a_learner_but_a_wrong_one_is_not(monkeypatch, tmp_path):
    monkeypatch.delenv("LWLAB_CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert finding("chromium") == Finding(
        "chromium", "none; only the browser tests need one (set LWLAB_CHROMIUM)"
    )
    monkeypatch.setenv("LWLAB_CHROMIUM", "/no/such/browser")
    assert not finding("chromium").fine


def test_the_home_folder_is_not_given_away(monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: Path(sys.executable).parents[1])
    assert finding("python").text.endswith(f"(~/bin/{Path(sys.executable).name})")


def test_the_report_aligns_names_and_counts_what_is_wrong():
    assert report([Finding("a", "one"), Finding("longer", "two", fine=False)]) == (
        "  a       one\n! longer  two\n1 of 2 need attention (!)"
    )
    assert report([Finding("a", "one")]) == "  a  one\nAll well."


def test_the_report_fits_one_screen():
    lines = report(examine()).splitlines()
    assert len(lines) <= 30
