"""Convolution and linear layer in integers: codes in, int32 sums out.

    sums[o] = sum_i (weight_code[o, i] - weight_zero_point[o]) * (code[i] - input_zero_point)
              + bias[o]                        bias[o] = round(float bias / (s_x s_w[o]))

The sums stand for real numbers at scale ``s_x * s_w[o]``, input scale times weight scale, so the
bias joins them at that scale. Zeros around an image are added after the input zero point is taken
off: the padding is the code that means 0, not the code 0.

Source: Jacob et al. 2018, arXiv:1712.05877, section 2.2 to 2.4.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lwlab.quantize.integer.exact import exact_sums, largest_sum
from lwlab.quantize.integer.rescaling import along

__all__ = ["LARGEST_INT32", "IntegerConv", "IntegerLayer", "IntegerLinear"]

LARGEST_INT32 = 2**31 - 1
_CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


class IntegerLayer(nn.Module):
    """What both have in common: the integers, and the check that their sums fit.

    Args:
        weight: weight codes, (outputs, inputs, ...), whole numbers from -128 to 255.
        weight_zero_point: whole numbers, (outputs,).
        bias: the float bias at the scale of the sums, rounded: float64, (outputs,), or None.
        input_zero_point: int32, ().
        largest_input: the largest magnitude of a code less its zero point.

    Attributes:
        weight: int8, or uint8 for codes from 0.
        weight_zero_point: int32, (outputs,).
        bias: int32, (outputs,), or None.
        input_zero_point: int32, ().

    Raises:
        ValueError: a sum could leave int32.
    """

    weight: Tensor
    weight_zero_point: Tensor
    bias: Tensor | None
    input_zero_point: Tensor
    channel_axis = 1

    def __init__(
        self,
        weight: Tensor,
        weight_zero_point: Tensor,
        bias: Tensor | None,
        input_zero_point: Tensor,
        largest_input: int,
    ) -> None:
        super().__init__()
        self.largest_input = int(largest_input)
        small = torch.uint8 if int(weight.max()) > 127 else torch.int8
        self.register_buffer("weight", weight.detach().to(small))
        self.register_buffer("weight_zero_point", weight_zero_point.to(torch.int32).clone())
        self._check_fits(bias)
        self.register_buffer("bias", None if bias is None else bias.to(torch.int32))
        self.register_buffer("input_zero_point", input_zero_point.to(torch.int32).clone())

    def forward(self, codes: Tensor) -> Tensor:
        """Return the sums of a batch of codes, int32."""
        sums = self._sums(codes - self.input_zero_point, self.centred_weight())
        return sums if self.bias is None else sums.add_(along(self.bias, sums, self.channel_axis))

    def centred_weight(self) -> Tensor:
        """Return the weight codes less their zero points, int32."""
        zero_points = self.weight_zero_point.reshape([-1] + [1] * (self.weight.dim() - 1))
        return self.weight.to(torch.int32) - zero_points

    def _sums(self, x: Tensor, weight: Tensor) -> Tensor:
        raise NotImplementedError

    def _check_fits(self, bias: Tensor | None) -> None:
        added = 0.0 if bias is None else float(bias.abs().max())
        largest = largest_sum(self.centred_weight(), self.largest_input) + added
        if not largest <= LARGEST_INT32:
            raise ValueError(
                f"the sums of a layer must stay within int32, up to {LARGEST_INT32:,}, got a bound "
                f"of {largest:.3g}, of which the bias is {added:.3g}."
            )

    def extra_repr(self) -> str:
        """Show the integers when the model is printed."""
        shape = "x".join(str(size) for size in self.weight.shape)
        bias = "no bias" if self.bias is None else "int32 bias"
        dtype = str(self.weight.dtype).removeprefix("torch.")
        return f"{shape} {dtype} weights, {bias}, input zero {int(self.input_zero_point)}"


class IntegerLinear(IntegerLayer):
    """A linear layer in integers; see ``IntegerLayer`` for its arguments.

    >>> layer = IntegerLinear(torch.tensor([[2, -1]]), torch.tensor([0]), torch.tensor([10.0]),
    ...                       torch.tensor(3), largest_input=252)
    >>> layer(torch.tensor([[5, 4]], dtype=torch.int32))  # 2 * (5 - 3) - (4 - 3) + 10
    tensor([[13]], dtype=torch.int32)
    """

    channel_axis = -1

    def _sums(self, x: Tensor, weight: Tensor) -> Tensor:
        return exact_sums(F.linear, x, weight, self.largest_input)


class IntegerConv(IntegerLayer):
    """A convolution over one, two or three dimensions in integers.

    Args:
        weight: as for ``IntegerLayer``, and so on.
        weight_zero_point: of the weights.
        bias: at the scale of the sums.
        input_zero_point: of the input.
        largest_input: magnitude of a code less its zero point.
        like: the float convolution: its stride, padding, dilation and groups are taken.
    """

    def __init__(
        self,
        weight: Tensor,
        weight_zero_point: Tensor,
        bias: Tensor | None,
        input_zero_point: Tensor,
        largest_input: int,
        *,
        like: nn.Conv1d | nn.Conv2d | nn.Conv3d,
    ) -> None:
        super().__init__(weight, weight_zero_point, bias, input_zero_point, largest_input)
        self.stride, self.dilation, self.groups = like.stride, like.dilation, like.groups
        self.padding, self.padding_mode = like.padding, like.padding_mode
        self._around = tuple(like._reversed_padding_repeated_twice)

    def _sums(self, x: Tensor, weight: Tensor) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            # Reflection and the like move numbers that are there; float64 holds each int32.
            x = F.pad(x.double(), self._around, mode=self.padding_mode).to(torch.int32)
            padding = 0
        settings = {"stride": self.stride, "padding": padding, "dilation": self.dilation}
        convolution = _CONVOLUTIONS[weight.dim() - 2]
        return exact_sums(
            # Of a part of the channels there are no groups; of all of them there may be.
            lambda a, b: convolution(a, b, groups=self.groups, **settings),
            x,
            weight,
            self.largest_input,
            groups=self.groups,
        )
