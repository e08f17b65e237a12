"""The files of PackLab: written with some codings or others, and loaded back."""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import nn

from lwlab import packing
from lwlab.data import Split
from lwlab.labs.pack.params import LADDER
from lwlab.labs.pack.result import LoadedBack, by_purpose
from lwlab.models.layers import plain_state
from lwlab.packing import Breakdown

__all__ = ["COMPARED", "Files", "Key", "PackedFile", "prefixes"]

COMPARED = 256  # validation examples that both networks answer
_REMEMBERED_FILES = 32
_REMEMBERED_RUNGS = 4000

Key = tuple[object, ...]
Codings = tuple[str, ...]


@dataclass(frozen=True)
class PackedFile:
    """A file in memory.

    Attributes:
        data: its bytes.
        breakdown: what each of them is for.
    """

    data: bytes = field(repr=False)
    breakdown: Breakdown


class Files:
    """Writes networks of one class as files, and loads them back.

    Args:
        plain: a network of the class, without parametrizations.
        split: whose first examples both networks answer.
    """

    def __init__(self, plain: nn.Module, split: Split) -> None:
        self._loaded = copy.deepcopy(plain).eval()
        self._inputs = split.inputs[:COMPARED]
        self._files: OrderedDict[tuple[Key, Codings], PackedFile] = OrderedDict()
        self._rungs: OrderedDict[tuple[Key, Codings], dict[str, int]] = OrderedDict()
        # The worker writes files, and whoever asks for the one on screen.
        self._asking = threading.RLock()

    def packed(self, key: Key, network: nn.Module, codings: Codings) -> PackedFile:
        """Return the file of ``network``, which ``key`` stands for; it is remembered."""
        name = (key, codings)
        with self._asking:
            if name not in self._files:
                data = packing.to_bytes(network, codings=codings)
                file = PackedFile(data, packing.breakdown(data))
                _put(self._files, name, file, _REMEMBERED_FILES)
                _put(self._rungs, name, by_purpose(file.breakdown), _REMEMBERED_RUNGS)
            self._files.move_to_end(name)
            return self._files[name]

    def rung(self, key: Key, network: nn.Module, codings: Codings) -> dict[str, int]:
        """Return the bytes by purpose of a file; they are remembered."""
        with self._asking:
            if (key, codings) not in self._rungs:
                self.packed(key, network, codings)
            return self._rungs[key, codings]

    def known(self, key: Key, codings: Codings) -> dict[str, int] | None:
        """Return the bytes by purpose of a file, if it was written before."""
        with self._asking:
            return self._rungs.get((key, codings))

    @torch.no_grad()
    def load_back(
        self, file: PackedFile, network: nn.Module, examples: int = COMPARED
    ) -> tuple[nn.Module, LoadedBack]:
        """Return the network in ``file``, good until the next call, compared with ``network``.

        Args:
            file: of ``network``.
            network: what was written; its training flag stays.
            examples: how many both answer.
        """
        packing.from_bytes_(self._loaded, file.data)
        before, after = plain_state(network), plain_state(self._loaded)
        same = all(torch.equal(before[name], tensor) for name, tensor in after.items())
        inputs = self._inputs[:examples]
        equal = not len(inputs) or torch.equal(_logits(network, inputs), self._loaded(inputs))
        return self._loaded, LoadedBack(same, equal, len(inputs))

    def forget(self) -> None:
        """Drop everything that is remembered."""
        with self._asking:
            self._files.clear()
            self._rungs.clear()


def _logits(network: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    training = network.training
    try:
        return network.eval()(inputs)
    finally:
        network.train(training)


def _put(memory: OrderedDict, name: tuple[Key, Codings], value: object, most: int) -> None:
    memory[name] = value
    if len(memory) > most:
        memory.popitem(last=False)


def prefixes(codings: Codings) -> Iterator[Codings | None]:
    """Yield the codings of each rung: none, then one family after the other; None where one is off.

    >>> list(prefixes(("half", "scaled")))[:4]
    [(), ('half',), None, ('half', 'scaled')]
    """
    yield ()
    chosen: Codings = ()
    for name in LADDER:
        if name in codings:
            chosen = (*chosen, name)
            yield chosen
        else:
            yield None
