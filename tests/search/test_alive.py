import json
import os
import signal
import time

import pytest

from lwlab.search import alive as alive_module
from lwlab.search.alive import Beat, Watch
from lwlab.search.processes import this_process


def test_a_worker_is_alive_until_it_ends(path):
    watch = Watch(path)
    with Beat(path) as beat, Beat(path) as other:
        assert beat.id != other.id
        assert watch.alive(beat.id)
        other.end()
        assert not watch.alive(other.id)
        assert watch.alive(beat.id)
    assert not watch.alive(beat.id)
    assert list(path.parent.iterdir()) == []  # nothing is left beside the study


def test_nobody_and_a_stranger_are_not_alive(path):
    assert not Watch(path).alive(None)
    assert not Watch(path).alive("nobody")
    path.write_text("the study itself")
    with Beat(path):
        assert not Watch(path).alive("../study.log")


def test_a_killed_process_is_dead_at_once(path, start):
    def work():
        with Beat(path) as beat:
            (path.parent / "id").write_text(beat.id)
            time.sleep(60)

    process = start(work)
    while not (path.parent / "id").exists() or not (path.parent / "id").read_text():
        time.sleep(0.01)
    worker = (path.parent / "id").read_text()
    watch = Watch(path)
    assert watch.alive(worker)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not watch.alive(worker)


@pytest.fixture
def elsewhere(path):
    """A worker of another machine: its file, and a clock that tests move."""
    folder = path.with_name(f"{path.name}.workers")
    folder.mkdir()
    file = folder / "far"
    file.write_text(json.dumps({"place": "another machine", "process": [1, "5"]}))
    return file


def test_a_worker_elsewhere_is_dead_once_its_file_was_not_renewed_for_a_minute(
    path, elsewhere, monkeypatch
):
    clock = [1000.0]
    monkeypatch.setattr(alive_module.time, "monotonic", lambda: clock[0])
    watch = Watch(path)
    os.utime(elsewhere, (5, 5))  # its clock says 1970
    assert watch.alive("far")
    clock[0] += 59
    assert watch.alive("far")
    os.utime(elsewhere, (6, 6))
    clock[0] += 59
    assert watch.alive("far")
    clock[0] += 61
    assert not watch.alive("far")


def test_a_file_is_renewed(path, monkeypatch):
    monkeypatch.setattr(alive_module, "_RENEW_SECONDS", 0.01)
    with Beat(path) as beat:
        file = path.with_name(f"{path.name}.workers") / beat.id
        os.utime(file, (5, 5))
        until = time.monotonic() + 10
        while file.stat().st_mtime == 5 and time.monotonic() < until:
            time.sleep(0.01)
        assert file.stat().st_mtime > 5


@pytest.mark.parametrize("content", ["", "{", "[]", '{"place": "x"}', '{"place": 1, "process": 2}'])
def test_a_file_that_is_being_written_counts_as_alive(path, elsewhere, content):
    elsewhere.write_text(content)
    assert Watch(path).alive("far")


def test_a_process_number_that_came_again_is_another_process(path, elsewhere):
    place, [pid, born] = json.loads(this_process()).values()
    if not place:
        pytest.skip("This system does not tell its processes apart.")
    elsewhere.write_text(json.dumps({"place": place, "process": [pid, born]}))
    assert Watch(path).alive("far")
    elsewhere.write_text(json.dumps({"place": place, "process": [pid, str(int(born) - 1)]}))
    assert not Watch(path).alive("far")
