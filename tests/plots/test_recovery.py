import re
from types import SimpleNamespace

import plotly.graph_objects as go
import pytest

from lwlab.plots import describe
from lwlab.plots.recovery import recovery_curve
from lwlab.plots.snapshot import snapshot_png


def point(epoch, validation, training=0.5, sparsity=0.9):
    return SimpleNamespace(
        epoch=epoch,
        validation_accuracy=validation,
        training_accuracy=training,
        sparsity=sparsity,
    )


def by_name(figure):
    return {trace.name: (list(trace.x), list(trace.y)) for trace in figure.data}


def test_what_was_measured_is_drawn_over_the_ghosts_of_before_and_after_the_cut():
    points = [point(0.5, None, 0.25), point(1.0, 0.75, 0.5)]
    figure = recovery_curve(points, epochs=4, baseline=0.875, untuned=0.125)
    assert by_name(figure) == {
        "before": ([0, 4], [87.5, 87.5]),
        "after the cut": ([0, 4], [12.5, 12.5]),
        "train": ([0.5, 1.0], [25.0, 50.0]),
        "validation": ([1.0], [75.0]),
    }
    assert describe(figure) == (
        "Accuracy against epoch while fine-tuning; validation: 75.0 %; before pruning 87.5 %, "
        "after the cut 12.5 %."
    )


def test_a_sparsity_that_rises_is_drawn_in_steps():
    points = [point(0, 0.75, None, 0.25), point(1, None, 0.5, 0.25), point(1, 0.5, None, 0.5)]
    figure = recovery_curve(points, epochs=2, baseline=0.9, untuned=0.1)
    drawn = by_name(figure)
    assert drawn["zeros"] == ([0, 1, 1], [25.0, 25.0, 50.0])
    assert drawn["train"] == ([1], [50.0])
    flat = recovery_curve([point(1, 0.5)], epochs=2, baseline=0.9, untuned=0.1)
    assert flat.layout.height == figure.layout.height


def test_before_the_first_point_the_ghosts_are_there_already():
    figure = recovery_curve([], epochs=2, baseline=0.9, untuned=0.1)
    assert set(by_name(figure)) == {"before", "after the cut"}
    assert "validation: not scored yet" in describe(figure)


def test_plotly_knows_every_property_and_the_still_picture_can_be_drawn():
    points = [point(0, 0.75, None, 0.25), point(1, 0.5, 0.5, 0.5)]
    figure = recovery_curve(points, epochs=2, baseline=0.9, untuned=0.1)
    go.Figure(figure.to_dict())
    assert snapshot_png([figure]).startswith(b"\x89PNG")


def test_what_is_out_of_range_is_refused():
    sentence = "untuned must be a fraction in [0, 1], got 12.0. Did you mean 0.12?"
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        recovery_curve([], epochs=1, baseline=0.9, untuned=12)
