"""Importance by the curvature of the loss: optimal brain damage.

    Setting weight w to 0 changes the loss by about  -g w + h w^2 / 2,  with h = d^2 L / dw^2

At a minimum the first term is 0, and the second one is the saliency of LeCun et al. It takes only
the diagonal of the Hessian: weights are thought of as removed one at a time.

The diagonal comes in two ways. With z the logits and p their softmax, the chain rule gives

    h  =  sum over classes c of  p_c (d log p_c / dw)^2      Gauss-Newton
        + sum over classes c of  dL/dz_c  d^2 z_c / dw^2     the rest

Where the network is made of pieces that are linear in each single weight (convolutions, linear
layers, ReLU, max-pooling, BatchNorm in evaluation mode) the rest is 0, and Gauss-Newton is exact.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from lwlab.checks import check_choice, check_finite
from lwlab.data import Split
from lwlab.prune.scoring import ScoringCopy, batches, scoring_copy
from lwlab.train import cross_entropy

__all__ = ["MOST_EXACT_WEIGHTS", "obd_saliency"]

MOST_EXACT_WEIGHTS = 5_000
"""How many weights ``method="exact"`` takes: it makes one backward pass for each of them."""

_BATCH_SIZE = 250


def obd_saliency(
    model: nn.Module,
    split: Split,
    *,
    method: str = "gauss_newton",
    layers: Iterable[str] | None = None,
) -> dict[str, Tensor]:
    """Return the saliency ``h_ii w_i^2 / 2`` of each weight, by layer name.

    ``h_ii`` is the second derivative of the mean cross-entropy over the split. The model runs in
    evaluation mode (dropout off, BatchNorm by its running statistics) and is left as it is. The
    derivative is that of the *effective* weight: on a masked model a pruned weight scores 0.

    The saliency assumes a trained model, where the gradient is about 0, and the removal of one
    weight at a time. Weights that do the same work each look as if they could go.

    Args:
        model: takes inputs ``(B, ...)``, returns logits ``(B, classes)``; masked or not.
        split: examples to score on. Gauss-Newton makes (examples x classes) small backward passes:
            a few hundred examples take seconds on the networks of the lessons.
        method: ``"gauss_newton"``: at least 0, for a net of any size, and does not depend on the
            targets; exact if all activations are piecewise linear and no weight is used twice.
            ``"exact"``: by differentiating twice, for any smooth model of at most
            ``MOST_EXACT_WEIGHTS`` weights; can be negative, where removing a weight helps.
        layers: names of layers; None takes all convolutions and linear layers.

    Returns:
        Tensors of the shapes of the weights, in units of the loss.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: a layer does not exist or cannot be masked; the split is empty or does not fit
            the model; too many weights for ``"exact"``; a value is not finite.

    Source: LeCun, Denker & Solla 1990, "Optimal Brain Damage", NeurIPS 2. Gauss-Newton
    is their Levenberg-Marquardt approximation, computed here without the further one they make
    to propagate it from layer to layer.
    """
    diagonals = {"gauss_newton": _gauss_newton_diagonal, "exact": _exact_diagonal}
    diagonal = diagonals[check_choice("method", method, list(diagonals))]
    with scoring_copy(model, split, layers) as scored:
        curvature = diagonal(scored, split)
        return {
            name: curvature[name] * weight.detach().square() / 2
            for name, weight in scored.weights.items()
        }


def _gauss_newton_diagonal(scored: ScoringCopy, split: Split) -> dict[str, Tensor]:
    """Return the mean over examples of ``sum_c p_c (d log p_c / dw)^2``."""
    total = {name: torch.zeros_like(w.detach()) for name, w in scored.weights.items()}
    for example in batches(split, 1):
        log_probabilities = _log_probabilities(scored.outputs(example))
        for value in log_probabilities:
            share = float(value.detach().exp()) / len(split)
            for name, gradient in scored.gradients(value, keep=True).items():
                total[name].addcmul_(gradient, gradient, value=share)
    return total


def _log_probabilities(outputs: object) -> Tensor:
    """Return the logarithms of the softmax of one example's logits, ``(classes,)``."""
    if not isinstance(outputs, Tensor) or outputs.ndim != 2 or not outputs.is_floating_point():
        kind = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise ValueError(f"model must return logits of shape (1, classes) for 1 input, got {kind}.")
    return check_finite("logits", outputs)[0].log_softmax(dim=0)


def _exact_diagonal(scored: ScoringCopy, split: Split) -> dict[str, Tensor]:
    """Return the second derivative of the mean cross-entropy by each weight alone."""
    count = sum(weight.numel() for weight in scored.weights.values())
    if count > MOST_EXACT_WEIGHTS:
        raise ValueError(
            f"method 'exact' must have at most {MOST_EXACT_WEIGHTS:,} weights, one backward pass "
            f"each, got {count:,}. Try method='gauss_newton', or fewer layers=[...]."
        )
    total = {name: torch.zeros_like(w.detach()) for name, w in scored.weights.items()}
    for batch in batches(split, _BATCH_SIZE):
        share = len(batch.targets) / len(split)
        loss = scored.loss(batch, cross_entropy)
        for name, weight in scored.weights.items():
            total[name] += share * _second_derivatives(loss, weight)
    return total


def _second_derivatives(loss: Tensor, weight: Tensor) -> Tensor:
    """Return ``d^2 loss / dw_i^2`` of the weight's shape: row i of the Hessian, its value i."""
    gradient = torch.autograd.grad(loss, weight, create_graph=True, materialize_grads=True)[0]
    diagonal = torch.zeros(weight.numel(), dtype=weight.dtype, device=weight.device)
    if not gradient.requires_grad:  # the loss is linear in the weight, or does not depend on it
        return diagonal.reshape(weight.shape)
    for position, slope in enumerate(gradient.flatten()):
        row = torch.autograd.grad(slope, weight, retain_graph=True, materialize_grads=True)[0]
        diagonal[position] = row.flatten()[position]
    return diagonal.reshape(weight.shape)
