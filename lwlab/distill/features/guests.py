"""Guests: parameters that are trained along with a model and are no part of it.

A regressor has to learn while its student does. ``fit`` trains what ``model.parameters()`` names,
and should know no technique; so the regressor's parameters stay with the student as guests for
the time of the training. They are no modules, so that no forward pass meets them, and a
``state_dict`` leaves them out, so that a snapshot, or the size of the file, is that of the student
alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

__all__ = ["hosted"]

_PREFIX = "_guest_"


@contextmanager
def hosted(model: nn.Module, parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """Let ``model.parameters()`` name these parameters too, inside the block.

    Args:
        model: the host; as before after the block, also after an error.
        parameters: the guests.
    """
    taken = sum(name.startswith(_PREFIX) for name, _ in model.named_parameters(recurse=False))
    names = []
    handles = [
        model.register_state_dict_post_hook(_leave_out),
        model.register_load_state_dict_post_hook(_do_not_miss),
    ]
    try:
        for number, parameter in enumerate(parameters, start=taken):
            names.append(f"{_PREFIX}{number}")
            model.register_parameter(names[-1], parameter)
        yield
    finally:
        for name in names:
            delattr(model, name)
        for handle in handles:
            handle.remove()


def _leave_out(module: nn.Module, state: dict[str, Any], prefix: str, metadata: Any) -> None:
    del module, metadata
    for name in [name for name in state if name.startswith(prefix + _PREFIX)]:
        del state[name]


def _do_not_miss(module: nn.Module, keys: Any) -> None:
    # Changed in place: torch looks at these lists afterwards.
    del module
    keys.missing_keys[:] = [
        name for name in keys.missing_keys if not name.rpartition(".")[2].startswith(_PREFIX)
    ]
