"""Sparse variational dropout: noise that learns how large it may be, until it is all there is.

    loss = mean cross-entropy + strength / N * sum over weights of KL(log alpha)

Two forces meet in each weight. The cross-entropy wants little noise where the answer hangs on the
weight, and does not care where it does not. The KL wants ``alpha = sigma^2 / theta^2`` to grow (see
``divergence``): by a larger variance, which the cross-entropy resists, or by a mean nearer 0, which
it does not where the weight is of no use. At log alpha >= 3 the squared mean is a twentieth of the
variance: the weight is noise alone, and the network has been trained to answer in spite of it, so
that 0 in its place does no harm. ::

    learn_noise_(model)
    penalty = KLPenalty(len(dataset.train), strength=0)
    for record in fit(model, dataset, epochs=10, penalty=penalty, steps_per_record=50):
        penalty.strength = min(1, 2 * record.step / record.total_steps)    # warm-up
    fix_noise_(model)                                                      # masks, as any others
    for record in fit(model, dataset, epochs=2): ...                       # fine-tuning, optional

Why this is stronger than L1: L1 pulls at every weight with the same force, those in use as well,
so that a strength which empties the network also shrinks what it lives on. The pull of the KL on a
mean is ``strength / (N |theta|)`` while alpha is small: weak on a large weight, and stronger the
smaller it gets. The noise is a test besides: a network that answers well in spite of it has shown
that it does not need the exact weights. And the strength has a value that means something: at 1 the
loss is the variational bound, with nothing to search for; above 1 it trades accuracy for sparsity.

Without the warm-up a network that has learned nothing yet has nothing to set against the KL, and
loses whole layers. Start from a trained one, or from strength 0.

Source: Molchanov, Ashukha & Vetrov 2017, "Variational dropout sparsifies deep neural networks",
arXiv:1701.05369. Warm-up: Soenderby et al. 2016, arXiv:1602.02282.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from lwlab.checks import check_count, check_module, check_number
from lwlab.models.layers import layer_names
from lwlab.prune.masking import current_masks
from lwlab.prune.parametrization import original_of
from lwlab.prune.targets import Target, check_targets, select_targets
from lwlab.prune.variational.divergence import kl_divergence, log_alpha
from lwlab.prune.variational.noise import noise_of, remove_noise_, set_noise_

__all__ = ["KLPenalty", "current_log_alphas", "fix_noise_", "learn_noise_", "noise_masks"]


def learn_noise_(
    model: nn.Module,
    *,
    layers: Iterable[str] | None = None,
    log_variance: float = -8.0,
    threshold: float = 3.0,
) -> None:
    """Give the weights of ``model`` noise that learns; the weights become the means.

    From here on ``layer.weight`` has zeros where the noise has taken over, so that evaluating,
    measuring and packing see the network that ``fix_noise_`` would make. Training passes use the
    whole mean and add the noise. A layer whose weight is used without calling the layer, as
    ``nn.MultiheadAttention`` does, gets no noise. Biases stay plain numbers. The optimizer must be
    made afterwards, as ``fit`` does.

    Args:
        model: any module with convolutions or linear layers, without masks.
        layers: names of convolutions and linear layers; None takes all.
        log_variance: where log sigma^2 starts. -8 is a deviation of 0.018: little, so that a
            trained model still works.
        threshold: prune where log alpha is at least this; 3 in the paper.

    Raises:
        TypeError: ``model`` is no module, or a number is none.
        ValueError: there are masks or noise on it already; a layer does not exist, is of another
            kind or could not be masked. The model is as it was.
    """
    log_variance = check_number("log_variance", log_variance)
    threshold = check_number("threshold", threshold)
    _check_bare(model)
    targets = select_targets(model, layers)
    check_targets(model, targets)
    _check_kinds(model, targets)
    for target in targets.values():
        set_noise_(target.module, log_variance, threshold)


@dataclass
class KLPenalty:
    """``strength / N * sum KL(log alpha)`` over the noisy weights, for ``fit(penalty=...)``.

    The cross-entropy of ``fit`` is a mean over examples, so the divergence of the whole training
    is shared out among them. Not frozen, as the other penalties are: ``strength`` may be raised
    between two records.

    Args:
        num_examples: N, the training examples: ``len(dataset.train)``.
        strength: at least 0; 1 is the variational bound.

    Raises:
        TypeError, ValueError: a number is out of range. When called: ``strength`` was set to such
            a number, or the model is not prepared.
    """

    num_examples: int
    strength: float = 1.0

    def __post_init__(self) -> None:
        check_count("num_examples", self.num_examples)
        check_number("strength", self.strength, minimum=0)

    def __call__(self, model: nn.Module) -> Tensor:
        """Return the penalty of ``model``, a differentiable scalar."""
        factor = check_number("strength", self.strength, minimum=0) / self.num_examples
        return factor * sum(kl_divergence(values).sum() for values in _log_alphas(model).values())


def current_log_alphas(model: nn.Module) -> dict[str, Tensor]:
    """Return the log alpha of each noisy weight by layer name.

    Raises:
        TypeError: ``model`` is no module.
        ValueError: the model is not prepared.
    """
    return {name: values.detach() for name, values in _log_alphas(model).items()}


def noise_masks(model: nn.Module) -> dict[str, Tensor]:
    """Return the masks that the present noise asks for by layer name; True keeps.

    Raises:
        TypeError: ``model`` is no module.
        ValueError: the model is not prepared.
    """
    return {
        name: noise_of(module).mask(original_of(module, "weight"))
        for name, module in _prepared(model).items()
    }


def fix_noise_(model: nn.Module) -> dict[str, Tensor]:
    """Put plain masks in place of the noise and return them; the variances are gone.

    In evaluation mode the model computes the same as before to the bit, and ``current_masks``,
    ``mask_model_`` and ``bake_`` work on it. The means stay the same parameters.

    Raises:
        TypeError: ``model`` is no module.
        ValueError: the model is not prepared.
    """
    masks = noise_masks(model)
    for name, module in _prepared(model).items():
        remove_noise_(module, masks[name])
    return masks


def _check_bare(model: nn.Module) -> None:
    masked, noisy = current_masks(model), _noisy(model)
    if masked:
        raise ValueError(
            f"model must have no masks before it learns noise, got one on layer "
            f"{next(iter(masked))!r}. Make it permanent first, with bake_."
        )
    if noisy:
        raise ValueError(
            f"model must have no noise before it learns some, got it on layer "
            f"{next(iter(noisy))!r}. Turn that into masks first, with fix_noise_."
        )


def _check_kinds(model: nn.Module, targets: Mapping[str, Target]) -> None:
    for name in set(targets).difference(layer_names(model)):
        raise ValueError(
            f"layers must name convolutions and linear layers to learn noise, got {name!r}, a "
            f"{type(targets[name].module).__name__}. Leave it out."
        )


def _log_alphas(model: nn.Module) -> dict[str, Tensor]:
    return {
        name: log_alpha(original_of(module, "weight"), noise_of(module).log_variance)
        for name, module in _prepared(model).items()
    }


def _noisy(model: nn.Module) -> dict[str, nn.Module]:
    """Return the modules with a noisy weight, by layer name."""
    modules = check_module("model", model).named_modules()
    return {path or "model": module for path, module in modules if noise_of(module) is not None}


def _prepared(model: nn.Module) -> dict[str, nn.Module]:
    noisy = _noisy(model)
    if not noisy:
        raise ValueError(
            "model must be prepared to learn noise, got one without any. "
            "Call prune.learn_noise_ first."
        )
    return noisy
