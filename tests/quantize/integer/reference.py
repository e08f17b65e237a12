"""A slow reference of integer inference: Python's own integers, one operation after the other.

Written from the documented formulas, without the package's integer modules. It rounds to codes only
where the quantizer stands, and so carries a scale with *every element* through pooling, flattening
and joins.
"""

from __future__ import annotations

import itertools
import operator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from lwlab.quantize import quantized_weights
from lwlab.quantize.activations import FakeQuantizeActivation


@dataclass
class Whole:
    """Whole numbers (zero point taken off), each with its scale; limits wait for the grid."""

    numbers: np.ndarray  # of Python ints
    scales: np.ndarray  # float64, of the same shape
    limits: tuple = ()
    reach: int = 0  # largest magnitude, where these are codes


def whole(array) -> np.ndarray:
    return np.vectorize(int, otypes=[object])(np.asarray(array))


def fixed_point(multiplier: float) -> tuple[int, int]:
    exact, shift = Fraction(multiplier), 0
    while exact * 2**shift < 2**30 and shift < 62:
        shift += 1
    mantissa = round(exact * 2**shift)
    return (2**30, shift - 1) if mantissa == 2**31 else (mantissa, shift)


def times(number: int, multiplier: float) -> int:
    """Return the product, rounded once, halves up: floor(x + 1/2)."""
    mantissa, shift = fixed_point(multiplier)
    exact = Fraction(number * mantissa, 2**shift) + Fraction(1, 2)
    return exact.numerator // exact.denominator


def rescale(value: Whole, target: float) -> np.ndarray:
    cache: dict[tuple[int, float], int] = {}

    def one(number: int, scale: float) -> int:
        key = (number, scale)
        if key not in cache:
            cache[key] = times(number, scale / target)
        return cache[key]

    return np.vectorize(one, otypes=[object])(value.numbers, value.scales)


def nearest(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)


def code_of(real: np.ndarray, fake: FakeQuantizeActivation) -> np.ndarray:
    steps = np.rint(np.float32(real) * (np.float32(1) / np.float32(float(fake.scale))))
    steps = np.clip(steps.astype(np.float64), -1e6, 1e6)
    return np.clip(whole(steps) + int(fake.zero_point), fake.quant_min, fake.quant_max)


def real(value):
    if not isinstance(value, Whole):
        return value
    numbers = value.numbers.astype(np.int64).astype(np.float32)
    return torch.from_numpy(numbers * value.scales.astype(np.float32))


class Reference:
    """Runs a prepared model on whole numbers; ``codes`` by point, and the output."""

    def __init__(self, prepared):
        self.model = prepared
        self.weights = {
            id(prepared.get_submodule(name)): quantized
            for name, quantized in quantized_weights(prepared).items()
        }
        self.codes: dict[str, np.ndarray] = {}

    def run(self, inputs: torch.Tensor):
        env = {}
        for node in self.model.graph.nodes:
            if node.op == "placeholder":
                env[node] = inputs
            elif node.op == "get_attr":
                env[node] = operator.attrgetter(node.target)(self.model)
            else:
                args = torch.fx.map_arg(node.args, env.__getitem__)
                if node.op == "output":
                    return real(args[0])
                env[node] = self.step(node, args, dict(node.kwargs))
        return None

    def step(self, node, args, kwargs):
        module = self.model.get_submodule(node.target) if node.op == "call_module" else None
        first = args[0]
        if isinstance(module, FakeQuantizeActivation):
            return self.quantizer(node.target.rpartition(".")[2], module, first)
        if not any(isinstance(arg, Whole) for arg in flat(args)):
            if module is not None:
                return module(*args)
            if node.op == "call_method":
                return getattr(first, node.target)(*args[1:], **kwargs)
            return node.target(*args, **kwargs)
        if module is not None:
            return self.module(module, first)
        return call(node, args, kwargs)

    def quantizer(self, name, fake, x):
        zero, scale = int(fake.zero_point), float(fake.scale)
        if isinstance(x, Whole):
            codes = np.clip(rescale(x, scale) + zero, fake.quant_min, fake.quant_max)
            for low, high in x.limits:
                if low is not None:
                    codes = np.maximum(codes, code_of(np.array(low), fake).item())
                if high is not None:
                    codes = np.minimum(codes, code_of(np.array(high), fake).item())
        else:
            codes = code_of(x.detach().numpy(), fake)
        self.codes[name] = codes
        reach = max(fake.quant_max - zero, zero - fake.quant_min)
        return Whole(codes - zero, np.full(codes.shape, scale), reach=reach)

    def module(self, module, x):  # noqa: PLR0911 - one line per layer
        if id(module) in self.weights and one_per_output(self.weights[id(module)]):
            return self.layer(module, self.weights[id(module)], x)
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            return norm(module, x)
        if isinstance(module, (nn.Identity, nn.Dropout)):
            return x
        if isinstance(module, nn.ReLU):
            return relu(x)
        if isinstance(module, nn.Hardtanh):  # ReLU6 too
            return Whole(x.numbers, x.scales, (*x.limits, (module.min_val, module.max_val)))
        if isinstance(module, nn.Flatten):
            return reshaped(x, lambda a: a.reshape(len(a), -1))
        if isinstance(module, (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)):
            return max_pool(x, module.kernel_size, module.stride, module.padding)
        if isinstance(module, (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)):
            return average_pool(x, module.kernel_size, module.stride, module.padding, module)
        if isinstance(module, nn.AdaptiveAvgPool2d):
            return adaptive(x, module.output_size)
        return module(real(x)).detach()

    def layer(self, layer, weight, x):
        shape = tuple(weight.shape)
        spread = weight.granularity.spread
        zero = np.broadcast_to(spread(weight.zero_point, shape).numpy(), shape)
        scale = np.broadcast_to(spread(weight.scale, shape).numpy(), shape)
        scale = scale.reshape(shape[0], -1)[:, 0].astype(np.float64) * x.scales.flat[0]
        codes = whole(weight.codes.numpy()) - whole(zero)
        bias = np.zeros(shape[0], dtype=object)
        if layer.bias is not None:
            bias = whole(np.rint(layer.bias.detach().double().numpy() / scale))
        if isinstance(layer, nn.Linear):
            return Whole(
                np.dot(x.numbers, codes.T) + bias, scale + np.zeros(()) * x.scales[..., :1]
            )
        sums = convolution(x.numbers, codes, layer)
        around = (1, -1, *[1] * (sums.ndim - 2))
        scales = np.broadcast_to(scale.reshape(around), sums.shape)
        return Whole(sums + bias.reshape(around), scales)


def flat(args):
    for arg in args:
        if isinstance(arg, (list, tuple)):
            yield from flat(arg)
        else:
            yield arg


def one_per_output(weight) -> bool:
    return weight.scale.numel() in (1, len(weight.codes))


def convolution(x, weight, layer):
    rank = weight.ndim - 2
    assert layer.padding_mode == "zeros"
    pads = layer.padding if isinstance(layer.padding, tuple) else None
    if pads is None:  # "same"
        pads = [d * (k - 1) // 2 for d, k in zip(layer.dilation, weight.shape[2:], strict=True)]
    x = np.pad(x, [(0, 0), (0, 0), *[(pad, pad) for pad in pads]], constant_values=0)
    sizes = [
        (x.shape[2 + i] - layer.dilation[i] * (weight.shape[2 + i] - 1) - 1) // layer.stride[i] + 1
        for i in range(rank)
    ]
    out = np.zeros((len(x), len(weight), *sizes), dtype=object)
    outputs, inputs = len(weight) // layer.groups, weight.shape[1]
    for group, *place in itertools.product(range(layer.groups), *map(range, weight.shape[2:])):
        window = tuple(
            slice(p * d, p * d + (size - 1) * s + 1, s)
            for p, d, size, s in zip(place, layer.dilation, sizes, layer.stride, strict=True)
        )
        taken = x[(slice(None), slice(group * inputs, (group + 1) * inputs), *window)]
        own = slice(group * outputs, (group + 1) * outputs)
        part = np.tensordot(taken, weight[(own, slice(None), *place)], axes=([1], [1]))
        out[:, own] += np.moveaxis(part, -1, 1)
    return out


def norm(module, x):
    slope = 1 / np.sqrt(module.running_var.double().numpy() + module.eps)
    slope = slope * module.weight.detach().double().numpy()
    offset = module.bias.detach().double().numpy() - slope * module.running_mean.double().numpy()
    slope = slope * x.scales.flat[0]
    largest = np.maximum(np.abs(slope) * x.reach, np.abs(offset))
    scale = np.where(largest > 0, largest / 2**29, 1.0)
    around = (1, -1, *[1] * (x.numbers.ndim - 2))
    factor, bias = (whole(np.rint(part / scale)).reshape(around) for part in (slope, offset))
    numbers = x.numbers * factor + bias
    return Whole(numbers, np.broadcast_to(scale.reshape(around), numbers.shape))


def relu(x):
    return Whole(np.maximum(x.numbers, 0), x.scales, x.limits, x.reach)


def reshaped(x, how):
    return Whole(how(x.numbers), how(np.broadcast_to(x.scales, x.numbers.shape)), x.limits, x.reach)


def windows(size, kernel, stride, padding):
    """Return (start, end) along one axis, not yet cut at the border."""
    count = (size + 2 * padding - kernel) // stride + 1
    return [(i * stride - padding, i * stride - padding + kernel) for i in range(count)]


def each(value, rank):
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * rank


def pooled(x, kernel, stride, padding, reduce):
    """Return ``reduce(numbers of a window, (start, end) per axis)`` at each place."""
    rank = x.ndim - 2
    kernel, padding = each(kernel, rank), each(padding, rank)
    stride = kernel if stride is None else each(stride, rank)
    axes = [windows(x.shape[2 + i], kernel[i], stride[i], padding[i]) for i in range(rank)]
    out = np.empty((*x.shape[:2], *map(len, axes)), dtype=object)
    for place in itertools.product(*[range(len(axis)) for axis in axes]):
        ends = [axis[p] for axis, p in zip(axes, place, strict=True)]
        cut = tuple(slice(max(a, 0), b) for a, b in ends)
        for n, c in itertools.product(*map(range, x.shape[:2])):
            out[(n, c, *place)] = reduce(x[(n, c, *cut)], ends)
    return out


def max_pool(x, kernel, stride=None, padding=0):
    numbers = pooled(x.numbers, kernel, stride, padding, lambda part, ends: max(part.flat))
    around = (slice(None), slice(None), *[slice(0, 1)] * (numbers.ndim - 2))
    return Whole(numbers, np.broadcast_to(x.scales[around], numbers.shape), x.limits, x.reach)


def average_pool(x, kernel, stride, padding, module):
    sizes, rank = x.numbers.shape[2:], x.numbers.ndim - 2
    pads = each(padding, rank)

    def reduce(part, ends):
        count = int(
            np.prod([min(b, s + p) - a for (a, b), s, p in zip(ends, sizes, pads, strict=True)])
        )
        if not module.count_include_pad:
            count = part.size
        count = getattr(module, "divisor_override", None) or count
        return nearest(sum(part.flat) * 2**16, count)

    numbers = pooled(x.numbers, kernel, stride, padding, reduce)
    return Whole(numbers, np.full(numbers.shape, x.scales.flat[0] / 2**16))


def adaptive(x, output_size):
    sizes = x.numbers.shape[2:]
    axes = [
        [(i * size // out, -((i + 1) * size // -out)) for i in range(out)]
        for size, out in zip(sizes, each(output_size, len(sizes)), strict=True)
    ]
    numbers = np.empty((*x.numbers.shape[:2], *map(len, axes)), dtype=object)
    for place in itertools.product(*[range(len(axis)) for axis in axes]):
        cut = tuple(slice(*axis[p]) for axis, p in zip(axes, place, strict=True))
        for n, c in itertools.product(*map(range, x.numbers.shape[:2])):
            part = x.numbers[(n, c, *cut)]
            numbers[(n, c, *place)] = nearest(sum(part.flat) * 2**16, part.size)
    return Whole(numbers, np.full(numbers.shape, x.scales.flat[0] / 2**16))


def aligned(parts):
    scale = max(part.scales.flat[0] for part in parts) / 2**20
    return [rescale(part, scale) for part in parts], scale


def call(node, args, kwargs):  # noqa: PLR0911 - one line per operation
    target, first = node.target, args[0]
    if target in (operator.add, torch.add, operator.sub, torch.sub):
        (a, b), scale = aligned(args)
        numbers = a - b if target in (operator.sub, torch.sub) else a + b
        return Whole(numbers, np.full(numbers.shape, scale))
    if target is torch.cat:
        parts, scale = aligned(first)
        dim = args[1] if len(args) > 1 else kwargs.get("dim", 0)
        numbers = np.concatenate(parts, axis=dim)
        return Whole(numbers, np.full(numbers.shape, scale))
    if target in (F.relu, torch.relu, "relu"):
        return relu(first)
    if target is F.relu6:
        return Whole(first.numbers, first.scales, (*first.limits, (0, 6)))
    if target is torch.clamp:
        return Whole(
            first.numbers, first.scales, (*first.limits, (kwargs.get("min"), kwargs.get("max")))
        )
    if target is F.max_pool2d:
        return max_pool(first, *args[1:])
    if target in (torch.flatten, "flatten"):
        return reshaped(first, lambda a: a.reshape(len(a), -1))
    if target == "size":
        return first.numbers.shape[args[1]]
    if target in ("view", "reshape"):
        return reshaped(first, lambda a: a.reshape(args[1:]))
    if target in ("mean", torch.mean):
        dim = args[1] if len(args) > 1 else kwargs["dim"]
        dim = tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
        sums = first.numbers.sum(axis=dim)
        count = first.numbers.size // sums.size
        numbers = np.vectorize(lambda n: nearest(n * 2**16, count), otypes=[object])(sums)
        return Whole(numbers, np.full(numbers.shape, first.scales.flat[0] / 2**16))
    target = getattr(torch.Tensor, target) if isinstance(target, str) else target
    return target(*[real(arg) for arg in args], **kwargs)
