"""The plan: which channels would go, printed before anything changes."""

from __future__ import annotations

import html
from dataclasses import dataclass

from torch import Tensor

from lwlab.measure.tables import html_table, text_table
from lwlab.prune.channels.cutting import LayerCut
from lwlab.units import format_count, format_percent

__all__ = ["ChannelGroup", "ChannelPlan", "Edge", "Node", "Refusal"]


@dataclass(frozen=True, eq=False)
class ChannelGroup:
    """Channels that are cut together.

    Attributes:
        name: of its first producer.
        channels: how many there are.
        kept: int64 indices of those that stay, rising.
        importance: float64 ``(channels,)``, 1 on average.
        producers: layers that make the channels: cut in their outputs.
        followers: layers that work on each channel alone: BatchNorm, PReLU, depthwise convolutions.
        consumers: layers that read the channels: cut in their inputs.
    """

    name: str
    channels: int
    kept: Tensor
    importance: Tensor
    producers: tuple[str, ...]
    followers: tuple[str, ...]
    consumers: tuple[str, ...]

    @property
    def removed(self) -> int:
        """How many channels go."""
        return self.channels - len(self.kept)


@dataclass(frozen=True)
class Refusal:
    """A layer whose outputs cannot be cut.

    Attributes:
        layer: its name.
        reason: why, such as ``"its outputs are the model's outputs"``.
    """

    layer: str
    reason: str

    def __str__(self) -> str:
        return f"{self.layer}: {self.reason}"


@dataclass(frozen=True)
class Node:
    """A layer in a drawing of the plan.

    Attributes:
        layer: its name.
        kind: its class, such as ``"Conv2d"``.
        group: name of the group of its outputs; None where they are not cut.
    """

    layer: str
    kind: str
    group: str | None


@dataclass(frozen=True)
class Edge:
    """A connection in a drawing of the plan.

    Attributes:
        source: layer from which the channels come.
        target: layer to which they go.
        kind: ``"follows"``, or what lies between: ``"add"``, ``"concat"`` or ``"flatten"``.
    """

    source: str
    target: str
    kind: str


@dataclass(frozen=True, eq=False)
class ChannelPlan:
    """What ``remove_channels`` will do.

    Attributes:
        groups: in the order in which they run.
        refusals: layers whose outputs stay as they are, with the reason.
        cuts: what stays of each layer that changes.
        parameters_before: of the model.
        parameters_after: of the smaller model.
        nodes: layers in the order in which they run.
        edges: connections between them.
    """

    groups: tuple[ChannelGroup, ...]
    refusals: tuple[Refusal, ...]
    cuts: tuple[LayerCut, ...]
    parameters_before: int
    parameters_after: int
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def __str__(self) -> str:
        refused = [f"  {refusal}" for refusal in self.refusals]
        parts = [text_table(self._rows()), self._parameters()]
        return "\n".join([*parts, *(["not cut in outputs:", *refused] if refused else [])])

    def _repr_html_(self) -> str:
        refused = [["not cut in outputs", "reason"], *([r.layer, r.reason] for r in self.refusals)]
        tables = [html_table(self._rows()), f"<p>{html.escape(self._parameters())}</p>"]
        return "".join([*tables, *([html_table(refused)] if self.refusals else [])])

    def _rows(self) -> list[list[str]]:
        head = ["group", "removed", "cut in outputs", "followed by", "cut in inputs"]
        return [head, *(_row(group) for group in self.groups)]

    def _parameters(self) -> str:
        before, after = self.parameters_before, self.parameters_after
        less = format_percent((before - after) / before) if before else format_percent(0)
        return f"parameters: {format_count(before)} -> {format_count(after)}, {less} fewer"


def _row(group: ChannelGroup) -> list[str]:
    lists = (group.producers, group.followers, group.consumers)
    removed = f"{group.removed} of {group.channels}"
    return [group.name, removed, *(", ".join(names) or "-" for names in lists)]
