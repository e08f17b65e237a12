"""Exercises of lesson 04: what a removed channel takes with it, what that saves, N of M."""

from __future__ import annotations

import torch
from torch import Tensor

from lwlab.exercises.task import Case, Mistake, Task
from lwlab.prune import n_of_m_mask as library_mask

__all__ = ["CHANNEL_TASKS"]


def cut_inputs(weight: Tensor, kept: Tensor, positions: int) -> Tensor:
    """Return the columns of a linear layer that belong to the kept channels before it."""
    columns = weight.unflatten(1, (-1, positions))[:, kept]
    return columns.flatten(1)


def macs_left(ratio: float, channels_in_cut: bool) -> float:
    """Return the share of a convolution's multiply-accumulates that is left."""
    return (1 - ratio) ** 2 if channels_in_cut else 1 - ratio


def n_of_m_mask(importance: Tensor, kept: int, group: int) -> Tensor:
    """Return the mask that keeps ``kept`` of every ``group`` neighbours in a row."""
    return library_mask(importance, kept, group)


def _column_by_column(weight: Tensor, kept: Tensor, positions: int) -> Tensor:
    del positions
    return weight[:, kept]


def _interleaved(weight: Tensor, kept: Tensor, positions: int) -> Tensor:
    return weight.unflatten(1, (positions, -1))[:, :, kept].flatten(1)


_SMALL = torch.arange(12.0).reshape(2, 6)

_CUT_INPUTS = Task(
    name="channels.cut_inputs",
    statement=(
        "cut_inputs(weight, kept, positions): a linear layer reads flattened channels, each of "
        "them `positions` columns in a row. Return the weight with only the columns of the kept "
        "channels (a tensor of channel numbers), in that order."
    ),
    reference=cut_inputs,
    cases=(
        Case("3 channels of 2 positions, the middle one goes", (_SMALL, torch.tensor([0, 2]), 2)),
        Case("2 channels of 3 positions, the first goes", (_SMALL, torch.tensor([1]), 3)),
        Case("one position: a channel is a column", (_SMALL, torch.tensor([1, 4]), 1)),
    ),
    mistakes=(
        Mistake(
            "These are the columns with the numbers of the channels. After flattening, channel c "
            "owns the columns from c * positions on.",
            _column_by_column,
        ),
        Mistake(
            "The columns are taken as if all channels of a position lay together. Flattening "
            "writes one channel after the other.",
            _interleaved,
        ),
        Mistake(
            "Rows were taken: that cuts the outputs of this layer, not its inputs.",
            lambda weight, kept, positions: weight[: len(kept)],
        ),
        Mistake(
            "The kept channels were removed and the others kept.",
            lambda weight, kept, positions: cut_inputs(
                weight,
                torch.tensor(
                    [c for c in range(weight.shape[1] // positions) if c not in kept.tolist()]
                ),
                positions,
            ),
        ),
        Mistake(
            "The right columns, in three dimensions. Flatten channels and positions again.",
            lambda weight, kept, positions: weight.unflatten(1, (-1, positions))[:, kept],
        ),
    ),
    hints=(
        "Give the columns two dimensions, channel and position. Then it is one indexing.",
        "(out, channels * positions) -> (out, channels, positions) -> take -> flatten again",
        (
            "def cut_inputs(weight, kept, positions):\n"
            "    columns = weight.unflatten(1, (-1, positions))\n"
            "    return columns[:, kept].flatten(1)"
        ),
    ),
)

_MACS_LEFT = Task(
    name="channels.macs_left",
    statement=(
        "macs_left(ratio, channels_in_cut) returns which share of a convolution's "
        "multiply-accumulates is left after the share `ratio` of its output channels is removed; "
        "if channels_in_cut, the layer before lost the same share of its channels."
    ),
    reference=macs_left,
    cases=(
        Case("half of the outputs, all inputs", (0.5, False)),
        Case("half of the outputs, half of the inputs", (0.5, True)),
        Case("a quarter of both", (0.25, True)),
        Case("nothing removed", (0.0, True)),
    ),
    mistakes=(
        Mistake(
            "The inputs were forgotten: where both sides are cut, both factors shrink.",
            lambda ratio, channels_in_cut: 1 - ratio,
        ),
        Mistake(
            "This is the share that is removed; the share that is left is asked for.",
            lambda ratio, channels_in_cut: ratio,
        ),
        Mistake(
            "This is the share that is saved; the share that is left is asked for.",
            lambda ratio, channels_in_cut: 1 - macs_left(ratio, channels_in_cut),
        ),
        Mistake(
            "The square also came where only one side is cut.",
            lambda ratio, channels_in_cut: (1 - ratio) ** 2,
        ),
        Mistake(
            "The two shares were subtracted one after the other. They are factors: multiply.",
            lambda ratio, channels_in_cut: 1 - 2 * ratio if channels_in_cut else 1 - ratio,
        ),
    ),
    hints=(
        "MACs = places * channels in * channels out * k * k. Which factors shrink?",
        "left = (1 - ratio), times (1 - ratio) once more if the inputs were cut too",
        (
            "def macs_left(ratio, channels_in_cut):\n"
            "    return (1 - ratio) ** 2 if channels_in_cut else 1 - ratio"
        ),
    ),
)

_ROWS = torch.tensor([[4.0, 1.0, 3.0, 2.0, 9.0, 8.0, 7.0, 6.0], [0.5, 2.0, 1.0, 3.0, 1, 4, 2, 3]])


def _without_groups(importance: Tensor, kept: int, group: int) -> Tensor:
    """Keep the same share of each whole row."""
    length = importance.shape[1]
    return library_mask(importance, length * kept // group, length)


_N_OF_M_MASK = Task(
    name="channels.n_of_m_mask",
    statement=(
        "n_of_m_mask(importance, kept, group) takes a matrix whose rows divide into groups of "
        "`group` neighbours, and returns a bool mask with exactly `kept` True in each group: the "
        "most important ones."
    ),
    reference=n_of_m_mask,
    cases=(
        Case("2 of 4", (_ROWS, 2, 4)),
        Case("1 of 4", (_ROWS, 1, 4)),
        Case("1 of 2", (_ROWS, 1, 2)),
        Case("4 of 4 prunes nothing", (_ROWS, 4, 4)),
    ),
    mistakes=(
        Mistake(
            "The count is right for each row, not for each group.",
            _without_groups,
        ),
        Mistake(
            "The least important were kept.",
            lambda importance, kept, group: library_mask(-importance, kept, group),
        ),
        Mistake(
            "The mask is the wrong way round: True keeps.",
            lambda importance, kept, group: ~library_mask(importance, kept, group),
        ),
        Mistake(
            "The right places, as numbers. A mask is a bool tensor.",
            lambda importance, kept, group: library_mask(importance, kept, group).float(),
        ),
        Mistake(
            "The right mask, in groups. Give it the shape of the importance.",
            lambda importance, kept, group: library_mask(importance, kept, group).unflatten(
                1, (-1, group)
            ),
        ),
    ),
    hints=(
        "Make the groups a dimension of their own: unflatten(1, (-1, group)). Then rank in it.",
        "A value stays if its rank within its group is among the `kept` highest.",
        (
            "def n_of_m_mask(importance, kept, group):\n"
            "    groups = importance.unflatten(1, (-1, group))\n"
            "    ranks = groups.argsort(dim=-1).argsort(dim=-1)\n"
            "    return (ranks >= group - kept).flatten(1)"
        ),
    ),
)

CHANNEL_TASKS = (_CUT_INPUTS, _MACS_LEFT, _N_OF_M_MASK)
