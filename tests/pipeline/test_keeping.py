"""Each step that a run has finished is a try in the journal, with its recipe and its file."""

from __future__ import annotations

import pytest

from lwlab import packing
from lwlab.journal import Journal, model_fingerprint
from lwlab.measure import accuracy
from lwlab.models import SimpleCNN
from lwlab.pipeline import FineTune, Prune, Quantize, StepRecord, recipe_from_json, run_all

STEPS = [Prune(0.5), FineTune(epochs=1), Quantize(4)]


def test_a_run_leaves_a_try_for_each_step(network, small, tmp_path):
    journal = Journal(tmp_path / "journal.sqlite")
    result = run_all(network, small, STEPS, seed=3, journal=journal)
    tries = journal.entries(source="pipeline")
    assert [(t.accuracy, t.size_bytes, t.note) for t in tries] == [
        (r.scorecard.accuracy.value, r.scorecard.size_bytes, r.step.describe())
        for r in result.records
    ]
    assert [recipe_from_json(t.recipe).steps for t in tries] == [
        tuple(STEPS[:1]),
        tuple(STEPS[:2]),
        tuple(STEPS),
    ]
    assert {(t.seed, t.model, t.dataset) for t in tries} == {
        (3, model_fingerprint(network), "corners")
    }


def test_the_file_of_a_try_is_what_was_scored(network, small, tmp_path):
    journal = Journal(tmp_path / "journal.sqlite")
    run_all(network, small, STEPS, journal=journal)
    last = journal.entries()[-1]
    fresh = SimpleCNN((1, 4, 4), 3, width=4, hidden=12, seed=5)
    packing.from_bytes_(fresh, journal.state(last.id))
    assert accuracy(fresh, small.validation).value == last.accuracy


def test_steps_that_an_earlier_run_has_finished_are_not_kept_twice(network, small, tmp_path):
    journal = Journal(tmp_path / "journal.sqlite")
    for _ in range(2):
        run_all(network, small, STEPS, journal=journal, folder=tmp_path / "run")
    assert len(journal.entries()) == len(STEPS)


def test_a_journal_that_fails_warns_and_the_run_goes_on(network, small, tmp_path):
    file = tmp_path / "journal.sqlite"
    journal = Journal(file)
    file.unlink(missing_ok=True)
    file.write_bytes(b"no journal at all, but a text")
    with pytest.warns(UserWarning, match=r"^This step is not in the journal: "):
        result = run_all(network, small, STEPS[:1], journal=journal)
    assert isinstance(result.records[0], StepRecord)
    assert file.read_bytes() == b"no journal at all, but a text"
