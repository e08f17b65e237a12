import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lwlab.plots import bin_weights, describe, weight_histogram
from lwlab.prune import threshold_mask

FIVE = torch.tensor([-1.0, -0.4, 0.1, 0.3, 1.0])


def heights(figure):
    return {trace.name: list(trace.y) for trace in figure.data}


def test_bars_worked_by_hand():
    bins = bin_weights(FIVE, bins=4)
    assert bins.edges.tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0]
    assert bins.place.tolist() == [0, 1, 2, 2, 3]
    assert bins.counts() == [1, 1, 2, 1]
    assert bins.counts(FIVE > 0.2) == [0, 0, 1, 1]


def test_bars_agree_with_numpy():
    weights = torch.randn(5000, generator=torch.Generator().manual_seed(0))
    limit = float(weights.abs().max())
    expected, _ = np.histogram(weights.double().numpy(), bins=60, range=(-limit, limit))
    assert bin_weights(weights).counts() == expected.tolist()


def test_several_tensors_of_any_shape_and_precision_are_taken_together():
    parts = [FIVE[:2].reshape(2, 1), FIVE[2:].double()]
    assert bin_weights(parts, bins=4).counts() == bin_weights(FIVE, bins=4).counts()


def test_weights_that_are_all_zero_have_bars_too():
    assert sum(bin_weights(torch.zeros(7)).counts()) == 7
    assert weight_histogram(torch.zeros(7)).data


def test_without_a_cut_there_is_one_colour_and_no_legend():
    figure = weight_histogram(FIVE)
    assert list(heights(figure)) == ["weights"]
    assert not figure.layout.showlegend
    assert describe(figure) == "Histogram of 5 weights, all within plus or minus 1."


def test_a_threshold_splits_the_bars_and_draws_two_lines():
    figure = weight_histogram(FIVE, threshold=0.3)
    stays, goes = heights(figure)["stays"], heights(figure)["goes"]
    assert (sum(stays), sum(goes)) == (4, 1)  # 0.3 stands on the threshold and stays
    assert [(line.x0, line.x1) for line in figure.layout.shapes] == [(-0.3, -0.3), (0.3, 0.3)]
    assert describe(figure) == (
        "Histogram of 5 weights, all within plus or minus 1; 20.0 % are cut."
    )


@given(
    st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=60),
    st.floats(0, 5, width=32),
    st.integers(1, 70),
)
def test_the_cut_is_exact_also_where_it_runs_through_a_bar(values, threshold, bins):
    weights = torch.tensor(values)
    cut = int((~threshold_mask(weights, threshold)).sum())
    figure = weight_histogram(weights, threshold=threshold)
    assert sum(heights(figure)["goes"]) == cut
    assert sum(heights(figure)["stays"]) == len(values) - cut
    sorted_once = bin_weights(weights, bins)
    assert sum(sorted_once.counts()) == len(values)
    again = weight_histogram(sorted_once, kept=threshold_mask(weights, threshold))
    assert sum(heights(again)["goes"]) == cut


def test_a_bar_that_is_cut_in_the_middle_has_both_colours():
    weights = torch.tensor([0.5, 0.52, 0.54, 1.0])
    figure = weight_histogram(bin_weights(weights, bins=4), kept=weights >= 0.53)
    assert heights(figure) == {"stays": [0, 0, 0, 2], "goes": [0, 0, 0, 2]}


def test_nothing_jumps_while_the_cut_moves():
    bins = bin_weights(FIVE)
    axes = [
        (figure.layout.xaxis, figure.layout.yaxis, figure.layout.margin, figure.layout.height)
        for figure in (weight_histogram(bins, kept=FIVE.abs() >= t) for t in (0.0, 0.2, 0.9, 2.0))
    ]
    assert axes.count(axes[0]) == len(axes)
    assert axes[0][0].range == (-1.0, 1.0)
    assert axes[0][1].range == (0, 1.08)


def test_a_browser_gets_counts_and_never_weights():
    small, large = (weight_histogram(torch.linspace(-1, 1, n)).to_json() for n in (500, 50_000))
    assert abs(len(large) - len(small)) < 400


def test_kept_may_come_in_the_shapes_of_the_weights():
    kept = [torch.tensor([[True], [False]]), torch.tensor([True, True, False])]
    figure = weight_histogram([FIVE[:2].reshape(2, 1), FIVE[2:]], kept=kept)
    assert sum(heights(figure)["goes"]) == 2
    assert not figure.layout.shapes


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"weights": []}, ValueError, "weights must hold at least one value, got none."),
        ({"weights": [0.5]}, TypeError, "weights must be tensors, got float."),
        (
            {"weights": torch.tensor([0.0, float("nan")])},
            ValueError,
            "weights must be finite, got 1 NaN or infinite of 2 values (the first at index (1,)).",
        ),
        (
            {"weights": FIVE, "threshold": 0.1, "kept": FIVE > 0},
            ValueError,
            "one of threshold and kept must be left out, got both.",
        ),
        (
            {"weights": bin_weights(FIVE), "threshold": 0.1},
            ValueError,
            "threshold needs the weights themselves, got bins. Try kept=mask.",
        ),
        (
            {"weights": FIVE, "threshold": -1},
            ValueError,
            "threshold must be a finite number of at least 0, got -1.0.",
        ),
        (
            {"weights": FIVE, "kept": FIVE},
            ValueError,
            "kept must be bool tensors with 5 values in all, got 5 of torch.float32.",
        ),
        (
            {"weights": FIVE, "kept": FIVE[:3] > 0},
            ValueError,
            "kept must be bool tensors with 5 values in all, got 3 of torch.bool.",
        ),
    ],
)
def test_a_mistake_is_answered_by_one_sentence(says, arguments, error, sentence):
    with says(error, sentence):
        weight_histogram(**arguments)


def test_the_number_of_bars_is_checked(says):
    with says(ValueError, "bins must be a whole number from 1 to 1000, got 0."):
        bin_weights(FIVE, bins=0)
