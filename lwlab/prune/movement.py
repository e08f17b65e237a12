"""Movement pruning: keep the weights that training moves away from zero.

    effective weight  W' = W where the mask is True, else 0
    mask              keeps all but the round(sparsity * n) lowest scores S of the layer
    gradients         dL/dW = dL/dW' where the mask is True, else 0
                      dL/dS = dL/dW' * W     (straight-through, for every weight)

The scores are parameters beside the weights and start at 0. A step of gradient descent adds
``-learning_rate * dL/dW' * W`` to a score: more where the step moves the weight away from zero,
less where it moves it towards zero, however large the weight is. Magnitude asks where a weight *is*
and movement where it *goes*, which is the better question when a trained network learns a new task.
A pruned weight stands still, but its score moves on, so that it can come back. ::

    learn_masks_(model)
    for record in fit(model, dataset, epochs=10, steps_per_record=50):
        set_sparsity_(model, cubic(min(1, 1.5 * record.step / record.total_steps), final=0.9))
    fix_masks_(model)

``fit`` knows nothing of this: its optimizer finds the scores among the parameters. Only the *order*
of scores counts, and they start at 0, so that their learning rate has no say.

Source: Sanh, Wolf & Rush 2020, "Movement Pruning: Adaptive Sparsity by Fine-Tuning",
arXiv:2005.07683.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.utils import parametrize

from lwlab.checks import check_module
from lwlab.prune.further import Sparsity, sparsity_by_layer
from lwlab.prune.masking import current_masks
from lwlab.prune.masks import global_masks, topk_mask
from lwlab.prune.parametrization import Mask, set_mask_
from lwlab.prune.targets import check_targets, select_targets

__all__ = [
    "LearnedMask",
    "current_scores",
    "fix_masks_",
    "learn_masks_",
    "movement_gradient",
    "set_sparsity_",
]


def movement_gradient(weight: Tensor, gradient: Tensor) -> Tensor:
    """Return ``dL/dS = gradient * weight``, the straight-through gradient of the scores.

    With plain gradient descent the score of a weight rises if and only if the step would move the
    weight away from zero: then gradient and weight have opposite signs.

    >>> movement_gradient(torch.tensor([2.0, 2.0]), torch.tensor([-0.5, 0.5]))
    tensor([-1.,  1.])

    Args:
        weight: the weight W, before the mask.
        gradient: ``dL/dW'``, the gradient of the effective weight, of the same shape.

    Source: Sanh et al. 2020, arXiv:2005.07683, equation 3.
    """
    return gradient * weight


class _StraightThrough(torch.autograd.Function):
    """Masks a weight; the scores get a gradient as if they had been multiplied in."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, scores: Tensor, mask: Tensor) -> Tensor:
        del scores  # They have chosen the mask; from here on they only receive.
        ctx.save_for_backward(weight, mask)
        return torch.where(mask, weight, 0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        weight, mask = ctx.saved_tensors
        return torch.where(mask, gradient, 0), movement_gradient(weight, gradient), None


class LearnedMask(nn.Module):
    """A parametrization: zeroes the weights with the lowest scores, and lets the scores learn.

    Args:
        weight: gives shape, dtype and device.

    Attributes:
        scores: parameter of the weight's shape, 0 at first.
        pruned: int64 buffer of one number, how many weights are pruned; 0 at first.
    """

    pruned: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.zeros_like(weight, requires_grad=False))
        # A count and a buffer: it travels in the state_dict, and half() leaves it exact.
        self.register_buffer("pruned", torch.zeros((), dtype=torch.int64, device=weight.device))

    def mask(self) -> Tensor:
        """Return the present mask; True keeps. Among equal scores earlier positions go first."""
        return topk_mask(self.scores.detach(), int(self.pruned) / max(1, self.scores.numel()))

    def forward(self, weight: Tensor) -> Tensor:
        """Return ``weight`` with exact zeros where the scores are lowest."""
        return _StraightThrough.apply(weight, self.scores, self.mask())

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return the original to store when a value is assigned to the masked weight."""
        return weight

    def extra_repr(self) -> str:
        """Show what is kept when the model is printed."""
        total = self.scores.numel()
        return f"keeps {total - int(self.pruned):,} of {total:,} by learned scores"


def learn_masks_(model: nn.Module, *, layers: Iterable[str] | None = None) -> None:
    """Give the weights of ``model`` scores that learn; nothing is pruned yet.

    Raise the sparsity with ``set_sparsity_`` once the scores have learned something: as long as all
    are 0, it would prune by position. The optimizer must be made afterwards, as ``fit`` does. A
    frozen weight gets scores that learn too: then only the choice of weights is trained.

    Args:
        model: any module with convolutions or linear layers, without masks.
        layers: names of layers; None takes all convolutions and linear layers.

    Raises:
        TypeError: ``model`` is no module.
        ValueError: there are masks on it already; a layer does not exist or cannot be masked. The
            model is as it was.
    """
    present = [*current_masks(model), *_learned(model)]
    if present:
        raise ValueError(
            f"model must have no masks before it learns some, got one on layer {present[0]!r}. "
            f"Make it permanent first, with fix_masks_ or bake_."
        )
    targets = select_targets(model, layers)
    check_targets(model, targets)
    for target in targets.values():
        original = target.original
        # Mask knows how to get onto a module; then the learned one takes its place in the chain.
        set_mask_(target.module, "weight", torch.ones_like(original, dtype=torch.bool))
        target.module.parametrizations["weight"][0] = LearnedMask(original)


def set_sparsity_(model: nn.Module, sparsity: Sparsity, *, scope: str = "layer") -> None:
    """Prune exactly ``round(sparsity * n)`` weights by their scores, now and in each pass to come.

    Args:
        model: prepared by ``learn_masks_``.
        sparsity: fraction in [0, 1); it may also fall. A dict gives each layer its own and leaves
            the others as they are.
        scope: with one ``sparsity``: ``"layer"`` counts in each layer. ``"global"`` counts over
            all together: what each layer has to give is settled by the scores *at this call*.
            Scores of different layers compare poorly, and a whole layer can go.

    Raises:
        TypeError: ``model`` is no module, or ``sparsity`` no number.
        ValueError: the model is not prepared, a layer is unknown, or a value is out of range. The
            model is as it was.
    """
    learned = _prepared(model)
    wanted = sparsity_by_layer(learned, sparsity, scope)
    if not isinstance(wanted, dict):
        masks = global_masks({name: part.scores for name, part in learned.items()}, wanted)
        counts = {name: int((~mask).sum()) for name, mask in masks.items()}
    else:
        for name in wanted:
            if name not in learned:
                raise ValueError(
                    f"sparsity must go by layers that learn a mask, got {name!r}. "
                    f"There are: {', '.join(learned)}."
                )
        counts = {name: round(s * learned[name].scores.numel()) for name, s in wanted.items()}
    for name, count in counts.items():
        # A new buffer, so that a deep copy or a pass under way keeps its own.
        learned[name].pruned = torch.full_like(learned[name].pruned, count)


def current_scores(model: nn.Module) -> dict[str, Tensor]:
    """Return copies of the scores by layer name; empty where none learn.

    Raises:
        TypeError: ``model`` is no module.
    """
    return {name: part.scores.detach().clone() for name, part in _learned(model).items()}


def fix_masks_(model: nn.Module) -> dict[str, Tensor]:
    """Put plain masks in place of the learned ones and return them; the scores are gone.

    The model computes the same as before to the bit, and ``current_masks``, ``mask_model_`` and
    ``bake_`` work on it. The weights stay the same parameters.

    Raises:
        TypeError: ``model`` is no module.
        ValueError: the model is not prepared.
    """
    masks = {name: part.mask() for name, part in _prepared(model).items()}
    chains = _chains(model)
    for name, mask in masks.items():
        chains[name][0] = Mask(mask)
    return masks


def _chains(model: nn.Module) -> dict[str, parametrize.ParametrizationList]:
    """Return what stands on each weight that learns a mask, by layer name."""
    chains = {
        path or "model": module.parametrizations["weight"]
        for path, module in check_module("model", model).named_modules()
        if parametrize.is_parametrized(module, "weight")
    }
    return {name: chain for name, chain in chains.items() if isinstance(chain[0], LearnedMask)}


def _learned(model: nn.Module) -> dict[str, LearnedMask]:
    return {name: chain[0] for name, chain in _chains(model).items()}


def _prepared(model: nn.Module) -> dict[str, LearnedMask]:
    learned = _learned(model)
    if not learned:
        raise ValueError(
            "model must be prepared to learn masks, got one without scores. "
            "Call prune.learn_masks_ first."
        )
    return learned
