import copy
import re

import pytest
import torch
from torch import nn

from lwlab import measure, plots, prune
from lwlab.labs import PenaltyLab
from lwlab.models import ResNet8, SimpleCNN
from lwlab.train import fit

LONG = 120


def small(seed=0):
    return SimpleCNN(width=4, hidden=16, seed=seed)


@pytest.fixture(scope="module")
def shared(digits):
    lab = PenaltyLab(small(), digits, epochs=3, strength=1e-3)
    assert lab.wait(LONG)
    return lab


def test_each_network_is_the_one_that_fit_trains_under_its_penalty(shared, digits):
    penalties = {
        "no penalty": None,
        "L2": prune.L2Penalty(1e-3),
        "L1": prune.L1Penalty(1e-3),
    }
    assert list(shared.result.runs) == list(penalties)
    for name, penalty in penalties.items():
        model = small()
        *_, last = fit(model, digits, epochs=3, penalty=penalty)
        trained = shared.trained_model(name)
        for mine, reference in zip(trained.parameters(), model.parameters(), strict=True):
            assert torch.equal(mine, reference)
        run = shared.result.runs[name]
        assert run.accuracy == last.validation_accuracy
        weights = torch.cat([p.flatten() for n, p in model.named_parameters() if "weight" in n])
        assert run.near_zero == pytest.approx(float((weights.abs() < 1e-3).float().mean()))


def test_the_curve_is_what_pruning_the_trained_network_gives(shared, digits):
    for name, run in shared.result.runs.items():
        for sparsity, accuracy in run.curve:
            pruned = shared.trained_model(name)
            prune.mask_model_(pruned, sparsity=sparsity)
            assert accuracy == measure.accuracy(pruned, digits.validation)


def test_the_model_of_the_learner_is_left_as_it_is(digits):
    model = small()
    before = copy.deepcopy(model.state_dict())
    lab = PenaltyLab(model, digits, epochs=1)
    assert lab.wait(LONG)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    "change",
    [{"strength": 1e-2}, {"epochs": 2}, {"beside": "group lasso"}, {"seed": 5}],
    ids=str,
)
def test_every_control_changes_the_result_and_the_figures(digits, change):
    lab = PenaltyLab(small(), digits, epochs=1, strength=1e-3)
    assert lab.wait(LONG)
    before, screen, code = lab.result, lab.live.screen, lab.live.screen.code
    ((name, value),) = change.items()
    lab.controls[name].value = value
    assert lab.wait(LONG)
    assert lab.error is None
    assert getattr(lab.params, name) == value
    assert lab.result is not before
    old = [figure.to_dict()["data"] for figure in screen.figures]
    new = [figure.to_dict()["data"] for figure in lab.live.screen.figures]
    assert old != new
    assert lab.live.screen.code != code


def test_three_histograms_share_one_scale_and_the_curves_stand_beside_them(shared):
    *histograms, curves = shared.live.screen.figures
    assert len({tuple(figure.layout.xaxis.range) for figure in histograms}) == 1
    assert [figure.layout.title.text.split(":")[0] for figure in histograms] == [
        "no penalty",
        "L2",
        "L1",
    ]
    assert [trace.name for trace in curves.data] == ["no penalty", "L2", "L1"]


def test_while_it_trains_the_result_is_marked_as_an_estimate(digits):
    lab = PenaltyLab(small(), digits, epochs=1)
    assert lab.wait(LONG)
    seen = [part.estimate for part in lab.compute(lab.params)]
    assert seen[0] == "Training: epoch 1 of 1."
    assert seen[-1] == ""


def test_batchnorm_scales_are_offered_only_where_there_are_some(digits):
    plain = PenaltyLab(small(), digits, epochs=1)
    assert list(plain.controls["beside"].options) == ["no penalty", "group lasso"]
    net = ResNet8(digits.input_shape, width=2)
    normalized = PenaltyLab(net, digits, epochs=1, beside="BatchNorm scales")
    assert normalized.wait(LONG)
    assert list(normalized.result.runs) == ["no penalty", "L2", "L1", "BatchNorm scales"]


def test_the_code_of_a_state_repeats_it(shared, digits):
    scope = {"model": small(), "dataset": digits}
    exec(shared.live.screen.code, scope)
    weights = shared.trained_model("L1")
    prune.mask_model_(weights, sparsity=0.9)
    assert measure.accuracy(scope["model"], digits.validation) == measure.accuracy(
        weights, digits.validation
    )


def test_what_cannot_be_trained_is_refused_before_a_widget_is_made(digits):
    sentence = "strength must be a finite number above 0, got 0.0."
    with pytest.raises(ValueError, match=re.escape(sentence)):
        PenaltyLab(small(), digits, strength=0)
    with pytest.raises(ValueError, match="must have a convolution or linear layer"):
        PenaltyLab(nn.BatchNorm2d(1), digits)
    with pytest.raises(ValueError, match=re.escape("penalty must be one of 'no penalty', 'L2'")):
        PenaltyLab(small(), digits, epochs=1).trained_model("L3")


def test_the_histogram_counts_weights_beyond_its_limit_in_the_last_bars():
    bins = plots.bin_weights(torch.tensor([-3.0, -0.5, 0.1, 9.0]), 4, limit=1.0)
    assert bins.counts() == [1, 1, 1, 1]
    assert bins.edges.tolist() == [-1, -0.5, 0, 0.5, 1]
