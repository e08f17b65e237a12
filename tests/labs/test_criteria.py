import re

import pytest

from lwlab import measure, prune
from lwlab.labs import CriteriaLab
from lwlab.models import SimpleCNN
from lwlab.train import fit

LONG = 120


@pytest.fixture(scope="module")
def models(digits):
    made = []
    for seed in range(2):
        model = SimpleCNN(width=4, hidden=16, seed=seed)
        for _ in fit(model, digits, epochs=4, seed=seed):
            pass
        made.append(model)
    return made


@pytest.fixture
def lab(models, digits):
    made = CriteriaLab(models, digits)
    assert made.wait(LONG)
    return made


def figures(lab):
    return [figure.to_dict()["data"] for figure in lab.live.screen.figures]


def test_the_result_is_the_comparison_of_the_library(lab, models, digits):
    assert list(lab.result.rows) == list(prune.compare_criteria(models, digits, sparsities=[0.5]))
    whole = [measure.accuracy(model, digits.validation).value for model in models]
    assert lab.result.baseline == pytest.approx(sum(whole) / 2)


@pytest.mark.parametrize(
    "change", [{"sparsity": 0.25}, {"cut": "weights"}, {"recover_epochs": 1}], ids=str
)
def test_every_control_changes_the_result_and_the_screen(lab, change):
    before, drawn, code = lab.result, figures(lab), lab.live.screen.code
    ((name, value),) = change.items()
    lab.controls[name].value = value
    assert lab.wait(LONG)
    assert lab.error is None
    assert getattr(lab.params, name) == value
    assert lab.result.rows != before.rows
    assert figures(lab) != drawn
    assert lab.live.screen.code != code


def test_fine_tuning_comes_network_by_network_and_keeps_what_was_measured(lab):
    lab.set(recover_epochs=1)
    assert lab.wait(LONG)
    estimates = [part.estimate for part in lab.compute(lab.params)]
    assert estimates[0] == "1 of 8 measured."
    assert estimates[-1] == ""
    assert any(row.recovered != row.as_cut for row in lab.result.rows)


def test_curves_grow_with_the_cuts_that_were_tried_of_one_kind(lab):
    for sparsity in (0.25, 0.75):
        lab.set(sparsity=sparsity)
        assert lab.wait(LONG)
    lines = {trace.name: list(trace.x) for trace in lab.live.screen.figures[1].data}
    assert lines["random"] == [25, 50, 75]
    lab.set(cut="weights")
    assert lab.wait(LONG)
    lines = {trace.name: list(trace.x) for trace in lab.live.screen.figures[1].data}
    assert list(lines) == ["random", "magnitude", "Taylor"]
    assert lines["random"] == [75]


def test_the_table_says_which_differences_are_more_than_chance(lab):
    table = prune.summarize(lab.result.rows)._repr_html_()
    assert lab.live.screen.details == table


def test_the_code_of_a_state_repeats_it(lab, models, digits, capsys):
    scope = {"models": models, "dataset": digits}
    exec(lab.live.screen.code, scope)
    assert tuple(scope["rows"]) == lab.result.rows
    assert "against random" in capsys.readouterr().out


def test_one_network_is_refused(models, digits):
    sentence = "models must be at least two trained networks, got 1: a criterion can be lucky once."
    with pytest.raises(ValueError, match=re.escape(sentence)):
        CriteriaLab(models[:1], digits)
    with pytest.raises(ValueError, match="sparsity must be a fraction"):
        CriteriaLab(models, digits, sparsity=30)
