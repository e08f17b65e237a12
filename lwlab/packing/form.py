"""The first byte of a composed payload: which way of each kind was taken."""

from __future__ import annotations

from dataclasses import dataclass

from lwlab.packing.errors import Damage
from lwlab.packing.positions import NOWHERE, POSITION_CODERS
from lwlab.packing.symbols import PACKED, SYMBOL_CODERS

__all__ = ["ELEMENTS", "PALETTE", "PLAIN", "SCALED", "Form"]

PLAIN, PALETTE, SCALED = 0, 1, 2
ELEMENTS = {PLAIN: "plain", PALETTE: "palette", SCALED: "scaled"}
_HALF, _FILLED = 64, 128


@dataclass(frozen=True)
class Form:
    """How a composed tensor is written; ``composed.py`` has every bit of its byte.

    Attributes:
        elements: PLAIN, PALETTE or SCALED.
        positions: a number in ``POSITION_CODERS``, or NOWHERE.
        symbols: a number in ``SYMBOL_CODERS``.
        half: whether plain elements, table or scales are in float16.
        filled: whether zero bytes follow, that make the payload long enough.
    """

    elements: int
    positions: int
    symbols: int
    half: bool = False
    filled: bool = False

    @property
    def byte(self) -> int:
        """The number in the file."""
        ways = self.elements | self.positions << 2 | self.symbols << 4
        return ways | _HALF * self.half | _FILLED * self.filled

    @classmethod
    def of(cls, byte: int) -> Form:
        """Return the form that a byte means.

        Raises:
            Damage: there is no such form.
        """
        form = cls(byte & 3, byte >> 2 & 3, byte >> 4 & 3, bool(byte & _HALF), bool(byte & _FILLED))
        known = form.elements in ELEMENTS and form.symbols in SYMBOL_CODERS
        if form.elements == PLAIN and (form.positions == NOWHERE or form.symbols != PACKED):
            known = False
        if not known:
            raise Damage(f"it has a tensor of the unknown form {byte}")
        return form

    def __str__(self) -> str:
        words = [ELEMENTS[self.elements]]
        if self.elements == PLAIN and self.half:
            words = ["half"]
        if self.positions != NOWHERE:
            words.append(POSITION_CODERS[self.positions].family)
        if self.symbols != PACKED:
            words.append(SYMBOL_CODERS[self.symbols].family)
        return " + ".join(words)
