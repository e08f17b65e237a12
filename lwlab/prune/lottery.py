"""Lottery tickets: a small part of a network that could have been trained alone, from the start.

    train the network, prune the smallest of its trained weights, take the rest back to their
    *initial* values; repeat

The mask and the initial weights under it are the ticket. Trained again, a winning ticket is as
accurate as the dense network, or more. The control is the same mask on a fresh initialization: it
tells whether the mask alone, or the mask together with *these* initial weights, is what counts.

    initial = copied_state(model)
    for record in find_ticket(model, dataset, rounds=9, epochs=10): ...
    control = reinitialized(model, seed=1)
    rewind_(model, initial)

Source: Frankle & Carbin 2019, "The Lottery Ticket Hypothesis", arXiv:1803.03635.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from lwlab.checks import check_choice, check_count, check_fraction
from lwlab.data import Dataset
from lwlab.models.layers import seeded
from lwlab.prune.further import prunable, prune_further_, pruned_share
from lwlab.prune.masking import apply_masks_, bake_, current_masks
from lwlab.prune.rewinding import check_masked, check_state, copied_state, rewind_
from lwlab.prune.targets import Target
from lwlab.train import Record, fit

__all__ = ["TicketRecord", "find_ticket", "reinitialized", "remaining_after", "reset_layers_"]


@dataclass(frozen=True)
class TicketRecord:
    """The state of a search for a ticket at one moment.

    Attributes:
        round_number: the round under way, from 0, the dense one; ``rounds``: the last one.
        weights_left: kept fraction of the weights of all layers that are pruned, as counted.
        training: ``fit``'s record of this round.
    """

    round_number: int
    rounds: int
    weights_left: float
    training: Record

    @property
    def round_ends(self) -> bool:
        """Whether this is the last record of its round: the model is trained."""
        return self.training.step == self.training.total_steps


def remaining_after(rounds: int, rate: float = 0.2) -> float:
    """Return ``(1 - rate)^rounds``: what is left after cutting ``rate`` of the rest each round.

    >>> round(remaining_after(7), 4)
    0.2097

    Args:
        rounds: at least 0.
        rate: fraction in [0, 1) of the remaining weights.

    Raises:
        TypeError, ValueError: an argument is out of range.
    """
    return (1 - check_fraction("rate", rate)) ** check_count("rounds", rounds, minimum=0)


def find_ticket(
    model: nn.Module,
    dataset: Dataset,
    *,
    rounds: int,
    rate: float | Mapping[str, float] = 0.2,
    scope: str = "layer",
    layers: Iterable[str] | None = None,
    seed: int = 0,
    **training: Any,
) -> Iterator[TicketRecord]:
    """Find a winning ticket in ``model``, in place, by iterative magnitude pruning with rewinding.

    Round 0 trains the model as it is. Each later round prunes the smallest ``rate`` of the weights
    that are left, rewinds the rest to the values that ``model`` has at the call, and trains again.
    A model that has trained for a little while is thus rewound to that moment ("late rewinding",
    Frankle et al. 2019, arXiv:1903.01611, which deep networks need).

    A record comes with each of ``fit``'s; at ``record.round_ends`` the network of a round is
    trained. At the end, or after a ``break``, ``rewind_`` gives the ticket itself.

    Args:
        model: with its initial weights, on which all depends.
        dataset: as for ``fit``.
        rounds: how often to prune.
        rate: fraction in [0, 1) of the remaining weights to prune in a round; a dict gives each
            layer its own. The paper takes 0.2, and 0.1 for the output layer.
        scope: with one ``rate``: ``"layer"`` prunes it in each layer, ``"global"`` over all.
        layers: names of the layers to prune; None takes all convolutions and linear layers.
        seed: round r trains with the seed ``1000 * seed + r``.
        training: goes to ``fit``: ``epochs``, ``learning_rate``, ``batch_size``, ``schedule``, ...

    Returns:
        A generator; nothing is changed before the first record is asked for.

    Raises:
        TypeError, ValueError: at the call, as for ``fit`` and ``mask_model_``.
        TrainingDivergedError: while running, as from ``fit``.
    """
    rounds = check_count("rounds", rounds)
    seed = check_count("seed", seed, minimum=0)
    targets = prunable(model, rate, layers, "rate")
    check_choice("scope", scope, ("layer", "global"))
    for name, value in rate.items() if isinstance(rate, Mapping) else [("", rate)]:
        check_fraction(f"rate of layer {name!r}" if name else "rate", value)
    fit(model, dataset, seed=seed, **training)  # Never started: it checks its arguments.
    plan = [_sparsity_after(number, targets, rate, scope) for number in range(1, rounds + 1)]
    initial = copied_state(model)
    check_state(model, initial)
    return _search(model, dataset, targets, plan, initial, seed, training)


def _sparsity_after(
    rounds: int, targets: dict[str, Target], rate: float | Mapping[str, float], scope: str
) -> float | dict[str, float]:
    """Return the sparsity after so many rounds more, by layer or over all."""
    if scope == "global" and not isinstance(rate, Mapping):
        return 1 - (1 - pruned_share(targets.values())) * remaining_after(rounds, rate)
    rates = rate if isinstance(rate, Mapping) else dict.fromkeys(targets, rate)
    return {
        name: 1 - (1 - pruned_share([target])) * remaining_after(rounds, rates[name])
        for name, target in targets.items()
    }


def _search(
    model: nn.Module,
    dataset: Dataset,
    targets: dict[str, Target],
    plan: list[float | dict[str, float]],
    initial: dict[str, Tensor],
    seed: int,
    training: dict[str, Any],
) -> Iterator[TicketRecord]:
    """Train; then cut, rewind and train, round after round of ``plan``."""
    for number, sparsity in enumerate([None, *plan]):
        if sparsity is not None:
            chosen = None if isinstance(sparsity, dict) else list(targets)
            prune_further_(model, sparsity=sparsity, layers=chosen)
            rewind_(model, initial)
        left = 1 - pruned_share(targets.values())
        for record in fit(model, dataset, seed=1000 * seed + number, **training):
            yield TicketRecord(number, len(plan), left, record)


def reinitialized(
    model: nn.Module, *, seed: int, initialize: Callable[[nn.Module], None] | None = None
) -> nn.Module:
    """Return a copy of ``model`` with the same masks on fresh initial weights: the control.

    Args:
        model: with masks on it; left as it is.
        seed: of the initialization.
        initialize: ``plain model -> None``, draws new weights in place; None calls
            ``reset_layers_``.

    Raises:
        TypeError, ValueError: the model is no module or has no masks, or as from ``reset_layers_``.
    """
    check_masked(model, "be reinitialized")
    twin = copy.deepcopy(model)
    bake_(twin)
    with seeded(seed):
        (initialize or reset_layers_)(twin)
    apply_masks_(twin, current_masks(model))
    return twin


def reset_layers_(model: nn.Module) -> None:
    """Draw new initial weights: call ``reset_parameters`` of each layer that has parameters.

    Draws from torch's global stream; ``models.layers.seeded(seed)`` gives it a seed.

    Raises:
        TypeError: a layer with parameters of its own has no ``reset_parameters``. The model is as
            it was.
    """
    owners = {n or "model": m for n, m in model.named_modules() if [*m.parameters(recurse=False)]}
    for name, module in owners.items():
        if not callable(getattr(module, "reset_parameters", None)):
            raise TypeError(
                f"layer {name!r} must have a reset_parameters method to be drawn anew, got "
                f"{type(module).__name__} without one. Pass initialize=... to reinitialized."
            )
    for module in owners.values():
        module.reset_parameters()
