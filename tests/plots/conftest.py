"""What the tests of the plots share: every figure we make, and errors by their whole sentence."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
import torch

from lwlab import plots
from lwlab.plots.heatmap import sensitivity_heatmap
from lwlab.plots.soft_answers import class_similarity_map, soft_answer_bars
from lwlab.plots.students import student_curves, students_against_size


@pytest.fixture(scope="session")
def says():
    """Expect an error by its whole sentence."""
    return lambda error, sentence: pytest.raises(error, match=f"^{re.escape(sentence)}$")


@pytest.fixture(scope="session")
def record():
    """Make a record of a training, at a step of 100."""

    def make(step, loss=1.0, training=0.5, validation=None):
        fields = {"loss": loss, "training_accuracy": training, "validation_accuracy": validation}
        return SimpleNamespace(step=step, total_steps=100, **fields)

    return make


@pytest.fixture(scope="session")
def score():
    """Make what ``lwlab.measure.Accuracy`` looks like, give or take 10 points."""

    def make(value, total=50):
        low, high = max(0.0, value - 0.1), min(1.0, value + 0.1)
        return SimpleNamespace(value=value, low=low, high=high, total=total)

    return make


@pytest.fixture
def every_figure(record, score):
    """One figure of each kind, by name."""
    weights = torch.linspace(-1, 1, 101)
    now, before = (plots.TradeoffPoint(n, 0.9, 0.8, 0.95, s) for n, s in (("a", 500), ("b", 900)))
    records = [record(10, 2.0, 0.3, 0.2), record(20, 1.0, 0.5, 0.6)]
    loss, accuracy = plots.training_curves(records, ghost=records[:1])
    parts = {"producers": ["conv1"], "followers": [], "consumers": ["fc1"]}
    group = SimpleNamespace(name="conv1", channels=4, kept=[0, 1], **parts)
    row = SimpleNamespace(criterion="norm", seed=0, as_cut=0.3, recovered=0.8)
    parts_of_file = {"values": 300, "header": 40}
    rung, point = plots.Rung("+ <b>", parts_of_file), plots.FrontPoint("$a$ <b>", 0.9, 500)
    return {
        "histogram": plots.weight_histogram(weights, threshold=0.3),
        "tradeoff": plots.accuracy_against_size([now], baseline=before, current=now),
        "loss": loss,
        "accuracy": accuracy,
        "classes": plots.per_class_bars(
            [score(0.5), None], class_names=["$cat$", "<b>dog"], baseline=[score(0.7), score(0.6)]
        ),
        "layers": plots.layer_bars(["conv1", "fc1"], [0.1, 0.9], [288, 1280]),
        "heatmap": sensitivity_heatmap(["fc1"], [0.5, 0.9], [[score(0.9), None]]),
        "sparsity": plots.accuracy_against_sparsity({"L1": [(0.5, score(0.9))]}),
        "criteria": plots.criteria_strip([row], criteria=["norm"], baseline=0.9),
        "soft answer": soft_answer_bars(
            [0.7, 0.3], class_names=["$cat$", "<b>dog"], temperature=4, label=1
        ),
        "similarity": class_similarity_map(
            [[0.7, 0.3], None], class_names=["$cat$", "<b>dog"], temperature=4
        ),
        "students": student_curves({"alone": records, "distilled": records}, teacher=0.9),
        "students against size": students_against_size({"alone": now}, teacher=before),
        "groups": plots.channel_groups(["conv1", "fc1"], [group]),
        "ladder": plots.byte_ladder([rung], bound_bytes=250.0, present=0, longest=900),
        "file by layer": plots.layer_bytes([plots.LayerBytes("conv1", parts_of_file, "scaled")]),
        "front": plots.pareto_front_plot([point], [point], run=[point], baseline=point),
        "sizes": plots.size_bars({"values": 300, "header": 40}, baseline_bytes=900),
    }
