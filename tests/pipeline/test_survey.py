import pytest

from lwlab.models import SimpleCNN
from lwlab.pipeline import FAMILIES
from lwlab.pipeline.survey import Survey


@pytest.fixture(scope="module")
def survey(small):
    return Survey(SimpleCNN((1, 4, 4), 3, width=4, hidden=12), small)


@pytest.mark.parametrize("name", ["prune", "quantize", "share"])
def test_the_knob_is_the_gentlest_with_which_the_file_fits(name, survey):
    family = FAMILIES[name]
    sizes = [survey.size_of(family, knob) for knob in family.knobs]
    for budget in (sizes[0], sizes[0] - 1, sum(sizes) // len(sizes), sizes[-1], sizes[-1] - 1):
        knob = survey.fitting(family, budget)
        if budget < sizes[-1]:
            assert knob is None
            continue
        position = family.knobs.index(knob)
        assert sizes[position] <= budget
        assert position == 0 or sizes[position - 1] > budget


def test_nothing_is_carried_out_twice(survey):
    family = FAMILIES["prune + 3 bits"]
    first = survey.trained(family, 0.4013, epochs=1)
    count = len(survey.tried)
    assert survey.trained(family, 0.4013, epochs=1) is first
    assert len(survey.tried) == count
    assert first.full
    trial = survey.trial(family, 0.4013)
    assert not trial.full
    assert len(survey.tried) == count + 1


def test_the_smallest_file_is_that_of_the_harshest_knobs(survey):
    families = [FAMILIES["prune"], FAMILIES["quantize"]]
    ends = [survey.size_of(family, family.knobs[-1]) for family in families]
    assert survey.smallest(families) == min(ends)


def test_an_untrained_file_has_the_length_that_was_said(survey):
    family = FAMILIES["share"]
    tried = survey.untrained(family, 8)
    assert tried.size_bytes == len(tried.data) == survey.size_of(family, 8)
