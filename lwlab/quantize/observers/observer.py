"""What every observer is: settings, and what it has seen.

    observer = Percentile(99.9)           settings; nothing seen
    observer.observe(rows)                once per batch: (groups, values), see ``granularity``
    low, high = observer.range(grid)      one range per group, as often as you like

The grid comes last on purpose. What was seen does not depend on it, so that one calibration serves
every bit width. Only the rules that weigh clipping against resolution look at it.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor

from lwlab.checks import check_finite
from lwlab.quantize.grid import Grid

__all__ = ["Observer", "check_observer", "observed_range"]


class Observer(ABC):
    """Base of the observers: checks what comes in; ``_see`` and ``_range`` are the rule.

    A subclass is a dataclass whose fields are its settings.
    """

    num_groups: int | None = None  # None until something was seen

    def observe(self, rows: Tensor) -> None:
        """Look at more values.

        Args:
            rows: floating point, (groups, values); ``granularity.rows(x)`` makes them. The
                number of groups stays the same over all calls.

        Raises:
            TypeError: it is not a tensor of floating-point numbers.
            ValueError: it is no matrix, is empty, has NaN or infinite values, or other groups than
                before. What was seen before stays as it was.
        """
        if not isinstance(rows, Tensor) or not rows.is_floating_point():
            kind = rows.dtype if isinstance(rows, Tensor) else type(rows).__name__
            raise TypeError(f"rows must be a floating-point tensor, got {kind}.")
        if rows.dim() != 2 or rows.numel() == 0:
            raise ValueError(
                f"rows must be a matrix (groups, values) with values, got shape "
                f"{tuple(rows.shape)}. Try granularity.rows(x)."
            )
        if self.num_groups not in (None, len(rows)):
            raise ValueError(
                f"rows must have the {self.num_groups} groups seen before, got {len(rows)}."
            )
        check_finite("rows", rows)
        self.num_groups = len(rows)
        self._see(rows.detach().float())

    def range(self, grid: Grid) -> tuple[Tensor, Tensor]:
        """Return ``(low, high)``, each of shape (groups,), float32.

        Args:
            grid: the codes that will span the range.

        Raises:
            ValueError: nothing was observed yet.
        """
        if self.num_groups is None:
            raise ValueError(
                f"{type(self).__name__} must observe values before it can tell a range, got none. "
                f"Call observe(rows) with calibration data."
            )
        return self._range(grid)

    def fresh(self) -> Observer:
        """Return an observer with the same settings that has seen nothing."""
        other = copy.copy(self)
        other.num_groups = None
        other._forget()
        return other

    def _forget(self) -> None:  # noqa: B027 - a rule that stores nothing between calls needs none
        """Drop what was seen."""

    @abstractmethod
    def _see(self, rows: Tensor) -> None:
        """Take in checked rows, float32."""

    @abstractmethod
    def _range(self, grid: Grid) -> tuple[Tensor, Tensor]:
        """Return the range of each group; something was seen."""


def check_observer(value: Any) -> Observer:
    """Return ``value`` if it is an observer; a class passed for an instance is named.

    Raises:
        TypeError: it is something else.
    """
    if isinstance(value, type):
        raise TypeError(
            f"range_rule must be an observer such as MinMax(), got the class {value.__name__}. "
            f"Did you mean {value.__name__}()?"
        )
    if not isinstance(value, Observer):
        raise TypeError(f"range_rule must be an observer such as MinMax(), got {value!r}.")
    return value


def observed_range(rule: Observer, rows: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """Return the range that ``rule`` finds for ``rows`` alone; ``rule`` itself is not changed."""
    observer = rule.fresh()
    observer.observe(rows)
    return observer.range(grid)
