import copy
import json

import pytest

from lwlab import packing
from lwlab.measure import Accuracy, accuracy, macs
from lwlab.models import SimpleCNN
from lwlab.pipeline import StepScorecard, score
from lwlab.pipeline.packed import loaded_back
from lwlab.quantize import prepare_


def test_a_score_is_what_was_measured_of_the_file(network, small, same):
    before = copy.deepcopy(network)
    card = score(network, small)
    assert card == StepScorecard(
        accuracy=accuracy(network, small.validation),
        size_bytes=len(packing.to_bytes(network)),
        macs=macs(network, small.input_shape),
    )
    assert score(network, small, test=True).test == accuracy(network, small.test)
    assert same(network, before)


def test_a_prepared_model_is_scored_through_its_file(network, small):
    prepare_(network, num_bits=2)
    fresh = SimpleCNN((1, 4, 4), 3, width=4, hidden=12, seed=5)
    assert score(network, small) == score(network, small, into=fresh)
    assert score(network, small).size_bytes == len(packing.to_bytes(network))


def test_the_plain_model_that_a_file_is_loaded_into_stays_as_it_is(network, same):
    fresh = SimpleCNN((1, 4, 4), 3, width=4, hidden=12, seed=5)
    before = copy.deepcopy(fresh)
    loaded = loaded_back(packing.to_bytes(network), fresh)
    assert same(loaded, network)
    assert same(fresh, before)


@pytest.mark.parametrize("test", [None, Accuracy(3, 9)])
def test_a_scorecard_goes_through_json(test):
    card = StepScorecard(Accuracy(4, 10), 1234, 99, test)
    assert StepScorecard.from_json(json.loads(json.dumps(card.to_json()))) == card
    with pytest.raises(KeyError):
        StepScorecard.from_json({})


def test_cells_name_the_split_and_the_units():
    cells = StepScorecard(Accuracy(4, 10), 1234, 5000, Accuracy(1, 2)).cells()
    assert list(cells) == ["accuracy (validation)", "file size", "MACs", "accuracy (test)"]
    assert cells["file size"] == "1.23 kB"
    assert cells["MACs"] == "5,000"
