import re

import pytest
import torch
from torch import nn

from lwlab.distill.features import (
    Attention,
    Hint,
    Relation,
    angle_loss,
    attention_loss,
    distance_loss,
    hint_loss,
)


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(5, channels, 3, 3, generator=generator) for channels in (2, 4))


def test_a_hint_learns_a_regressor_and_the_others_do_not(pair):
    regressor = Hint().regressor(*pair, 0)
    assert isinstance(regressor, nn.Conv2d)
    assert torch.equal(Hint().loss(*pair, regressor), hint_loss(*pair, regressor))
    assert Attention().regressor(*pair, 0) is None
    assert Relation().regressor(*pair, 0) is None


def test_each_is_its_function_with_its_settings(pair):
    assert torch.equal(Attention(3).loss(*pair, None), attention_loss(*pair, power=3))
    assert not torch.equal(Attention(3).loss(*pair, None), Attention().loss(*pair, None))
    wanted = 2 * distance_loss(*pair) + 5 * angle_loss(*pair)
    assert torch.allclose(Relation(2, 5).loss(*pair, None), wanted)
    assert torch.allclose(Relation(0, 5).loss(*pair, None), 5 * angle_loss(*pair))
    assert Relation(0, 0).loss(*pair, None) == 0


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Attention(0), "power must be a finite number of at least 1, got 0.0."),
        (
            lambda: Relation(distance_weight=-1),
            "distance_weight must be a finite number of at least 0, got -1.0.",
        ),
        (
            lambda: Relation(angle_weight=-1),
            "angle_weight must be a finite number of at least 0, got -1.0.",
        ),
    ],
)
def test_bad_settings_are_told(make, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        make()
