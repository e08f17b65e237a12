import dataclasses
import math
import re
from datetime import UTC, datetime

import pytest

from lwlab.journal import Entry


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def test_an_entry_has_the_time_in_utc_and_a_key_of_its_own(make):
    before = datetime.now(UTC)
    first, second = make(), make()
    assert before <= datetime.fromisoformat(first.created) <= datetime.now(UTC)
    assert first.key != second.key
    assert first.id is None


def test_parameters_come_as_json_gives_them_back_and_numbers_in_their_own_kind():
    given = {"clip": (-1.0, 2.0), "inner": {"bits": 4}}
    entry = Entry("lab", given, 1, 10.0, latency_ms=2, seed=3.0)
    assert entry.params == {"clip": [-1.0, 2.0], "inner": {"bits": 4}}
    kinds = [type(x) for x in (entry.accuracy, entry.size_bytes, entry.latency_ms, entry.seed)]
    assert kinds == [float, int, float, int]
    given["inner"]["bits"] = 8
    assert entry.params["inner"] == {"bits": 4}


@pytest.mark.parametrize(
    ("fields", "error", "sentence"),
    [
        ({"source": ""}, ValueError, "source must be a text of 1 to 200 characters, got 0."),
        ({"source": 3}, TypeError, "source must be a text, got int."),
        ({"key": "k" * 201}, ValueError, "key must be a text of 1 to 200 characters, got 201."),
        (
            {"model": "m" * 201},
            ValueError,
            "model must be a text of 200 characters at the most, got 201.",
        ),
        (
            {"note": "\ud800"},
            ValueError,
            "note must be a text that UTF-8 can hold, got '\\ud800'.",
        ),
        ({"params": [1]}, TypeError, "params must be a dict, got list."),
        (
            {"params": {"x": math.nan}},
            ValueError,
            ("params must hold only what JSON can hold: "
            "Out of range float values are not JSON compliant."),
        ),
        (
            {"params": {"x": {1}}},
            TypeError,
            ("params must hold only what JSON can hold: "
            "Object of type set is not JSON serializable."),
        ),
        ({"accuracy": 90}, ValueError, ("accuracy must be a fraction in [0, 1], got 90.0. "
         "Did you mean 0.9?")),
        ({"accuracy": None}, TypeError, "accuracy must be a fraction in [0, 1], got None."),
        (
            {"size_bytes": -1},
            ValueError,
            f"size_bytes must be a whole number from 0 to {2**63 - 1}, got -1.",
        ),
        ({"seed": 2**63}, ValueError,
         f"seed must be a whole number from 0 to {2**63 - 1}, got {2**63}."),
        ({"latency_ms": -1}, ValueError,
         "latency_ms must be a finite number of at least 0, got -1.0."),
        ({"seconds": math.inf}, ValueError,
         "seconds must be a finite number of at least 0, got inf."),
        ({"recipe": "[1,"}, ValueError, "recipe must be a JSON text, got '[1,'."),
        ({"recipe": [1]}, TypeError, "recipe must be a text, got list."),
        (
            {"created": "2026-01-31T12:00:00"},
            ValueError,
            ("created must be an ISO time in UTC, got '2026-01-31T12:00:00'. "
            "Try '2026-01-31T12:00:00+00:00'."),
        ),
        ({"created": "noon"}, ValueError, ("created must be an ISO time in UTC, got 'noon'. "
         "Try '2026-01-31T12:00:00+00:00'.")),
        ({"state": "text"}, TypeError, "state must be bytes or None, got str."),
    ],
)  # fmt: skip
def test_each_wrong_field_is_refused_in_one_sentence(make, fields, error, sentence):
    with says(error, sentence):
        make(**fields)


def test_nesting_without_end_is_refused(make):
    deep = {}
    for _ in range(100_000):
        deep = {"x": deep}
    with says(ValueError, "params must not be nested that deeply. Flatten it."):
        make(params=deep)
    while deep:  # taken apart by hand: freeing it whole goes as deep
        deep = deep["x"]


def test_an_entry_is_frozen(make):
    with pytest.raises(dataclasses.FrozenInstanceError):
        make().accuracy = 1.0
