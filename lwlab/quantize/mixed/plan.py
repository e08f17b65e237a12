"""A bit plan: which layer, and where needed which output channel, gets how many bits."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from lwlab.measure import Accuracy
from lwlab.measure.tables import html_table, text_table
from lwlab.units import format_count, format_percent

__all__ = ["BitPlan", "LayerBits", "Width"]

Width = int | tuple[int, ...]


@dataclass(frozen=True)
class LayerBits:
    """The width of one layer.

    Attributes:
        layer: its name.
        num_bits: one width, or a tuple with one for each output channel.
        weights: how many weights the layer has.
        predicted_loss: its part of the plan's predicted loss, in nats.
    """

    layer: str
    num_bits: Width
    weights: int
    predicted_loss: float

    @property
    def mean_bits(self) -> float:
        """Bits per weight; all output channels have as many weights."""
        if isinstance(self.num_bits, int):
            return float(self.num_bits)
        return sum(self.num_bits) / len(self.num_bits)

    @property
    def text(self) -> str:
        """The widths in words: ``"4"``, or ``"96 x 2, 32 x 3"`` channels."""
        if isinstance(self.num_bits, int):
            return str(self.num_bits)
        counts = sorted(Counter(self.num_bits).items())
        return ", ".join(f"{count} x {width}" for width, count in counts)


@dataclass(frozen=True)
class BitPlan:
    """Widths that make a file of at most so many bytes; ``prepare_(model, num_bits=plan.bits)``.

    Attributes:
        layers: the width of each layer, in the model's order.
        target_bytes: the budget.
        size_bytes: the length of the written file; measured, at most ``target_bytes``.
        loss_bound: no choice of the measured widths, by channel (by layer with
            ``by_channel=False``), that takes no more bytes by the same estimate is predicted to
            lose less; 0 where that says nothing.
        strategy: how the widths were found: ``"channels"``, ``"layers"``, ``"layers, then
            channels"``, ``"one width, then channels"`` or ``"one width"``.
        accuracy: of the prepared model on the split that the plan was chosen on; None without one.
    """

    layers: tuple[LayerBits, ...]
    target_bytes: int
    size_bytes: int
    loss_bound: float
    strategy: str
    accuracy: Accuracy | None = None

    @property
    def bits(self) -> dict[str, Width]:
        """The width of each layer by its name, for ``prepare_(model, num_bits=...)``."""
        return {row.layer: row.num_bits for row in self.layers}

    @property
    def is_by_layer(self) -> bool:
        """Whether no layer has several widths."""
        return all(isinstance(row.num_bits, int) for row in self.layers)

    @property
    def predicted_loss(self) -> float:
        """Summed divergence from the outputs before, in nats; takes the layers to add up."""
        return sum(row.predicted_loss for row in self.layers)

    @property
    def used(self) -> float:
        """Bytes of the file over bytes of the budget, a fraction in (0, 1]."""
        return self.size_bytes / self.target_bytes

    def __str__(self) -> str:
        return f"{text_table(self._rows())}\n{self._summary()}"

    def _repr_html_(self) -> str:
        return f"{html_table(self._rows())}<p>{self._summary()}</p>"

    def _summary(self) -> str:
        text = (
            f"{format_count(self.size_bytes)} of {format_count(self.target_bytes)} bytes used "
            f"({format_percent(self.used)}), found by: {self.strategy}"
        )
        return text if self.accuracy is None else f"{text}; accuracy {self.accuracy}"

    def _rows(self) -> list[list[str]]:
        head = ["layer", "weights", "bits a weight", "channels x bits", "predicted loss"]
        body = [
            [
                row.layer,
                format_count(row.weights),
                f"{row.mean_bits:.2f}",
                row.text,
                f"{row.predicted_loss:.2g}",
            ]
            for row in self.layers
        ]
        return [head, *body]
