import pytest

from lwlab.labs.pack import PackParams
from lwlab.labs.pack.choices import GROUPS
from lwlab.labs.pack.files import prefixes
from lwlab.labs.pack.params import LADDER, SLOW
from lwlab.packing import CODING_FAMILIES
from lwlab.quantize import PerChannel, PerGroup, PerTensor


def test_the_ladder_has_every_family_once_and_the_slow_ones_last():
    assert sorted(LADDER) == sorted(CODING_FAMILIES)
    assert set(LADDER[-len(SLOW) :]) == SLOW


def test_each_family_has_a_box_in_one_group():
    named = [family for group in GROUPS.values() for family in group]
    assert sorted(named) == sorted(CODING_FAMILIES)


def test_rungs_gather_the_families_that_are_on():
    assert list(prefixes(("scaled", "gaps"))) == [
        (), None, None, ("scaled",), None, ("scaled", "gaps"), None, None, None
    ]  # fmt: skip


def test_codings_come_in_any_order_and_stand_in_that_of_the_ladder():
    assert PackParams(codings=("range", "half")).codings == ("half", "range")
    assert PackParams(codings={"mask", "gaps"}) == PackParams(codings=["gaps", "mask"])


def test_only_what_counts_decides_the_weights():
    assert PackParams(group_size=8).weights == PackParams(codings=()).weights
    assert PackParams(granularity="group").weights != PackParams().weights
    assert PackParams(num_bits="half", granularity="tensor").weights == (
        PackParams(num_bits="half").weights
    )
    assert PackParams(codebook_size=4).weights == PackParams().weights
    sizes = [PackParams(num_bits="codebook", codebook_size=n).weights for n in (4, 8)]
    assert sizes[0] != sizes[1]


def test_the_granularity_is_that_of_quantize_and_a_group_divides_the_channels():
    shape = (8, 4, 3, 3)
    found = [PackParams(granularity=g).scales(shape) for g in ("tensor", "channel")]
    assert found == [PerTensor(), PerChannel()]
    assert PackParams(granularity="group", group_size=16).scales(shape) == PerGroup(12)


@pytest.mark.parametrize(
    ("first", "sentence"),
    [
        ({"sparsity": 1.0}, "sparsity must be a fraction in [0, 1), got 1.0."),
        (
            {"num_bits": 9},
            "num_bits must be 'float', 'half' or 'codebook', or a whole number from 1 to 8, got 9.",
        ),
        (
            {"num_bits": True},
            ("num_bits must be 'float', 'half' or 'codebook', or a whole number from 1 to 8, got "
             "True."),
        ),
        (
            {"granularity": "row"},
            "granularity must be one of 'tensor', 'channel' or 'group', got 'row'.",
        ),
        ({"group_size": 0}, "group_size must be a whole number of at least 1, got 0."),
        ({"codebook_size": 1}, "codebook_size must be a whole number from 2 to 256, got 1."),
        (
            {"halved": "bias"},
            "halved must be one of 'none', 'biases' or 'all', got 'bias'. Did you mean 'biases'?",
        ),
        (
            {"codings": ("gap",)},
            ("codings must be names out of 'half', 'bitmask', 'gaps', 'mask', 'palette', 'scaled', "
             "'huffman' or 'range', got 'gap'. Did you mean 'gaps'?"),
        ),
    ],
)  # fmt: skip
def test_a_bad_field_is_one_sentence(says, first, sentence):
    with says(ValueError, sentence):
        PackParams(**first)
