"""A recipe as JSON: what to do to a model, to be kept, compared and shared.

::

    {"lwlab recipe": 1, "steps": [{"step": "Prune", "sparsity": 0.9}, {"step": "Pack"}], "seed": 0}

Fields that are left out have their defaults; ``recipe_to_json`` writes all of them, so that a
recipe means the same when a default changes. A recipe comes from others: it is read without trust.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lwlab.checks import check_count, did_you_mean, quoted_list
from lwlab.pipeline.order import check_order
from lwlab.pipeline.step import Step
from lwlab.pipeline.steps import MOST_STEPS, STEPS

__all__ = ["MOST_CHARACTERS", "Recipe", "recipe_from_json", "recipe_to_json"]

MOST_CHARACTERS = 100_000
_FORMAT = "lwlab recipe"
_VERSION = 1
_SHOWN = 40  # characters of a stranger's text in a sentence


@dataclass(frozen=True)
class Recipe:
    """Steps in an order that makes sense, and the seed of all that is random in them.

    Attributes:
        steps: as ``run`` takes them.
        seed: as ``run`` takes it.

    Raises:
        TypeError, ValueError: the steps are in the wrong order, or ``seed`` is no whole number of
            at least 0.
    """

    steps: tuple[Step, ...]
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", check_order(self.steps))
        object.__setattr__(self, "seed", check_count("seed", self.seed, minimum=0))


def recipe_to_json(steps: Sequence[Step], seed: int = 0) -> str:
    """Return the recipe as a JSON text.

    Raises:
        TypeError, ValueError: as for ``Recipe``.
    """
    recipe = Recipe(tuple(check_order(steps)), seed)
    entries = [{"step": step.name, **dataclasses.asdict(step)} for step in recipe.steps]
    return json.dumps({_FORMAT: _VERSION, "steps": entries, "seed": recipe.seed}, allow_nan=False)


def recipe_from_json(text: str) -> Recipe:
    """Return the recipe in a JSON text.

    Raises:
        TypeError: ``text`` is no text.
        ValueError: it is no JSON, too long or too deep; the form is another; a step or field is
            unknown, a value out of range, or the order makes no sense. One sentence each.
    """
    if not isinstance(text, str):
        raise TypeError(f"recipe must be a JSON text, got {type(text).__name__}.")
    if len(text) > MOST_CHARACTERS:
        raise ValueError(
            f"recipe must have at most {MOST_CHARACTERS:,} characters, got {len(text):,}."
        )
    whole = _check_object("recipe", _parsed(text), (_FORMAT, "steps", "seed"))
    if type(whole.get(_FORMAT)) is not int or whole[_FORMAT] != _VERSION:
        raise ValueError(
            f'recipe must say "{_FORMAT}": {_VERSION}, got {_shown(whole.get(_FORMAT))}.'
        )
    entries = whole.get("steps")
    if not isinstance(entries, list) or not 1 <= len(entries) <= MOST_STEPS:
        got = f"{len(entries)}" if isinstance(entries, list) else _shown(entries)
        raise ValueError(f"steps of a recipe must be a list of 1 to {MOST_STEPS}, got {got}.")
    steps = [_step_from(number, entry) for number, entry in enumerate(entries, start=1)]
    try:
        return Recipe(tuple(steps), whole.get("seed", 0))
    except TypeError as error:
        raise ValueError(str(error)) from None


def _parsed(text: str) -> Any:
    try:
        return json.loads(
            text,
            object_pairs_hook=_without_repeats,
            parse_int=_short_int,
            parse_constant=_no_constant,
        )
    except RecursionError:
        raise ValueError(
            "recipe must not be nested so deeply, got a text of lists in lists."
        ) from None
    except json.JSONDecodeError as error:
        raise ValueError(f"recipe must be a JSON text, got an error in it: {error}.") from None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"recipe must name each field once, got {_shown(twice)} twice.")
    return found


def _short_int(digits: str) -> int:
    if len(digits) > _SHOWN:
        raise ValueError(f"recipe must hold short numbers, got one of {len(digits):,} digits.")
    return int(digits)


def _no_constant(name: str) -> Any:
    raise ValueError(f"recipe must hold finite numbers, got {name}.")


def _check_object(title: str, value: Any, fields: Sequence[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{title} must be a JSON object, got {_shown(value)}.")
    for name in value:
        if name not in fields:
            raise ValueError(
                f"{title} must have no fields but {quoted_list(fields)}, got {_shown(name)}."
                f"{did_you_mean(name[:_SHOWN], fields)}"
            )
    return value


def _step_from(number: int, entry: Any) -> Step:
    """Return the step that an entry of a recipe describes."""
    title = f"step {number} of a recipe"
    name = entry.get("step") if isinstance(entry, dict) else None
    if not isinstance(name, str) or name not in STEPS:
        hint = did_you_mean(name[:_SHOWN], STEPS) if isinstance(name, str) else ""
        got = _shown(name if isinstance(entry, dict) else entry)
        raise ValueError(f'{title} must have a "step" of {quoted_list(STEPS)}, got {got}.{hint}')
    kind = STEPS[name]
    fields = [field.name for field in dataclasses.fields(kind)]
    given = _check_object(f"{title} ({name})", entry, ["step", *fields])
    try:
        return kind(**{field: value for field, value in given.items() if field != "step"})
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{title} ({name}) must have allowed values: {_cut(str(error))}") from None


def _shown(value: Any) -> str:
    return _cut(repr(value), _SHOWN)


def _cut(text: str, most: int = 400) -> str:
    return text if len(text) <= most else f"{text[:most]}..."
