from __future__ import annotations

import math
import re
from contextlib import suppress

import constriction
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lwlab.packing import range_coder
from lwlab.packing.errors import Damage
from lwlab.packing.range_coder import (
    bound_bytes,
    decode_symbols,
    encode_symbols,
    estimate_bytes,
    finish,
    read,
    start,
)

GOLDEN_SMALL = "00e2cbe13c"
GOLDEN_BELL = (13, 161, "62a835dd", "7778db04")


def drawn(count, alphabet, first, seed=0):
    """Symbols of which a fraction ``first`` is 0 and the others are even."""
    generator = np.random.default_rng(seed)
    others = generator.integers(1, alphabet, count)
    return np.where(generator.random(count) < first, 0, others).astype(np.uint8)


def bell(count, alphabet, seed=0):
    """Symbols like the codes of weights: from a normal distribution."""
    numbers = np.random.default_rng(seed).standard_normal(count) * alphabet / 7 + alphabet // 2
    return np.clip(np.round(numbers), 0, alphabet - 1).astype(np.uint8)


@st.composite
def messages(draw):
    alphabet = draw(st.integers(1, 256))
    used = draw(st.integers(1, alphabet))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weights = generator.random(used) ** draw(st.sampled_from([0, 1, 8]))
    symbols = generator.choice(used, draw(st.integers(0, 400)), p=weights / weights.sum())
    return symbols.astype(np.uint8), alphabet


def test_one_symbol_of_two_is_half_of_the_line():
    # The prior "even"; then the first or the second half of [0, 1): 0.0 or 0.1 in binary digits.
    assert encode_symbols(np.array([0], np.uint8), 2) == b"\x00"
    assert encode_symbols(np.array([1], np.uint8), 2) == b"\x00\x80"


def test_bytes_written_once_are_read_for_ever():
    symbols = np.array([3, 3, 0, 3, 2, 3, 3, 1, 3, 3, 3, 0, 3, 3, 3, 3, 3, 2, 3, 3], np.uint8)
    data = bytes.fromhex(GOLDEN_SMALL)
    assert encode_symbols(symbols, 4) == data
    assert np.array_equal(decode_symbols(data, 20, 4), symbols)
    symbols = bell(300, 32, seed=5)
    data = encode_symbols(symbols, 32)
    assert (data[0], len(data), data[1:5].hex(), data[-4:].hex()) == GOLDEN_BELL


@settings(deadline=None, max_examples=150)
@given(messages())
def test_symbols_come_back(message):
    symbols, alphabet = message
    data = encode_symbols(symbols, alphabet)
    decoded = decode_symbols(memoryview(data), symbols.size, alphabet)
    assert decoded.dtype == np.uint8
    assert np.array_equal(decoded, symbols)


@pytest.mark.parametrize("prior", range(range_coder._PRIORS))
def test_each_prior_comes_back_and_takes_the_bytes_that_its_probabilities_ask_for(prior):
    symbols, alphabet = bell(700, 80, seed=prior), 80
    data = bytes([prior]) + range_coder._encoded(symbols, alphabet, prior)
    assert np.array_equal(decode_symbols(data, symbols.size, alphabet), symbols)
    expected = range_coder._costs(symbols, alphabet)[prior] / 8
    assert expected - 1 < len(data) - 1 < expected + 1.1


def test_probabilities_are_those_of_all_earlier_blocks_by_a_slow_loop():
    symbols, alphabet, seen, bits, place = bell(300, 9), 9, [], 0.0, 0
    while place < len(symbols):
        block = symbols[place : place + max(1, place // 8)].tolist()
        for symbol in block:  # Krichevsky and Trofimov
            bits -= math.log2((seen.count(symbol) + 1 / 2) / (len(seen) + alphabet / 2))
        seen += block
        place += len(block)
    assert range_coder._costs(symbols, alphabet)[0] == pytest.approx(bits)


def test_a_bell_spreads_counts_like_a_triangle():
    counts = np.zeros((1, 9), np.int64)
    counts[0, 1], counts[0, 6] = 5, 9
    assert range_coder._smoothed(counts, 2).tolist() == [[10, 15, 10, 5, 9, 18, 27, 18, 9]]
    kernel = np.concatenate([np.arange(1, 66), np.arange(64, 0, -1)])
    many = np.random.default_rng(0).integers(0, 50, (3, 256))
    for row, smoothed in zip(many, range_coder._smoothed(many, 64), strict=True):
        assert np.array_equal(smoothed, np.convolve(row, kernel)[64:-64])


def test_a_bell_leaves_the_most_frequent_symbol_out_of_the_surroundings_or_not():
    counts = np.array([[0, 0, 99, 1, 0, 0, 0, 0]])
    prior = {bell: number for number, bell in enumerate(range_coder._BELLS, start=2)}
    without = range_coder._weights(counts, prior[1, 16, False])[0]
    with_it = range_coder._weights(counts, prior[1, 16, True])[0]
    assert without[1] < without[4]  # only the 1 has neighbours
    assert with_it[1] > with_it[4]
    for weights in (without, with_it):
        assert weights.min() > 0
        assert weights.sum() == pytest.approx((100 + 16) * range_coder._ONE, rel=1e-6)


@pytest.mark.parametrize("alphabet", [2, 4, 16])
@pytest.mark.parametrize("first", [0.3, 0.9, 0.99])
@pytest.mark.parametrize("count", [20_000, 400_000])
def test_long_messages_take_at_most_one_percent_more_than_the_bound(count, first, alphabet):
    symbols = drawn(count, alphabet, first)
    bound = bound_bytes(np.bincount(symbols))
    length = len(encode_symbols(symbols, alphabet))
    assert bound <= length + 1
    assert length <= 1.01 * bound + 12


@pytest.mark.parametrize(("alphabet", "most"), [(2, 3), (4, 4), (16, 9), (64, 25), (256, 90)])
def test_learning_a_bell_costs_a_few_bytes(alphabet, most):
    symbols = bell(4000, alphabet)
    assert len(encode_symbols(symbols, alphabet)) <= bound_bytes(np.bincount(symbols)) + most


def test_fewer_bytes_than_the_bound_of_one_distribution_where_it_changes():
    symbols = np.concatenate([np.zeros(3000, np.uint8), np.ones(20, np.uint8)])
    assert len(encode_symbols(symbols, 2)) < 40


@settings(deadline=None, max_examples=50)
@given(messages())
def test_the_estimate_is_near_the_length(message):
    symbols, alphabet = message
    length = len(encode_symbols(symbols, alphabet))
    assert estimate_bytes(symbols, alphabet) == pytest.approx(length, abs=2.7)


def test_the_bound_by_hand():
    assert bound_bytes(np.array([8, 8])) == 2  # 16 symbols of one bit
    assert bound_bytes(np.array([4, 2, 1, 1])) == (4 * 1 + 2 * 2 + 3 + 3) / 8
    assert bound_bytes(np.array([0, 7, 0])) == bound_bytes(np.zeros(0)) == 0
    assert bound_bytes(np.array([[8], [8]])) == 2


def test_nothing_to_say_takes_no_bytes():
    for count, alphabet in ((0, 5), (9, 1), (0, 1)):
        symbols = np.zeros(count, np.uint8)
        assert encode_symbols(symbols, alphabet) == b""
        assert estimate_bytes(symbols, alphabet) == 0
        assert np.array_equal(decode_symbols(b"", count, alphabet), symbols)
        sentence = "its codes take 2 bytes where they need none"
        with pytest.raises(Damage, match=f"^{sentence}$"):
            decode_symbols(b"\x00\x00", count, alphabet)


@settings(deadline=None, max_examples=60)
@given(messages(), st.binary(min_size=1, max_size=5))
def test_with_bytes_too_many_or_too_few_it_is_never_the_same_symbols(message, more):
    symbols, alphabet = message
    data = encode_symbols(symbols, alphabet)
    for other in (data + more, data + b"\x00", data[:-1]):
        if other != data:
            with suppress(Damage):
                assert not np.array_equal(decode_symbols(other, symbols.size, alphabet), symbols)
    with pytest.raises(Damage):
        decode_symbols(data + b"\x00", symbols.size, alphabet)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "its codes have an unknown prior"),
        (bytes([range_coder._PRIORS]), "its codes have an unknown prior"),
        (b"\x00\x80\x00", "its codes are cut off, or followed by something else"),
        (b"\x00" + b"\xff" * 9, "its codes are none that a coder writes"),
    ],
)
def test_what_no_coder_writes_is_damage(data, reason):
    with pytest.raises(Damage, match=f"^{re.escape(reason)}$"):
        decode_symbols(data, 4, 2)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=24), st.integers(0, 60), st.integers(1, 256))
def test_bytes_from_anywhere_are_symbols_or_damage(data, count, alphabet):
    try:
        symbols = decode_symbols(data, count, alphabet)
    except Damage:
        return
    assert symbols.size == count
    if count and alphabet > 1:
        assert bytes([data[0]]) + range_coder._encoded(symbols, alphabet, data[0]) == data


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 60), st.integers(0, 2**32 - 1), st.sampled_from([0.5, 0.9, 0.001]))
def test_no_shorter_bytes_end_in_the_last_interval(count, seed, chance):
    model = constriction.stream.model.Bernoulli(chance, perfect=False)
    bits = (np.random.default_rng(seed).random(count) < 0.5).astype(np.int32)
    encoder = constriction.stream.queue.RangeEncoder()
    encoder.encode(bits, model)
    data = finish(encoder)
    assert count == 0 or np.array_equal(read(start(data), model, count), bits)
    assert len(data) <= len(encoder.get_compressed()) * 4
    position, (low, width) = encoder.pos()
    if low + width < 1 << 64:  # the interval as a number of 64 bits more than the words before
        spare = (len(data) - 1 - 4 * position) * 8
        if 0 <= spare < 64:  # one byte less: no multiple of this in the interval
            unit = 1 << 64 - spare
            assert -(-low // unit) * unit >= low + width


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 23), st.integers(1, 13), st.lists(st.integers(0, 2), max_size=3))
def test_intervals_around_a_whole_word_come_back(bits, middles, rest):
    # The middle of the middle is the middle: whether a word has a carry is open until the end.
    middle = 2.0**-bits
    weights = np.array([(1 - middle) / 2 + 1e-12, middle, (1 - middle) / 2 + 1e-12])
    model = constriction.stream.model.Categorical(weights, perfect=False)
    symbols = np.array([1] * middles + rest, np.int32)
    encoder = constriction.stream.queue.RangeEncoder()
    encoder.encode(symbols, model)
    assert np.array_equal(read(start(finish(encoder)), model, symbols.size), symbols)


def test_a_carry_beyond_the_last_word_stays():
    class Carried:
        """A coder that went from the word 6 over 2**64 to the word 7."""

        def get_compressed(self):
            return np.array([7, 0, 0], np.uint32)

        def pos(self):
            return 1, (2**64 - 300, 2**33)

    assert finish(Carried()) == b"\0\0\0\7"
