"""Files of unknown origin: one sentence of error, the model as it was, memory bounded."""

from __future__ import annotations

import contextlib
import io
import re
import tracemalloc

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrize

from lwlab import packing
from lwlab.packing import PackingError
from lwlab.packing.rows import Rows
from lwlab.packing.stored import ScaledCodes

SECOND = {"bitmask", "palette", "scaled"}  # the families of format 2
AGAIN = ". Copy the file again, or save the model again."


class Few(nn.Module):
    """Weights on a grid, with what a file is told about it."""

    def __init__(self, form):
        super().__init__()
        self.form = form

    def forward(self, weight):
        rows = self.form.rows.cut(self.form.codes.numpy())
        values = rows.astype("f4") * self.form.scale.numpy()[:, None]
        return torch.from_numpy(self.form.rows.join(values, tuple(weight.shape)).copy())

    def stored_form(self, weight):
        return self.form


def quantized_victim():
    """Codes with scales: dense, sparse, of several widths; tables: dense and sparse."""
    model = nn.ModuleDict({name: nn.Linear(12, 6, bias=False) for name in "abcde"})
    codes = torch.arange(72).reshape(6, 12).int()
    zero = torch.zeros(6).int()
    scale = torch.tensor([0.1, 0.2, 0.3, 0.5, 0.6, 0.7])
    widths = torch.tensor([2, 3, 4, 4, 3, 2])
    forms = {
        "a": ScaledCodes(codes % 7 - 1, scale, zero, 3, Rows(0)),
        "b": ScaledCodes((codes % 3 == 1).int() * (codes % 5 - 2), scale, zero, 3, Rows(0)),
        "c": ScaledCodes(codes % 3 - 2, torch.arange(12) / 7 + 0.1, zero.repeat(2),
                         widths.repeat_interleave(2), Rows(0, 6)),
    }  # fmt: skip
    for name, form in forms.items():
        parametrize.register_parametrization(model[name], "weight", Few(form), unsafe=True)
    with torch.no_grad():
        model["d"].weight.copy_(0.5 + codes % 5)
        model["e"].weight.copy_((codes % 7 == 0) * (0.5 + codes % 3))
    return model


def quantized_target():
    return nn.ModuleDict({name: nn.Linear(12, 6, bias=False) for name in "abcde"})


def victim():
    """Sparse, dense, bool, 0-d, empty and tied tensors in one small model."""
    layer = nn.Linear(9, 2)
    nn.init.zeros_(layer.weight)
    nn.init.constant_(layer.weight[1, 3:5], 0.25)
    nn.init.ones_(layer.bias)
    norm = nn.BatchNorm1d(2)
    norm.register_buffer("flags", torch.tensor([True, False, True]))
    norm.register_buffer("none", torch.empty(0, 3))
    return nn.ModuleDict({"layer": layer, "again": layer, "norm": norm})


@pytest.fixture(scope="module")
def good():
    return packing.to_bytes(victim(), codings=SECOND)


@pytest.fixture(scope="module")
def good_codes():
    data = packing.to_bytes(quantized_victim(), codings=SECOND)
    codings = [row.coding for row in packing.breakdown(data).tensors]
    assert codings == ["scaled", "sparse scaled", "scaled", "palette", "sparse palette"]
    return data


def load_or_refuse(data, victim=victim):
    """Load and account for ``data``; return the sentence of a refusal, None if it loaded."""
    model = victim()
    before = packing.to_bytes(model, codings=())
    sentence = None
    try:
        packing.from_bytes_(model, data)
    except PackingError as error:
        sentence = str(error)
        assert packing.to_bytes(model, codings=()) == before
    else:
        twin = victim()
        packing.from_bytes_(twin, packing.to_bytes(model, codings=()))
        assert packing.to_bytes(twin, codings=()) == packing.to_bytes(model, codings=())
    with contextlib.suppress(PackingError):
        table = packing.breakdown(data)
        assert table.total == len(data)
        assert str(table)
    return sentence


def refused(data, sentence):
    assert load_or_refuse(data) == sentence


def test_every_flipped_bit_is_noticed(good):
    for position in range(len(good)):
        for bit in range(8):
            flipped = bytearray(good)
            flipped[position] ^= 1 << bit
            with pytest.raises(PackingError):
                packing.from_bytes_(victim(), flipped)
            with pytest.raises(PackingError):
                packing.breakdown(flipped)


def test_every_cut_is_noticed(good):
    for length in range(len(good)):
        assert load_or_refuse(good[:length])


def test_every_byte_set_to_an_awkward_value_with_a_right_checksum_is_loaded_or_refused(
    good, reference
):
    outcomes = set()
    for position in range(len(good) - 4):
        for value in (0, 1, 0x0F, 0x7F, 0x80, 0xF0, 0xFF):
            body = bytearray(good[:-4])
            body[position] = value
            outcomes.add(load_or_refuse(reference.sealed(bytes(body))) is None)
    assert outcomes == {True, False}  # changed values load, changed structure does not


def test_every_flipped_bit_and_every_cut_of_a_quantized_model_is_noticed(good_codes):
    for position in range(len(good_codes)):
        flipped = bytearray(good_codes)
        flipped[position] ^= 1 << position % 8
        for data in (flipped, good_codes[:position]):
            with pytest.raises(PackingError):
                packing.from_bytes_(quantized_target(), data)


def test_every_byte_of_a_quantized_model_set_to_an_awkward_value_is_loaded_or_refused(
    good_codes, reference
):
    outcomes = set()
    for position in range(5, len(good_codes) - 4):
        for value in (0, 0x7F, 0xFF):
            body = bytearray(good_codes[:-4])
            body[position] = value
            sentence = load_or_refuse(reference.sealed(bytes(body)), quantized_target)
            outcomes.add(sentence is None)
            assert sentence is None or sentence.startswith(("data is damaged", "data must hold"))
    assert outcomes == {True, False}


@settings(deadline=None, max_examples=150)
@given(
    cuts=st.lists(
        st.tuples(st.integers(0, 400), st.integers(0, 4), st.binary(max_size=6)), max_size=4
    )
)
def test_a_rewritten_file_of_codes_is_loaded_or_refused(good_codes, reference, cuts):
    body = good_codes[:-4]
    for position, removed, inserted in cuts:
        body = body[:position] + inserted + body[position + removed :]
    load_or_refuse(reference.sealed(body), quantized_target)


@settings(deadline=None, max_examples=150)
@given(
    number=st.integers(2, 5),
    code=st.integers(0, 9),
    shape=st.lists(st.sampled_from([0, 1, 2, 8, 1000, 2**40, 2**62]), max_size=3),
    payload=st.binary(max_size=40),
)
def test_any_payload_of_codes_is_split_or_refused_in_little_memory(
    reference, number, code, shape, payload
):
    data = reference.file((b"w", 16 * number + code, tuple(shape), payload), version=2)
    tracemalloc.start()
    with contextlib.suppress(PackingError):
        packing.breakdown(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000


@settings(deadline=None, max_examples=150)
@given(
    cuts=st.lists(
        st.tuples(st.integers(0, 300), st.integers(0, 4), st.binary(max_size=6)), max_size=4
    )
)
def test_a_rewritten_file_with_a_right_checksum_is_loaded_or_refused(good, reference, cuts):
    body = good[:-4]
    for position, removed, inserted in cuts:
        body = body[:position] + inserted + body[position + removed :]
    load_or_refuse(reference.sealed(body))


@settings(deadline=None, max_examples=150)
@given(body=st.binary(max_size=120))
@example(body=b"\xff" * 60)
def test_any_bytes_after_the_magic_are_loaded_or_refused_in_little_memory(reference, body):
    data = reference.sealed(b"LWLB\x03" + body)
    tracemalloc.start()
    load_or_refuse(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300_000


def test_declared_sizes_are_not_believed_before_the_bytes_are_seen(reference):
    """Each of these would take from megabytes to more memory than there is."""
    huge = 2**62
    hostile = [
        reference.file((b"w", 0x00, (huge, huge), b"1234")),
        reference.file((b"w", 0x10, (huge,), b"1234")),
        reference.file((b"w", 0x10, (10**7,), bytes(10**4))),
        reference.file((b"w", 0x00, (2**32, 2**32), b"")),  # 2**64 elements: 0 in 64 bits
        reference.sealed(b"LWLB\x01" + reference.varint(2**14 - 1)),
        reference.sealed(b"LWLB\x01\x01" + reference.entry(b"w", 0x00, (1,), huge)),
        reference.sealed(b"LWLB\x01\x01\x00" + reference.varint(huge)),
    ]
    tracemalloc.start()
    for data in hostile:
        assert load_or_refuse(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 400_000


def test_a_sound_file_of_huge_zeros_is_refused_by_the_model_before_it_is_unpacked(reference):
    data = reference.file((b"weight", 0x11, (80_000_000,), bytes(10_000_000)))  # 640 MB of zeros
    tracemalloc.start()
    with pytest.raises(PackingError, match=r"float64 \(80000000,\) in the file"):
        packing.from_bytes_(nn.Linear(3, 2, bias=False), data)
    packing.breakdown(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * len(data)


def test_the_most_names_a_file_can_hold_take_bounded_memory(reference):
    """Names of 255 bytes from 8 bytes each: shortened names are the one thing that grows."""
    count = 2**14 - 1
    heads = reference.entry(b"n" * 253 + bytes(2), 0x00, (0,), 0)
    for index in range(1, count):
        ending = bytes(divmod(index, 128))
        heads += reference.entry(ending, 0x00, (0,), 0, shared=253)
    data = reference.sealed(b"LWLB\x01" + reference.varint(count) + heads)
    tracemalloc.start()
    with pytest.raises(PackingError, match=f"and {count - 3} more. Load into a model"):
        packing.from_bytes_(nn.Linear(3, 2), data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 25_000_000


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "an empty one."),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "one that starts with b'\\x89PNG'."),
        (b"LWLC" + bytes(99), "one that starts with b'LWLC'."),
        (
            b"PK\x05\x06" + bytes(18),
            "one that starts with b'PK\\x05\\x06'. Did you mean torch.load?",
        ),
    ],
)
def test_a_foreign_file_is_called_one(data, found):
    refused(data, f"data must be a file written by lwlab.packing.save, got {found}")


def test_a_file_of_torch_save_is_sent_to_torch_load():
    file = io.BytesIO()
    torch.save({"w": torch.ones(3)}, file)
    refused(
        file.getvalue(),
        "data must be a file written by lwlab.packing.save, got one that starts with "
        "b'PK\\x03\\x04'. Did you mean torch.load?",
    )


def test_a_newer_format_asks_for_an_update_whatever_follows():
    sentence = (
        "data was written by a newer lwlab (format 4); this one reads 3: pip install -U lwlab"
    )
    refused(b"LWLB\x04", sentence)
    refused(b"LWLB\x04" + bytes(50), sentence)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"LW", "it is cut off"),
        (b"LWLB\x01\x00\x00\x00\x00", "it is cut off"),
        (b"LWLB\x00" + bytes(9), "its format version is 0"),
        (b"LWLB\x01" + bytes(9), "its checksum does not match, it was cut off or altered"),
    ],
)
def test_a_damaged_frame_is_called_damaged(data, reason):
    refused(data, f"data is damaged: {reason}{AGAIN}")


ONE = b"\x00\x00\x80\x3f"
NO_FIT = "is tied to a tensor that does not fit it"


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ([(b"", 0, (1,), ONE)], "a tensor has no name"),
        ([(b"w" * 256, 0, (1,), ONE)], "its name length is 256, above the limit of 255"),
        ([(b"\xff", 0, (1,), ONE)], "the name of a tensor is not UTF-8"),
        ([(b"w", 0, (1,), ONE)] * 2, "two tensors have the same name"),
        ([(b"w", 0x0A, (1,), ONE)], "'w' has the unknown type 10 or coding 0"),
        ([(b"w", 0x20, (1,), ONE)], "'w' has the unknown type 0 or coding 2"),
        ([(b"w", 0, (1,) * 33, ONE)], "its rank is 33, above the limit of 32"),
        ([(b"w", 0, (2,), ONE)], "'w' has 4 bytes, which does not fit its shape"),
        ([(b"w", 0, (0, 2**62), ONE)], "'w' has 4 bytes, which does not fit its shape"),
        ([(b"w", 0x10, (33,), ONE)], "'w' has 4 bytes, too few for its bitmask"),
        ([(b"w", 0x10, (8,), b"\x03" + ONE)], "'w' has 4 bytes of values for 2 non-zero elements"),
        ([(b"w", 0x10, (8,), b"\x00" + ONE)], "'w' has 4 bytes of values for 0 non-zero elements"),
        ([(b"w", 0x10, (7,), b"\x80" + ONE)], "a bitmask has bits set after its last element"),
        ([(b"w", 0xF0, (1,), b"\x00")], f"'w' {NO_FIT}"),
        ([(b"v", 0, (1,), ONE), (b"w", 0xF0, (1,), b"\x01")], f"'w' {NO_FIT}"),
        ([(b"v", 0, (1,), ONE), (b"w", 0xF0, (1,), b"\x00\x00")], f"'w' {NO_FIT}"),
        ([(b"v", 0, (1,), ONE), (b"w", 0xF0, (1, 1), b"\x00")], f"'w' {NO_FIT}"),
        ([(b"v", 0, (1,), ONE), (b"w", 0xF8, (1,), b"\x00")], f"'w' {NO_FIT}"),
        (
            [(b"u", 0, (1,), ONE), (b"v", 0xF0, (1,), b"\x00"), (b"w", 0xF0, (1,), b"\x01")],
            f"'w' {NO_FIT}",
        ),
    ],
)
def test_each_lie_of_a_hostile_file_is_named(reference, tensors, reason):
    data = reference.file(*tensors)
    sentence = f"data is damaged: {reason}{AGAIN}"
    refused(data, sentence)
    with pytest.raises(PackingError, match=f"^{re.escape(sentence)}$"):
        packing.breakdown(data)


SCALE = b"\x00\x00\x80\x3f"


@pytest.mark.parametrize(
    ("kind", "shape", "payload", "reason"),
    [
        (0x20, (8,), b"", "it declares 1 bytes where 0 are left"),
        (0x20, (8,), b"\x03" + SCALE, "'w' has codes of the unknown kind 3"),
        (0x20, (8,), b"\x18" + SCALE, "'w' has codes of the unknown kind 24"),
        (0x20, (8,), b"\x80" + SCALE, "'w' has codes of the unknown kind 128"),
        (0x20, (8,), b"\x89\x00" + SCALE, "'w' has codes of the unknown kind 137"),
        (0x20, (8,), b"\x82\x00\x04" + SCALE, "'w' has codes of the unknown kind 130"),
        (0x20, (8,), b"\x01\x01" + SCALE, "'w' has scales that do not fit its shape"),
        (0x20, (8,), b"\x02\x00\x03" + SCALE, "'w' has scales that do not fit its shape"),
        (0x20, (8,), b"\x02\x00\x00" + SCALE, "'w' has scales that do not fit its shape"),
        (0x20, (0,), b"\x00" + SCALE, "'w' has scales that do not fit its shape"),
        (0x20, (2**62,), b"\x01\x00" + SCALE, f"it declares {2**64} bytes where 4 are left"),
        (0x20, (2**62,), b"\x70" + SCALE, f"'w' has 0 bytes of codes where it needs {2**62}"),
        (0x30, (2**62,), b"\x70" + SCALE, "'w' has 0 bytes, too few for its bitmask"),
        (0x20, (8,), b"\x00" + bytes(5), "'w' has a scale that is not finite or not above 0"),
        (0x20, (8,), b"\x00\x00\x00\x80\x7f\x01",
         "'w' has a scale that is not finite or not above 0"),
        (0x20, (8,), b"\x10" + SCALE + b"\x01", "'w' has 1 bytes of codes where it needs 2"),
        (0x20, (3,), b"\x10" + SCALE + b"\x40", "its codes have bits set after the last one"),
        (0x20, (8,), b"\x04" + SCALE + b"\x02\x00", "its codes have bits set after the last one"),
        (0x25, (8,), b"\x00" + SCALE + b"\x00", "'w' has scales, which uint8 cannot have"),
        (0x30, (7,), b"\x00" + SCALE + b"\x80\x01",
         "a bitmask has bits set after its last element"),
        (0x30, (8,), b"\x00" + SCALE + b"\x01", "'w' has 0 bytes of codes where it needs 1"),
        (0x30, (4,), b"\x09\x00" + 4 * SCALE + b"\x08\x00\x03\x01",
         "'w' has 1 bytes of codes where it needs 2"),
        (0x40, (8,), b"", "'w' has 0 bytes, too few for its table"),
        (0x40, (8,), b"\x01" + ONE, "'w' has 5 bytes, too few for its table"),
        (0x40, (8,), b"\x01" + 2 * ONE, "'w' has 0 bytes of indices where it needs 1"),
        (0x40, (8,), b"\x00" + ONE + b"\x00", "'w' has 1 bytes of indices where it needs 0"),
        (0x40, (1025,), b"\x00" + ONE, "'w' has 0 bytes of indices where it needs 129"),
        (0x40, (2**62,), b"\x00" + ONE, f"'w' has 0 bytes of indices where it needs {2**59}"),
        (0x50, (2**62,), b"\x00" + ONE, "'w' has 0 bytes, too few for its bitmask"),
        (0x50, (7,), b"\x00" + ONE + b"\x80", "a bitmask has bits set after its last element"),
        (0x50, (8,), b"\x01" + 2 * ONE + b"\x01", "'w' has 0 bytes of indices where it needs 1"),
        (0x40, (4,), b"\x02" + 3 * ONE + b"\xc0", "'w' has an index of 3 into 3 values"),
        (0x50, (4,), b"\x02" + 3 * ONE + b"\x01\x03", "'w' has an index of 3 into 3 values"),
        (0x40, (1025,), b"\x00" + ONE + b"\x02" + bytes(128),
         "'w' has an index of 1 into 1 values"),
        (0x60, (1,), ONE, "'w' has the unknown type 0 or coding 6"),
    ],
)  # fmt: skip
def test_each_lie_about_codes_is_named(reference, bag, kind, shape, payload, reason):
    data = reference.file((b"w", kind, shape, payload), version=2)
    sentence = f"data is damaged: {reason}{AGAIN}"
    small = max(shape) < 10**4
    model = bag({"w": torch.ones(shape if small else 1, dtype=torch.float32 if kind % 16 == 0 else
                                 torch.uint8)})  # fmt: skip
    with pytest.raises(PackingError, match=f"^{re.escape(sentence)}$"):
        packing.from_bytes_(model, data)
    assert bool((model.w == 1).all())


def test_a_file_of_the_first_format_has_only_its_two_codings(reference):
    table = b"\x00" + ONE
    packing.breakdown(reference.file((b"w", 0x40, (4,), table), version=2))
    sentence = f"data is damaged: 'w' has the unknown type 0 or coding 4{AGAIN}"
    with pytest.raises(PackingError, match=f"^{re.escape(sentence)}$"):
        packing.breakdown(reference.file((b"w", 0x40, (4,), table)))


def test_a_name_that_grows_too_long_by_what_it_shares_is_refused(reference):
    heads = reference.entry(b"n" * 200, 0, (0,), 0) + reference.entry(b"m" * 56, 0, (0,), 0, 200)
    refused(
        reference.sealed(b"LWLB\x01\x02" + heads),
        f"data is damaged: its name length is 56, above the limit of 55{AGAIN}",
    )


def test_bytes_after_the_last_tensor_are_refused(reference, good):
    refused(
        reference.sealed(good[:-4] + b"more"),
        f"data is damaged: it declares 31 bytes of values where 35 are left{AGAIN}",
    )


def test_a_bool_that_is_neither_0_nor_1_is_refused(reference, bag):
    model = bag({"flags": torch.tensor([True])})
    sentence = f"data is damaged: 'flags' holds a bool that is neither 0 nor 1{AGAIN}"
    with pytest.raises(PackingError, match=f"^{re.escape(sentence)}$"):
        packing.from_bytes_(model, reference.file((b"flags", 4, (1,), b"\x02")))
    assert model.flags.tolist() == [True]
