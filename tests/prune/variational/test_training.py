"""Whole models: prepared, trained by fit, turned into masked ones; and refusals."""

import copy
import math
import re

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from lwlab import data, measure, packing
from lwlab.models import LeNet300, compressible_layers, plain_state, seeded
from lwlab.prune import Mask, apply_masks_, bake_, current_masks, mask_model_
from lwlab.prune.variational import (
    KLPenalty,
    current_log_alphas,
    fix_noise_,
    kl_divergence,
    learn_noise_,
    noise_masks,
)
from lwlab.train import fit

DIGITS = data.load("digits")
IMAGES = DIGITS.validation.inputs[:64]


def small(seed: int = 0) -> nn.Module:
    """A convolution and a linear layer, before any noise."""
    with seeded(seed):
        return nn.Sequential(
            nn.Conv2d(1, 6, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(54, 10)
        )


def prepared(**options) -> nn.Module:
    """A small network, some of whose weights are noise already."""
    model = small()
    learn_noise_(model, **{"log_variance": -3.5, **options})
    return model


def trained(epochs: int = 2, seed: int = 0) -> nn.Module:
    model = prepared()
    penalty = KLPenalty(len(DIGITS.train), strength=0)
    for record in fit(model, DIGITS, epochs=epochs, penalty=penalty, seed=seed, learning_rate=5e-3):
        penalty.strength = record.step / record.total_steps
    return model


# ---- the penalty ---------------------------------------------------------------------------------


def test_penalty_by_hand_is_the_share_of_one_example_in_the_sum():
    layer = nn.Linear(2, 1)
    layer.weight.data = torch.tensor([[1.0, -1.0]])
    learn_noise_(layer, log_variance=0.0)
    # Both log alphas are 0: 0.4312 nats each, of 100 examples, at strength 0.5.
    assert KLPenalty(100, 0.5)(layer).item() == pytest.approx(0.5 / 100 * 2 * 0.4312, rel=1e-3)


def test_penalty_sums_over_all_layers_and_its_strength_can_be_raised():
    model, penalty = prepared(), KLPenalty(10)
    wanted = sum(kl_divergence(v).sum().item() for v in current_log_alphas(model).values()) / 10
    assert penalty(model).item() == pytest.approx(wanted, rel=1e-5)
    penalty.strength = 3
    assert penalty(model).item() == pytest.approx(3 * wanted, rel=1e-5)


def test_penalty_pulls_means_to_zero_and_variances_up():
    model = prepared()
    KLPenalty(10)(model).backward()
    for layer in compressible_layers(model):
        chain = layer.module.parametrizations["weight"]
        assert (chain.original.grad * chain.original > 0).all()
        assert (chain[0].log_variance.grad < 0).all()


# ---- training ------------------------------------------------------------------------------------


def test_the_penalty_prunes_a_trained_network_that_goes_on_answering():
    model = small()
    for _ in fit(model, DIGITS, epochs=10, learning_rate=1e-2):
        pass
    twin = copy.deepcopy(model)
    accuracies, sparsities = [], []
    for network, strength in ((model, 1.0), (twin, 0.0)):
        learn_noise_(network)
        penalty = KLPenalty(len(DIGITS.train), strength)
        records = list(fit(network, DIGITS, epochs=20, penalty=penalty, learning_rate=1e-2))
        accuracies.append(records[-1].validation_accuracy)
        sparsities.append(measure.sparsity(network))
    assert accuracies[0] > 0.85
    assert sparsities[0] > 0.4
    # Without the penalty nothing asks for noise.
    assert sparsities[1] < 0.1


def test_training_moves_means_and_variances():
    model, start = trained(epochs=1), prepared()
    after, before = dict(model.named_parameters()), dict(start.named_parameters())
    assert [name for name in before if torch.equal(before[name], after[name])] == []


def test_training_twice_gives_the_same_bits_and_another_seed_others():
    one, two, other = trained(), trained(), trained(seed=1)
    assert all(torch.equal(t, two.state_dict()[name]) for name, t in one.state_dict().items())
    assert not all(torch.equal(t, other.state_dict()[name]) for name, t in one.state_dict().items())


def test_training_leaves_flags_and_the_random_stream_alone():
    model = prepared()
    model.eval()
    next(model.children()).train()
    flags = [module.training for module in model.modules()]
    stream = torch.get_rng_state()
    next(fit(model, DIGITS, epochs=1, penalty=KLPenalty(10)))
    assert [module.training for module in model.modules()] == flags
    assert torch.equal(torch.get_rng_state(), stream)


# ---- what is measured, kept and packed -----------------------------------------------------------


def test_the_finished_model_equals_the_prepared_one_in_evaluation_to_the_bit():
    model = trained().eval()
    assert 0 < measure.sparsity(model) < 1
    before, accuracy = model(IMAGES), measure.accuracy(model, DIGITS.validation)
    masks, sparsity = noise_masks(model), measure.sparsity(model)
    state, file = plain_state(model), packing.to_bytes(model)
    returned = fix_noise_(model)
    assert torch.equal(model(IMAGES), before)
    assert measure.accuracy(model, DIGITS.validation) == accuracy
    assert measure.sparsity(model) == sparsity
    assert packing.to_bytes(model) == file
    assert all(torch.equal(t, state[name]) for name, t in plain_state(model).items())
    for found in (returned, current_masks(model)):
        assert found.keys() == masks.keys()
        assert all(torch.equal(found[name], mask) for name, mask in masks.items())


def test_masks_are_where_log_alpha_lies_below_the_threshold():
    model = trained(epochs=1)
    alphas = current_log_alphas(model)
    assert all(torch.equal(mask, alphas[name] < 3) for name, mask in noise_masks(model).items())


def test_the_finished_model_is_a_masked_model_like_any_other():
    model = trained()
    twin = copy.deepcopy(model)
    fix_noise_(model)
    assert all(
        isinstance(m.module.parametrizations.weight[0], Mask) for m in compressible_layers(model)
    )
    assert [n for n in model.state_dict() if "log_variance" in n] == []
    model.train()
    assert torch.equal(model(IMAGES), model(IMAGES))  # no noise is left
    sparsity = measure.sparsity(model)
    next(fit(model, DIGITS, epochs=1))  # fine-tuning
    assert measure.sparsity(model) == sparsity
    mask_model_(model, sparsity=0.5)
    bake_(copy.deepcopy(model))
    bake_(model)
    assert type(model[0]) is nn.Conv2d
    assert not model[0]._forward_hooks
    assert not model[0]._forward_pre_hooks
    # The copy that was made before is untouched, and can be finished on its own.
    twin.train()
    assert not torch.equal(twin(IMAGES), twin(IMAGES))
    assert measure.sparsity(twin) == sparsity
    fix_noise_(twin)
    assert torch.equal(twin(IMAGES), twin(IMAGES))


def test_a_packed_prepared_model_loads_into_a_plain_one():
    model, plain = trained(epochs=1), small(seed=1)
    packing.from_bytes_(plain, packing.to_bytes(model))
    assert torch.equal(plain.eval()(IMAGES), model.eval()(IMAGES))


def test_a_state_dict_loads_into_a_model_prepared_alike():
    model, other = trained(epochs=1).eval(), prepared().eval()
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(IMAGES), model(IMAGES))
    assert all(torch.equal(m, noise_masks(other)[n]) for n, m in noise_masks(model).items())


def test_the_means_stay_the_same_parameters_from_start_to_end():
    model = LeNet300((1, 8, 8))
    weights = [layer.module.weight for layer in compressible_layers(model)]
    learn_noise_(model)
    fix_noise_(model)
    bake_(model)
    assert all(
        w is layer.module.weight
        for w, layer in zip(weights, compressible_layers(model), strict=True)
    )


def test_only_the_named_layers_get_noise():
    model = prepared(layers=["3"])
    assert list(noise_masks(model)) == ["3"]
    fix_noise_(model)
    assert list(current_masks(model)) == ["3"]


# ---- refusals ------------------------------------------------------------------------------------


def tied() -> nn.Module:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    return model


def masked() -> nn.Module:
    model = nn.Sequential(nn.Linear(3, 3))
    apply_masks_(model, {"0": torch.eye(3).bool()})
    return model


def noisy() -> nn.Module:
    model = nn.Sequential(nn.Linear(3, 3))
    learn_noise_(model)
    return model


def not_a_number() -> nn.Module:
    model = nn.Sequential(nn.Linear(3, 3))
    model[0].weight.data[1, 2] = math.nan
    return model


REFUSED = {
    "model must have a convolution or linear layer to prune, got ReLU without one.": nn.ReLU,
    "weight of layer '0' must be finite, got 1 NaN or infinite of 9 values (the first at index "
    "(1, 2)).": not_a_number,
    "weight of layer '0' must be its own to be masked, got one shared with '1.weight'. Leave the "
    "layer out: name the others in layers=[...].": tied,
    "model must have no masks before it learns noise, got one on layer '0'. Make it permanent "
    "first, with bake_.": masked,
    "model must have no noise before it learns some, got it on layer '0'. Turn that into masks "
    "first, with fix_noise_.": noisy,
    "weight of layer '0' must have values before it can be masked, got an uninitialized "
    "LazyLinear. Run the model once on a batch.": lambda: nn.Sequential(nn.LazyLinear(3)),
    "weight of layer '0' must be free or masked, got one under _WeightNorm. Mask first, then add "
    "the rest.": lambda: nn.Sequential(parametrizations.weight_norm(nn.Linear(3, 3))),
}


@pytest.mark.parametrize("sentence", REFUSED)
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_what_cannot_learn_noise_is_refused_and_left_alone(sentence):
    model = REFUSED[sentence]()
    kinds = [type(module) for module in model.modules()]
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        learn_noise_(model)
    assert [type(module) for module in model.modules()] == kinds


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        (
            {"layers": ["1"]},
            ValueError,
            (
                "layers must name convolutions and linear layers to learn noise, got '1', a "
                "BatchNorm1d. Leave it out."
            ),
        ),
        ({"layers": ["2"]}, ValueError, "layers must be one of '0' or '1', got '2'."),
        (
            {"log_variance": math.inf},
            ValueError,
            "log_variance must be a finite number, got inf.",
        ),
        ({"threshold": "3"}, TypeError, "threshold must be a finite number, got '3'."),
    ],
)
def test_a_wrong_argument_is_refused_and_the_model_left_alone(options, error, sentence):
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    with pytest.raises(error, match=f"^{re.escape(sentence)}$"):
        learn_noise_(model, **options)
    assert type(model[0]) is nn.Linear


@pytest.mark.parametrize(
    "function", [KLPenalty(10), current_log_alphas, noise_masks, fix_noise_], ids=str
)
def test_a_model_without_noise_is_refused(function):
    sentence = (
        "model must be prepared to learn noise, got one without any. Call prune.learn_noise_ first."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        function(LeNet300())
    with pytest.raises(TypeError, match=re.escape("model must be a torch.nn.Module, got int.")):
        function(3)


def test_a_penalty_out_of_range_is_refused_also_when_it_is_set_later():
    sentence = "strength must be a finite number of at least 0, got -1.0."
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        KLPenalty(10, -1)
    with pytest.raises(ValueError, match=re.escape("num_examples must be a whole number of at")):
        KLPenalty(0)
    penalty = KLPenalty(10)
    penalty.strength = -1
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        penalty(noisy())


def test_masks_of_another_kind_are_refused_while_there_is_noise():
    sentence = (
        "weight of layer '0' must be free or masked, got one under WeightNoise. Mask first, then "
        "add the rest."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        mask_model_(noisy(), sparsity=0.5)
