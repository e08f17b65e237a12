"""Linear layers one after the other, as wide and as many as wanted, with dropout between them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lwlab.checks import check_count, check_fraction
from lwlab.models.layers import seeded

__all__ = ["MLP"]


class MLP(nn.Module):
    """A multilayer perceptron: ``fc1``, ``fc2``, ... with ReLU between them.

    With ``widths=(1200, 1200)`` and ``dropout=(0.2, 0.5)`` it is the teacher, with ``(800, 800)``
    and no dropout the student, of the MNIST experiment with which distillation began.

    Args:
        input_shape: shape of one input, flattened before the first layer.
        num_classes: number of logits.
        widths: units of each hidden layer, from the input on; none is a linear classifier.
        dropout: fraction of units dropped in training, in [0, 1): one number for the hidden layers,
            or a pair of (inputs, hidden layers).
        seed: of the initial weights.

    Raises:
        TypeError: ``widths`` or ``dropout`` are no numbers.
        ValueError: a size is not a whole number of at least 1, or a fraction outside [0, 1).

    Source: Hinton, Vinyals & Dean 2015, arXiv:1503.02531, section 3; dropout: Srivastava et al.
    2014, "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...] = (1, 28, 28),
        num_classes: int = 10,
        widths: Sequence[int] = (1200, 1200),
        dropout: float | tuple[float, float] = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.input_shape = tuple(check_count("input_shape", size) for size in input_shape)
        self.num_classes = check_count("num_classes", num_classes)
        self.widths = _checked_widths(widths)
        self.dropout = _checked_dropout(dropout)
        sizes = [torch.Size(self.input_shape).numel(), *self.widths, self.num_classes]
        with seeded(seed):
            for number in range(1, len(sizes)):
                self.add_module(f"fc{number}", nn.Linear(sizes[number - 1], sizes[number]))
        self.drop_inputs, self.drop_hidden = (_dropout_layer(rate) for rate in self.dropout)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits ``(N, num_classes)`` for inputs ``(N, *input_shape)``."""
        x = self.drop_inputs(inputs.flatten(1))  # (N, 784)
        for number in range(1, len(self.widths) + 1):
            x = self.drop_hidden(F.relu(getattr(self, f"fc{number}")(x)))  # (N, 1200)
        return getattr(self, f"fc{len(self.widths) + 1}")(x)  # (N, 10)


def _dropout_layer(rate: float) -> nn.Module:
    # Without dropout the printed model, and a traced one, should not speak of it.
    return nn.Dropout(rate) if rate else nn.Identity()


def _checked_widths(widths: Sequence[int]) -> tuple[int, ...]:
    if isinstance(widths, str) or not isinstance(widths, Sequence):
        raise TypeError(
            f"widths must be a sequence of whole numbers, one a hidden layer, got {widths!r}. "
            f"Try widths=(800, 800)."
        )
    return tuple(check_count("widths", width) for width in widths)


def _checked_dropout(dropout: float | tuple[float, float]) -> tuple[float, float]:
    """Return the fractions dropped of the inputs and of the hidden units."""
    rates = tuple(dropout) if isinstance(dropout, Sequence) else (0.0, dropout)
    if len(rates) != 2:
        raise ValueError(
            f"dropout must be one fraction, or two for inputs and hidden layers, got {dropout!r}."
        )
    return check_fraction("dropout", rates[0]), check_fraction("dropout", rates[1])
