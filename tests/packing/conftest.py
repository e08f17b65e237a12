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
    def file(cls, *tensors):
        """A sealed file of (name, kind, shape, payload) tuples, names not shortened."""
        heads = b"".join(cls.entry(n, kind, shape, len(p)) for n, kind, shape, p in tensors)
        payloads = b"".join(payload for *_, payload in tensors)
        return cls.sealed(b"LWLB\x01" + cls.varint(len(tensors)) + heads + payloads)

    @classmethod
    def read(cls, data):
        """{name: (type code, shape, bytes of the elements in C order)}, one element at a time."""
        assert data[:5] == b"LWLB\x01"
        assert zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "little")
        rest = list(data[5:-4])

        def number():
            digits = []
            while True:
                digits.append(rest.pop(0))
                if digits[-1] < 128:
                    return sum(d % 128 * 128**i for i, d in enumerate(digits))

        heads, name = [], b""
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
            if coding == 15:
                elements = list(tensors.values())[payload[0]][2]
            elif coding == 1:
                mask, values = payload[: -(-count // 8)], payload[-(-count // 8) :]
                elements = b""
                for i in range(count):
                    kept = mask[i // 8] >> i % 8 & 1
                    elements += values[:item] if kept else bytes(item)
                    values = values[item * kept :]
            else:
                elements = payload
            tensors[name] = (code, shape, elements)
        assert not rest
        return tensors


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
