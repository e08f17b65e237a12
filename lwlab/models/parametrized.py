"""Parametrized modules: what torch leaves to do when a model with masks or quantizers is copied."""

from __future__ import annotations

from torch import nn
from torch.nn.utils import parametrize

__all__ = ["give_own_class_"]


def give_own_class_(module: nn.Module) -> None:
    """Give a parametrized module a class that no deep copy of it shares; others stay as they are.

    torch makes one class per parametrized module and keeps ``weight`` on it as a property. A deep
    copy has the same class, so adding a property to the copy, or removing one, breaks the original
    ("object has no attribute 'weight'", torch 2.13). Call this before adding or removing a
    parametrization.
    """
    if parametrize.is_parametrized(module):
        shared = type(module)
        members = {k: v for k, v in vars(shared).items() if k not in {"__dict__", "__weakref__"}}
        module.__class__ = type(shared.__name__, shared.__bases__, members)
