import os
import re
import signal
import time

import pytest

from lwlab.search import Outcome, search_trials
from lwlab.search.evaluating import StoppedError
from lwlab.search.study import open_study


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def choices(result):
    return [(t.index, t.params, t.accuracy, t.size_bytes) for t in result.trials]


def finished(journal):
    return [entry.params for entry in journal.entries("search")]


def test_a_killed_process_loses_no_finished_try_and_its_place_is_taken(
    run, start, path, journal, tmp_path
):
    whole = run(9, study_path=tmp_path / "whole.log", journal=None)

    def slow(model, dataset, steps, seed, stopped):
        if len(finished(journal)) == 4:
            (tmp_path / "amid").touch()
            time.sleep(60)
        return Outcome(0.5, 10, 0.0, b"")

    process = start(lambda: run(9, evaluate=slow))
    while not (tmp_path / "amid").exists():
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    kept = [(t.index, t.params) for t in run(4).trials]
    assert len(kept) == 4
    result = run(9)
    assert [(t.index, t.params) for t in result.trials][:4] == kept
    assert [t.index for t in result.trials] == list(range(9))
    # The lost try had made its choices; whoever takes its place makes the same.
    assert [t.params for t in result.trials] == [t.params for t in whole.trials]
    assert len(journal.entries("search")) == 9
    states = [trial.state.name for trial in open_study(path, {}).trials]
    assert sorted(states) == ["COMPLETE"] * 9 + ["FAIL"]


def test_two_processes_finish_just_as_many_as_wanted_together(run, start, journal, tmp_path):
    def evaluate(model, dataset, steps, seed, stopped):
        with (tmp_path / "log").open("a") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(0.02)
        return Outcome(0.5, 10, 0.0, b"")

    processes = [start(lambda: run(30, evaluate=evaluate)) for _ in range(2)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    workers = (tmp_path / "log").read_text().split()
    assert len(workers) == 30
    assert set(workers) == {str(process.pid) for process in processes}
    assert len({entry.key for entry in journal.entries("search")}) == 30
    assert [t.index for t in run(30).trials] == list(range(30))


def test_the_other_one_finishes_what_a_killed_one_left(run, start, journal, tmp_path):
    def evaluate(model, dataset, steps, seed, stopped):
        if (tmp_path / "victim").exists() and os.getpid() == int(
            (tmp_path / "victim").read_text() or 0
        ):
            (tmp_path / "amid").touch()
            time.sleep(60)
        time.sleep(0.01)
        return Outcome(0.5, 10, 0.0, b"")

    processes = [start(lambda: run(20, evaluate=evaluate)) for _ in range(2)]
    (tmp_path / "victim").write_text(str(processes[0].pid))
    while not (tmp_path / "amid").exists():
        time.sleep(0.01)
    before = finished(journal)
    os.kill(processes[0].pid, signal.SIGKILL)
    processes[1].join()
    assert processes[1].exitcode == 0
    after = finished(journal)
    assert after[: len(before)] == before
    assert [t.index for t in run(20).trials] == list(range(20))
    assert len(after) == 20


def test_workers_of_joblib_search_together_and_a_killed_one_is_replaced(run, journal, tmp_path):
    def evaluate(model, dataset, steps, seed, stopped):
        if len(finished(journal)) >= 3 and not (tmp_path / "killed").exists():
            (tmp_path / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        (tmp_path / str(os.getpid())).touch()
        time.sleep(0.05)
        return Outcome(0.5, 10, 0.0, b"")

    seen = []
    result = run(12, evaluate=evaluate, workers=2, progress=seen.append)
    assert (tmp_path / "killed").exists()
    assert [t.index for t in result.trials] == list(range(12))
    assert sorted(t.key for t in seen) == sorted(t.key for t in result.trials)
    assert len(finished(journal)) == 12
    assert not (tmp_path / str(os.getpid())).exists()  # none in this process
    assert not (tmp_path / "study.log.workers").exists()


def test_stop_ends_workers_amid_their_tries(model, digits, path, journal, tmp_path):
    def evaluate(model, dataset, steps, seed, stopped):
        if not finished(journal):
            return Outcome(0.5, 10, 0.0, b"")
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if stopped():
                (tmp_path / "stopped").touch()
                raise StoppedError
            time.sleep(0.01)
        return Outcome(0.5, 10, 0.0, b"")

    found = search_trials(
        model, digits, trials=9, study_path=path, journal=journal, evaluate=evaluate, workers=2
    )
    next(found)
    found.close()
    assert len(finished(journal)) <= 2
    states = {trial.state.name for trial in open_study(path, {}).trials}
    assert states <= {"COMPLETE", "FAIL"}
