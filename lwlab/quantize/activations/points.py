"""The points of a graph: the tensors that integer arithmetic has to store as codes.

A sum of products is an int32 number. Before the next layer can take it, it must become a code of
few bits again: there stands a quantizer. Which tensors are these?

* the input of the network,
* what a layer, a BatchNorm, a sum, a join or an average gives,
* what an operation without integer form (a sigmoid) gives to one of these,

but nothing behind the last of them: the logits stay as exact as they are.

A quantizer stands as far down as it can: behind ReLU, pooling and reshaping that follow, as long as
nobody else takes the tensor in between. Then no code is spent on what the ReLU removes::

    conv -> max_pool -> relu -> [quantizer] -> conv
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import fx

from lwlab.quantize.activations.operations import INTEGER_KINDS, kind_of, tensor_users

__all__ = ["Point", "find_points"]


@dataclass(frozen=True)
class Point:
    """A tensor that must be stored as codes.

    Attributes:
        name: the node that computes it, such as ``"stack1_conv1"``; ``"images"`` for an input.
        kind: what that node does (see ``operations``).
        producer: that node.
        tail: the last of the nodes that follow it without branching; its tensor is stored.
    """

    name: str
    kind: str
    producer: fx.Node
    tail: fx.Node


def find_points(model: fx.GraphModule) -> list[Point]:
    """Return the points of a traced model, in the order of computation."""
    return list(_points(model))


def _points(model: fx.GraphModule) -> Iterator[Point]:
    kinds = {node: kind_of(model, node) for node in model.graph.nodes}
    feeding = _feeding(kinds)
    followed = _followed(kinds)
    covered: set[fx.Node] = set()  # lies between a producer and its quantizer
    for node, kind in kinds.items():
        # What passes codes on needs no quantizer of its own. What clamps them does.
        if node in covered or kind in ("pass", "output", "shape", "quantizer"):
            continue
        if node not in (followed if kind in INTEGER_KINDS else feeding):
            continue
        chain = _chain(node, kinds)
        covered.update(chain)
        yield Point(node.name, kind, node, chain[-1])


def _chain(node: fx.Node, kinds: dict[fx.Node, str]) -> list[fx.Node]:
    """Return ``node`` and the passing nodes behind it, up to where its tensor has two users."""
    chain = [node]
    while len(users := tensor_users(chain[-1])) == 1 and kinds[users[0]] in ("pass", "clamp"):
        chain.append(users[0])
    return chain


def _feeding(kinds: dict[fx.Node, str]) -> set[fx.Node]:
    """Return the nodes whose tensor comes to an integer operation, passed on at the most."""
    feeding: set[fx.Node] = set()
    for node in reversed(kinds):
        users = tensor_users(node)
        if any(
            kinds[user] in INTEGER_KINDS or (kinds[user] in ("pass", "clamp") and user in feeding)
            for user in users
        ):
            feeding.add(node)
    return feeding


def _followed(kinds: dict[fx.Node, str]) -> set[fx.Node]:
    """Return the nodes that any integer operation comes after, near or far."""
    followed: set[fx.Node] = set()
    for node in reversed(kinds):
        if any(kinds[user] in INTEGER_KINDS or user in followed for user in tensor_users(node)):
            followed.add(node)
    return followed
