"""What is known while positions flow through the calls of a trace: the shared desk of the rules."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from lwlab.prune.channels.positions import Positions
from lwlab.prune.channels.trace import Call

__all__ = ["Channels", "Flow", "Ports"]


@dataclass(frozen=True, eq=False)
class Channels:
    """Where a tensor has channels that may go.

    Attributes:
        axis: the dimension that counts them, 0 or above.
        positions: one for each index along the axis.
    """

    axis: int
    positions: np.ndarray


@dataclass(frozen=True, eq=False)
class Ports:
    """The positions at the two sides of a layer; None where a side cannot be cut at all.

    Attributes:
        inputs: positions of the input channels.
        outputs: positions of the output channels.
        follows: the layer makes no positions of its own: its outputs are those that came in.
    """

    inputs: np.ndarray | None
    outputs: np.ndarray | None
    follows: bool = False


class Flow:
    """Positions by tensor and by layer, and the way between the layers.

    Attributes:
        positions: all of them.
        ports: by layer, in the order of the first call.
        edges: kind of connection by (source layer, target layer).
        used_by: function that used a layer's parameter directly, by layer.
        titles: what to call a parameter or buffer, by the id of the tensor.
        model: what is traced.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.positions = Positions()
        self.ports: dict[str, Ports] = {}
        self.edges: dict[tuple[str, str], str] = {}
        self.used_by: dict[str, str] = {}
        self.titles: dict[int, str] = {}
        # By id: the trace keeps all tensors alive, so that no id is given twice.
        self._channels: dict[int, Channels | None] = {}
        self._sources: dict[int, dict[str, str]] = {}

    def channels(self, tensor: Tensor) -> Channels | None:
        """Return the channels of ``tensor``; None where none of it may go."""
        return self._channels.get(id(tensor))

    def put(self, tensor: Tensor, channels: Channels | None) -> None:
        """Note the channels of an output."""
        self._channels[id(tensor)] = channels

    def incoming(self, call: Call, axis: int) -> np.ndarray | None:
        """Return the positions along ``axis`` of a layer's input; those on another axis stay."""
        [tensor, *_] = call.inputs
        channels = self.channels(tensor)
        if channels is None or channels.axis == axis % tensor.ndim:
            return None if channels is None else channels.positions
        self.positions.fix(
            channels.positions, f"{call.layer!r} ({call.operation}) works across its channels"
        )
        return None

    def fix_inputs(self, call: Call, reason: str) -> None:
        """Let all channels stay that come into a call."""
        for tensor in call.inputs:
            channels = self.channels(tensor)
            if channels is not None:
                self.positions.fix(channels.positions, reason)

    def join(self, one: np.ndarray | None, other: np.ndarray | None, reason: str) -> None:
        """Unite two lists of positions; where only one side can be cut, it must stay."""
        if one is not None and other is not None:
            self.positions.unite(one, other)
            return
        for positions in (one, other):
            if positions is not None:
                self.positions.fix(positions, reason)

    def connect(self, call: Call, outputs: list[Tensor], kind: str) -> None:
        """Note from which layers the outputs of a call come, and over which kind of connection."""
        sources: dict[str, str] = {}
        for tensor in call.inputs:
            sources |= self._sources.get(id(tensor), {})
        if call.layer is not None:
            self.edges |= {(source, call.layer): kind for source, kind in sources.items()}
            sources = {call.layer: "follows"}
        elif kind != "follows":
            sources = dict.fromkeys(sources, kind)
        for tensor in outputs:
            self._sources[id(tensor)] = sources
