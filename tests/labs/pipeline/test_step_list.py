import pytest

from lwlab.labs.pipeline import StepList
from lwlab.labs.pipeline.forms import entry_of
from lwlab.labs.pipeline.params import FIRST_STEPS, PipelineParams, fault_in
from lwlab.pipeline import FineTune, Pack, Prune, Quantize


@pytest.fixture
def blocks():
    return StepList(FIRST_STEPS)


def test_the_blocks_say_what_each_step_does(blocks):
    assert blocks.texts == [step.describe() for step in FIRST_STEPS]
    assert blocks.steps == [entry_of(step) for step in FIRST_STEPS]
    assert (blocks.fault, blocks.bad) == ("", -1)


def test_what_a_page_sends_becomes_the_value(blocks):
    blocks.steps = [{"step": "Prune", "sparsity": 0.5}, {"step": "Pack"}]
    assert blocks.value == (Prune(0.5), Pack())
    assert blocks.texts[0] == Prune(0.5).describe()


def test_setting_the_value_moves_the_blocks(blocks):
    blocks.selected = 4
    blocks.value = (Quantize(3), Pack())
    assert [step["step"] for step in blocks.steps] == ["Quantize", "Pack"]
    assert blocks.selected == 1


def test_a_senseless_order_says_why_and_which_block_it_is(blocks):
    blocks.steps = [entry_of(step) for step in (Prune(0.5), Pack(), FineTune(1))]
    assert blocks.fault == (
        "steps must be in an order that makes sense, got FineTune (step 3) after Pack (step 2): "
        "Pack writes the file, so it must be the last step."
    )
    assert blocks.bad == 2
    assert blocks.value == (Prune(0.5), Pack(), FineTune(1))  # it can be seen, but not run
    blocks.steps = [entry_of(Prune(0.5)), entry_of(FineTune(1))]
    assert (blocks.fault, blocks.bad) == ("", -1)


def test_a_field_out_of_range_says_so_and_the_value_stays(blocks):
    before = blocks.value
    blocks.steps = [{"step": "Pack"}, {"step": "Prune", "sparsity": 90}]
    assert blocks.fault.startswith("Step 2: sparsity must be a fraction in [0, 1), got 90.")
    assert blocks.bad == 1
    assert blocks.texts == [Pack().describe(), "cannot be made"]
    assert blocks.value == before


@pytest.mark.parametrize(
    "junk", [[None], [7], ["Prune"], [{"step": ["x"]}], [{"step": "Prune", "a": {}}]]
)
def test_junk_from_a_page_is_a_sentence_and_nothing_else(blocks, junk):
    before = blocks.value
    blocks.steps = junk
    assert blocks.fault.startswith("Step 1: ")
    assert blocks.value == before


def test_no_steps_and_too_many_are_said_so(blocks):
    blocks.steps = []
    assert blocks.fault == "steps must be 1 to 100 steps, got 0."
    blocks.steps = [{"step": "Halve"}] * 500
    assert "100" in blocks.fault


def test_its_text_is_fixed(blocks):
    assert repr(blocks) == "StepList(5 steps)"


def test_params_take_steps_and_dicts_in_any_order(says):
    params = PipelineParams(steps=[Pack(), {"step": "Prune", "sparsity": 0.5}])
    assert params.steps == (Pack(), Prune(0.5))
    assert params.fault == fault_in(params.steps)[1] != ""
    with says(TypeError, "steps must be a list of steps, got str."):
        PipelineParams(steps="Pack")
    with says(TypeError, "steps must be a list of steps, got Pack."):
        PipelineParams(steps=Pack())
    with says(ValueError, "seed must be a whole number of at least 0, got -1."):
        PipelineParams(seed=-1)
