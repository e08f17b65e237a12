import torch

from lwlab.data import Split
from lwlab.labs.estimate import estimate_label
from lwlab.measure import Accuracy

SPLIT = Split(torch.zeros(2000, 1), torch.zeros(2000, dtype=torch.int64))


def test_a_part_of_a_split_is_labelled_and_the_whole_is_not():
    assert estimate_label(Accuracy(400, 500), SPLIT) == (
        "Estimate from 500 of 2,000 validation examples; the rest is being scored."
    )
    assert estimate_label(Accuracy(1900, 2000), SPLIT) == ""
