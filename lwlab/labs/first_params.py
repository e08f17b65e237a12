"""The first parameters of a lab, from the keyword arguments of its constructor."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from lwlab.checks import did_you_mean, quoted_list

__all__ = ["first_params"]

Params = TypeVar("Params")


def first_params(kind: type[Params], lab: str, settings: Mapping[str, Any]) -> Params:
    """Return parameters with these fields; the others as they are by default.

    Args:
        kind: a frozen dataclass whose ``__post_init__`` checks its fields.
        lab: name of the lab, for the sentence about a field that there is not.
        settings: values by field.

    Raises:
        TypeError: there is no field of such a name.
        TypeError, ValueError: a value is out of range.
    """
    names = [spec.name for spec in dataclasses.fields(kind)]
    for name in settings:
        if name not in names:
            raise TypeError(
                f"{lab}() knows {quoted_list(names)}, got {name!r}.{did_you_mean(name, names)}"
            )
    return kind(**settings)
