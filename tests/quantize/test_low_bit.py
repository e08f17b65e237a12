"""Binary and ternary: the papers' scales by hand and against a brute search."""

import torch

from lwlab.quantize.low_bit import binary_codes, ternary_codes


def test_binary_by_hand():
    codes, scale = binary_codes(torch.tensor([[1.0, -3.0], [0.5, 0.5]]))
    assert codes.tolist() == [[1, -1], [1, 1]]
    assert scale.tolist() == [2.0, 0.5]


def test_ternary_by_hand():
    # mean |w| = 1.15, threshold 0.805; the weights above are 1 and 3.
    codes, scale = ternary_codes(torch.tensor([[1.0, -3.0, 0.5, 0.1]]))
    assert codes.tolist() == [[1, -1, 0, 0]]
    assert scale.tolist() == [2.0]


def test_the_threshold_follows_the_mean():
    assert ternary_codes(torch.full((1, 4), -1.0))[0].tolist() == [[-1, -1, -1, -1]]
    assert ternary_codes(torch.tensor([[1.0, 0.2]]))[0].tolist() == [[1, 0]]


def test_the_binary_scale_has_the_least_squared_error_for_its_signs():
    rows = torch.randn(1, 200, generator=torch.Generator().manual_seed(0))
    codes, scale = binary_codes(rows)
    tried = torch.linspace(0.5, 1.5, 1001) * scale
    errors = (rows - tried[:, None] * codes).square().sum(dim=1)
    assert errors.argmin().item() == 500


def test_ternary_is_near_the_best_of_all_thresholds_on_normal_weights():
    rows = torch.randn(1, 2000, generator=torch.Generator().manual_seed(1))

    def error(threshold):
        large = rows.abs() > threshold
        return (rows - rows[large].abs().mean() * rows.sign() * large).square().mean().item()

    codes, scale = ternary_codes(rows)
    ours = (rows - scale * codes).square().mean().item()
    best = min(error(t) for t in torch.linspace(0.1, 2, 200))
    assert best <= ours < 1.03 * best
    assert abs(ours - error(0.7 * rows.abs().mean())) < 1e-6


def test_a_pruned_weight_stays_zero_and_does_not_count():
    dense, pruned = torch.tensor([[1.0, -3.0]]), torch.tensor([[1.0, 0.0, -3.0, 0.0]])
    for rule in (binary_codes, ternary_codes):
        codes, scale = rule(pruned)
        assert codes[0, [1, 3]].tolist() == [0, 0]
        assert torch.equal(scale, rule(dense)[1])


def test_a_row_of_zeros_has_scale_one():
    for rule in (binary_codes, ternary_codes):
        codes, scale = rule(torch.zeros(1, 3))
        assert (codes.tolist(), scale.tolist()) == ([[0, 0, 0]], [1.0])
