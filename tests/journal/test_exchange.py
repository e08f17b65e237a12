import csv
import dataclasses
import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lwlab.journal import Journal


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def without_ids(entries):
    return [dataclasses.replace(entry, id=None) for entry in entries]


@pytest.fixture
def other(tmp_path):
    return Journal(tmp_path / "other.sqlite")


def test_tries_move_to_another_journal_once(journal, make, other, tmp_path):
    for note in ("é", "=1+1"):
        journal.add(make(note=note, seed=1, recipe="[]", state=b"bytes"))
    journal.export(tmp_path / "all.json", states=True)
    assert other.import_(tmp_path / "all.json") == 2
    assert without_ids(other.entries()) == without_ids(journal.entries())
    assert other.state(2) == b"bytes"
    assert other.import_(tmp_path / "all.json") == 0
    assert len(other.entries()) == 2


def test_states_stay_behind_unless_asked_for(journal, make, other, tmp_path):
    journal.add(make(state=b"bytes"))
    journal.export(tmp_path / "all.json")
    other.import_(tmp_path / "all.json")
    assert other.state(1) is None


def test_a_table_has_a_row_a_try_and_no_cell_is_a_formula(journal, make, tmp_path):
    journal.add(make(note="=HYPERLINK(1)", params={"a": [1, "x"]}))
    journal.add(make(0.25, 7, note="two\nlines, and a comma"))
    journal.export(tmp_path / "all.csv")
    with (tmp_path / "all.csv").open(newline="", encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    assert first["note"] == "'=HYPERLINK(1)"
    assert json.loads(first["params"]) == {"a": [1, "x"]}
    assert (second["id"], second["accuracy"], second["size_bytes"]) == ("2", "0.25", "7")
    assert second["note"] == "two\nlines, and a comma"
    assert second["latency_ms"] == ""


def test_an_export_replaces_whole_and_leaves_nothing_beside(journal, make, tmp_path):
    journal.add(make())
    target = tmp_path / "out" / "all.json"
    target.parent.mkdir()
    target.write_text("old")
    journal.export(target)
    assert json.loads(target.read_text())["format"] == "lwlab journal"
    assert list(target.parent.iterdir()) == [target]


def test_another_ending_is_refused(journal, tmp_path):
    path = tmp_path / "all.xlsx"
    with says(ValueError, f"path must end in '.csv' or '.json', got {str(path)!r}."):
        journal.export(path)


def document(rows, **changes):
    return json.dumps({"format": "lwlab journal", "version": 1, "entries": rows, **changes})


ROW = {"source": "s", "params": {}, "accuracy": 0.5, "size_bytes": 1}
FOREIGN = "{path} must be a .json file of Journal.export, got something else."


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", FOREIGN),
        ("[]", FOREIGN),
        ("[" * 100_000, FOREIGN),
        ('{"format": "other"}', FOREIGN),
        (
            document([], version=2),
            "{path} must hold tries in version 1, got version 2. Update lwlab to read a newer one.",
        ),
        (document([ROW, 3]), "try 1 of {path} is not sound: it has other fields."),
        (document([{**ROW, "id": 3}]), "try 0 of {path} is not sound: it has other fields."),
        (
            document([{**ROW, "accuracy": float("nan")}]),
            "try 0 of {path} is not sound: accuracy must be a fraction in [0, 1], got nan.",
        ),
        (
            document([{"source": "s"}]),
            (
                "try 0 of {path} is not sound: Entry.__init__() missing 3 required positional "
                "arguments: 'params', 'accuracy', and 'size_bytes'"
            ),
        ),
        (
            document([{**ROW, "state": "*"}]),
            "try 0 of {path} is not sound: Only base64 data is allowed",
        ),
    ],
)
def test_a_hostile_file_is_one_sentence_and_adds_nothing(journal, tmp_path, text, sentence):
    path = tmp_path / "all.json"
    path.write_text(text)
    with says(ValueError, sentence.format(path=repr(str(path)))):
        journal.import_(path)
    assert journal.entries() == []


def test_a_missing_file_is_named(journal, tmp_path):
    path = tmp_path / "none.json"
    with says(FileNotFoundError, f"path must be a .json file of a journal, got {str(path)!r}."):
        journal.import_(path)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from([*ROW, "note", "seed", "recipe", "created", "key"]), values))
def test_any_try_is_taken_or_refused_in_one_sentence(journal, tmp_path, changes):
    path = tmp_path / "all.json"
    path.write_text(document([{**ROW, **changes}]))
    before = len(journal.entries())
    try:
        added, sentence = journal.import_(path), None
    except ValueError as error:
        added, sentence = 0, str(error)
    assert added == len(journal.entries()) - before
    if sentence is not None:
        assert sentence.startswith(f"try 0 of {str(path)!r} is not sound: ")
        assert "\n" not in sentence
