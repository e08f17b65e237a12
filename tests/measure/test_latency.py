import copy
import re

import numpy as np
import pytest
import torch
from torch import nn

from lwlab.measure import Latency, folded, latency
from lwlab.measure import latency as latency_function
from lwlab.models import SimpleCNN


class Counts(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = []

    def forward(self, inputs):
        self.calls.append(tuple(inputs.shape))
        return inputs


class FakeClock:
    """Time stands still but for what each pass is said to take, in milliseconds."""

    def __init__(self, passes):
        self.ends = iter(value for took in passes for value in (0, round(took * 1e6)))

    def perf_counter_ns(self):
        return next(self.ends)


def clocked(monkeypatch, passes, **kwargs):
    module = latency_function.__globals__
    monkeypatch.setitem(module, "time", FakeClock(passes))
    return latency(nn.Identity(), torch.zeros(1, 2), repeats=len(passes), warmup=0, **kwargs)


def test_median_and_spread_by_hand(monkeypatch):
    # 11 passes of 0 to 10 ms and one straggler in place of 10: the median does not see it.
    found = clocked(monkeypatch, [3, 1, 2, 0, 9, 8, 7, 6, 5, 4, 1000])
    assert (found.low_ms, found.median_ms, found.high_ms) == (1, 5, 9)


def test_percentiles_are_numpys(monkeypatch):
    passes = np.random.default_rng(0).uniform(1, 2, 50).round(6)
    found = clocked(monkeypatch, passes)
    expected = np.percentile(passes, [10, 50, 90])
    assert (found.low_ms, found.median_ms, found.high_ms) == pytest.approx(tuple(expected))


def test_passes_are_as_many_as_asked_for_with_the_inputs_as_they_are():
    model = Counts()
    found = latency(model, torch.zeros(4, 2), repeats=5, warmup=3)
    assert model.calls == [(4, 2)] * 8
    assert found.batch_size == 4
    assert found.threads == torch.get_num_threads()
    assert 0 < found.low_ms <= found.median_ms <= found.high_ms


def test_it_prints_its_conditions():
    assert str(Latency(0.3, 0.25, 1.5, threads=1, batch_size=1)) == (
        "0.300 ms (0.250 ms to 1.50 ms), 1 thread, batch 1"
    )
    assert str(Latency(2, 1, 3, threads=2, batch_size=1000)) == (
        "2.00 ms (1.00 ms to 3.00 ms), 2 threads, batch 1,000"
    )


def test_ranges_overlap_where_they_share_a_value():
    def around(low, high):
        return Latency(low, low, high, 1, 1)

    assert around(1, 2).overlaps(around(2, 3))
    assert around(2, 3).overlaps(around(1, 2))
    assert around(1, 9).overlaps(around(2, 3))
    assert not around(1, 2).overlaps(around(2.1, 3))
    assert not around(2.1, 3).overlaps(around(1, 2))


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (
            lambda: latency(nn.Identity(), (1, 8, 8)),
            TypeError,
            "inputs must be a tensor, got tuple.",
        ),
        (
            lambda: latency(nn.Identity(), torch.zeros(0, 2)),
            ValueError,
            "inputs must hold at least one example, got shape (0, 2).",
        ),
        (
            lambda: latency(nn.Identity(), torch.zeros(1, 2), repeats=0),
            ValueError,
            "repeats must be a whole number of at least 1, got 0.",
        ),
        (
            lambda: latency(nn.Identity(), torch.zeros(1, 2), warmup=-1),
            ValueError,
            "warmup must be a whole number of at least 0, got -1.",
        ),
    ],
)
def test_mistakes_are_one_sentence(call, error, sentence):
    with pytest.raises(error, match=f"^{re.escape(sentence)}$"):
        call()


def test_a_plain_model_is_its_own_folded_form():
    model = SimpleCNN()
    assert folded(model) is model


def test_a_folded_model_is_plain_and_answers_alike(make_model, digits_like):
    model = make_model("masked")
    plain = folded(model)
    assert list(plain.state_dict()) != list(model.state_dict())
    assert set(plain.state_dict()) == set(SimpleCNN().state_dict())
    assert type(plain.conv1) is nn.Conv2d
    with torch.no_grad():
        assert torch.equal(plain(digits_like.inputs), model(digits_like.inputs))


def test_folding_breaks_neither_the_model_nor_its_copies(make_model, digits_like):
    # torch's own remove_parametrizations, used on a deep copy, takes the weight from all of them.
    model = make_model("masked")
    twin = copy.deepcopy(model)
    folded(twin)
    with torch.no_grad():
        assert torch.equal(twin(digits_like.inputs), model(digits_like.inputs))


def test_a_shared_masked_layer_is_folded_once(make_model):
    model = make_model("new masked")
    model = nn.Sequential(model.conv1, model.conv1)
    plain = folded(model)
    assert plain[0] is plain[1]
    assert type(plain[0]) is nn.Conv2d


def test_a_folded_buffer_stays_a_buffer():
    model = nn.BatchNorm1d(2)
    nn.utils.parametrize.register_parametrization(model, "running_mean", nn.Identity())
    plain = folded(model)
    assert dict(plain.named_buffers()).keys() == dict(nn.BatchNorm1d(2).named_buffers()).keys()
    assert dict(plain.named_parameters()).keys() == {"weight", "bias"}
