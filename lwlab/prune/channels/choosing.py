"""How many channels go, and which: those of the lowest scores.

    scope "layer":   round(ratio * n) of the n channels of each group
    scope "global":  round(ratio * N) of all N channels together, ranked over the groups

One channel always stays. Where a group has cells (grouped convolutions, ``chunk``), each cell loses
equally many: the count is rounded cell by cell, and one channel stays in each.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["choose_globally", "choose_in_group"]


def choose_in_group(scores: np.ndarray, cells: np.ndarray, ratio: float) -> np.ndarray:
    """Return the indices of the channels of one group that go, rising.

    Args:
        scores: ``(channels,)``, lower goes first; of equal ones the earlier.
        cells: number of the cell of each channel; all cells are of one size.
        ratio: fraction in [0, 1).
    """
    size = int((cells == 0).sum())
    return _lowest(scores, cells, min(round(ratio * size), size - 1))


def choose_globally(
    scores: Sequence[np.ndarray], cells: Sequence[np.ndarray], ratio: float
) -> list[np.ndarray]:
    """Return the indices of the channels that go, for each group.

    Args:
        scores: of each group.
        cells: of each group.
        ratio: fraction in [0, 1) of all channels together.
    """
    owners, values = [], []
    for group, (mine, cell) in enumerate(zip(scores, cells, strict=True)):
        size = int((cell == 0).sum())
        free = _lowest(mine, cell, size - 1)  # the best of each cell is not up for choice
        owners.append(np.full(len(free), group))
        values.append(mine[free])
    wanted = round(ratio * sum(map(len, scores)))
    chosen = np.concatenate(owners)[np.argsort(np.concatenate(values), kind="stable")[:wanted]]
    counts = np.bincount(chosen, minlength=len(scores))
    return [
        _lowest(mine, cell, round(count / (cell.max() + 1)))
        for mine, cell, count in zip(scores, cells, counts, strict=True)
    ]


def _lowest(scores: np.ndarray, cells: np.ndarray, count: int) -> np.ndarray:
    """Return the indices of the ``count`` lowest scores of each cell, rising."""
    order = np.argsort(scores, kind="stable")
    chosen = [order[cells[order] == cell][:count] for cell in range(int(cells.max()) + 1)]
    return np.sort(np.concatenate(chosen))
