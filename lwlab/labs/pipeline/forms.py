"""What can be set in each step, for the form under the blocks; and steps from what a page sends."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from lwlab.checks import did_you_mean, quoted_list
from lwlab.pipeline import STEPS, Step
from lwlab.pipeline.closing import HALVED
from lwlab.pipeline.pruning import CHANNEL_CRITERIA, CRITERIA, SCOPES
from lwlab.pipeline.rounding import RANGE_RULES
from lwlab.quantize.codebook import INITIALIZATIONS

__all__ = ["FIELDS", "entry_of", "kinds", "step_of"]

_SHOWN = 40  # letters of a stranger's text in a sentence


@dataclasses.dataclass(frozen=True)
class _Field:
    """How one field is set: ``number``, ``text``, ``check`` or, with options, a menu."""

    label: str
    kind: str = "number"
    options: tuple[Any, ...] = ()


def _menu(label: str, options: Sequence[Any]) -> _Field:
    return _Field(label, "menu", tuple(options))


FIELDS: dict[str, _Field] = {
    "epochs": _Field("epochs"),
    "learning_rate": _Field("learning rate"),
    "temperature": _Field("temperature"),
    "alpha": _Field("alpha"),
    "distil": _Field("learn from the teacher too", "check"),
    "learned_step": _Field("learn the steps of the grids", "check"),
    "sparsity": _Field("sparsity, 0 to 1"),
    "pattern": _Field("pattern instead, such as 2:4", "text"),
    "scope": _menu("scope", SCOPES),
    "criterion": _menu("criterion", list(CRITERIA)),
    "pruning_ratio": _Field("channels removed, 0 to 1"),
    "channel_criterion": _menu("judged by", list(CHANNEL_CRITERIA)),
    "num_bits": _menu("bits", (8, 7, 6, 5, 4, 3, 2, 1, "ternary")),
    "budget_bytes": _Field("or a budget in bytes"),
    "granularity": _menu("a scale for each", ("channel", "tensor", 16, 32, 64)),
    "range_rule": _menu("range", list(RANGE_RULES)),
    "values": _Field("values in each layer"),
    "initialization": _menu("found by", INITIALIZATIONS),
    "tensors": _menu("what", HALVED),
}
"""The fields of all steps by their names: a field means the same in each step that has it."""

_FIRST: dict[str, dict[str, Any]] = {"Prune": {"sparsity": 0.8}, "Quantize": {"num_bits": 4}}


def kinds() -> dict[str, Any]:
    """Return what the page has to know of each step: its first fields, and how they are set."""
    return {
        name: {
            "first": entry_of(kind(**_FIRST.get(name, {}))),
            "fields": [_described(kind, field.name) for field in dataclasses.fields(kind)],
            "about": (kind.__doc__ or name).partition("\n")[0],
        }
        for name, kind in STEPS.items()
    }


def _described(kind: type[Step], name: str) -> dict[str, Any]:
    field = FIELDS[name]
    default = next(f.default for f in dataclasses.fields(kind) if f.name == name)
    return {
        "name": name,
        "label": field.label,
        "kind": field.kind,
        "options": list(field.options),
        "empty": default is None,  # an empty field is None
    }


def entry_of(step: Step) -> dict[str, Any]:
    """Return a step as JSON holds it, ``{"step": "Prune", "sparsity": 0.8, ...}``."""
    fields = {f.name: getattr(step, f.name) for f in dataclasses.fields(step)}
    plain = {n: dict(v) if isinstance(v, Mapping) else v for n, v in fields.items()}
    return {"step": step.name, **plain}


def step_of(entry: Any) -> Step:
    """Return the step that ``entry_of`` gave, or that a page sent.

    Raises:
        TypeError, ValueError: it is no step, or a field of it is unknown or out of range.
    """
    name = entry.get("step") if isinstance(entry, Mapping) else None
    if not isinstance(name, str) or name not in STEPS:
        raise ValueError(f"a step must be one of {quoted_list(STEPS)}, got {_shown(name)}.")
    kind = STEPS[name]
    known = [field.name for field in dataclasses.fields(kind)]
    given = {field: value for field, value in entry.items() if field != "step"}
    for field in given:
        if field not in known:
            hint = did_you_mean(str(field)[:_SHOWN], known) if known else ""
            raise ValueError(
                f"{name} must have no fields but {quoted_list(known)}, got {_shown(field)}.{hint}"
            )
    try:
        return kind(**given)
    except OverflowError:
        raise ValueError(f"{name} must have numbers that are not so large.") from None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
