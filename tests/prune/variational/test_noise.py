"""Outputs with noise against outputs of weights that were drawn one by one."""

import copy
import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lwlab import measure
from lwlab.models import seeded
from lwlab.prune.variational import learn_noise_
from lwlab.prune.variational.noise import noise_of

DRAWS = 4000
LAYERS = {
    "linear": (lambda: nn.Linear(6, 4), (6,)),
    "conv1d": (lambda: nn.Conv1d(2, 3, 3), (2, 7)),
    "conv2d": (lambda: nn.Conv2d(2, 3, 3, padding=1, stride=2), (2, 5, 5)),
    "grouped": (lambda: nn.Conv2d(4, 4, 3, groups=2), (4, 4, 4)),
    "reflected": (lambda: nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), (2, 4, 4)),
    "conv3d": (lambda: nn.Conv3d(1, 2, 2), (1, 3, 3, 3)),
}


def noisy(kind: str) -> tuple[nn.Module, torch.Tensor]:
    """Return a noisy layer, each weight with a variance of its own, and one input."""
    make, shape = LAYERS[kind]
    with seeded(1):
        layer, inputs = make(), torch.randn(1, *shape)
        learn_noise_(layer)
        noise = noise_of(layer)
        noise.log_variance.data = -3 + torch.randn_like(noise.log_variance)
    return layer, inputs


def with_drawn_weights(kind: str, layer: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """Return outputs ``(DRAWS, ...)``, each of a plain layer with freshly drawn weights."""
    chain = layer.parametrizations["weight"]
    mean, deviation = chain.original.detach(), (0.5 * chain[0].log_variance.detach()).exp()
    weights = mean + deviation * torch.randn(DRAWS, *mean.shape)
    plain = LAYERS[kind][0]()

    def output(weight: torch.Tensor) -> torch.Tensor:
        tensors = {"weight": weight, "bias": layer.bias.detach()}
        return torch.func.functional_call(plain, tensors, (inputs,))[0]

    return torch.func.vmap(output)(weights)


@pytest.mark.parametrize("kind", LAYERS)
def test_noisy_outputs_have_the_mean_and_variance_of_drawn_weights(kind):
    layer, inputs = noisy(kind)
    layer.train()
    with seeded(2):
        found = layer(inputs.expand(DRAWS, *inputs.shape[1:])).detach()
        wanted = with_drawn_weights(kind, layer, inputs)
    deviation = wanted.std(dim=0)
    # Two means of DRAWS values differ by 0.022 deviations; five times that is chance no more.
    assert ((found.mean(dim=0) - wanted.mean(dim=0)) / deviation).abs().max() < 0.11
    assert (found.std(dim=0) / deviation - 1).abs().max() < 0.1


def test_each_example_has_noise_of_its_own():
    layer, inputs = noisy("linear")
    with seeded(0):
        first, second = layer(inputs.expand(2, -1))
    assert not torch.allclose(first, second)


def test_noise_by_hand_is_the_root_of_squared_inputs_times_variances():
    layer = nn.Linear(2, 1, bias=False)
    layer.weight.data = torch.tensor([[1.0, -2.0]])
    learn_noise_(layer)
    noise_of(layer).log_variance.data = torch.tensor([[4.0, 9.0]]).log()
    with seeded(3):
        found = layer(torch.tensor([[3.0, 0.5]]))
    with seeded(3):
        drawn = torch.randn(1, 1)
    # mean 3 * 1 - 0.5 * 2 = 2; variance 9 * 4 + 0.25 * 9 = 38.25.
    assert found.item() == pytest.approx(2 + 38.25**0.5 * drawn.item(), rel=1e-5)


def test_gradients_of_mean_and_variance_are_those_of_the_written_out_formula():
    layer, inputs = noisy("conv2d")
    chain = layer.parametrizations["weight"]
    found_of = (chain.original, chain[0].log_variance)
    with seeded(4):
        found = torch.autograd.grad(layer(inputs).square().sum(), found_of)
    mean, log_variance = (t.detach().clone().requires_grad_() for t in found_of)
    options = {"stride": 2, "padding": 1}
    with seeded(4):
        clean = F.conv2d(inputs, mean, layer.bias, **options)
        variance = F.conv2d(inputs**2, log_variance.exp(), **options)
        outputs = clean + variance**0.5 * torch.randn(clean.shape)
    wanted = torch.autograd.grad(outputs.square().sum(), (mean, log_variance))
    for one, other in zip(found, wanted, strict=True):
        assert other.abs().max() > 0
        torch.testing.assert_close(one, other)


def test_inputs_of_zeros_have_no_noise_and_finite_gradients():
    layer, inputs = noisy("conv2d")
    blank = torch.zeros_like(inputs).requires_grad_()
    outputs = layer(blank)
    torch.testing.assert_close(outputs, layer.bias.reshape(1, -1, 1, 1).expand_as(outputs))
    outputs.square().sum().backward()
    assert all(p.grad.isfinite().all() for p in layer.parameters())
    assert blank.grad.isfinite().all()


def test_channels_last_outputs_are_noisy_everywhere_and_stay_channels_last():
    layer, inputs = noisy("conv2d")
    inputs = inputs.expand(500, -1, -1, -1).to(memory_format=torch.channels_last)
    with seeded(5):
        outputs = layer(inputs)
    clean = copy.deepcopy(layer).eval()
    clean.parametrizations["weight"][0].threshold = 1e9  # prunes nothing
    assert outputs.is_contiguous(memory_format=torch.channels_last)
    assert ((outputs - clean(inputs)).std(dim=0) > 0.05).all()


def test_in_evaluation_the_weights_under_the_threshold_work_and_the_others_are_zero():
    layer = nn.Linear(3, 1, bias=False).eval()
    layer.weight.data = torch.tensor([[1.0, 0.1, -0.5]])
    learn_noise_(layer, log_variance=0.0, threshold=2.0)  # log alpha: 0, 4.6, 1.4
    assert layer.weight.tolist() == [[1.0, 0.0, -0.5]]
    assert layer(torch.ones(1, 3)).item() == 0.5
    layer.train()
    assert layer.weight.tolist() == [[1.0, 0.0, -0.5]]  # Outside a pass it is pruned as well.


def test_log_alpha_on_the_threshold_is_pruned():
    layer = nn.Linear(1, 1)
    layer.weight.data.fill_(1.0)
    learn_noise_(layer, log_variance=3.0, threshold=3.0)
    assert layer.weight.item() == 0


def test_a_pruned_weight_still_gets_a_gradient_in_training():
    layer = nn.Linear(3, 1)
    learn_noise_(layer, log_variance=6.0)
    assert layer.weight.count_nonzero() == 0
    layer(torch.ones(2, 3)).sum().backward()
    assert layer.parametrizations["weight"].original.grad.tolist() == [[2.0, 2.0, 2.0]]


def test_after_a_failed_pass_the_weight_is_as_it_was():
    layer, _ = noisy("linear")
    noise_of(layer).log_variance.data.fill_(9.0)
    with pytest.raises(RuntimeError, match=re.escape("mat1 and mat2")):
        layer(torch.ones(2, 99))
    assert layer.weight.count_nonzero() == 0


def test_hooks_of_the_user_see_the_noisy_output_and_stay():
    layer, seen = nn.Linear(3, 2), []
    layer.register_forward_hook(lambda module, args, output: seen.append(output))
    learn_noise_(layer, log_variance=0.0)
    outputs = layer(input=torch.ones(1, 3))
    assert torch.equal(seen[0], outputs)


def test_a_copy_has_noise_and_flags_of_its_own():
    layer, inputs = noisy("linear")
    twin = copy.deepcopy(layer).eval()
    assert torch.equal(twin(inputs), twin(inputs))
    assert not torch.equal(layer(inputs), layer(inputs))
    noise_of(twin).log_variance.data.fill_(9.0)
    assert twin.weight.count_nonzero() == 0
    assert layer.weight.count_nonzero() > 0


def test_measuring_latency_leaves_the_noise_alone():
    layer, inputs = noisy("conv2d")
    measure.latency(layer, inputs, repeats=2)
    assert layer.training
    assert noise_of(layer) is not None
    assert "prunes where log alpha >= 3" in repr(layer)
