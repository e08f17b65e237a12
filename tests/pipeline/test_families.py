import pytest

from lwlab.pipeline import FAMILIES, Pack, check_order
from lwlab.pipeline.training import _Training


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_every_recipe_of_a_family_is_in_a_sensible_order(family):
    for knob in family.knobs:
        cut, mended = check_order(family.cut(knob)), check_order(family.mended(knob, 3))
        assert cut[-1] == mended[-1] == Pack()
        assert [step for step in mended if not isinstance(step, _Training)] == list(cut)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_every_family_trains_for_as_many_epochs(family):
    for knob in family.knobs:
        trained = [step for step in family.mended(knob, 3) if isinstance(step, _Training)]
        # Channels, then weights and bits: one training after the first two, one after the last.
        assert sum(step.epochs for step in trained) == (0 if family.name == "float" else 6)
        assert all(step.distil for step in trained)


def test_single_families_use_one_technique():
    singles = [family for family in FAMILIES.values() if family.single]
    assert [family.name for family in singles] == [
        "float",
        "prune",
        "channels",
        "quantize",
        "share",
    ]
    for family in singles:
        assert len(family.cut(family.knobs[-1])) <= 2
