"""A penalty on the bits that an entropy coder will need: training weighs accuracy against bytes.

Weights that compute through learned steps (``learn_steps_``) are whole numbers times a step. What
such a number costs in a file with entropy-coded codes depends on how frequent it is: the more zeros
there are, the cheaper is a zero, and the dearer is anything else. ``CodeLength`` estimates that
cost and is added to the loss:

    quantize.prepare_(model, num_bits=4, granularity=quantize.PerTensor())
    quantize.learn_steps_(model)
    fit(model, dataset, epochs=5, penalty=quantize.CodeLength(1e-5, warm_up=500))

Nothing is pruned by hand. A weight that is not worth its bits goes to 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.utils import parametrize

from lwlab.checks import check_count, check_number
from lwlab.quantize.learned_step import LearnedStep, positive_step

__all__ = ["CodeLength", "CodePrices", "code_prices"]

_REFRESH = 20  # calls between two looks at how the codes are distributed


@dataclass(frozen=True)
class CodePrices:
    """Bits of the codes of one tensor, beyond what a 0 costs.

    Attributes:
        first: of the first step away from 0: position, sign, and the end of its size.
        more: of each step further.
    """

    first: float
    more: float


def code_prices(size: Tensor) -> CodePrices:
    """Return what codes cost where they have the sizes ``size``.

    A fraction p of the codes are not 0, and their sizes k = 1, 2, ... are taken to have a geometric
    distribution with the mean 1 / (1 - t). Then a code costs, beyond what a 0 costs::

        log2((1 - p) / p) + 1 - log2(1 - t) - (k - 1) * log2(t)       position, sign, size

    Half a code is added here and there, so that no price is infinite; a p above 1/2 counts as 1/2,
    so that no price is negative.

    Args:
        size: whole numbers, |code|, of any shape.
    """
    there = float((size > 0).sum())
    chance = min((there + 1) / (size.numel() + 2), 0.5)
    above = (float((size - 1).clamp(min=0).sum()) + 0.5) / (there + 1)  # mean of k - 1
    another = above / (1 + above)
    position_and_sign = math.log2((1 - chance) / chance) + 1
    return CodePrices(position_and_sign - math.log2(1 - another), -math.log2(another))


class CodeLength:
    """``strength`` times the bits that the codes of a model cost beyond those of zeros.

    The prices come from the codes as they are, looked at from time to time. Between two codes the
    price runs in a straight line, so that the gradient of a weight is what its next step up or down
    would cost. It is what a weight pays on its way: one that lies between 0 and the first code pays
    its share, though it costs the file nothing once it is rounded to 0.

    Args:
        strength: loss per bit, 0 or more; 1e-6 to 1e-4 for networks of 1e4 to 1e6 weights.
        warm_up: calls during which the strength rises from 0.
        every: the price is asked at each so many calls only, and then counts so many times.

    Raises:
        TypeError, ValueError: an argument is out of range.

    Source: the loss of Oktay et al. 2020, "Scalable model compression by entropy penalized
    reparameterization", arXiv:1906.06624, with a much simpler model of the codes.
    """

    def __init__(self, strength: float, *, warm_up: int = 0, every: int = 1) -> None:
        self.strength = check_number("strength", strength, minimum=0)
        self.warm_up = check_count("warm_up", warm_up, minimum=0)
        self.every = check_count("every", every)
        self._calls = 0
        self._prices: dict[str, CodePrices] = {}

    def __call__(self, model: nn.Module) -> Tensor:
        """Return the penalty, a differentiable scalar.

        Raises:
            ValueError: no tensor of ``model`` computes through a learned step.
        """
        self._calls += 1
        coded = list(_coded(model))
        if not coded:
            raise ValueError(
                "model must compute through learned steps for its codes to have a price, got none. "
                "Call quantize.prepare_ and quantize.learn_steps_ first."
            )
        if self._calls % self.every:
            return coded[0][2].new_zeros(())
        look = (self._calls // self.every) % _REFRESH == 1
        bits = sum(self._bits(*tensor, look=look) for tensor in coded)
        risen = min(1.0, self._calls / max(self.warm_up, 1))
        return self.strength * self.every * risen * bits

    def _bits(self, name: str, learned: LearnedStep, original: Tensor, *, look: bool) -> Tensor:
        # The gradient of the step is balanced as LSQ balances that of the task.
        reach = learned.quant_max - learned.zero_point.float()
        balance = (original.numel() / reach.numel() * reach).rsqrt()
        step = positive_step(learned.log_step, balance)
        size = (original / learned.granularity.spread(step, tuple(original.shape))).abs()
        if look or name not in self._prices:
            self._prices[name] = code_prices(size.detach().round())
        price, near = self._prices[name], size.clamp(max=1)
        further = (size - near).clamp(max=learned.quant_max)
        return price.first * near.sum() + price.more * further.sum()


def _coded(model: nn.Module) -> Iterator[tuple[str, LearnedStep, Tensor]]:
    """Yield path, quantizer and the float tensor behind it, for each that a step is learned for."""
    for prefix, module in model.named_modules():
        if not parametrize.is_parametrized(module):
            continue
        for name, chain in module.parametrizations.items():
            if isinstance(chain[-1], LearnedStep):
                yield f"{prefix}.{name}", chain[-1], _below(chain)


def _below(chain: parametrize.ParametrizationList) -> Tensor:
    """Return what the quantizer gets: the original, or what is left of it behind a mask."""
    tensor = chain.original
    for part in list(chain)[:-1]:
        tensor = part(tensor)
    return tensor
