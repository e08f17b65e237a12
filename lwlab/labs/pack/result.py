"""What PackLab shows at one setting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lwlab import measure
from lwlab.packing import Breakdown
from lwlab.packing.containers import ContainerTable

__all__ = ["LoadedBack", "PackResult", "by_purpose"]


@dataclass(frozen=True)
class LoadedBack:
    """How the network that came out of the file compares with the one that went in.

    Attributes:
        same_tensors: whether every parameter and buffer is equal to the bit.
        same_logits: whether the logits of ``examples`` validation examples are.
        examples: how many were compared.
    """

    same_tensors: bool
    same_logits: bool
    examples: int

    @property
    def identical(self) -> bool:
        """Whether nothing differs."""
        return self.same_tensors and self.same_logits


@dataclass(frozen=True)
class PackResult:
    """One file, loaded back and measured.

    Attributes:
        accuracy: of the network that was loaded from the file, on validation examples.
        breakdown: what each byte of the file is for.
        loaded: how it compares with the network before it was packed.
        bound_bytes: Shannon's bound for values and positions, whatever codings are on; codebooks
            and headers come on top.
        rungs: bytes by purpose of the file without codings, and with one family of the ladder
            after the other switched on; None where a family is off.
        missing: the rungs that are on and not written yet.
        present: the rung of the file itself.
        containers: the same network in other files; None before it is asked for.
        test_accuracy: on the test split; None before it is asked for.
    """

    accuracy: measure.Accuracy
    breakdown: Breakdown
    loaded: LoadedBack
    bound_bytes: float
    rungs: tuple[Mapping[str, int] | None, ...] = ()
    missing: frozenset[int] = frozenset()
    present: int = 0
    containers: ContainerTable | None = field(default=None, repr=False)
    test_accuracy: measure.Accuracy | None = None

    @property
    def size_bytes(self) -> int:
        """Length of the file."""
        return self.breakdown.total


def by_purpose(breakdown: Breakdown) -> dict[str, int]:
    """Return the bytes of a file by purpose, by the names of ``plots.packing.PURPOSES``."""
    return {
        "values": breakdown.values,
        "positions": breakdown.positions,
        "codebooks": breakdown.codebook,
        "header": breakdown.header,
        "other": breakdown.other,
    }
