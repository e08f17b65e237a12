import os
import signal
import subprocess
import sys
import time

import pytest

import lwlab
from lwlab.cli import main


@pytest.fixture
def started(monkeypatch):
    """What would be started instead of JupyterLab: a list of (command, folder)."""
    calls = []

    class Process:
        def __init__(self, command, cwd):
            calls.append((command, cwd))

        def wait(self):
            return 0

    monkeypatch.setattr("lwlab.cli.commands.subprocess.Popen", Process)
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
    lesson = "00_start_here.ipynb"
    command = [sys.executable, "-m", "jupyterlab", lesson, "--no-browser", "--port=9999"]
    assert started == [(command, tmp_path / "mine")]


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


def test_the_exit_code_of_jupyterlab_is_handed_on(tmp_path, monkeypatch):
    monkeypatch.setattr("lwlab.cli.commands.sys.executable", "/bin/false")
    assert main(["lab", str(tmp_path / "mine")]) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_waits_for_jupyterlab_to_end_by_itself(tmp_path):
    # Stands for JupyterLab, which asks on Ctrl-C whether to stop: it must not be killed meanwhile.
    (tmp_path / "jupyterlab.py").write_text(
        "import pathlib, signal, time\n"
        "def ended(*_): time.sleep(1); pathlib.Path('ended').touch(); raise SystemExit(7)\n"
        "signal.signal(signal.SIGINT, ended)\n"
        "pathlib.Path('ready').touch()\n"
        "time.sleep(60)\n"
    )
    folder = tmp_path / "mine"
    process = subprocess.Popen(
        [sys.executable, "-m", "lwlab", "lab", str(folder)],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
    while not (folder / "ready").exists() and process.poll() is None:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(30) == 7
    assert (folder / "ended").exists()
