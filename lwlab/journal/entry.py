"""One try: what was done to which model, and what was measured of the outcome."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from lwlab.checks import check_count, check_fraction, check_number

__all__ = ["Entry", "json_object", "now"]

# What a column of the database can hold.
LARGEST = 2**63 - 1
_LONGEST_NAME = 200
_LONGEST_TEXT = 1_000_000


def now() -> str:
    """Return the time in UTC as ISO text, such as ``2026-01-31T12:00:00.000001+00:00``."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


@dataclass(frozen=True)
class Entry:
    """One try, measured.

    Attributes:
        source: what made it: ``"PruneLab"``, ``"search"``.
        params: what was asked for, a dict of what JSON can hold; tuples in it become lists.
        accuracy: fraction in [0, 1], on the validation split.
        size_bytes: length of the packed file.
        latency_ms: of one example; None where it was not measured.
        seed: of the try; None where nothing was random.
        seconds: that it took; None if unknown.
        note: any text.
        recipe: the steps as JSON text (``pipeline.recipe_to_json``); None without.
        model: fingerprint of the model that it began with, see ``model_fingerprint``.
        dataset: name of the data set.
        created: ISO time in UTC.
        key: names the try: a journal takes a key once, so that adding again adds nothing.
        id: its number in a journal; None before ``Journal.add``.
        state: the packed file of the outcome, for ``Journal.add``. What a journal lists comes
            without it: ask ``Journal.state``.

    Raises:
        TypeError, ValueError: a field is of another kind or out of range.
    """

    source: str
    params: Mapping[str, Any]
    accuracy: float
    size_bytes: int
    latency_ms: float | None = None
    seed: int | None = None
    seconds: float | None = None
    note: str = ""
    recipe: str | None = None
    model: str = ""
    dataset: str = ""
    created: str = field(default_factory=now)
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    id: int | None = None
    state: bytes | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check every field and bring numbers to their own kind."""
        for name in ("source", "key"):
            _check_text(name, getattr(self, name), _LONGEST_NAME, empty=False)
        for name in ("model", "dataset"):
            _check_text(name, getattr(self, name), _LONGEST_NAME)
        _check_text("note", self.note, _LONGEST_TEXT)
        self._set("params", json_object("params", self.params))
        self._set("accuracy", check_fraction("accuracy", self.accuracy, allow_one=True))
        self._set("size_bytes", _count("size_bytes", self.size_bytes))
        for name in ("latency_ms", "seconds"):
            if getattr(self, name) is not None:
                self._set(name, check_number(name, getattr(self, name), minimum=0))
        for name in ("seed", "id"):
            if getattr(self, name) is not None:
                self._set(name, _count(name, getattr(self, name)))
        _check_recipe(self.recipe)
        _check_time(self.created)
        if self.state is not None and not isinstance(self.state, bytes):
            raise TypeError(f"state must be bytes or None, got {type(self.state).__name__}.")

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)


def json_object(name: str, value: Any) -> dict[str, Any]:
    """Return a copy of ``value``, a dict of what JSON can hold, as JSON gives it back.

    Raises:
        TypeError: it is no dict, or holds something that JSON has no form for.
        ValueError: it holds NaN or infinity, is nested too deeply, or is too long.
    """
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a dict, got {type(value).__name__}.")
    try:
        text = json.dumps(dict(value), allow_nan=False)
        _check_text(name, text, _LONGEST_TEXT)
        return json.loads(text)
    except RecursionError:
        raise ValueError(f"{name} must not be nested that deeply. Flatten it.") from None
    except TypeError as error:
        raise TypeError(f"{name} must hold only what JSON can hold: {error}.") from None
    except ValueError as error:
        raise ValueError(f"{name} must hold only what JSON can hold: {error}.") from None


def _count(name: str, value: Any) -> int:
    return check_count(name, value, minimum=0, maximum=LARGEST)


def _check_text(name: str, value: Any, longest: int, *, empty: bool = True) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a text, got {type(value).__name__}.")
    if len(value) > longest or not (value or empty):
        least = "" if empty else "1 to "
        raise ValueError(
            f"{name} must be a text of {least}{longest} characters{'' if least else ' at the most'}"
            f", got {len(value)}."
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} must be a text that UTF-8 can hold, got {value!a}.") from None


def _check_recipe(recipe: Any) -> None:
    if recipe is None:
        return
    _check_text("recipe", recipe, _LONGEST_TEXT)
    try:
        json.loads(recipe)
    except (ValueError, RecursionError):
        raise ValueError(f"recipe must be a JSON text, got {recipe[:60]!r}.") from None


def _check_time(created: Any) -> None:
    _check_text("created", created, _LONGEST_NAME)
    try:
        offset = datetime.fromisoformat(created).utcoffset()
    except ValueError:
        offset = None
    if offset != timedelta(0):
        raise ValueError(
            f"created must be an ISO time in UTC, got {created!r}. Try '2026-01-31T12:00:00+00:00'."
        )
