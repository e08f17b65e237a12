import subprocess
import sys
import threading
import time

import pytest

from lwlab.labs.worker import Worker

LONG = 10  # seconds nobody should have to wait for; only a hang gets there


def test_the_newest_wish_is_served_and_those_between_are_dropped():
    served, started, go_on = [], threading.Event(), threading.Event()

    def work(wish):
        served.append(wish)
        started.set()
        go_on.wait(LONG)

    worker = Worker(work)
    worker.ask(0)
    assert started.wait(LONG)
    for wish in range(1, 60):
        worker.ask(wish)
    go_on.set()
    assert worker.wait(LONG)
    assert served == [0, 59]


def test_work_can_see_that_it_is_outdated():
    seen, started, asked = [], threading.Event(), threading.Event()

    def work(wish):
        seen.append(worker.outdated())
        if wish == "first":
            started.set()
            asked.wait(LONG)
            seen.append(worker.outdated())

    worker = Worker(work)
    worker.ask("first")
    started.wait(LONG)
    worker.ask("second")
    asked.set()
    assert worker.wait(LONG)
    assert seen == [False, True, False]


def test_wait_gives_up_at_its_timeout_and_says_so():
    go_on = threading.Event()
    worker = Worker(lambda _: go_on.wait(LONG))
    worker.ask(1)
    assert not worker.wait(0.05)
    assert not worker.idle()
    go_on.set()
    assert worker.wait(LONG)
    assert worker.idle()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_died_is_replaced_at_the_next_wish():
    served = []

    def work(wish):
        if wish == "fatal":
            raise RuntimeError("fatal")
        served.append(wish)

    worker = Worker(work)
    worker.ask("fatal")
    dying = worker._thread
    assert worker.wait(LONG)
    if dying is not None:  # its traceback belongs to this test, not to the next one
        dying.join(LONG)
    worker.ask("next")
    assert worker.wait(LONG)
    assert served == ["next"]


def test_waiting_for_itself_returns_instead_of_hanging():
    answers = []
    worker = Worker(lambda _: answers.append(worker.wait()))
    worker.ask(1)
    assert worker.wait(LONG)
    assert answers == [False]


def test_an_idle_thread_ends_and_the_next_wish_starts_another(monkeypatch):
    monkeypatch.setattr("lwlab.labs.worker._IDLE_SECONDS", 0.01)
    threads = []
    worker = Worker(lambda _: threads.append(threading.current_thread()))
    worker.ask(1)
    assert worker.wait(LONG)
    threads[0].join(LONG)
    assert not threads[0].is_alive()
    worker.ask(2)
    assert worker.wait(LONG)
    assert len(threads) == 2
    assert threads[0] is not threads[1]


def test_no_wish_is_lost_however_often_threads_come_and_go(monkeypatch):
    monkeypatch.setattr("lwlab.labs.worker._IDLE_SECONDS", 0.0005)
    last = []
    worker = Worker(last.append)
    for wish in range(300):
        worker.ask(wish)
        if wish % 3 == 0:
            time.sleep(0.001)
    assert worker.wait(LONG)
    assert last[-1] == 299


def test_an_ended_worker_gives_up_at_its_next_part_and_its_thread_is_gone():
    parts, started = [], threading.Event()

    def work(_):
        while not worker.outdated():
            parts.append(1)
            started.set()
            time.sleep(0.001)

    worker = Worker(work)
    worker.ask(1)
    assert started.wait(LONG)
    thread = worker._thread
    worker.end()
    assert not thread.is_alive()
    assert worker.idle()


def test_python_ends_cleanly_while_a_lab_is_still_training():
    script = (
        "from lwlab import data\n"
        "from lwlab.labs import TrainLab\n"
        "from lwlab.models import SimpleCNN\n"
        "lab = TrainLab(SimpleCNN(), data.load('digits'), epochs=1000)\n"
        "lab.start()\n"
        "while not (lab.result and lab.result.records): pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
