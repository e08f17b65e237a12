import re

import pytest

from lwlab.exercises import TASKS, hint
from lwlab.exercises import hints as hints_module


@pytest.fixture(autouse=True)
def _fresh_session(monkeypatch):
    monkeypatch.setattr(hints_module, "_given", {})


def test_each_call_gives_the_next_hint_and_then_the_last_again():
    given = [hint("prune.topk_mask") for _ in range(4)]
    assert [one.level for one in given] == [1, 2, 3, 3]
    assert [one.text for one in given[:3]] == list(TASKS["prune.topk_mask"].hints)


def test_exercises_count_apart():
    hint("prune.topk_mask")
    assert hint("prune.sparsity").level == 1


def test_a_level_gives_that_hint_and_does_not_count():
    assert hint("prune.sparsity", level=2).level == 2
    assert hint("prune.sparsity").level == 1


def test_a_hint_says_what_it_is_and_is_printed_in_a_script(capsys):
    one = hint("prune.sparsity", 2)
    assert str(one) == (
        "Hint 2 of 3 for prune.sparsity: the formula\n"
        "sparsity = (number of i with weight[i] == 0) / n"
    )
    assert capsys.readouterr().out == f"{one}\n"


def test_html_is_escaped_and_shows_code_as_code():
    html = hint("prune.topk_mask", 3)._repr_html_()
    assert "<pre>def topk_mask(importance, sparsity):" in html
    assert "<pre>" not in hint("prune.topk_mask", 1)._repr_html_()


@pytest.mark.parametrize("name", ["prune.topk", 3])
def test_an_unknown_exercise_is_a_text_and_no_error(name):
    one = hint(name)
    assert one.level == 0
    assert one.text.startswith("There is no such exercise; there are ")
    assert f"Hint for {name!r}" in one._repr_html_().replace("&#x27;", "'")


@pytest.mark.parametrize("level", [0, 4])
def test_a_wrong_level_is_refused(level):
    sentence = f"level must be a whole number from 1 to 3, got {level}."
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        hint("prune.sparsity", level)
