"""The WeightNoise parametrization: a weight that is a bell curve while it trains.

    training      output = layer(x, theta) + sqrt(layer(x^2, sigma^2)) * e,    e ~ N(0, 1)
    evaluation    output = layer(x, theta where log alpha < threshold, else 0)

Both theta and log sigma^2 learn. Drawing each weight once a pass, ``w = theta + sigma e``, would
give all examples of a batch the same error, and a gradient that jumps about. An output is a sum of
such weights times inputs, and a sum of independent bell curves is a bell curve again: its mean is
the layer applied to the means, its variance the layer applied to squared inputs and variances. So
we draw the *outputs*: the same distribution, independent for each example, a calmer gradient. This
is the local reparameterization. (In a convolution, neighbouring positions share weights and so
part of their noise; drawing them independently leaves that out, as the paper does.)

Sources: Molchanov et al. 2017, arXiv:1701.05369, section 4; Kingma, Salimans & Welling 2015,
"Variational dropout and the local reparameterization trick", arXiv:1506.02557.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lwlab.prune.parametrization import Mask, set_mask_
from lwlab.prune.variational.divergence import log_alpha

__all__ = ["WeightNoise", "noise_of", "remove_noise_", "set_noise_"]


class WeightNoise(nn.Module):
    """A parametrization: holds the learned variance of a weight, and zeroes what is mere noise.

    ``layer.weight`` is the weight to keep, pruned by the present noise. Only inside a training pass
    of the layer is it theta as a whole, since a weight can still find its way back.

    Args:
        weight: gives shape, dtype and device.
        log_variance: starting value of log sigma^2.
        threshold: prune where log alpha is at least this.

    Attributes:
        log_variance: log sigma^2, a parameter of the weight's shape.
        threshold: as given.
    """

    def __init__(self, weight: Tensor, log_variance: float, threshold: float) -> None:
        super().__init__()
        start = torch.full_like(weight, log_variance, requires_grad=False)
        self.log_variance = nn.Parameter(start)
        self.threshold = threshold
        self._whole = False  # True inside a training pass of the layer

    def mask(self, mean: Tensor) -> Tensor:
        """Return the mask that the present noise asks for; True keeps."""
        return log_alpha(mean.detach(), self.log_variance.detach()) < self.threshold

    def forward(self, mean: Tensor) -> Tensor:
        """Return the weight for the layer: the mean, with zeros where it is mere noise."""
        return mean if self._whole else torch.where(self.mask(mean), mean, 0)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return the mean to store when a value is assigned to the weight."""
        return weight

    def extra_repr(self) -> str:
        """Show the rule when the model is printed."""
        return f"prunes where log alpha >= {self.threshold:g}"


def noise_of(module: nn.Module) -> WeightNoise | None:
    """Return the WeightNoise on the weight of ``module``, or None."""
    if not parametrize.is_parametrized(module, "weight"):
        return None
    first = module.parametrizations["weight"][0]
    return first if isinstance(first, WeightNoise) else None


def set_noise_(module: nn.Module, log_variance: float, threshold: float) -> None:
    """Make the weight of ``module``, a convolution or linear layer, a noisy one."""
    mean = module.weight.detach()
    # Mask knows how to get onto a module; then the noise takes its place in the chain.
    set_mask_(module, "weight", torch.ones_like(mean, dtype=torch.bool))
    module.parametrizations["weight"][0] = WeightNoise(mean, log_variance, threshold)
    # Hooks and no class of our own: the layer, also a user's, computes its mean as it always did.
    # First in line, so that a user's hooks see the noisy output; called even after an error.
    module.register_forward_pre_hook(_before, prepend=True)
    module.register_forward_hook(_after, prepend=True, with_kwargs=True, always_call=True)


def remove_noise_(module: nn.Module, mask: Tensor) -> None:
    """Put a plain Mask in place of the noise of ``module``."""
    for hooks in (module._forward_pre_hooks, module._forward_hooks):
        # Found by the function: the handles of a deep copy are those of its original.
        for key in [key for key, hook in hooks.items() if hook in (_before, _after)]:
            del hooks[key]
            module._forward_hooks_with_kwargs.pop(key, None)
            module._forward_hooks_always_called.pop(key, None)
    module.parametrizations["weight"][0] = Mask(mask)


def _before(module: nn.Module, args: Any) -> None:
    """Let the layer see its whole mean, if this is a training pass."""
    del args
    noise = noise_of(module)
    if noise is not None:
        noise._whole = module.training


def _after(module: nn.Module, args: Any, kwargs: dict[str, Any], output: Any) -> Tensor | None:
    """Add the noise of the weights to the output, if this is a training pass."""
    noise = noise_of(module)
    if noise is None or not noise._whole:
        return None
    noise._whole = False
    if output is None:  # The layer failed, and its error is on its way.
        return None
    inputs = args[0] if args else kwargs["input"]
    variance = _weighted(module, inputs.square(), noise.log_variance.exp())
    # Where all inputs are 0, so is the variance, and a root has no slope at 0.
    floor = torch.finfo(variance.dtype).eps ** 2
    return torch.addcmul(output, (variance + floor).sqrt(), _bell_curve(output))


def _bell_curve(output: Tensor) -> Tensor:
    """Return standard normal numbers, laid out in memory as ``output`` is."""
    noise = torch.empty_like(output)
    # Filled in the order of memory: 8 times faster than randn_like on channels-last outputs.
    noise.as_strided((noise.numel(),), (1,)).normal_()
    return noise


def _weighted(module: nn.Module, inputs: Tensor, weight: Tensor) -> Tensor:
    """Return what ``module`` would give for ``inputs`` with another weight and no bias."""
    if isinstance(module, nn.Linear):
        return F.linear(inputs, weight)
    return module._conv_forward(inputs, weight, None)
