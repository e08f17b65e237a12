"""Readers of entropy-coded tensors that follow the text alone: slow, and independent of the code.

The text is the docstrings of ``archive.py``, ``composed.py``, ``alphabets.py``, ``symbols.py``,
``huffman.py`` and ``range_coder.py``. Only the range coder itself is taken from constriction.
"""

from __future__ import annotations

import math
import zlib

import constriction
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from lwlab import packing
from lwlab.packing import Rows, ScaledCodes


class Scaled(nn.Module):
    """Weights that are codes times the scales of their rows."""

    def __init__(self, form):
        super().__init__()
        self.form = form

    def forward(self, weight):
        return self.form.codes * self.form.scale[:, None]

    def stored_form(self, weight):
        return self.form


def entry_and_payload(data):
    """(kind, shape, payload) of the only tensor of a file, named "w"."""
    assert data[:4] == b"LWLB"
    assert data[4] == 3
    assert zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "little")
    rest = list(data[5:-4])

    def number():
        value = shift = 0
        while True:
            byte = rest.pop(0)
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    assert number() == 1
    assert number() == 0
    assert bytes(rest.pop(0) for _ in range(number())) == b"w"
    kind = rest.pop(0)
    shape = tuple(number() for _ in range(number()))
    assert number() == len(rest)
    return kind, shape, rest


def bits_of(data):
    return [byte >> place & 1 for byte in data for place in range(8)]


def number_of(bits):
    return sum(bit << place for place, bit in enumerate(bits))


def huffman_symbols(data, count, size):
    """The table of lengths, then codes of which the first bit is the highest."""
    longest, data = data[0], data[1:]
    used = bits_of(data)[:size]
    data = data[math.ceil(size / 8) :]
    width = (longest - 1).bit_length()
    packed = bits_of(data)
    data = data[math.ceil(sum(used) * width / 8) :]
    lengths = {}
    for symbol in range(size):
        if used[symbol]:
            lengths[symbol] = number_of(packed[:width]) + 1
            packed = packed[width:]
    codes, code, previous = {}, 0, 0
    for symbol in sorted(lengths, key=lambda symbol: (lengths[symbol], symbol)):
        code <<= lengths[symbol] - previous
        previous = lengths[symbol]
        codes[format(code, f"0{previous}b")] = symbol
        code += 1
    symbols, word = [], ""
    for bit in bits_of(data):
        word += str(bit)
        if word in codes and len(symbols) < count:
            symbols.append(codes[word])
            word = ""
    assert len(symbols) == count
    assert set(word) <= {"0"}
    return symbols


def test_a_palette_in_huffman_codes_is_read_from_the_text_alone(bag):
    picks = np.random.default_rng(0).choice(4, 600, p=[0.6, 0.25, 0.1, 0.05])
    tensor = torch.tensor([0.25, 1.0, 3.0, 7.0])[torch.from_numpy(picks)].reshape(20, 30)
    data = packing.to_bytes(bag({"w": tensor}), codings={"palette", "huffman"})
    kind, shape, payload = entry_and_payload(data)
    assert (kind, shape) == (0x70, (20, 30))
    assert payload[0] == 0b00010001  # palette, no positions, Huffman
    size = payload[1] + 1
    table = np.frombuffer(bytes(payload[2 : 2 + 4 * size]), "<f4")
    symbols = huffman_symbols(payload[2 + 4 * size :], 600, size)
    assert table[symbols].tolist() == tensor.reshape(-1).tolist()


def weight(counts, symbol, prior):
    """The whole number that stands for the probability of a symbol after these counts."""
    if prior == 0:
        return 2 * counts[symbol] + 1
    if prior == 1:
        return len(counts) * counts[symbol] + 1
    bells = [(1, strength, True) for strength in (4, 16, 64, 256)]
    bells += [(r, strength, False) for r in (1, 4, 16, 64) for strength in (4, 16, 64, 256)]
    radius, strength, with_top = bells[prior - 2]
    seen = list(counts)
    if not with_top:
        seen[seen.index(max(seen))] = 0

    def around(place):
        near = range(max(0, place - radius), min(len(seen), place + radius + 1))
        return 4 * sum((radius + 1 - abs(n - place)) * seen[n] for n in near) + radius + 1

    share = around(symbol) * 2**20 // sum(map(around, range(len(seen))))
    return counts[symbol] * 2**20 + strength * share + 1


def range_symbols(data, count, size):
    """Blocks of an eighth of what came before; in each, weights from the counts of all before."""
    prior, rest = data[0], bytes(data[1:])
    rest += bytes(8 + -len(rest) % 4)
    words = [int.from_bytes(rest[i : i + 4], "big") for i in range(0, len(rest), 4)]
    decoder = constriction.stream.queue.RangeDecoder(np.array(words, np.uint32))
    symbols, counts = [], [0] * size
    while len(symbols) < count:
        weights = [float(weight(counts, symbol, prior)) for symbol in range(size)]
        model = constriction.stream.model.Categorical(np.array(weights), perfect=False)
        block = min(max(1, len(symbols) // 8), count - len(symbols))
        for symbol in decoder.decode(model, block).tolist():
            symbols.append(symbol)
            counts[symbol] += 1
    return symbols


@pytest.mark.parametrize("spread", [0.7, 2.5, 9.0])
def test_scaled_codes_of_the_range_coder_are_read_from_the_text_alone(spread):
    random = np.random.default_rng(0)
    codes = np.rint(random.laplace(size=(20, 60)) * spread).clip(-40, 40).astype(np.int32)
    scale = random.uniform(0.5, 1, 20).astype(np.float16).astype(np.float32)
    form = ScaledCodes(
        torch.from_numpy(codes), torch.from_numpy(scale), torch.zeros(20).int(), 8, Rows(0)
    )
    model = nn.Module()
    model.w = nn.Parameter(torch.zeros(20, 60))
    parametrize.register_parametrization(model, "w", Scaled(form))
    kind, shape, payload = entry_and_payload(
        packing.to_bytes(model, codings={"scaled", "range", "half"})
    )
    assert (kind, shape) == (0x70, (20, 60))
    assert payload[0] == 0b01100010  # scales in float16, range coder, no positions, scaled
    assert payload[1:3] == [1, 0]  # a row for each index of axis 0
    scales = np.frombuffer(bytes(payload[3:43]), "<f2").astype(np.float32)
    lowest, highest = -payload[43], payload[44]
    symbols = range_symbols(payload[45:], 1200, highest - lowest + 1)
    steps = np.array(symbols, np.float32).reshape(20, 60) + lowest
    assert np.array_equal(steps * scales[:, None], model.w.detach().numpy())
