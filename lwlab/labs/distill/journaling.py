"""What the journal keeps of DistillLab: each student of a race that is over."""

from __future__ import annotations

from lwlab.journal import Entry, Origin
from lwlab.labs.distill.params import DistillParams
from lwlab.labs.distill.result import DistillResult
from lwlab.labs.journaling import json_params

__all__ = ["student_entries"]

_SHOWN = ("order", "example")


def student_entries(result: DistillResult, origin: Origin) -> tuple[Entry, ...]:
    """Return a try for each student that has finished; none while they learn, or if stopped.

    The parameters are those of the race, which the controls may have left since, and the name of
    the ``student``.

    Args:
        result: on screen.
        origin: of the teacher, so that a student stands beside what else became of that network.
    """
    race = result.race
    if race is None or race.state != "finished":
        return ()
    return tuple(
        Entry(
            source="DistillLab",
            params={**_params(race.params), "student": name},
            accuracy=score.accuracy.value,
            size_bytes=score.size_bytes,
            seed=race.params.seed,
            note=f"student {name!r}",
            model=origin.model,
            dataset=origin.dataset,
        )
        for name, score in race.scores.items()
        if score is not None
    )


def _params(params: DistillParams) -> dict[str, object]:
    return json_params(params, without=_SHOWN)
