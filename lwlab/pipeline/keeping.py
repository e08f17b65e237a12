"""What the journal keeps of a pipeline: a try for each step that has ended, with its file."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from lwlab.journal import Entry, Journal, Origin
from lwlab.pipeline.recipe import recipe_to_json
from lwlab.pipeline.records import StepRecord
from lwlab.pipeline.step import Step

__all__ = ["SOURCE", "keep", "step_entry"]

SOURCE = "pipeline"


def step_entry(
    record: StepRecord,
    steps: Sequence[Step],
    seed: int,
    origin: Origin,
    *,
    source: str = SOURCE,
    params: Mapping[str, Any] | None = None,
) -> Entry:
    """Return a finished step as a try: the recipe up to it, what was measured, and its file.

    Args:
        record: of the step.
        steps: of the whole pipeline.
        seed: of the pipeline.
        origin: of the model that it began with.
        source: what carried it out.
        params: what was asked for; None for the recipe.
    """
    recipe = recipe_to_json(steps[: record.index], seed)
    return Entry(
        source=source,
        params=json.loads(recipe) if params is None else params,
        accuracy=record.scorecard.accuracy.value,
        size_bytes=record.scorecard.size_bytes,
        seed=seed,
        seconds=record.seconds,
        note=record.step.describe(),
        recipe=recipe,
        model=origin.model,
        dataset=origin.dataset,
        state=record.data,
    )


def keep(journal: Journal, entry: Entry) -> None:
    """Add a try. A journal that fails must not end an hour of training: it warns."""
    try:
        journal.add(entry)
    except (OSError, ValueError) as error:
        warnings.warn(f"This step is not in the journal: {error}", stacklevel=2)
