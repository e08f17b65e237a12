import dataclasses
import re

import pytest
import torch
from torch import nn

from lwlab import measure
from lwlab.data import Split
from lwlab.measure import Accuracy, Latency, Scorecard, scorecard
from lwlab.models import SimpleCNN

CARD = Scorecard(
    name="tiny",
    accuracy=Accuracy(9, 10),
    size_bytes=37_130,
    parameters=53_002,
    nonzero=5_300,
    macs=347_392,
    latency=Latency(0.15, 0.14, 0.2, threads=2, batch_size=1),
)


@pytest.mark.parametrize("kind", ["new", "new masked"])
def test_a_scorecard_holds_what_each_measurement_says(kind, make_model, digits_like):
    model = make_model(kind)
    card = scorecard(model, digits_like, name="mine")
    assert card.name == "mine"
    assert card.accuracy == measure.accuracy(model, digits_like)
    assert card.size_bytes == measure.packed_bytes(model)
    assert card.parameters == 53_002
    assert card.nonzero == measure.num_nonzero(model)
    assert card.macs == 347_392
    assert card.latency.batch_size == 1
    assert card.latency.median_ms > 0
    assert torch.equal(card.predicted, measure.predictions(model, digits_like.inputs))
    assert torch.equal(card.targets, digits_like.targets)


def test_a_masked_model_is_timed_as_it_would_be_loaded(make_model, digits_like, monkeypatch):
    timed = []
    monkeypatch.setitem(
        scorecard.__globals__, "latency", lambda model, inputs: timed.append((model, inputs))
    )
    scorecard(make_model("new masked"), digits_like)
    ((model, inputs),) = timed
    assert type(model.conv1) is nn.Conv2d
    assert torch.equal(inputs, digits_like.inputs[:1])


def test_it_prints_every_figure_with_its_unit():
    assert str(CARD) == "\n".join(
        [
            "            tiny",
            "accuracy    90.0 % (59.6-98.2 %, 9 of 10)",
            "file size   37.1 kB",
            "parameters  53,002",
            "non-zero    5,300",
            "MACs        347,392",
            "latency     0.150 ms (0.140 ms to 0.200 ms), 2 threads, batch 1",
        ]
    )


def test_a_name_with_markup_is_shown_as_text():
    page = dataclasses.replace(CARD, name="<i>tiny</i>")._repr_html_()
    assert "&lt;i&gt;tiny&lt;/i&gt;" in page
    assert "37.1 kB" in page
    assert "<i>" not in page


def test_equality_and_repr_leave_the_answers_out(digits_like):
    other = dataclasses.replace(CARD, predicted=torch.zeros(3), targets=torch.zeros(3))
    assert other == CARD
    assert "tensor" not in repr(other)


@pytest.mark.parametrize(
    ("split", "error", "sentence"),
    [
        (
            Split(torch.zeros(0, 1, 8, 8), torch.zeros(0, dtype=torch.int64)),
            ValueError,
            "split must hold at least one example, got an empty split.",
        ),
        (
            Split(torch.zeros(1, 1, 8, 8), torch.tensor([10])),
            ValueError,
            "targets must be from 0 to 9 for 10 classes, got 10.",
        ),
        (torch.zeros(2), TypeError, "split must be a Split, got Tensor. Try dataset.validation."),
    ],
)
def test_mistakes_are_one_sentence(split, error, sentence):
    with pytest.raises(error, match=f"^{re.escape(sentence)}$"):
        scorecard(SimpleCNN(), split)
