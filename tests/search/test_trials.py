import optuna
from hypothesis import given
from hypothesis import strategies as st

from lwlab.journal import Origin
from lwlab.pipeline import Pack, Prune, recipe_to_json
from lwlab.search import SearchResult, SearchTrial


def trial(index, accuracy, size_bytes):
    recipe = recipe_to_json((Prune(0.5), Pack()), 3)
    when, _key = "2026-01-31T12:00:00+00:00", f"k{index}"
    return SearchTrial(
        index, {"sparsity": 0.5}, recipe, accuracy, size_bytes, 2.0, when, f"k{index}"
    )


def test_a_front_and_its_text_by_hand():
    result = SearchResult((trial(0, 0.9, 2000), trial(1, 0.8, 3000), trial(2, 0.95, 4000)))
    assert [t.index for t in result.front] == [0, 2]
    assert str(result) == (
        "3 tries, 2 on the front:\n"
        "      2,000 bytes   90.00%  sparsity 0.5\n"
        "      4,000 bytes   95.00%  sparsity 0.5"
    )


points = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12)


@given(points)
def test_the_front_has_the_values_of_the_one_that_optuna_finds(found):
    result = SearchResult(tuple(trial(i, a / 5, s) for i, (a, s) in enumerate(found)))
    study = optuna.create_study(directions=["maximize", "minimize"])
    for accuracy, size in found:
        values = [accuracy / 5, float(size)]
        study.add_trial(optuna.trial.create_trial(values=values))
    optunas = {tuple(t.values) for t in study.best_trials}
    assert {(t.accuracy, float(t.size_bytes)) for t in result.front} == optunas
    assert len(result.front) == len(optunas)


def test_a_try_has_its_steps_and_its_entry():
    one = trial(4, 0.9, 2000)
    assert one.steps == (Prune(0.5), Pack())
    entry = one.entry(Origin("abc", "digits"), 3, b"file")
    assert (entry.source, entry.key, entry.created) == ("search", "k4", one.finished)
    assert (entry.accuracy, entry.size_bytes, entry.seconds) == (0.9, 2000, 2.0)
    assert (entry.model, entry.dataset, entry.seed) == ("abc", "digits", 3)
    assert (entry.recipe, entry.params, entry.state) == (one.recipe, one.params, b"file")
