import os
import signal
import threading
import time

import pytest

from lwlab.search import locks as locks_module
from lwlab.search.locks import FileLock


@pytest.fixture
def lock_path(tmp_path):
    return tmp_path / "study.log.lock"


def test_only_one_holds_it(lock_path):
    held, most = [], []

    def work():
        for _ in range(20):
            with FileLock(lock_path):
                held.append(1)
                most.append(len(held))
                time.sleep(0.0005)
                held.pop()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 60
    assert not lock_path.exists()


def test_a_holder_that_was_killed_is_not_waited_for(lock_path, tmp_path, start):
    def hold():
        FileLock(lock_path).acquire()
        (tmp_path / "held").touch()
        time.sleep(60)

    process = start(hold)
    while not (tmp_path / "held").exists():
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    taken = threading.Thread(target=FileLock(lock_path).acquire, daemon=True)
    taken.start()
    taken.join(20)  # a holder elsewhere would be waited for half a minute
    assert not taken.is_alive()


def test_a_holder_elsewhere_is_waited_for_half_a_minute(lock_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(locks_module.time, "monotonic", lambda: clock[0])
    looks = []

    def sleep(_seconds):
        looks.append(clock[0])
        clock[0] += 10
        assert lock_path.exists()

    monkeypatch.setattr(locks_module.time, "sleep", sleep)
    lock_path.write_text('{"place": "another machine", "process": [1, "5"]}\nabc')
    lock = FileLock(lock_path)
    assert lock.acquire()
    assert looks == [0, 10, 20, 30]
    lock.release()
    assert not lock_path.exists()


def test_a_lock_that_was_broken_and_taken_is_not_given_back_for_another(lock_path):
    lock = FileLock(lock_path)
    lock.acquire()
    lock_path.write_text("another's")
    lock.release()
    assert lock_path.read_text() == "another's"
