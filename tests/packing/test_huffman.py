from __future__ import annotations

import heapq
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lwlab.packing import huffman
from lwlab.packing.errors import Damage
from lwlab.packing.range_coder import bound_bytes
from lwlab.packing.varint import Reader

COUNTS = st.lists(st.one_of(st.just(0), st.integers(1, 5000)), min_size=1, max_size=256)


def total_bits(counts):
    """Bits of all codes by the textbook: each merge costs the sum of the two rarest groups."""
    groups = [count for count in counts if count]
    if len(groups) == 1:
        return groups[0]
    heapq.heapify(groups)
    bits = 0
    while len(groups) > 1:
        merged = heapq.heappop(groups) + heapq.heappop(groups)
        bits += merged
        heapq.heappush(groups, merged)
    return bits


def slow_encode(symbols, lengths):
    """Bytes by way of a text of 0 and 1."""
    codes = huffman.canonical_codes(lengths)
    text = "".join(f"{codes[s]:0{lengths[s]}b}" for s in symbols)
    bytes_of = [text[i : i + 8][::-1] for i in range(0, len(text), 8)]
    return bytes(int(bits, 2) for bits in bytes_of)


def drawn(counts, seed=0):
    symbols = np.repeat(np.arange(len(counts), dtype=np.uint8), counts)
    return np.random.default_rng(seed).permutation(symbols)


def test_four_symbols_by_hand():
    lengths = huffman.code_lengths(np.array([5, 2, 1, 1]))
    assert lengths.dtype == np.uint8
    assert lengths.tolist() == [1, 2, 3, 3]
    codes = huffman.canonical_codes(lengths)
    assert codes.dtype == np.uint32
    assert [f"{code:0{length}b}" for code, length in zip(codes, lengths, strict=True)] == [
        "0",
        "10",
        "110",
        "111",
    ]
    assert huffman.encode(np.array([0, 1, 2], np.uint8), lengths) == bytes([0b00011010])
    assert huffman.decode(bytes([0b00011010]), 3, lengths).tolist() == [0, 1, 2]


def test_canonical_codes_go_by_length_and_then_by_symbol():
    codes = huffman.canonical_codes(np.array([3, 0, 1, 3, 2], np.uint8))
    assert codes.tolist() == [0b110, 0, 0b0, 0b111, 0b10]


def test_a_symbol_alone_has_one_bit_and_one_without_counts_has_none():
    assert huffman.code_lengths(np.array([0, 7, 0])).tolist() == [0, 1, 0]
    assert huffman.code_lengths(np.array([0, 0])).tolist() == [0, 0]


@settings(deadline=None, max_examples=150)
@given(COUNTS)
def test_no_code_of_whole_bits_is_shorter_and_it_is_within_one_bit_of_the_entropy(counts):
    lengths = huffman.code_lengths(np.array(counts))
    assert [bool(length) for length in lengths] == [bool(count) for count in counts]
    bits = int(np.array(counts) @ lengths.astype(int))
    assert bits == total_bits(counts)
    entropy = 8 * bound_bytes(np.array(counts))
    if sum(map(bool, counts)) > 1:
        assert entropy <= bits + 1e-6
        assert bits < entropy + sum(counts)
        assert sum(2.0**-length for length in lengths.tolist() if length) == 1


@settings(deadline=None, max_examples=150)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=40), st.integers(0, 99))
def test_symbols_come_back_and_the_bytes_are_those_of_the_codes_one_after_the_other(counts, seed):
    symbols, lengths = drawn(counts, seed), huffman.code_lengths(np.array(counts))
    data = huffman.encode(symbols, lengths)
    assert data == slow_encode(symbols, lengths)
    decoded = huffman.decode(memoryview(data), symbols.size, lengths)
    assert decoded.dtype == np.uint8
    assert np.array_equal(decoded, symbols)


def test_many_symbols_come_back_over_the_seams_of_the_parts(monkeypatch):
    counts = np.random.default_rng(1).integers(1, 400, 256)
    symbols, lengths = drawn(counts), huffman.code_lengths(counts)
    for bits_at_once in (1, 7, 1000):
        monkeypatch.setattr(huffman, "_BITS_AT_ONCE", bits_at_once)
        some = symbols[: 50 * bits_at_once]
        data = huffman.encode(some, lengths)
        assert np.array_equal(huffman.decode(data, some.size, lengths), some)


def test_codes_are_at_most_24_bits_long_whatever_the_counts():
    counts = [1, 1]
    while len(counts) < 40:  # Fibonacci's numbers give each symbol one bit more than the last
        counts.append(counts[-1] + counts[-2])
    lengths = huffman.code_lengths(np.array(counts))
    assert 0 < lengths.max() <= huffman.LONGEST == 24
    assert sum(2.0 ** -int(length) for length in lengths) == 1
    symbols = np.arange(40, dtype=np.uint8)
    data = huffman.encode(symbols, lengths)
    assert np.array_equal(huffman.decode(data, 40, lengths), symbols)
    assert huffman.code_lengths(np.array(counts[:25])).max() == 24  # not shortened before it must


@pytest.mark.parametrize(
    ("data", "count", "lengths", "reason"),
    [
        (b"\x1a", 4, [1, 2, 3, 3], None),  # 0 10 110 and two bits that are zeros: a, a
        (b"\x1a", 3, [1, 2, 3, 3], None),
        (b"\x1a", 6, [1, 2, 3, 3], "its Huffman codes are cut off"),
        (b"", 1, [1, 2, 3, 3], "its Huffman codes are cut off"),
        (b"\xff", 3, [1, 2, 3, 3], "its Huffman codes are cut off"),  # 111 111 11.
        (b"\x1a\x00", 3, [1, 2, 3, 3], "its Huffman codes are followed by something else"),
        (b"\x5a", 3, [1, 2, 3, 3], "its Huffman codes are followed by something else"),
        (b"\x00", 0, [1, 2, 3, 3], "its Huffman codes are followed by something else"),
        (b"\x04", 3, [0, 1, 0], "its Huffman codes have one that no symbol has"),
        (b"\x00", 3, [0, 1, 0], None),
        (b"", 0, [0, 0, 0], None),
        (b"", 1, [0, 0, 0], "its Huffman codes have lengths that do not fit together"),
        (b"\x00", 1, [1, 1, 1], "its Huffman codes have lengths that do not fit together"),
        (b"\x00", 1, [1, 2, 3, 0], "its Huffman codes have lengths that do not fit together"),
        (b"\x00", 1, [0, 2, 0], "its Huffman codes have lengths that do not fit together"),
        (b"\x00", 1, [1, 25, 1], "its Huffman codes have up to 25 bits, above 24"),
    ],
)
def test_what_is_no_code_is_damage(data, count, lengths, reason):
    lengths = np.array(lengths, np.uint8)
    if reason is None:
        assert huffman.encode(huffman.decode(data, count, lengths), lengths) == data
        return
    with pytest.raises(Damage, match=f"^{re.escape(reason)}$"):
        huffman.decode(data, count, lengths)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=12), st.integers(0, 40), st.lists(st.integers(0, 26), max_size=8))
def test_bytes_from_anywhere_are_the_codes_of_symbols_or_damage(data, count, lengths):
    lengths = np.array(lengths, np.uint8)
    try:
        symbols = huffman.decode(data, count, lengths)
    except Damage:
        return
    assert symbols.size == count
    assert huffman.encode(symbols, lengths) == data


@settings(deadline=None)
@given(COUNTS)
def test_the_table_of_lengths_comes_back_to_the_last_byte(counts):
    lengths = huffman.code_lengths(np.array(counts))
    reader = Reader(memoryview(huffman.write_lengths(lengths) + b"x"))
    assert np.array_equal(huffman.read_lengths(reader, len(counts)), lengths)
    assert reader.left == 1


def test_the_table_of_four_lengths_by_hand():
    # The longest has 3 bits; all four are used; 1, 2, 3 and 3, less one, in two bits each.
    table = huffman.write_lengths(np.array([1, 2, 3, 3], np.uint8))
    assert table == bytes([3, 0b1111, 0b10100100])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it declares 1 bytes where 0 are left"),
        (b"\x03", "it declares 1 bytes where 0 are left"),
        (b"\x19\x0f\xa4", "its Huffman codes have up to 25 bits, above 24"),
        (b"\x04\x0f\xa4", "its Huffman codes have lengths that do not fit together"),
        (b"\x03\x1f\xa4", "its codes have bits set after the last one"),
        (b"\x03\x07\xa4", "its codes have bits set after the last one"),
    ],
)
def test_a_table_that_makes_no_sense_is_damage(data, reason):
    with pytest.raises(Damage, match=f"^{re.escape(reason)}$"):
        huffman.read_lengths(Reader(memoryview(data)), 4)
