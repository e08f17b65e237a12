"""The arguments of a node by name, however the call was written."""

from __future__ import annotations

from typing import Any

from torch import fx

__all__ = ["arguments_of"]


def arguments_of(node: fx.Node, names: tuple[str, ...]) -> dict[str, Any] | None:
    """Return what was given after the first argument by its name; None if a part is computed.

    >>> import torch
    >>> graph = fx.Graph()
    >>> x = graph.placeholder("x")
    >>> arguments_of(graph.call_function(torch.mean, (x, 1), {"keepdim": True}), ("dim", "keepdim"))
    {'dim': 1, 'keepdim': True}

    Args:
        node: a call of a function or method.
        names: of the arguments after the first.
    """
    given = {**dict(zip(names, node.args[1:], strict=False)), **node.kwargs}
    computed: list[fx.Node] = []
    fx.map_arg(list(given.values()), computed.append)
    return None if computed else given
