import os
import subprocess
import sys
from pathlib import Path

import pytest

import lwlab
from lwlab.cli import main


@pytest.fixture
def started(monkeypatch, tmp_path):
    """What would be started: a list of (arguments of JupyterLab, current folder)."""
    calls = []

    def run_module(name, run_name):
        assert (name, run_name) == ("jupyterlab", "__main__")
        calls.append((sys.argv[1:], Path.cwd()))

    monkeypatch.setattr("lwlab.cli.commands.runpy.run_module", run_module)
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.chdir(tmp_path)
    return calls


def test_version_is_the_packages_own(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"lwlab {lwlab.__version__}\n"


def test_doctor_prints_one_screen_and_exits_zero(capsys, monkeypatch):
    monkeypatch.setenv("LWLAB_DATA", "/no/such/folder")
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert out.split()[:2] == ["lwlab", lwlab.__version__]
    assert "need attention" in out


def test_no_open_copies_and_starts_nothing(tmp_path, started, capsys):
    assert main(["lab", str(tmp_path / "mine"), "--no-open"]) == 0
    assert started == []
    assert f"lesson files in {tmp_path / 'mine'}" in capsys.readouterr().out


def test_the_default_folder_is_in_the_current_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["lab", "--no-open"]) == 0
    assert (tmp_path / "lwlab-lessons").is_dir()


def test_lab_opens_jupyterlab_in_the_folder_on_the_first_lesson(tmp_path, started, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["lab", str(tmp_path / "mine"), "--", "--no-browser", "--port=9999"]) == 0
    lesson = "--LabApp.default_url=/lab/tree/00_start_here.ipynb"
    assert started == [([lesson, "--no-browser", "--port=9999"], tmp_path / "mine")]


def test_root_in_a_container_is_allowed(tmp_path, started, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    main(["lab", str(tmp_path / "mine")])
    assert started[0][0][-1] == "--allow-root"


def test_without_jupyterlab_nothing_is_copied_and_one_sentence_says_why(
    tmp_path, started, monkeypatch, capsys
):
    monkeypatch.setattr("lwlab.cli.commands.find_spec", lambda name: None)
    assert main(["lab", str(tmp_path / "mine")]) == 2
    assert capsys.readouterr().err == (
        'lwlab: JupyterLab is not installed here. Install it: pip install "lwlab[lab]" '
        "(or copy the lessons only: lwlab lab --no-open)\n"
    )
    assert not (tmp_path / "mine").exists()
    assert started == []


def test_a_file_as_folder_is_one_sentence_and_code_2(tmp_path, capsys):
    (tmp_path / "taken").touch()
    assert main(["lab", str(tmp_path / "taken"), "--no-open"]) == 2
    assert capsys.readouterr().err == (
        "lwlab: The folder for the lessons must be a folder, "
        f"got the file '{tmp_path / 'taken'}'. Name another one: lwlab lab my-lessons\n"
    )


def test_a_folder_that_cannot_be_made_is_one_sentence_and_code_2(tmp_path, capsys):
    (tmp_path / "taken").touch()
    folder = tmp_path / "taken" / "below"
    assert main(["lab", str(folder), "--no-open"]) == 2
    assert capsys.readouterr().err == (
        f"lwlab: the lessons cannot be written to '{folder}': Not a directory. "
        "Name another folder.\n"
    )


def test_a_folder_without_permission_is_one_sentence_and_code_2(tmp_path, capsys, monkeypatch):
    def refuse(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr("lwlab.cli.commands.copy_lessons", refuse)
    assert main(["lab", str(tmp_path), "--no-open"]) == 2
    assert capsys.readouterr().err == (
        f"lwlab: the lessons cannot be written to '{tmp_path}': Permission denied. "
        "Name another folder.\n"
    )


def test_lwlab_becomes_jupyterlab_with_its_exit_code(tmp_path):
    (tmp_path / "jupyterlab.py").write_text(
        "import os, sys\nprint(os.getcwd(), sys.argv[-1] == '--port=9999' or sys.argv)\nsys.exit(7)"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "lwlab",
            "lab",
            tmp_path / "mine",
            "--",
            "--allow-root",
            "--port=9999",
        ],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    assert done.stdout.splitlines()[-1] == f"{tmp_path / 'mine'} True"
