import math

import pytest

from lwlab.plots import describe, training_curves


def lines(figure):
    return {trace.name: (list(trace.x), list(trace.y)) for trace in figure.data}


def test_two_figures_with_the_numbers_of_the_records(record):
    loss, accuracy = training_curves([record(10, 2.0, 0.3), record(20, 1.0, 0.5, 0.6)])
    assert lines(loss) == {"loss": ([10, 20], [2.0, 1.0])}
    assert lines(accuracy) == {"train": ([10, 20], [30.0, 50.0]), "validation": ([20], [60.0])}
    assert describe(loss) == "Training loss against step: the newest 1."
    assert describe(accuracy) == "Accuracy against step; validation: 60.0 %."


def test_the_axis_ends_where_the_training_will(record):
    for figure in training_curves([record(10)]):
        assert figure.layout.xaxis.range == (0, 100)
    for figure in training_curves([record(10)], total_steps=40):
        assert figure.layout.xaxis.range == (0, 40)


def test_before_the_first_step_there_are_axes_and_a_sentence():
    loss, accuracy = training_curves([], total_steps=7)
    assert not loss.data
    assert not accuracy.data
    assert loss.layout.xaxis.range == (0, 7)
    assert describe(loss) == "Training loss against step: none yet."
    assert describe(accuracy) == "Accuracy against step; validation: not scored yet."


def test_an_earlier_training_is_a_pale_dotted_line_behind(record):
    ghost = [record(10, 4.0, 0.1, 0.2), record(20, 3.0, 0.2)]
    loss, accuracy = training_curves([record(10, 2.0, 0.3, 0.4)], ghost=ghost)
    assert lines(loss)["before"] == ([10, 20], [4.0, 3.0])
    assert lines(accuracy)["before"] == ([10], [20.0])
    assert [figure.data[0].line.dash for figure in (loss, accuracy)] == ["dot", "dot"]
    assert loss.layout.yaxis.range == (0, pytest.approx(4.2))


def test_several_earlier_trainings_have_names_and_lines_of_their_own(record):
    ghosts = {
        "a <b>bold</b> one": [record(10, 4.0, 0.1, 0.25)],
        "before": [record(20, 3.0, 0.2, 0.3)],
        "none": [],
    }
    loss, accuracy = training_curves([record(10, 2.0, 0.3, 0.4)], ghost=ghosts)
    safe = "a &lt;b&gt;bold&lt;/b&gt; one"
    assert list(lines(loss)) == [safe, "before", "loss"]
    assert lines(accuracy)[safe] == ([10], [25.0])
    assert len({trace.line.dash for trace in loss.data}) == 3
    assert "<b>" not in loss.data[0].hovertemplate
    assert describe(accuracy) == (
        "Accuracy against step; validation: 40.0 %. a <b>bold</b> one: 25.0 %."
    )


def test_a_loss_that_is_not_finite_leaves_the_axis_where_it_was(record):
    loss, _ = training_curves([record(1, 2.0), record(2, math.inf), record(3, math.nan)])
    assert loss.layout.yaxis.range == (0, pytest.approx(2.1))


@pytest.mark.parametrize(
    ("count", "stride"), [(400, 1), (401, 2), (800, 2), (801, 3), (12_345, 31)]
)
def test_long_curves_are_thinned_and_keep_the_last_point(record, count, stride):
    loss, _ = training_curves([record(n) for n in range(1, count + 1)])
    steps = lines(loss)["loss"][0]
    assert steps[:2] == [1, 1 + stride]
    assert steps[-1] == count
    assert len(steps) <= 401
    assert steps == sorted(set(steps))
