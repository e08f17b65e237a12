"""Before and after, side by side: a bar for each cost over the ghost of what it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lwlab.labs.html_bars import panel
from lwlab.units import format_percent

__all__ = ["Pair", "before_after"]


@dataclass(frozen=True)
class Pair:
    """One cost, before and now.

    Attributes:
        name: what is counted.
        before, now: at least 0, in one unit.
        show: turns such a number into text.
        note: what stands in place of the percentage, in a few words.
    """

    name: str
    before: float
    now: float
    show: Callable[[float], str]
    note: str = ""


def before_after(title: str, pairs: Sequence[Pair]) -> str:
    """Return a titled table: each cost as a bar in the frame of what it was, and both in words."""
    return panel(title, [(pair.name, _bar(pair), _text(pair)) for pair in pairs])


def _bar(pair: Pair) -> str:
    # Where a cost has grown, the frame is what shrinks.
    longest = max(pair.before, pair.now, 1e-12)
    now, before = (f"{100 * value / longest:.2f}%" for value in (pair.now, pair.before))
    return (
        f'<span class="lwlab-bar"><i class="lwlab-part-0" style="width:{now}"></i></span>'
        f'<span class="lwlab-bar"><i class="lwlab-ghost" style="width:{before}"></i></span>'
    )


def _text(pair: Pair) -> str:
    share = format_percent(pair.now / pair.before, 0) if pair.before else ""
    # Where no difference was seen, a percentage would claim one.
    rest = pair.note or share
    return f"{pair.show(pair.now)} of {pair.show(pair.before)}{', ' if rest else ''}{rest}"
