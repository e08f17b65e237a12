"""Shared by the packing tests: a module of any tensors, and a second writer and reader.

The writer and the reader follow the module docstring of ``lwlab/packing/archive.py`` alone, byte by
byte and slowly: they are the independent reference for the real ones, and build hostile files.
"""

from __future__ import annotations

import math
import zlib

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from torch import nn

DTYPES = [
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.bool,
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
]


class Bag(nn.Module):
    """A module with the given tensors as buffers."""

    def __init__(self, tensors):
        super().__init__()
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor)


class Reference:
    """The format, written down a second time."""

    @staticmethod
    def varint(number):
        digits = [number % 128]
        while number := number // 128:
            digits.append(number % 128)
        return bytes([d + 128 for d in digits[:-1]] + digits[-1:])

    @staticmethod
    def sealed(body):
        return body + zlib.crc32(body).to_bytes(4, "little")

    @classmethod
    def entry(cls, name, kind, shape, length, shared=0):
        """Header entry of a tensor; ``name`` is bytes, ``kind`` is 16 * coding + type."""
        sizes = b"".join(map(cls.varint, shape))
        head = cls.varint(shared) + cls.varint(len(name)) + name + bytes([kind])
        return head + cls.varint(len(shape)) + sizes + cls.varint(length)

    @classmethod
    def file(cls, *tensors, version=1):
        """A sealed file of (name, kind, shape, payload) tuples, names not shortened."""
        heads = b"".join(cls.entry(n, kind, shape, len(p)) for n, kind, shape, p in tensors)
        payloads = b"".join(payload for *_, payload in tensors)
        start = b"LWLB" + bytes([version])
        return cls.sealed(start + cls.varint(len(tensors)) + heads + payloads)

    @classmethod
    def read(cls, data):
        """{name: (type code, shape, bytes of the elements in C order)}, one element at a time."""
        assert data[:4] == b"LWLB"
        assert data[4] in (1, 2)
        assert zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "little")
        rest = list(data[5:-4])

        def number():
            digits = []
            while True:
                digits.append(rest.pop(0))
                if digits[-1] < 128:
                    return sum(d % 128 * 128**i for i, d in enumerate(digits))

        heads, name, newest = [], b"", 1
        for _ in range(number()):
            shared = number()
            name = name[:shared] + bytes(rest.pop(0) for _ in range(number()))
            coding, code = divmod(rest.pop(0), 16)
            shape = tuple(number() for _ in range(number()))
            heads.append((name.decode(), coding, code, shape, number()))
        tensors = {}
        for name, coding, code, shape, length in heads:
            payload = bytes(rest[:length])
            rest = rest[length:]
            item, count = [4, 8, 2, 2, 1, 1, 1, 2, 4, 8][code], math.prod(shape)
            newest = max(newest, 2 if coding in (2, 3, 4, 5) else 1)
            if coding == 15:
                elements = list(tensors.values())[payload[0]][2]
            elif coding == 1:
                elements = cls.at_ones(payload, count, item, cls.element)
            elif coding in (2, 3):
                elements = cls.scaled(payload, shape, code, sparse=coding == 3)
            elif coding in (4, 5):
                elements = cls.palette(payload, count, item, sparse=coding == 5)
            else:
                elements = payload
            tensors[name] = (code, shape, elements)
        assert not rest
        assert data[4] == newest
        return tensors

    @staticmethod
    def element(index, item, elements):
        return elements[item * index : item * (index + 1)]

    @staticmethod
    def at_ones(bitmask_and_rest, count, item, element):
        """``count`` elements: the next ``element(i, item, rest)`` at each 1 of a mask, else 0."""
        length = -(-count // 8)
        mask, rest = bitmask_and_rest[:length], bitmask_and_rest[length:]
        elements, ones = b"", 0
        for i in range(count):
            kept = mask[i // 8] >> i % 8 & 1
            elements += element(ones, item, rest) if kept else bytes(item)
            ones += kept
        return elements

    @staticmethod
    def code(packed, index, width):
        """The number of ``width`` bits at a place, bit by bit."""
        places = [index * width + bit for bit in range(width)]
        return sum((packed[p // 8] >> p % 8 & 1) << bit for bit, p in enumerate(places))

    @classmethod
    def palette(cls, payload, count, item, sparse):
        patterns = payload[0] + 1
        table, rest = payload[1 : 1 + patterns * item], payload[1 + patterns * item :]
        width = math.ceil(math.log2(patterns))
        if patterns == 1 and count > 1024 and not sparse:
            width = 1

        def pick(index, item, packed):
            return cls.element(cls.code(packed, index, width), item, table)

        if sparse:
            return cls.at_ones(rest, count, item, pick)
        return b"".join(pick(i, item, rest) for i in range(count))

    @classmethod
    def scaled(cls, payload, shape, code, sparse):
        count, rest, axis, size = math.prod(shape), list(payload), None, None
        kind = rest.pop(0)
        if kind & 3:
            axis = rest.pop(0)
        if kind & 3 == 2:
            size = rest.pop(0)  # below 128 in the tests
        channel = count if axis is None else count // shape[axis]
        length = size or channel
        rows = count // length
        scales = np.frombuffer(bytes(rest[: 4 * rows]), "<f4")
        rest = rest[4 * rows :]
        widths = [(kind >> 4 & 7) + 1] * rows
        if kind & 8:
            runs_of = rows // shape[axis] if kind & 128 else 1  # that share a width
            widths = [cls.code(rest, row // runs_of, 3) + 1 for row in range(rows)]
            rest = rest[-(-3 * (rows // runs_of) // 8) :]

        def runs(per_row):
            """{row: its codes}, read in runs of one width; ``per_row`` are the codes of each."""
            nonlocal rest
            found = {}
            for width in sorted(set(widths)):
                members = [row for row in range(rows) if widths[row] == width]
                at = 0
                for row in members:
                    found[row] = [cls.code(rest, at + i, width) for i in range(per_row[row])]
                    at += per_row[row]
                rest = rest[-(-at * width // 8) :]
            return found

        points = dict.fromkeys(range(rows))
        if kind & 4:
            points = {row: codes[0] for row, codes in runs([1] * rows).items()}
        mask = [True] * count
        if sparse:
            mask = [bool(rest[i // 8] >> i % 8 & 1) for i in range(count)]
            rest = rest[-(-count // 8) :]
        codes = runs([sum(mask[row * length : (row + 1) * length]) for row in range(rows)])
        assert not rest
        values = []
        for place in range(count):
            row, width = place // length, widths[place // length]
            if not mask[place]:
                step = 0
            elif points[row] is not None:
                step = codes[row].pop(0) - points[row]
            else:
                number = codes[row].pop(0)
                step = 2 * number - 1 if width == 1 else number - 2 ** (width - 1)
            values.append(np.float32(step) * scales[row])
        order = list(np.ndindex(*shape))  # of the values: by index of the axis, then C order
        if axis is not None:
            order.sort(key=lambda place: place[axis])
        by_place = dict(zip(order, values, strict=True))
        listed = torch.tensor([by_place[place] for place in np.ndindex(*shape)])
        return raw_bytes(
            listed.to([torch.float32, torch.float64, torch.float16, torch.bfloat16][code])
        )


def raw_bytes(tensor):
    """The elements of a tensor in C order as bytes, by way of plain uint8 memory."""
    flat = tensor.detach().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""


@st.composite
def tensors(draw):
    """A tensor of any stored type, rank 0 to 4, any bits, from none to all of them zero."""
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(st.lists(st.integers(0, 5), max_size=4))
    count = math.prod(shape)
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    bits = generator.integers(0, 256, count * dtype.itemsize, dtype=np.uint8)
    if dtype == torch.bool:
        bits %= 2
    keep = generator.random(count) < draw(st.sampled_from([0, 0.1, 0.5, 0.9, 0.97, 1]))
    bits = bits.reshape(count, dtype.itemsize) * keep[:, None]
    flat = torch.from_numpy(bits.astype(np.uint8).reshape(-1))
    return flat.view(dtype).reshape(shape) if count else torch.empty(shape, dtype=dtype)


@pytest.fixture(scope="session")
def bag():
    return Bag


@pytest.fixture(scope="session")
def reference():
    return Reference


@pytest.fixture(scope="session")
def raw():
    return raw_bytes


@pytest.fixture(scope="session")
def states():
    """Strategy: named tensors; a few have names that share a beginning."""
    names = st.text("ab_é", min_size=1, max_size=6)
    return st.dictionaries(names, tensors(), max_size=6)
