"""Everything that PackLab computes: networks shrunk, written, loaded and measured; no widget."""

from __future__ import annotations

import copy
import dataclasses
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator

from torch import nn

from lwlab import measure, packing, prune, quantize
from lwlab.data import Dataset
from lwlab.labs.contract import Part
from lwlab.labs.estimate import estimate_label
from lwlab.labs.pack.files import Files, Key, PackedFile, prefixes
from lwlab.labs.pack.params import LADDER, SLOW, PackParams
from lwlab.labs.pack.result import PackResult
from lwlab.labs.pack.shrinking import Shrinker
from lwlab.packing.containers import ContainerTable, compare_containers

__all__ = ["Bench", "plain_copy"]

_LIVE_SECONDS = 0.02  # what takes no longer than this is shown when it is whole
_REST_SECONDS = 0.25  # a slider that stands so long is not being dragged
_LOOK_SECONDS = 0.01
_REMEMBERED = 1000
_CODERS_AT_WORK = (
    "Written without the entropy coders (Huffman, coded mask, range coder), which follow."
)
_STEPS_TO_COME = "The steps before the last one are being written."


class Bench:
    """Shrinks, writes, loads and measures copies of ``model``.

    Args:
        model: the network; what stands on its weights is taken off a copy.
        dataset: of the lab.

    Attributes:
        plain: that copy.
        came_plain: whether there was nothing to take off.
        dense_bytes: its file without any coding.
        baseline: its accuracy.
        shrinker, files: of this network.
    """

    def __init__(self, model: nn.Module, dataset: Dataset) -> None:
        self._dataset = dataset
        self.plain = plain_copy(model)
        self.came_plain = len(list(model.modules())) == len(list(self.plain.modules()))
        self.shrinker = Shrinker(self.plain)
        self.files = Files(self.plain, dataset.validation)
        self.dense_bytes = len(packing.to_bytes(self.plain, codings=()))
        self.baseline = measure.accuracy(self.plain, dataset.validation)
        self._slow_seconds = 0.0  # that the newest whole result took
        self._known: OrderedDict[Key, PackResult] = OrderedDict()

    def parts(self, params: PackParams, outdated: Callable[[], bool]) -> Iterator[Part[PackResult]]:
        """Yield what is quick; once nobody drags, the file with all its codings and the ladder."""
        key = (params.weights, params.codings)
        if key in self._known:
            yield Part(self._known[key])
            return
        network = self.shrinker.shrunk(params)
        if self._slow_seconds > _LIVE_SECONDS:
            yield self._quick(params, network)
            if _moves_on(outdated):
                return
        began = time.perf_counter()
        for part in self._whole(params, network, outdated):
            if not part.estimate:
                self._remember(key, part.result, time.perf_counter() - began)
            yield part

    def _remember(self, key: Key, result: PackResult, seconds: float) -> None:
        self._slow_seconds = seconds
        self._known[key] = result
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def _quick(self, params: PackParams, network: nn.Module) -> Part[PackResult]:
        """Return a file without the slow codings, loaded back and scored on a part at least."""
        quick = tuple(name for name in params.codings if name not in SLOW)
        file = self.files.packed(params.weights, network, quick)
        all_quick = tuple(name for name in LADDER if name not in SLOW)
        bound = self.files.packed(params.weights, network, all_quick).breakdown.bound
        loaded, comparison = self.files.load_back(file, network, examples=0)
        accuracy = next(measure.accuracy_in_parts(loaded, self._dataset.validation))
        result = PackResult(accuracy, file.breakdown, comparison, bound)
        told = _STEPS_TO_COME if quick == params.codings else _CODERS_AT_WORK
        label = f"{told} {estimate_label(accuracy, self._dataset.validation)}".strip()
        return Part(self._with_ladder(result, params, quick), label)

    def _whole(
        self, params: PackParams, network: nn.Module, outdated: Callable[[], bool]
    ) -> Iterator[Part[PackResult]]:
        file = self.files.packed(params.weights, network, params.codings)
        if outdated():
            return
        # With a coding off, the file no longer tells the numbers that it stands for.
        bound = self.files.packed(params.weights, network, LADDER).breakdown.bound
        loaded, comparison = self.files.load_back(file, network)
        for accuracy in measure.accuracy_in_parts(loaded, self._dataset.validation):
            result = PackResult(accuracy, file.breakdown, comparison, bound)
            label = estimate_label(accuracy, self._dataset.validation)
            if label:
                yield Part(self._with_ladder(result, params, params.codings), label)
        for codings in prefixes(params.codings):
            if outdated():
                return
            if codings is not None:
                self.files.rung(params.weights, network, codings)
        yield Part(self._with_ladder(result, params, params.codings))

    def _with_ladder(
        self, result: PackResult, params: PackParams, codings: tuple[str, ...]
    ) -> PackResult:
        """Return ``result``, the file of ``codings``, with the rungs that are known by now."""
        wanted = list(prefixes(params.codings))
        rungs = [None if c is None else self.files.known(params.weights, c) for c in wanted]
        missing = {i for i, c in enumerate(wanted) if c is not None and rungs[i] is None}
        return dataclasses.replace(
            result,
            rungs=tuple(rungs),
            missing=frozenset(missing),
            present=wanted.index(codings),
        )

    def containers(self, params: PackParams) -> ContainerTable:
        """Return the network of a setting in other kinds of files."""
        return compare_containers(self.shrinker.shrunk(params))

    def loaded(self, params: PackParams) -> nn.Module:
        """Return what comes out of the file of a setting: a new, plain network."""
        network = copy.deepcopy(self.plain)
        packing.from_bytes_(network, self.file(params).data)
        return network

    def file(self, params: PackParams) -> PackedFile:
        """Return the file of a setting."""
        network = self.shrinker.shrunk(params)
        return self.files.packed(params.weights, network, params.codings)

    def forget(self) -> None:
        """Drop everything that is remembered, so that a benchmark sees what a move costs."""
        self._known.clear()
        self.shrinker.forget()
        self.files.forget()


def _moves_on(outdated: Callable[[], bool]) -> bool:
    """Wait until it is clear whether a slider is being dragged; return whether it is."""
    until = time.monotonic() + _REST_SECONDS
    while time.monotonic() < until:
        if outdated():
            return True
        time.sleep(_LOOK_SECONDS)
    return outdated()


def plain_copy(model: nn.Module) -> nn.Module:
    """Return a copy with quantizers and codebooks taken off, and masks made permanent."""
    plain = copy.deepcopy(model)
    quantize.unprepare_(plain)
    quantize.unshare_weights_(plain)
    prune.bake_(plain)
    return plain
