import copy
import itertools
import re

import pytest
import torch

from lwlab import measure, packing
from lwlab.models import MLP
from lwlab.pipeline import FineTune, Pack, Prune, Quantize
from lwlab.search import evaluate
from lwlab.search.evaluating import StoppedError
from lwlab.train import fit

STEPS = (Prune(0.5), FineTune(1), Quantize(4), Pack())


@pytest.fixture
def trained(model, digits):
    for _ in fit(model, digits, epochs=2):
        pass
    return model


def test_a_try_is_measured_on_the_file_that_loads_back(trained, digits):
    before = copy.deepcopy(trained.state_dict())
    stream = torch.random.get_rng_state()
    outcome = evaluate(trained, digits, STEPS, seed=3)
    loaded = MLP(digits.input_shape, widths=(8,))
    packing.from_bytes_(loaded, outcome.data, resize=True)
    assert outcome.accuracy == measure.accuracy(loaded, digits.validation).value
    assert outcome.size_bytes == len(outcome.data) < measure.packed_bytes(trained) / 4
    assert outcome.seconds > 0
    assert all(torch.equal(before[n], t) for n, t in trained.state_dict().items())
    assert torch.equal(stream, torch.random.get_rng_state())


def test_the_same_seed_gives_the_same_file(trained, digits):
    first, again, other = (evaluate(trained, digits, STEPS, seed=s).data for s in (1, 1, 2))
    assert first == again != other


def test_a_try_that_nobody_wants_is_given_up_amid_its_training(trained, digits):
    looks = itertools.count()
    with pytest.raises(StoppedError):
        evaluate(trained, digits, (Prune(0.1), FineTune(1000)), 0, lambda: next(looks) >= 2)
    assert next(looks) == 3


def test_a_recipe_that_makes_no_sense_is_refused(trained, digits):
    with pytest.raises(ValueError, match=re.escape("Pack")):
        evaluate(trained, digits, (Pack(), Prune(0.5)))
