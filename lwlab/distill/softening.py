"""Softening: logits divided by a temperature show what a network thinks of the other classes.

    p_i = exp(z_i / T) / sum_j exp(z_j / T)

At T = 1 a trained network says "a 3, 99.9 %" and little else. A higher temperature leaves the order
of the classes and brings their probabilities nearer to each other, so that the small ones become
visible: this 3 looks more like an 8 than like a 1. Towards T = infinity all become 1 / C.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from lwlab.checks import check_number
from lwlab.distill.logits import check_logits

__all__ = ["check_temperature", "log_soften", "soften"]


def soften(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Return the probabilities ``softmax(logits / temperature)``, ``(N, C)``, rows that sum to 1.

    Args:
        logits: ``(N, C)`` floating point, C of at least 2.
        temperature: above 0; below 1 sharpens.

    Raises:
        TypeError, ValueError: the logits are of another form, or the temperature is not above 0.

    Source: Hinton, Vinyals & Dean 2015, "Distilling the knowledge in a neural network",
    arXiv:1503.02531, equation 1.
    """
    check_logits("logits", logits)
    return F.softmax(logits / check_temperature(temperature), dim=1)


def log_soften(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Return ``log(soften(logits, temperature))``, also where a probability rounds to 0.

    Args:
        logits: as for ``soften``.
        temperature: as for ``soften``.

    Raises:
        TypeError, ValueError: as for ``soften``.
    """
    check_logits("logits", logits)
    return F.log_softmax(logits / check_temperature(temperature), dim=1)


def check_temperature(temperature: float) -> float:
    """Return ``temperature`` as a float above 0.

    Raises:
        TypeError, ValueError: it is no such number.
    """
    return check_number("temperature", temperature, above=0)
