"""Every way to prune against models it cannot prune: one sentence, and the model as it was.

A way is a public function called as in the lessons; a state is a model. Each pair either works or
is refused by the sentence that stands here whole.
"""

import re
import warnings

import pytest
import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrizations
from torch.nn.utils import prune as torch_prune

from lwlab.data import Dataset, Split
from lwlab.models import seeded
from lwlab.prune import (
    BatchNormScalePenalty,
    GroupLassoPenalty,
    L1Penalty,
    L2Penalty,
    RandomImportance,
    activation_entropy,
    apply_masks_,
    bake_,
    choose_masks,
    cubic,
    current_masks,
    global_masks,
    linear,
    mask_model_,
    obd_saliency,
    one_shot,
    snip_importance,
    spread_over_weight,
    taylor_importance,
    topk_mask,
    weight_entropy,
)
from lwlab.prune.masks import quantile_threshold
from lwlab.prune.structured import channel_mask, filter_norm
from lwlab.train import TrainingDivergedError, fit

EXAMPLES = Split(
    torch.rand(12, 1, 6, 6, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 3
)
LAYER = "4"  # the layer of the model that the states spoil: Linear(16, 6)


def by_filter(weight):
    return spread_over_weight(filter_norm(weight), weight)


def by_weight_entropy(weight):
    return spread_over_weight(weight_entropy(weight), weight)


def apply_all(model):
    shapes = {n: m.weight.shape for n, m in model.named_modules() if n in ("0", LAYER, "5")}
    apply_masks_(model, {n: torch.ones(s, dtype=torch.bool) for n, s in shapes.items()})


MASKING = {
    "global sparsity": lambda model: mask_model_(model, sparsity=0.3),
    "layer sparsity": lambda model: mask_model_(model, sparsity=0.3, scope="layer"),
    "a dict": lambda model: mask_model_(model, sparsity={"0": 0.3, LAYER: 0.5}),
    "threshold": lambda model: mask_model_(model, threshold=0.1),
    "deviations": lambda model: mask_model_(model, deviations=0.5),
    "random": lambda model: mask_model_(model, sparsity=0.3, importance=RandomImportance(1)),
    "filter norm": lambda model: mask_model_(model, sparsity=0.3, importance=by_filter),
    "weight entropy": lambda model: mask_model_(model, sparsity=0.3, importance=by_weight_entropy),
    "biases too": lambda model: mask_model_(model, sparsity=0.3, biases=True),
    "choosing": lambda model: choose_masks(model, sparsity=0.3),
    "ready masks": apply_all,
}
SCORING = {
    "taylor": lambda model: taylor_importance(model, EXAMPLES),
    "snip": lambda model: snip_importance(model, EXAMPLES),
    "obd": lambda model: obd_saliency(model, EXAMPLES),
    "exact obd": lambda model: obd_saliency(model, EXAMPLES, method="exact"),
}
WATCHING = {"activation entropy": lambda model: activation_entropy(model, EXAMPLES)}
PENALIZING = {kind.__name__: kind(0.1) for kind in (L1Penalty, L2Penalty, GroupLassoPenalty)}
SLIMMING = {"BatchNormScalePenalty": BatchNormScalePenalty(0.1)}
READING = {"baking": bake_, "current masks": current_masks}


def plain():
    with seeded(1):
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(16, 6),
            nn.Linear(6, 3),
        )


def content(tensor):
    """All there is to know of a tensor, to the bit: NaN equals itself, -0.0 is not 0.0."""
    if tensor is None:
        return None
    if is_lazy(tensor) or tensor.is_meta:
        return id(tensor), type(tensor), tensor.device
    values = tensor.detach().contiguous().flatten()
    raw = bytes(values.view(torch.uint8).tolist())
    return id(tensor), tensor.dtype, tuple(tensor.shape), tensor.requires_grad, raw


def everything(model):
    return {
        name: (
            id(module),
            type(module),
            module.training,
            {key: content(tensor) for key, tensor in module._parameters.items()},
            {key: content(tensor) for key, tensor in module._buffers.items()},
            {key: content(t.grad) for key, t in module._parameters.items() if t is not None},
            [len(hooks) for key, hooks in vars(module).items() if key.endswith("_hooks")],
            [key for key in vars(module) if not key.startswith("_")],
        )
        for name, module in model.named_modules()
    }


def refused(way, model, sentence):
    before, stream = everything(model), torch.get_rng_state()
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        way(model)
    assert everything(model) == before
    assert torch.equal(torch.get_rng_state(), stream)


def pairs(*groups):
    return [pytest.param(way, id=name) for group in groups for name, way in group.items()]


# ---- the guard itself ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m[4].weight.data[0, 0].neg_(),
        lambda m: m[4].eval(),
        lambda m: m[4].weight.requires_grad_(False),
        lambda m: m.register_forward_hook(print),
        lambda m: setattr(m[4], "weight", nn.Parameter(m[4].weight.detach())),
        lambda m: setattr(m[4].bias, "grad", torch.zeros(6)),
        lambda m: m[1].running_mean.add_(1),
        lambda m: mask_model_(m, sparsity=0.0),
    ],
)
def test_the_guard_sees_any_change(change):
    model = plain()
    before = everything(model)
    assert everything(model) == before
    change(model)
    assert everything(model) != before


@pytest.mark.parametrize("way", pairs(MASKING, SCORING, WATCHING, PENALIZING, SLIMMING, READING))
def test_each_way_works_on_a_sound_model(way):
    way(plain())


# ---- states that no mask can sit on --------------------------------------------------------------


def with_value(value):
    model = plain()
    model[4].weight.data[1, 2] = value
    return model


def tied():
    model = plain()
    model.append(nn.Linear(3, 16)).append(nn.Linear(16, 6))
    model[7].weight = model[4].weight
    return model


def lazy():
    model = plain()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model[4] = nn.LazyLinear(6)
    return model


def changed(change):
    model = plain()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the old weight_norm is deprecated, and still in use
        change(model[4])
    return model


def of_type(dtype):
    model = plain()
    model[4].weight = nn.Parameter(torch.ones(6, 16, dtype=dtype), requires_grad=False)
    return model


COMPUTED = (
    "weight of layer '4' must be a parameter, got a tensor that is computed from others, as "
    "torch.nn.utils.prune and weight_norm do. Make that permanent first."
)
NOT_FINITE = (
    "weight of layer '4' must be finite, got 1 NaN or infinite of 96 values (the first at index "
    "(1, 2))."
)
UNMASKABLE = {
    "NaN": (lambda: with_value(float("nan")), NOT_FINITE),
    "Inf": (lambda: with_value(-float("inf")), NOT_FINITE),
    "tied": (
        tied,
        (
            "weight of layer '4' must be its own to be masked, got one shared with '7.weight'. "
            "Leave the layer out: name the others in layers=[...]."
        ),
    ),
    "lazy": (
        lazy,
        (
            "weight of layer '4' must have values before it can be masked, got an uninitialized "
            "LazyLinear. Run the model once on a batch."
        ),
    ),
    "meta": (
        lambda: changed(lambda layer: layer.to("meta")),
        (
            "weight of layer '4' must have values before it can be masked, got one on the meta "
            "device. Build the model on the CPU."
        ),
    ),
    "orthogonal": (
        lambda: changed(parametrizations.orthogonal),
        (
            "weight of layer '4' must be free or masked, got one under _Orthogonal. Mask first, "
            "then add the rest."
        ),
    ),
    "weight_norm": (
        lambda: changed(parametrizations.weight_norm),
        (
            "weight of layer '4' must be free or masked, got one under _WeightNorm. Mask first, "
            "then add the rest."
        ),
    ),
    "old weight_norm": (lambda: changed(nn.utils.weight_norm), COMPUTED),
    "torch's pruning": (
        lambda: changed(lambda layer: torch_prune.l1_unstructured(layer, "weight", 0.5)),
        COMPUTED,
    ),
    "int8": (
        lambda: of_type(torch.int8),
        "weight of layer '4' must be floating point, got torch.int8.",
    ),
    "complex": (
        lambda: of_type(torch.complex64),
        "weight of layer '4' must be floating point, got torch.complex64.",
    ),
}


@pytest.mark.parametrize("state", UNMASKABLE)
@pytest.mark.parametrize("way", pairs(MASKING, SCORING))
def test_a_weight_that_cannot_be_masked_is_told_by_its_layer(way, state):
    make, sentence = UNMASKABLE[state]
    model = make()
    if way is apply_all and state == "lazy":
        layers = {"4": torch.ones(6, 16, dtype=torch.bool)}
        way = lambda model: apply_masks_(model, layers)  # noqa: E731 - it has no shape to ask for
    refused(way, model, sentence)


@pytest.mark.parametrize("state", UNMASKABLE)
def test_the_other_layers_of_such_a_model_can_be_pruned_alone(state):
    if state == "tied":  # every state but this one is about one layer
        return
    model = UNMASKABLE[state][0]()
    before = everything(model)
    mask_model_(model, sparsity=0.5, layers=["5"])
    after = everything(model)
    assert current_masks(model)["5"].sum() == 9
    spoiled = [name for name in before if name.split(".")[0] == LAYER]
    assert all(after[name] == before[name] for name in spoiled)
    bake_(model)


IN_FORWARD = "model must accept inputs of shape (12, 1, 6, 6) and torch.float32, got "


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        (
            "NaN",
            (
                "response of layer '4' must be finite, got 12 NaN or infinite of 72 values (the "
                "first at index (0, 1))."
            ),
        ),
        (
            "lazy",
            (
                "model must know the shapes of its parameters, got lazy layers that have seen no "
                "input. Run one batch through it first."
            ),
        ),
        (
            "int8",
            IN_FORWARD + "RuntimeError: self and mat2 must have the same dtype, but got Float and "
            "Char",
        ),
    ],
)
def test_the_entropy_of_activations_needs_a_model_that_runs(state, sentence):
    refused(WATCHING["activation entropy"], UNMASKABLE[state][0](), sentence)


@pytest.mark.parametrize("state", ["tied", "orthogonal", "weight_norm", "torch's pruning"])
def test_watching_and_penalizing_need_no_mask(state):
    model = UNMASKABLE[state][0]()
    before = everything(model) if state != "torch's pruning" else None
    assert activation_entropy(model, EXAMPLES)[LAYER].isfinite().all()
    for penalty in (*PENALIZING.values(), *SLIMMING.values()):
        assert 0 < float(penalty(model).detach()) < 1000
    # The hook of torch's pruning makes its weight anew at each pass.
    assert before is None or everything(model) == before


@pytest.mark.parametrize("way", pairs(PENALIZING))
@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        (
            "lazy",
            (
                "weight of layer '4' must have values before it can be penalized, got an "
                "uninitialized LazyLinear. Run the model once on a batch."
            ),
        ),
        (
            "int8",
            "weight of layer '4' must be floating point to be penalized, got torch.int8.",
        ),
        (
            "complex",
            "weight of layer '4' must be floating point to be penalized, got torch.complex64.",
        ),
    ],
)
def test_a_weight_that_cannot_be_penalized_is_told_by_its_layer(way, state, sentence):
    refused(way, UNMASKABLE[state][0](), sentence)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("way", pairs(PENALIZING))
def test_training_with_a_penalty_stops_at_weights_that_are_not_finite(way, value):
    model = with_value(value)
    model[4].weight.requires_grad_(False)
    assert not way(model).isfinite()
    model.eval()  # BatchNorm's statistics do not move
    before = everything(model)
    loss = r"(nan|inf)"
    dataset = Dataset("toy", EXAMPLES, EXAMPLES, EXAMPLES, ("a", "b", "c"))
    sentence = (
        f"^the loss became {loss} at step 1, with learning rate 0.1. Try a learning rate 10 times "
        r"smaller, and check that the inputs are scaled to about \[0, 1\].$"
    )
    with pytest.raises(TrainingDivergedError, match=sentence):
        list(fit(model, dataset, epochs=1, learning_rate=0.1, penalty=way))
    parameters = [part[3] for part in everything(model).values()]
    assert parameters == [part[3] for part in before.values()]


# ---- a mask that is not one ----------------------------------------------------------------------


def broken(mask):
    model = plain()
    mask_model_(model, sparsity=0.5)
    model[4].parametrizations.weight[0].mask = mask
    return model


BROKEN = {
    "shape": (lambda: torch.ones(2, 2, dtype=torch.bool), "torch.bool (2, 2)"),
    "shape that broadcasts": (lambda: torch.ones(1, 16, dtype=torch.bool), "torch.bool (1, 16)"),
    "type": (lambda: torch.ones(6, 16), "torch.float32 (6, 16)"),
    "nothing": (lambda: None, "NoneType"),
}


@pytest.mark.parametrize("state", BROKEN)
@pytest.mark.parametrize("way", pairs(SCORING, WATCHING, PENALIZING, SLIMMING, READING))
def test_a_mask_that_was_overwritten_is_told_by_its_layer(way, state):
    make, got = BROKEN[state]
    refused(
        way,
        broken(make()),
        "mask of layer '4' must be a bool tensor of shape (6, 16), as its weight, got "
        f"{got}. Put another one on with apply_masks_.",
    )


@pytest.mark.parametrize("state", BROKEN)
@pytest.mark.parametrize("way", pairs({n: w for n, w in MASKING.items() if n != "choosing"}))
def test_masking_anew_heals_a_mask_that_was_overwritten(way, state):
    model, sound = broken(BROKEN[state][0]()), plain()
    if way is apply_all:
        masks = {name: torch.ones_like(plain()[int(name)].weight).bool() for name in ("0", "4")}
        way = lambda model: apply_masks_(model, masks)  # noqa: E731 - the weight cannot be read
        mask_model_(sound, sparsity=0.5)
    way(model)
    way(sound)
    ours, theirs = current_masks(model), current_masks(sound)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert model(EXAMPLES.inputs).isfinite().all()


# ---- a percentage --------------------------------------------------------------------------------

PERCENT = "must be a fraction in [0, 1), got 30.0. Did you mean 0.3?"


@pytest.mark.parametrize(
    ("way", "sentence"),
    [
        (lambda model: mask_model_(model, sparsity=30), f"sparsity {PERCENT}"),
        (lambda model: mask_model_(model, sparsity=30, scope="layer"), f"sparsity {PERCENT}"),
        (
            lambda model: mask_model_(model, sparsity={"0": 0.5, "4": 30}),
            f"sparsity of layer '4' {PERCENT}",
        ),
        (lambda model: choose_masks(model, sparsity=30), f"sparsity {PERCENT}"),
        (lambda model: topk_mask(model[4].weight, 30), f"sparsity {PERCENT}"),
        (lambda model: global_masks({"4": model[4].weight}, 30), f"sparsity {PERCENT}"),
        (lambda model: channel_mask(model[4].weight, 30), f"sparsity {PERCENT}"),
        (lambda model: quantile_threshold(model[4].weight, 30), f"sparsity {PERCENT}"),
        (lambda model: one_shot(0.5, 30), f"final {PERCENT}"),
        (lambda model: linear(0.5, 30), f"final {PERCENT}"),
        (lambda model: cubic(0.5, 30), f"final {PERCENT}"),
    ],
)
def test_thirty_for_thirty_percent_gets_a_hint(way, sentence):
    refused(way, plain(), sentence)


# ---- states that look bad and are not ------------------------------------------------------------


def all_zero():
    return changed(lambda layer: layer.weight.data.zero_())


def one_channel():
    with seeded(1):
        return nn.Sequential(
            nn.Conv2d(1, 1, 3, stride=2),
            nn.BatchNorm2d(1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(4, 1),
            nn.Linear(1, 3),
        )


@pytest.mark.parametrize("make", [all_zero, one_channel])
@pytest.mark.parametrize("way", pairs(MASKING))
def test_a_layer_of_zeros_or_of_one_channel_is_pruned_like_any(way, make):
    model = make()
    way(model)
    assert model(EXAMPLES.inputs).isfinite().all()


@pytest.mark.parametrize("make", [all_zero, one_channel])
@pytest.mark.parametrize("way", pairs(SCORING, WATCHING))
def test_a_layer_of_zeros_or_of_one_channel_is_scored_like_any(way, make):
    model = make()
    before = everything(model)
    scores = way(model)
    assert everything(model) == before
    assert set(scores) == {"0", "4", "5"}
    assert all(values.isfinite().all() for values in scores.values())
    # Without its first layer's weight nothing is asked of a layer of zeros.
    assert make is one_channel or not scores[LAYER].any()


@pytest.mark.parametrize("make", [all_zero, one_channel])
@pytest.mark.parametrize("way", pairs(PENALIZING, SLIMMING))
def test_a_layer_of_zeros_or_of_one_channel_is_penalized_like_any(way, make):
    model = make()
    way(model).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_a_layer_of_zeros_goes_first_and_by_the_exact_count():
    masks = mask_model_(all_zero(), sparsity=0.5)
    assert sum(int((~mask).sum()) for mask in masks.values()) == round(0.5 * (36 + 96 + 18))
    assert int((~masks[LAYER]).sum()) == 75  # all of the cut falls into its 96 weights
    masks = mask_model_(all_zero(), sparsity=0.5, scope="layer")
    assert [int((~mask).sum()) for mask in masks.values()] == [18, 48, 9]
    assert mask_model_(all_zero(), deviations=3)[LAYER].all()  # no spread, nothing below it
    assert not mask_model_(all_zero(), threshold=1e-9)[LAYER].any()


def test_snip_of_zeros_alone_is_refused():
    model = plain()
    for parameter in model.parameters():
        parameter.data.zero_()
    refused(
        SCORING["snip"],
        model,
        "model must have a weight whose removal changes the loss, got |gradient * weight| of 0 "
        "everywhere. Check that the weights are not all 0.",
    )


def test_a_quantized_model_has_no_layer_to_prune():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 4)), {nn.Linear})
    sentence = "model must have a convolution or linear layer to {}, got Sequential without one."
    for way in (*list(MASKING.values())[:2], *SCORING.values()):
        with pytest.raises(ValueError, match="^" + re.escape(sentence.format("prune")) + "$"):
            way(model)
    for way in PENALIZING.values():
        with pytest.raises(ValueError, match="^" + re.escape(sentence.format("penalize")) + "$"):
            way(model)
