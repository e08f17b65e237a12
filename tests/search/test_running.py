import re

import pytest
from optuna.trial import TrialState

from lwlab import prune
from lwlab.journal import model_fingerprint
from lwlab.pipeline import Quantize, RemoveChannels
from lwlab.search import Outcome, SearchSpace, SearchTrial, search, search_trials
from lwlab.search import worker as worker_module
from lwlab.search.study import open_study


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def choices(result):
    return [(t.index, t.params, t.accuracy, t.size_bytes) for t in result.trials]


def finished(journal):
    return [entry.params for entry in journal.entries("search")]


def test_as_many_tries_as_wanted_land_in_the_journal_with_their_front(run, journal, model):
    result = run(12)
    assert [t.index for t in result.trials] == list(range(12))
    entries = journal.entries("search", model=model_fingerprint(model), dataset="digits")
    assert [e.key for e in entries] == [t.key for t in result.trials]
    assert [e.key for e in journal.front()] == [t.key for t in result.front]
    brute = [
        a for a in entries
        if not any(
            b.size_bytes <= a.size_bytes and b.accuracy >= a.accuracy
            and (b.size_bytes, b.accuracy) != (a.size_bytes, a.accuracy)
            for b in entries
        )
    ]  # fmt: skip
    assert {(e.size_bytes, e.accuracy) for e in brute} == {
        (t.size_bytes, t.accuracy) for t in result.front
    }
    assert journal.state(entries[3].id) == repr(result.trials[3].steps).encode()


def test_the_same_seed_makes_the_same_choices_and_another_one_others(run, tmp_path):
    first = run(12, study_path=tmp_path / "a.log")  # the first 10 are random
    again = run(12, study_path=tmp_path / "b.log")
    other = run(2, study_path=tmp_path / "c.log", seed=1)
    assert choices(first) == choices(again)
    assert choices(first)[:2] != choices(other)
    assert len({str(t.params) for t in first.trials}) == 12


def test_a_search_goes_on_as_if_it_was_never_stopped(run, tmp_path):
    whole = run(12, study_path=tmp_path / "a.log")
    for trials in (3, 11, 12):
        parts = run(trials, study_path=tmp_path / "b.log")
        assert len(parts.trials) == trials
    assert choices(parts) == choices(whole)
    assert choices(run(5, study_path=tmp_path / "b.log")) == choices(whole)  # there are enough


def test_what_died_between_the_study_and_the_journal_is_made_up_for(run, journal, monkeypatch):
    monkeypatch.setattr(worker_module, "keep_in_journal", lambda *_: None)
    run(2)
    monkeypatch.undo()
    journal.delete([e.id for e in journal.entries()][:1])
    result = run(3)
    assert sorted(e.key for e in journal.entries("search")) == sorted(t.key for t in result.trials)


def test_a_try_whose_place_was_taken_counts_for_nothing(run, path, journal):
    calls = []

    def evaluate(model, dataset, steps, seed, stopped):
        calls.append(steps)
        if len(calls) == 1:  # while we are taken for dead
            open_study(path, {}).tell(0, state=TrialState.FAIL)
        return Outcome(0.5, 10, 0.0, b"")

    result = run(2, evaluate=evaluate)
    assert len(calls) == 3
    assert calls[0] == calls[1]
    assert [t.index for t in result.trials] == [0, 1]
    assert len(journal.entries()) == 2


def test_a_recipe_that_does_not_fit_is_left_out(run, path):
    def evaluate(model, dataset, steps, seed, stopped):
        if any(isinstance(s, Quantize) and s.num_bits == 2 for s in steps):
            raise ValueError("2 bits must not be.")
        return Outcome(0.5, 10, 0.0, b"")

    result = run(8, evaluate=evaluate, space=SearchSpace(bits=(2, 8)))
    assert [t.params["bits"] for t in result.trials] == [8] * 8
    refused = [t.user_attrs.get("refused") for t in open_study(path, {}).trials]
    assert set(refused) == {None, "2 bits must not be."}


def test_a_space_that_does_not_fit_at_all_is_said(run, model, digits, path):
    def evaluate(model, dataset, steps, seed, stopped):
        raise ValueError("no channel can go.")

    with says(ValueError, "no channel can go."):
        run(8, evaluate=evaluate)
    assert len(open_study(path, {}).trials) == 5

    def broken(model, dataset, steps, seed, stopped):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(8, evaluate=broken)
    assert {t.state.name for t in open_study(path, {}).trials} == {"FAIL"}


def test_tries_come_as_they_finish_and_closing_stops(model, digits, path, journal, run):
    def evaluate(model, dataset, steps, seed, stopped):
        return Outcome(0.5, 10, 0.0, b"")

    found = search_trials(
        model, digits, trials=50, study_path=path, journal=journal, evaluate=evaluate
    )
    first, second = next(found), next(found)
    assert isinstance(first, SearchTrial)
    assert (first.index, second.index) == (0, 1)
    found.close()
    assert len(journal.entries()) == 2
    seen = []
    run(4, evaluate=evaluate, progress=seen.append)
    assert [t.index for t in seen] == [2, 3]


def test_a_real_search_of_a_tiny_network(model, digits, path, journal):
    space = SearchSpace(pruning_ratio=None, sparsity=(0.5, 0.9), bits=(4,), granularity=("tensor",))
    result = search(model, digits, trials=2, study_path=path, space=space, journal=journal)
    for entry, trial in zip(journal.entries(), result.trials, strict=True):
        assert len(journal.state(entry.id)) == trial.size_bytes
        assert not any(isinstance(step, RemoveChannels) for step in trial.steps)


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"trials": 0}, ValueError, "trials must be a whole number of at least 1, got 0."),
        ({"workers": 0}, ValueError, "workers must be a whole number of at least 1, got 0."),
        (
            {"seed": -1},
            ValueError,
            f"seed must be a whole number from 0 to {2**20}, got -1.",
        ),
        ({"space": {}}, TypeError, "space must be a SearchSpace, got dict."),
    ],
)
def test_each_wrong_argument_is_refused_in_one_sentence(run, changes, error, sentence):
    with says(error, sentence):
        run(**{"trials": 1, **changes})


def test_another_model_space_or_data_set_is_refused(run, model, digits, path):
    run(1)
    sentence = (
        "study_path must be a new file or a search with the same {}, got "
        f"{str(path)!r}. Name another file."
    )
    with says(ValueError, sentence.format("space")):
        run(1, space=SearchSpace(bits=(8,)))
    with says(TypeError, "dataset must be an lwlab.data.Dataset, got NoneType."):
        search(model, None, trials=1, study_path=path)
    prune.mask_model_(model, sparsity=0.5)
    with says(
        ValueError,
        "model must be plain, got one with masks or quantizers on it. Give the model that it was "
        "made from.",
    ):
        run(1)
    prune.bake_(model)
    with says(ValueError, sentence.format("model")):
        run(1)
