"""What a search has found: recipes with their accuracy and size, and the front of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lwlab.journal import Entry, Origin, pareto_front
from lwlab.pipeline import Step, recipe_from_json

__all__ = ["SearchResult", "SearchTrial"]


@dataclass(frozen=True)
class SearchTrial:
    """A finished try of a search.

    Attributes:
        index: which of the wanted ones it is, from 0.
        params: what was chosen, by its name in ``SearchSpace``.
        recipe: the steps as JSON text, with the seed.
        accuracy: fraction right on the validation split.
        size_bytes: length of the packed file.
        seconds: that it took.
        finished: ISO time in UTC.
        key: names the try in a journal.
    """

    index: int
    params: dict[str, Any]
    recipe: str
    accuracy: float
    size_bytes: int
    seconds: float
    finished: str
    key: str = field(repr=False)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps, ready for ``pipeline.run``."""
        return recipe_from_json(self.recipe).steps

    def entry(self, origin: Origin, seed: int, state: bytes | None = None) -> Entry:
        """Return the try for a journal.

        Args:
            origin: what the search began with.
            seed: of the search.
            state: the packed file, where it is still at hand.
        """
        return Entry(
            source="search",
            params=self.params,
            accuracy=self.accuracy,
            size_bytes=self.size_bytes,
            seed=seed,
            seconds=self.seconds,
            recipe=self.recipe,
            model=origin.model,
            dataset=origin.dataset,
            created=self.finished,
            key=self.key,
            state=state,
        )


@dataclass(frozen=True)
class SearchResult:
    """What a search has found.

    Attributes:
        trials: the finished tries, in their order.
        front: those that no other one beats in both size and accuracy, the smallest first.
    """

    trials: tuple[SearchTrial, ...]
    front: tuple[SearchTrial, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Find the front."""
        object.__setattr__(self, "front", tuple(pareto_front(self.trials)))

    def __str__(self) -> str:
        lines = [f"{len(self.trials)} tries, {len(self.front)} on the front:"]
        lines += [
            f"  {trial.size_bytes:>9,} bytes  {trial.accuracy:7.2%}  "
            + "; ".join(f"{name} {value}" for name, value in trial.params.items())
            for trial in self.front
        ]
        return "\n".join(lines)
