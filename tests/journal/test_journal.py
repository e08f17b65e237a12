import dataclasses
import multiprocessing
import pickle
import re
import shutil
import sqlite3
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lwlab.journal import Entry, Journal
from lwlab.journal import database as database_module


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def test_what_is_added_comes_back_equal_but_for_its_id(journal, make):
    full = make(
        latency_ms=1.5, seed=3, seconds=2.5, note='<b>é "\n', recipe='[{"step": "Prune"}]',
        model="abc", dataset="digits", state=b"\x00packed",
    )  # fmt: skip
    ids = [journal.add(full), journal.add(make())]
    found = journal.entries()
    assert [entry.id for entry in found] == ids
    assert found[0] == dataclasses.replace(full, id=ids[0], state=None)
    assert found[0].state is None
    assert journal.state(ids[0]) == b"\x00packed"
    assert journal.state(ids[1]) is None


def test_entries_can_be_narrowed_and_turned_round(journal, make):
    for source, model in (("a", "m"), ("b", "m"), ("a", "n")):
        journal.add(make(source=source, model=model, dataset="digits"))
    assert [e.model for e in journal.entries("a")] == ["m", "n"]
    assert [e.id for e in journal.entries(newest_first=True)] == [3, 2, 1]
    assert [e.id for e in journal.entries("a", model="n", dataset="digits")] == [3]
    assert journal.entries("a'; DROP TABLE entries; --") == []
    assert journal.entries(dataset="mnist") == []


def test_a_key_is_kept_once(journal, make):
    first, same = make(key="trial 1"), make(0.5, key="trial 1")
    assert journal.add(first) == journal.add(same) == 1
    assert [e.accuracy for e in journal.entries()] == [0.9]


def test_the_front_is_of_the_entries(journal, make):
    for accuracy, size in ((0.9, 100), (0.8, 50), (0.7, 60), (0.9, 100)):
        journal.add(make(accuracy, size))
    journal.add(make(1.0, 1, source="other"))
    assert [e.id for e in journal.front(source="test")] == [2, 1]
    assert [e.id for e in journal.front()] == [5]


def test_deleting_takes_all_or_none(journal, make):
    for _ in range(3):
        journal.add(make())
    with says(ValueError, f"id must be of a try in the journal {str(journal.path)!r}, got 9."):
        journal.delete([1, 9])
    assert [e.id for e in journal.entries()] == [1, 2, 3]
    journal.delete([1, 3])
    assert [e.id for e in journal.entries()] == [2]
    assert journal.add(make()) == 4  # an id is not used again
    journal.delete([])


def test_a_state_of_nothing_is_refused(journal, make):
    sentence = f"id must be of a try in the journal {str(journal.path)!r}, got 1."
    with says(ValueError, sentence):
        journal.state(1)
    journal.add(make())
    assert journal.state(1) is None
    with says(ValueError, sentence.replace("got 1", "got 2")):
        journal.state(2)
    with says(TypeError, "entry must be an Entry, got dict."):
        journal.add({})


def test_reading_makes_no_file_and_adding_does(journal, make, path):
    assert journal.entries() == []
    assert not path.exists()
    path.touch()  # as another process leaves it for a moment
    assert Journal(path).entries() == []
    journal.add(make())
    assert Journal(path).entries() == journal.entries() != []


def test_a_journal_travels_by_its_path(journal, make):
    journal.add(make())
    assert pickle.loads(pickle.dumps(journal)).entries() == journal.entries()


def test_threads_may_write_at_once(journal, make):
    def write():
        for _ in range(10):
            journal.add(make())

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [e.id for e in journal.entries()] == list(range(1, 41))


def _write(path, count):
    journal = Journal(path)
    for n in range(count):
        journal.add(Entry("process", {"n": n}, 0.5, 1))


def test_processes_may_write_at_once_also_to_a_file_that_is_not_there_yet(path):
    context = multiprocessing.get_context("fork")  # a spawned one would import torch again
    processes = [context.Process(target=_write, args=(path, 15)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert sorted(e.params["n"] for e in Journal(path).entries()) == sorted(3 * list(range(15)))


def test_an_error_amid_an_action_undoes_it(journal, make):
    journal.add(make())

    def fail_midway():
        with database_module.opened(journal.path, write=True) as connection:
            connection.execute("DELETE FROM entries")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_midway()
    assert len(journal.entries()) == 1


# ---- files that are no sound journal -----------------------------------------------------------


def refused(path, sentence, error=ValueError):
    before = path.read_bytes()
    with says(error, sentence):
        Journal(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"x", b"not a database\n" * 100, b"SQLite format 3\0"])
def test_another_kind_of_file_is_refused_and_left_alone(path, content):
    path.write_bytes(content)
    refused(
        path,
        f"{str(path)!r} must be a journal of lwlab, got another kind of file. Name another file.",
    )


def change(path, *commands):
    connection = sqlite3.connect(path)
    for command in commands:
        connection.execute(command)
    connection.commit()
    connection.close()


def test_another_database_is_refused_and_left_alone(path):
    change(path, "CREATE TABLE t (x)", "INSERT INTO t VALUES (1)")
    refused(
        path, f"{str(path)!r} must be a journal of lwlab, got another database. Name another file."
    )


def test_a_newer_version_is_refused_and_left_alone(journal, make, path):
    journal.add(make())
    change(path, "PRAGMA user_version=2")
    refused(
        path,
        f"{str(path)!r} must be a journal of version 1 or older, got version 2. "
        f"Update lwlab to read it.",
    )


def test_a_trigger_in_the_file_is_refused_before_it_runs(journal, make, path):
    journal.add(make())
    change(path, "CREATE TRIGGER t AFTER INSERT ON entries BEGIN DELETE FROM entries; END")
    refused(
        path,
        f"the journal {str(path)!r} is damaged: its table is not as it was made. "
        f"Keep it, and name another file.",
    )
    with pytest.raises(ValueError, match="its table is not as it was made"):
        journal.add(make())


def test_a_cut_off_file_is_refused_and_left_alone(journal, make, path):
    for _ in range(5):
        journal.add(make(state=bytes(5000)))
    path.write_bytes(path.read_bytes()[:-5000])
    refused(
        path,
        f"the journal {str(path)!r} is damaged: database disk image is malformed. "
        f"Keep it, and name another file.",
    )


def test_a_try_that_is_not_sound_is_named(journal, make, path):
    journal.add(make())
    change(path, "UPDATE entries SET accuracy = 7")
    with says(
        ValueError,
        f"the journal {str(path)!r} is damaged: try 1 is not sound (accuracy must be a fraction in "
        f"[0, 1], got 7.0. Did you mean 0.07?) Keep it, and name another file.",
    ):
        journal.entries()


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    path = tmp_path_factory.mktemp("sound") / "journal.sqlite"
    for n in range(4):
        Journal(path).add(Entry("s", {"n": n}, n / 4, n, note="x" * 500, state=bytes(3000)))
    return path


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_a_damaged_file_gives_one_sentence_or_sound_tries_and_stays_as_it_is(
    sound, tmp_path, places
):
    path = tmp_path / "journal.sqlite"
    shutil.copy(sound, path)
    content = bytearray(path.read_bytes())
    for place, value in places:
        content[round(place * (len(content) - 1))] = value
    path.write_bytes(content)
    try:
        found, sentence = Journal(path).entries(), str(path)
    except (ValueError, OSError) as error:
        found, sentence = [], str(error)
    assert all(isinstance(entry, Entry) for entry in found)
    assert str(path) in sentence
    assert "\n" not in sentence
    assert path.read_bytes() == bytes(content)


def test_a_missing_folder_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "none" / "journal.sqlite", tmp_path):
        with says(
            FileNotFoundError,
            f"a journal must be a file in a folder that exists, got {str(path)!r}.",
        ):
            Journal(path)


def test_a_file_that_others_keep_busy_is_a_timeout(journal, make, path, monkeypatch):
    journal.add(make())
    monkeypatch.setattr(database_module, "_BUSY_SECONDS", 0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with says(
        TimeoutError,
        f"the journal {str(path)!r} was kept busy by others for 0.05 s. Try again.",
    ):
        journal.add(make())
    assert len(journal.entries()) == 1  # readers do not wait for a writer that has not begun to
    other.close()
    assert journal.add(make()) == 2
