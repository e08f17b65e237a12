import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lwlab.pipeline import (
    STEPS,
    Distil,
    FineTune,
    Halve,
    Pack,
    Prune,
    Quantize,
    RemoveChannels,
    ShareWeights,
    StepRecord,
    Train,
    TrainQuantized,
    check_order,
    run,
)
from lwlab.pipeline.order import RULES

ONE_OF_EACH = {
    "Train": Train(epochs=1),
    "Distil": Distil(epochs=1),
    "Prune": Prune(0.5),
    "RemoveChannels": RemoveChannels(0.25),
    "FineTune": FineTune(epochs=1),
    "Quantize": Quantize(4),
    "TrainQuantized": TrainQuantized(epochs=1),
    "ShareWeights": ShareWeights(4),
    "Halve": Halve("all"),
    "Pack": Pack(),
}


def refused(steps, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        check_order(steps)


def test_every_step_has_a_rule_and_every_rule_speaks_of_steps():
    assert set(RULES) == set(STEPS) == set(ONE_OF_EACH)
    for rule in RULES.values():
        assert {*rule.needs, *rule.not_after} <= set(STEPS)
        assert bool(rule.needs) == bool(rule.because)


@pytest.mark.parametrize(
    "steps",
    [
        [Distil(), Prune(0.9), FineTune(), Quantize(4)],
        [Prune(0.9), RemoveChannels(0.5), Quantize(4), TrainQuantized(), Pack()],
        [RemoveChannels(0.5), Prune(0.5), FineTune(), Prune(0.9), FineTune(), ShareWeights(16)],
        [Train(), Prune(pattern="2:4"), FineTune(), Quantize("ternary"), TrainQuantized(), Pack()],
        [Prune(0.9), FineTune(), ShareWeights(16), FineTune(), Halve("all"), Pack()],
        [Quantize(8), TrainQuantized(), Quantize(4), TrainQuantized()],
        [Pack()],
        [Halve("biases"), Halve("batchnorm"), Quantize(4)],
    ],
)
def test_sensible_orders_pass(steps):
    assert check_order(steps) == tuple(steps)


ORDER = "steps must be in an order that makes sense, got "


@pytest.mark.parametrize(
    ("steps", "rest"),
    [
        (
            [Prune(0.5), Train()],
            (
                "Train (step 2) after Prune (step 1): Train is for the float model; to train on "
                "after a cut there is FineTune."
            ),
        ),
        (
            [Quantize(4), FineTune()],
            (
                "FineTune (step 2) after Quantize (step 1): the weights behind a grid must be "
                "trained through the rounding. Try TrainQuantized."
            ),
        ),
        (
            [Quantize(4), Pack(), Halve()],
            (
                "Halve (step 3) after Pack (step 2): Pack writes the file, so it must be the last "
                "step."
            ),
        ),
        (
            [Quantize(4), Distil()],
            (
                "Distil (step 2) after Quantize (step 1): the weights behind a grid must be "
                "trained through the rounding. Try TrainQuantized with distil=True."
            ),
        ),
        (
            [Quantize(4), RemoveChannels()],
            (
                "RemoveChannels (step 2) after Quantize (step 1): a cut looks at the float "
                "weights, and the grid or table was made for those it leaves."
            ),
        ),
        (
            [ShareWeights(4), Quantize(4)],
            (
                "Quantize (step 2) after ShareWeights (step 1): a weight can be on a grid or in a "
                "table of values, not in both."
            ),
        ),
        (
            [ShareWeights(4), ShareWeights(4)],
            (
                "ShareWeights (step 2) after ShareWeights (step 1): the new table would be made "
                "from the weights of before, and the training of the first lost."
            ),
        ),
        (
            [Prune(0.5), Halve(), FineTune()],
            (
                "FineTune (step 3) after Halve (step 2): training would move the halved numbers "
                "off half precision again."
            ),
        ),
        (
            [FineTune()],
            (
                "FineTune (step 1) without Prune or RemoveChannels or ShareWeights before it: "
                "there is nothing to mend yet. Try Train."
            ),
        ),
        (
            [Prune(0.5), TrainQuantized()],
            (
                "TrainQuantized (step 2) without Quantize before it: there is no rounding to train "
                "through. Try FineTune, or Train."
            ),
        ),
        (
            [Prune(0.9), FineTune(), Prune(0.5)],
            (
                "Prune (step 3) after Prune (step 1): what is pruned stays pruned, so a sparsity "
                "of 0.5 after 0.9 would cut nothing."
            ),
        ),
    ],
)
def test_senseless_orders_are_refused_with_the_reason(steps, rest):
    refused(steps, ORDER + rest)


def test_what_is_no_list_of_steps_is_refused():
    with pytest.raises(TypeError, match=re.escape("steps must be a list of steps, got Prune.")):
        check_order(Prune(0.5))
    with pytest.raises(
        TypeError,
        match=re.escape(
            "step 2 must be a step such as Prune(0.9), got the class Pack. Did you mean Pack()?"
        ),
    ):
        check_order([Prune(0.5), Pack])
    refused([], "steps must be 1 to 100 steps, got 0.")
    refused([Quantize(4)] * 101, "steps must be 1 to 100 steps, got 101.")


@settings(
    max_examples=80,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(names=st.lists(st.sampled_from(sorted(ONE_OF_EACH)), min_size=1, max_size=6))
def test_each_order_runs_or_names_the_two_steps_and_the_reason(names, network, small):
    steps = [ONE_OF_EACH[name] for name in names]
    try:
        check_order(steps)
    except ValueError as error:
        pattern = (
            r".* got (\w+) \(step \d\) (after (\w+) \(step \d\)|without .* before it): .{20,}\."
        )
        found = re.fullmatch(pattern, str(error))
        assert found is not None
        assert {found[1], found[3] or found[1]} <= set(names)
        return
    records = [r for r in run(network, small, steps) if isinstance(r, StepRecord)]
    assert [record.step for record in records] == steps
