import pytest
import torch
import torch.nn.functional as F

from lwlab.quantize.integer.exact import FLOAT32_WHOLE, exact_sums, largest_sum, parts_of


def whole(*shape, low=-255, high=256, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(low, high, shape, generator=generator, dtype=torch.int32)


def test_float32_holds_whole_numbers_up_to_the_limit_and_not_beyond():
    limit = torch.tensor(float(FLOAT32_WHOLE))
    assert limit - 1 != limit
    assert limit + 1 == limit


def test_the_largest_sum_by_hand():
    assert largest_sum(torch.tensor([[3, -5], [1, 1]]), 10) == 80


def test_inputs_are_cut_where_the_next_would_be_too_much():
    weight = torch.tensor([[3, -5, 2, 2, 8]])
    assert parts_of(weight, 2, limit=40) == [5]
    assert parts_of(weight, 2, limit=16) == [2, 2, 1]
    assert parts_of(weight, 2, limit=15) is None
    assert parts_of(weight, 2, groups=2, limit=39) is None


@pytest.mark.parametrize("limit", [FLOAT32_WHOLE, 4_000_000, 100])
def test_a_linear_layer_at_its_extremes_is_exact(limit):
    x = torch.full((2, 6001), 255, dtype=torch.int32)
    weight = torch.full((3, 6001), 127, dtype=torch.int32)
    x[:, 0], weight[:, 0] = 1, 1  # an odd sum above 2^24, which float32 cannot hold
    expected = 6000 * 255 * 127 + 1
    assert int(F.linear(x.float(), weight.float())[0, 0]) != expected
    assert exact_sums(F.linear, x, weight, 255, limit=limit).tolist() == [[expected] * 3] * 2


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("limit", [FLOAT32_WHOLE, 1_500_000, 100])
def test_a_convolution_is_that_of_int64(groups, limit):
    x, weight = whole(3, 8, 9, 9), whole(4, 8 // groups, 3, 3, seed=1)

    def product(a, b):
        return F.conv2d(a, b, padding=1, groups=groups)

    sums = exact_sums(product, x, weight, 255, groups=groups, limit=limit)
    assert sums.dtype == torch.int32
    assert torch.equal(sums.long(), product(x.long(), weight.long()))


def test_mixed_precision_and_low_matmul_precision_change_nothing():
    x, weight = whole(5, 700), whole(6, 700, seed=1)
    expected = x.long() @ weight.long().T
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(exact_sums(F.linear, x, weight, 255).long(), expected)
    finally:
        torch.set_float32_matmul_precision(before)


def test_without_onednn_float64_serves(monkeypatch):
    seen = []

    def product(a, b):
        seen.append(a.dtype)
        return F.linear(a, b)

    x, weight = whole(2, 5), whole(3, 5, seed=1)
    exact_sums(product, x, weight, 255)
    monkeypatch.setattr("lwlab.quantize.integer.exact._float32_is_exact", lambda: False)
    exact_sums(product, x, weight, 255)
    assert seen == [torch.float32, torch.float64]
