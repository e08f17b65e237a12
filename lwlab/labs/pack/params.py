"""What PackLab is asked for: what is done to the weights, and how they may be written."""

from __future__ import annotations

from dataclasses import dataclass

from lwlab.checks import check_choice, check_count, check_fraction, quoted_list
from lwlab.labs.quantize.groups import fitting_group
from lwlab.packing.families import check_families
from lwlab.quantize import Granularity, PerChannel, PerTensor

__all__ = [
    "CODEBOOK",
    "FLOAT",
    "GRANULARITIES",
    "HALF",
    "HALVED",
    "LADDER",
    "SLOW",
    "WIDTHS",
    "PackParams",
    "Width",
]

Width = str | int
FLOAT, HALF, CODEBOOK = "float", "half", "codebook"
WIDTHS: tuple[Width, ...] = (FLOAT, HALF, 8, 7, 6, 5, 4, 3, 2, 1, CODEBOOK)
GRANULARITIES = ("tensor", "channel", "group")
HALVED = ("none", "biases", "all")
LADDER = ("half", "palette", "scaled", "bitmask", "gaps", "huffman", "mask", "range")
"""The families of codings as they are switched on: values, positions, then the entropy coders."""
SLOW = frozenset({"huffman", "mask", "range"})


@dataclass(frozen=True)
class PackParams:
    """What is done to the weights, and how they may be written.

    Attributes:
        sparsity: share of all weights that is pruned, by size over all layers, in [0, 1).
        num_bits: ``float``, ``half``, 8 to 1 bits, or ``codebook``.
        codings: names out of ``packing.CODING_FAMILIES`` that the file may use.
        granularity: which weights share a scale: ``tensor``, ``channel`` or ``group``.
        group_size: weights in a group, at most: as many as divide the channels of a layer.
        codebook_size: values of a codebook, of each layer.
        halved: what else is rounded to half precision: ``none``, ``biases``, or ``all`` that no
            quantizer holds.
    """

    sparsity: float = 0.5
    num_bits: Width = 4
    codings: tuple[str, ...] = LADDER
    granularity: str = "channel"
    group_size: int = 32
    codebook_size: int = 16
    halved: str = "none"

    def __post_init__(self) -> None:
        """Check every field; ``codings`` come in any order, and stand in that of the ladder."""
        check_fraction("sparsity", self.sparsity)
        if isinstance(self.num_bits, bool) or self.num_bits not in WIDTHS:
            raise ValueError(
                f"num_bits must be {quoted_list((FLOAT, HALF, CODEBOOK))}, or a whole number from "
                f"1 to 8, got {self.num_bits!r}."
            )
        chosen = check_families(self.codings)
        in_order = tuple(name for name in LADDER if name in chosen)
        object.__setattr__(self, "codings", in_order)
        check_choice("granularity", self.granularity, GRANULARITIES)
        check_count("group_size", self.group_size)
        check_count("codebook_size", self.codebook_size, minimum=2, maximum=256)
        check_choice("halved", self.halved, HALVED)

    @property
    def has_scales(self) -> bool:
        """Whether the weights are whole numbers times a scale."""
        return isinstance(self.num_bits, int)

    @property
    def weights(self) -> tuple[object, ...]:
        """Return what decides the weights, whatever they are written as."""
        granularity = self.granularity if self.has_scales else None
        return (
            self.sparsity,
            self.num_bits,
            granularity,
            self.group_size if granularity == "group" else None,
            self.codebook_size if self.num_bits == CODEBOOK else None,
            self.halved,
        )

    def scales(self, shape: tuple[int, ...]) -> Granularity:
        """Return the granularity of a weight of ``shape``: a group divides its channels."""
        if self.granularity == "tensor":
            return PerTensor()
        if self.granularity == "channel":
            return PerChannel()
        return fitting_group(shape, self.group_size)
