import dataclasses

import pytest

from lwlab.labs.distill.params import DistillParams


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 8.0},
        {"kind": "dist"},
        {"alpha": 0.5},
        {"control": "shuffled"},
        {"epochs": 3},
        {"learning_rate": 0.01},
    ],
)
def test_seeds_are_counted_together_only_where_students_are_trained_alike(change):
    assert DistillParams(**change).recipe() != DistillParams().recipe()


@pytest.mark.parametrize("change", [{"seed": 3}, {"example": 5}, {"order": "as they come"}])
def test_what_does_not_train_does_not_part_them(change):
    assert DistillParams(**change).recipe() == DistillParams().recipe()


def test_a_loss_without_temperature_counts_seeds_of_all_temperatures_together():
    cold, warm = (DistillParams(kind="mse", temperature=t) for t in (1.0, 9.0))
    assert cold.recipe() == warm.recipe()
    assert not cold.softens


def test_all_fields_are_of_one_of_the_two_kinds():
    trains = {"temperature", "kind", "alpha", "control", "epochs", "learning_rate"}
    seen = {"seed", "example", "order"}
    assert {spec.name for spec in dataclasses.fields(DistillParams)} == trains | seen
