"""Several widths inside one layer: each output channel has its own number of bits.

    weight[c] = fake_quantize(original[c], scale[c], zero_point[c])     on a grid of bits[c] bits

In many networks one layer holds nearly all weights. With one width for the whole layer the size of
the file then jumps by half of itself, and a byte budget between two jumps stays unused. Channels
make the steps small, and a channel that suffers more can have more bits than its neighbours.

The channels of one width are quantized together, by a ``FakeQuantize`` as if they were a layer of
their own; what comes out is put together again. Nothing else is new: masks below, training with
scales that follow, binary channels all work as they do for a whole layer.

Source: a width per output channel as in Lou et al. 2020, "AutoQ: Automated kernel-wise neural
network quantization", arXiv:1902.05690.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lwlab.checks import check_count
from lwlab.quantize.fake import FakeQuantize, make_fake
from lwlab.quantize.granularity import Granularity, PerChannel, PerGroup
from lwlab.quantize.observers import Observer
from lwlab.quantize.tensor import QuantizedTensor

__all__ = [
    "ChannelQuantizedTensor",
    "FakeQuantizeChannels",
    "check_by_channel",
    "check_channel_bits",
]

_WIDTH_BITS = 8  # a file holds the width of each channel in a byte


@dataclass(frozen=True, eq=False)
class ChannelQuantizedTensor(QuantizedTensor):
    """Codes with their scales and zero points, and a width for each output channel.

    ``num_bits`` is a tuple with one width per index of axis 0; ``quant_min`` and ``quant_max`` are
    the ends over all channels.

    Attributes:
        parts: the channels of one width each, as tensors of their own.
    """

    parts: tuple[QuantizedTensor, ...] = ()

    def storage_bits(self, *, scale_bits: int = 32) -> int:
        """Return what the parts need, and 8 bits per channel that say its width."""
        parts = sum(part.storage_bits(scale_bits=scale_bits) for part in self.parts)
        return parts + _WIDTH_BITS * len(self.codes)


class FakeQuantizeChannels(FakeQuantize):
    """Move each output channel of a weight onto a grid of its own width.

    Args:
        weight: what to find the first scales for; floating point, finite; axis 0 is the output
            channel.
        num_bits: 1 to 8 for each output channel.
        granularity: ``PerChannel()`` or ``PerGroup(size)``: scales must not reach over channels.
        symmetric: fix the zero points in the middle.
        range_rule: an observer; it is not changed.
        follow: find the scales anew in training.

    Attributes:
        parts: a ``FakeQuantize`` for the channels of each width, the narrowest first.
        num_bits: the widths, a tuple.

    Raises:
        ValueError: not one width per channel, or scales that reach over channels.
    """

    def __init__(
        self,
        weight: Tensor,
        *,
        num_bits: Sequence[int],
        granularity: Granularity,
        symmetric: bool,
        range_rule: Observer,
        follow: bool = True,
    ) -> None:
        nn.Module.__init__(self)  # past FakeQuantize's own: the scales here are those of the parts
        self.num_bits = check_channel_bits(num_bits, channels=len(weight))
        self.granularity = check_by_channel(granularity)
        self.symmetric, self.range_rule, self.follow = symmetric, range_rule, follow
        widths = torch.tensor(self.num_bits)
        self._channels = [(widths == width).nonzero()[:, 0] for width in sorted({*self.num_bits})]
        settings = {"granularity": granularity, "range_rule": range_rule, "follow": follow}
        self.parts = nn.ModuleList(
            make_fake(weight[channels], self.num_bits[channels[0]], symmetric, **settings)
            for channels in self._channels
        )
        self.quant_min = min(part.quant_min for part in self.parts)
        self.quant_max = max(part.quant_max for part in self.parts)

    @property
    def scale(self) -> Tensor:
        """The scales of all channels, float32, (groups,), in the order of the channels."""
        return self._by_channel(lambda part: part.scale)

    @property
    def zero_point(self) -> Tensor:
        """The zero points of all channels, int32, (groups,), in the order of the channels."""
        return self._by_channel(lambda part: part.zero_point)

    def forward(self, weight: Tensor) -> Tensor:
        """Return ``weight`` on the grids; its gradient is that of ``weight``, 0 where clipped."""
        return self._together([part(piece) for part, piece in self._pieces(weight)])

    def update_(self, weight: Tensor) -> None:
        """Find the scales and zero points for ``weight``."""
        for part, piece in self._pieces(weight):
            part.update_(piece)

    def quantized(self, weight: Tensor) -> ChannelQuantizedTensor:
        """Return the codes that ``forward`` gives ``weight`` in evaluation mode."""
        parts = [part.quantized(piece) for part, piece in self._pieces(weight)]
        scales = [part.scale.reshape(len(part.codes), -1) for part in parts]
        zero_points = [part.zero_point.reshape(len(part.codes), -1) for part in parts]
        return ChannelQuantizedTensor(
            self._together([part.codes for part in parts]),
            self._together(scales).flatten(),
            self._together(zero_points).flatten(),
            self.granularity,
            self.num_bits,
            self.quant_min,
            self.quant_max,
            symmetric=self.symmetric,
            dtype=weight.dtype,
            parts=tuple(parts),
        )

    def _pieces(self, weight: Tensor) -> list[tuple[FakeQuantize, Tensor]]:
        """Return each part with the channels that are its."""
        return [
            (part, weight.index_select(0, channels.to(weight.device)))
            for part, channels in zip(self.parts, self._channels, strict=True)
        ]

    def _together(self, pieces: list[Tensor]) -> Tensor:
        """Return the pieces as one tensor, each channel back in its place."""
        order = torch.cat(self._channels).argsort().to(pieces[0].device)
        return torch.cat(pieces).index_select(0, order)

    def _by_channel(self, read: Callable[[FakeQuantize], Tensor]) -> Tensor:
        numbers = [
            read(part).reshape(len(channels), -1)
            for part, channels in zip(self.parts, self._channels, strict=True)
        ]
        return self._together(numbers).flatten()

    def extra_repr(self) -> str:
        """Show how many channels have which width when the model is printed."""
        counts = ", ".join(
            f"{len(channels)} of {part.num_bits}"
            for part, channels in zip(self.parts, self._channels, strict=True)
        )
        return f"output channels by bits: {counts}"


def check_channel_bits(
    value: Any, name: str = "num_bits", *, channels: int | None = None
) -> tuple[int, ...]:
    """Return ``value`` as a tuple of whole numbers from 1 to 8, one per output channel.

    Args:
        value: a list or tuple.
        name: of it, for the sentence.
        channels: how many there must be; None: any number.

    Raises:
        TypeError, ValueError: it is something else.
    """
    if not isinstance(value, list | tuple):
        raise TypeError(f"{name} must be a list of widths, one per output channel, got {value!r}.")
    widths = tuple(
        check_count(f"{name}, output channel {channel},", width, minimum=1, maximum=8)
        for channel, width in enumerate(value)
    )
    if channels is not None and len(widths) != channels:
        raise ValueError(
            f"{name} must hold a width for each of the {channels} output channels, got "
            f"{len(widths)}."
        )
    return widths


def check_by_channel(granularity: Granularity) -> Granularity:
    """Return ``granularity`` if its scales do not reach over output channels.

    Raises:
        ValueError: they do, or may.
    """
    by_channel = isinstance(granularity, PerChannel | PerGroup) and granularity.axis == 0
    if not by_channel:
        raise ValueError(
            f"granularity must be PerChannel() or PerGroup(size), with scales inside each output "
            f"channel, where a layer has several widths, got {granularity!r}."
        )
    return granularity
