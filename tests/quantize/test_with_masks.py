"""A pruned model is quantized on top of its masks, as one weight sees both."""

import copy

import torch

from lwlab import packing, prune, quantize
from lwlab.models import SimpleCNN, plain_state


def test_a_masked_weight_stays_zero_under_the_quantizer_and_the_rest_lies_on_the_grid():
    model = SimpleCNN(width=4, hidden=16)
    prune.mask_model_(model, sparsity=0.7)
    masks = prune.current_masks(model)
    quantize.prepare_(model, num_bits=4)
    for name, mask in masks.items():
        weight = model.get_submodule(name).weight.detach()
        assert bool((weight[~mask] == 0).all())
        assert all(len(channel.unique()) <= 2**4 for channel in weight)


def test_both_survive_a_copy_and_a_file():
    model = SimpleCNN(width=4, hidden=16)
    prune.mask_model_(model, sparsity=0.7)
    quantize.prepare_(model, num_bits=4)
    twin, images = copy.deepcopy(model), torch.rand(5, 1, 8, 8)
    loaded = SimpleCNN(width=4, hidden=16, seed=1)
    packing.from_bytes_(loaded, packing.to_bytes(model))
    for other in (twin, loaded):
        assert torch.equal(other.eval()(images), model.eval()(images))
    assert plain_state(twin).keys() == plain_state(loaded).keys()
