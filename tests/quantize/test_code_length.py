"""The price of a code is what an entropy coder will spend on it, and training heeds it."""

from __future__ import annotations

import copy
import math
import re

import pytest
import torch
from torch import nn

from lwlab import data, packing, prune
from lwlab.models import SimpleCNN
from lwlab.packing.range_coder import bound_bytes
from lwlab.quantize import CodeLength, PerTensor, code_prices, learn_steps_, prepare_
from lwlab.train import fit


def learned(weights, num_bits=4, step=1.0):
    """Return a linear layer whose codes are ``weights``, with a learned step of ``step``."""
    layer = nn.Linear(len(weights), 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(step * torch.tensor([weights]))
    model = nn.Sequential(layer)
    prepare_(model, num_bits=num_bits, granularity=PerTensor())
    learn_steps_(model)
    with torch.no_grad():
        layer.parametrizations["weight"][-1].log_step.fill_(math.log(step))
    return model


def test_prices_of_a_tensor_worked_by_hand():
    # Of 6 codes one is not 0: p = (1 + 1) / (6 + 2) = 1/4. Its size is 1: mean of k - 1 is
    # (0 + 1/2) / 2 = 1/4, so t = 1/5.
    found = code_prices(torch.tensor([0, 0, 1, 0, 0, 0]))
    assert found.first == pytest.approx(math.log2(3) + 1 - math.log2(4 / 5))
    assert found.more == pytest.approx(math.log2(5))


def test_full_tensors_still_have_prices_above_zero():
    found = code_prices(torch.tensor([3, 2, 1, 1]))
    assert found.first >= 1
    assert 0 < found.more < math.inf


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
def test_the_prices_of_all_codes_are_about_what_shannon_says_that_they_cost(share):
    generator = torch.Generator().manual_seed(0)
    there = torch.rand(50_000, generator=generator) < share
    size = there * (1 + torch.empty(50_000).geometric_(0.6, generator=generator) - 1).long()
    sign = torch.randint(0, 2, (50_000,), generator=generator) * 2 - 1
    price = code_prices(size)
    paid = price.first * int(there.sum()) + price.more * int((size - 1).clamp(min=0).sum())
    zeros = -math.log2(1 - share) * 50_000  # a 0 costs the same in all of them
    codes = (size * sign + size.max()).bincount().numpy()
    assert paid + zeros == pytest.approx(8 * bound_bytes(codes), rel=0.02)


def test_a_model_pays_for_each_step_away_from_zero_and_nothing_for_zeros():
    model = learned([0.0, 0.0, 1.0, 0.0, -3.0, 0.0])
    price = code_prices(torch.tensor([0, 0, 1, 0, 3, 0]))
    paid = CodeLength(0.5)(model)
    assert paid.item() == pytest.approx(0.5 * (2 * price.first + 2 * price.more), rel=1e-5)
    assert CodeLength(0.5)(learned([0.0, 0.0])).item() == 0


def test_the_gradient_of_a_weight_is_the_price_of_its_next_step():
    model = learned([0.0, 0.6, 2.6, 0.0, 0.0, 0.0], step=0.2)
    price = code_prices(torch.tensor([0, 1, 3, 0, 0, 0]))
    CodeLength(1.0)(model).backward()
    gradient = model[0].parametrizations["weight"].original.grad[0]
    # 0.6 steps lie below the first code, 2.6 beyond it; step 0.2, so one step is 5 times as far.
    assert gradient[1].item() == pytest.approx(price.first / 0.2, rel=1e-4)
    assert gradient[2].item() == pytest.approx(price.more / 0.2, rel=1e-4)


def test_the_strength_rises_during_the_warm_up_and_counts_for_the_calls_left_out():
    model = learned([0.0, 1.0])
    whole = CodeLength(1.0)(model).item()
    rising = CodeLength(1.0, warm_up=4)
    assert [rising(model).item() / whole for _ in range(5)] == pytest.approx(
        [0.25, 0.5, 0.75, 1, 1]
    )
    seldom = CodeLength(1.0, every=3)
    assert [seldom(model).item() / whole for _ in range(6)] == pytest.approx([0, 0, 3, 0, 0, 3])


def test_pruned_weights_cost_nothing_behind_their_mask():
    model = nn.Sequential(nn.Linear(4, 1, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
    prune.mask_model_(model, sparsity=0.5)
    prepare_(model, num_bits=4, granularity=PerTensor())
    learn_steps_(model)
    CodeLength(1.0)(model).backward()
    gradient = model[0].parametrizations["weight"].original.grad[0]
    assert gradient[:2].tolist() == [0, 0]
    assert (gradient[2:] > 0).all()


def test_training_with_the_price_makes_a_shorter_file_at_nearly_the_same_accuracy():
    digits = data.load("digits")
    start = SimpleCNN(digits.input_shape, width=8, hidden=32)
    *_, before = fit(start, digits, epochs=15)
    files, right = {}, {}
    for strength in (0.0, 3e-5):
        model = copy.deepcopy(start)
        prepare_(model, num_bits=4, granularity=PerTensor())
        learn_steps_(model)
        *_, last = fit(model, digits, epochs=6, penalty=CodeLength(strength, warm_up=40))
        files[strength], right[strength] = len(packing.to_bytes(model)), last.validation_accuracy
    assert files[3e-5] < 0.8 * files[0.0]
    assert right[3e-5] > before.validation_accuracy - 0.05


def test_bad_arguments_and_plain_models_are_one_sentence():
    with pytest.raises(
        ValueError, match=re.escape("strength must be a finite number of at least 0")
    ):
        CodeLength(-1)
    with pytest.raises(
        ValueError,
        match=re.escape(
            "model must compute through learned steps for its codes to have a price, got none. "
            "Call quantize.prepare_ and quantize.learn_steps_ first."
        ),
    ):
        CodeLength(1.0)(nn.Linear(2, 2))
