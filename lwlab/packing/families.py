"""The names of the ways to save bytes, so that one can be left out: for a lesson, or a comparison.

A tensor can always be written *dense*, element by element. Each name allows something more:

=============  ====================================================================================
``half``       float32 elements, tables and scales in two bytes each, where no bit is lost
``bitmask``    one bit per element that says whether it is zero
``gaps``       the distances between the elements that are not zero
``mask``       the same bits, entropy-coded by row and column
``palette``    a table of the distinct elements and an index for each
``scaled``     whole numbers and a scale for each row, where the quantizer tells them
``huffman``    frequent indices and numbers in few bits, rare ones in many
``range``      the same down to fractions of a bit, without a table
=============  ====================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable

from lwlab.checks import did_you_mean, quoted_list

__all__ = ["CODING_FAMILIES", "check_families"]

CODING_FAMILIES = (
    "half", "bitmask", "gaps", "mask", "palette", "scaled", "huffman", "range",
)  # fmt: skip


def check_families(codings: Iterable[str] | None) -> frozenset[str]:
    """Return the names in ``codings`` as a set, all of them for None.

    Raises:
        TypeError: ``codings`` is one text, or nothing that can be gone through.
        ValueError: a name is none of ``CODING_FAMILIES``; a near miss gets a "did you mean".
    """
    if codings is None:
        return frozenset(CODING_FAMILIES)
    if isinstance(codings, str) or not isinstance(codings, Iterable):
        raise TypeError(
            f"codings must be a set of names out of {quoted_list(CODING_FAMILIES)}, "
            f"got {codings!r}. For one name alone write {{'palette'}}."
        )
    names = list(codings)
    for name in names:
        if name not in CODING_FAMILIES:
            hint = did_you_mean(name, CODING_FAMILIES)
            raise ValueError(
                f"codings must be names out of {quoted_list(CODING_FAMILIES)}, got {name!r}.{hint}"
            )
    return frozenset(names)
