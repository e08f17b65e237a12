import pytest

from lwlab.models import SimpleCNN
from lwlab.pipeline import FAMILIES
from lwlab.pipeline.choosing import best_within
from lwlab.pipeline.survey import Survey
from lwlab.train import fit

SINGLES = [name for name, family in FAMILIES.items() if family.single]


@pytest.fixture(scope="module")
def survey(small):
    model = SimpleCNN((1, 4, 4), 3, width=4, hidden=16)
    for _ in fit(model, small, epochs=20, learning_rate=1e-2):
        pass
    return Survey(model, small)


@pytest.mark.parametrize("budget", [1000, 3000, 10**6])
def test_the_file_fits_and_no_technique_alone_is_better(budget, survey):
    best = best_within(survey, budget, epochs=1, families=FAMILIES.values())
    assert len(best.data) == best.size_bytes <= budget
    for name in SINGLES:
        try:
            alone = best_within(survey, budget, epochs=1, families=[FAMILIES[name]])
        except ValueError:
            continue  # too small a budget for this one
        assert best.scorecard.accuracy.correct >= alone.scorecard.accuracy.correct


def test_a_file_that_training_made_too_long_is_made_anew(survey, monkeypatch):
    family = FAMILIES["prune + 6 bits"]
    budget = survey.size_of(family, 0.3698)
    small_trial, sizes, trained = survey.untrained(family, 0.9), [], Survey.trained

    def watched(*arguments):
        tried = trained(*arguments)
        sizes.append(tried.size_bytes)
        return tried

    # The trial says that training makes the file much shorter, which it does not.
    monkeypatch.setattr(Survey, "trial", lambda *_: small_trial)
    monkeypatch.setattr(Survey, "trained", watched)
    best = best_within(survey, budget, epochs=1, families=[family])
    assert sizes[0] > budget
    assert len(sizes) > 1
    assert best.size_bytes <= budget
