import asyncio
import copy
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from lwlab import measure, packing, prune
from lwlab.journal import Entry, Journal, model_fingerprint, pareto_front
from lwlab.labs.live_plot import Click
from lwlab.labs.pipeline import PipelineLab
from lwlab.pipeline import (
    Distil,
    FineTune,
    Pack,
    Prune,
    Quantize,
    RemoveChannels,
    Train,
    recipe_from_json,
    run_all,
)

LONG = 60


def finish(lab):
    lab.run_button.click()
    assert lab.wait(LONG)
    assert lab.error is None
    return lab.result.run


def done(lab):
    """Await ``lab.done()`` in a thread of its own: a browser test may have left a loop in ours."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(lab.done())).result(LONG)


def figures(lab):
    return [figure.to_json() for figure in lab.live.screen.figures]


def click(lab, entry):
    """What a page sends when a try is clicked."""
    lab._clicked(Click(1, entry.size_bytes, entry.accuracy, entry.key))
    assert lab.wait(LONG)
    assert lab.error is None


# ---- a run --------------------------------------------------------------------------------------


def test_a_run_is_that_of_the_pipeline_step_by_step(make, trained, digits, short):
    run = finish(make())
    wanted = run_all(trained, digits, short)
    assert run.state == "finished"
    assert [r.data for r in run.records] == [r.data for r in wanted.records]
    assert [r.scorecard for r in run.records] == [r.scorecard for r in wanted.records]


def test_the_model_itself_is_left_alone(make, trained):
    before = copy.deepcopy(trained.state_dict())
    finish(make())
    after = trained.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert trained.training


def test_each_finished_step_is_a_bar_and_a_point_and_a_row(make, short):
    lab = make()
    waiting = figures(lab)
    run = finish(lab)
    ladder, front = lab.live.screen.figures
    sizes = [sum(t.x[i] for t in ladder.data if t.type == "bar") for i in range(len(short) + 1)]
    assert sizes[1:] == [record.scorecard.size_bytes for record in run.records]
    [path] = [t for t in front.data if t.name == "this run"]
    assert list(path.x) == sizes[1:]
    assert list(path.y) == [100 * record.scorecard.accuracy.value for record in run.records]
    assert all(record.step.describe() in lab.live.screen.details for record in run.records)
    assert all(a != b for a, b in zip(waiting, figures(lab), strict=True))


def test_before_a_run_the_bars_are_to_come(make):
    [ladder, _] = make().live.screen.figures
    [texts] = [t.text for t in ladder.data if t.type == "scatter"]
    assert [text.strip() for text in texts[1:]] == ["to come"] * 4


def test_progress_is_shown_while_a_step_trains(make, until):
    lab = make(steps=[Prune(0.5), FineTune(5000)])
    lab.start()
    until(lab, lambda lab: "trained" in figures(lab)[0])
    assert lab.live.status["kind"] == "estimate"
    assert lab.live.status["text"].startswith("Step 2 of 2, FineTune: epoch ")
    assert (lab.pause_button.disabled, lab.stop_button.disabled) == (False, False)
    lab.stop()
    assert lab.wait(LONG)


def test_stop_ends_it_and_keeps_what_has_ended(make, until):
    lab = make(steps=[Prune(0.5), FineTune(5000), Pack()])
    lab.start()
    until(lab, lambda lab: lab.result.run is not None and lab.result.run.progress is not None)
    lab.stop_button.click()
    assert lab.wait(LONG)
    run = lab.result.run
    assert (run.state, len(run.records)) == ("stopped", 1)
    assert [entry.note for entry in lab.tries] == [Prune(0.5).describe()]
    assert lab.stop_button.disabled
    lab.stop()  # what is over stays over
    lab.pause()
    assert lab.result.run.state == "stopped"


def test_pause_holds_and_go_on_ends_with_the_same_bytes(make, until, trained, digits):
    steps = [Prune(0.5), FineTune(12), Pack()]
    lab = make(steps=steps)
    lab.start()
    until(lab, lambda lab: lab.result.run is not None and lab.result.run.progress is not None)
    lab.pause_button.click()
    assert lab.wait(LONG)
    assert lab.result.run.state == "paused"
    assert lab.live.status["text"] == "Paused in step 2 of 3, FineTune."
    assert lab.pause_button.description == "Go on"
    lab.pause_button.click()
    assert lab.wait(LONG)
    assert lab.result.run.state == "finished"
    assert lab.result.run.records[-1].data == run_all(trained, digits, steps).data


def test_moving_blocks_during_a_run_does_not_disturb_it(make, until, trained, digits):
    steps = [Prune(0.5), FineTune(12), Pack()]
    lab = make(steps=steps)
    lab.start()
    until(lab, lambda lab: lab.result.run is not None and lab.result.run.progress is not None)
    lab.set_steps([Quantize(2)])
    assert lab.wait(LONG)
    run = lab.result.run
    assert run.records[-1].data == run_all(trained, digits, steps).data
    assert "the blocks are another pipeline by now" in lab.live.screen.headline
    assert "Quantize(num_bits=2)" in lab.live.screen.code


def test_run_works_in_the_calling_thread_to_the_same_result(make):
    by_button, by_run = make(), make()
    records = finish(by_button).records
    assert [r.data for r in by_run.run().records] == [r.data for r in records]


def test_done_starts_what_nobody_started_and_does_not_run_again(make):
    lab = make()
    run = done(lab)
    assert run.state == "finished"
    assert done(lab).records == run.records


def test_a_teacher_is_learned_from(make, trained_once):
    steps = [Distil(1)]
    alone = finish(make(steps=steps)).records[-1]
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    taught = finish(make(steps=steps, teacher=teacher))
    assert taught.records[-1].data != alone.data


def test_what_stops_a_run_is_shown_and_raised(make):
    lab = make(steps=[Prune(0.5), FineTune(1, learning_rate=1e30)])
    lab.start()
    assert lab.wait(LONG)
    assert lab.error is not None
    assert lab.live.status["kind"] == "error"
    with pytest.raises(type(lab.error)):
        done(lab)


# ---- the blocks ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("control", "value"), [("steps", (Prune(0.3), RemoveChannels(0.5), Pack())), ("seed", 4)]
)
def test_each_control_changes_the_code_and_the_next_run(make, control, value):
    lab = make()
    first, code, drawn = finish(lab), lab.live.screen.code, figures(lab)
    lab.controls[control].value = value  # as a browser does
    assert lab.wait(LONG)
    assert lab.live.screen.code != code
    assert "another pipeline by now" in lab.live.screen.headline
    second = finish(lab)
    assert second.records[-1].data != first.records[-1].data
    assert all(a != b for a, b in zip(drawn, figures(lab), strict=True))


def test_these_tests_cover_every_control(make):
    assert set(make().controls) == {"steps", "seed"}


def test_a_senseless_order_disables_run_and_says_why_until_it_is_mended(make, says):
    lab = make()
    lab.set_steps([Quantize(4), Prune(0.5)])
    assert lab.wait(LONG)
    assert lab.run_button.disabled
    fault = lab.controls["steps"].fault
    assert fault.startswith("steps must be in an order that makes sense, got Prune (step 2) after")
    assert f"# not to be run: {fault}" in lab.live.screen.code
    with says(ValueError, fault):
        lab.start()
    with says(ValueError, fault):
        lab.recipe()
    assert lab.result.run is None
    lab.set_steps([Prune(0.5), Quantize(4)])
    assert lab.wait(LONG)
    assert not lab.run_button.disabled
    assert finish(lab).state == "finished"


def test_a_field_that_a_page_sends_out_of_range_disables_run(make):
    lab = make()
    lab.controls["steps"].steps = [{"step": "Prune", "sparsity": 7}]
    assert lab.run_button.disabled
    lab.controls["steps"].steps = [{"step": "Prune", "sparsity": 0.7}]
    assert lab.wait(LONG)
    assert not lab.run_button.disabled
    assert lab.params.steps == (Prune(0.7),)


def test_the_recipe_is_what_is_in_the_blocks(make, short):
    recipe = recipe_from_json(make(seed=3).recipe())
    assert (recipe.steps, recipe.seed) == (short, 3)


def test_the_shown_code_ends_with_the_same_file_and_recipe(make, trained, digits, capsys):
    lab = make(steps=[Prune(0.7, scope="layer"), FineTune(1), Quantize({"fc1": 2}), Pack()], seed=2)
    run = finish(lab)
    capsys.readouterr()
    exec(lab.live.screen.code, {"model": trained, "dataset": digits})
    printed = capsys.readouterr().out.splitlines()
    assert printed[-2] == f"{len(run.records[-1].data)} bytes"
    assert printed[-1] == lab.recipe()


# ---- the journal --------------------------------------------------------------------------------


def test_each_finished_step_is_in_the_journal_with_recipe_file_and_origin(
    make, journal, trained, short
):
    run = finish(make(seed=5))
    entries = journal.entries(source="PipelineLab")
    assert len(entries) == len(short)
    for number, (entry, record) in enumerate(zip(entries, run.records, strict=True), start=1):
        assert entry.accuracy == record.scorecard.accuracy.value
        assert entry.size_bytes == len(record.data)
        assert (entry.seed, entry.note) == (5, record.step.describe())
        assert (entry.model, entry.dataset) == (model_fingerprint(trained), "digits")
        recipe = recipe_from_json(entry.recipe)
        assert (recipe.steps, recipe.seed) == (short[:number], 5)
        assert journal.state(entry.id) == record.data


def test_the_front_on_screen_is_that_of_the_journal(make, journal):
    lab = make()
    finish(lab)
    lab.set_steps([Prune(0.95), Pack()])
    finish(lab)
    assert [e.key for e in lab.result.front] == [e.key for e in journal.front()]
    assert {e.key for e in lab.result.front} == {e.key for e in pareto_front(lab.tries)}
    [line] = [t for t in lab.live.screen.figures[1].data if t.name == "the front"]
    assert list(line.customdata) == [entry.key for entry in journal.front()]


def test_a_new_lab_shows_the_tries_of_before_as_ghosts(make):
    finish(make())
    lab = make()
    [ghosts] = [t for t in lab.live.screen.figures[1].data if t.name == "tries"]
    assert len(ghosts.x) == 4
    assert "4 tries with this model" in lab.live.screen.headline


def test_a_click_on_a_try_brings_back_steps_seed_and_network(make, digits, short):
    lab = make(seed=6)
    run = finish(lab)
    lab.set(steps=(Quantize(2),), seed=0)
    assert lab.wait(LONG)
    drawn = figures(lab)
    entry = lab.tries[2]
    click(lab, entry)
    assert lab.controls["steps"].value == lab.params.steps == short[:3]
    assert lab.controls["seed"].value == 6
    assert lab.chosen == lab.result.chosen == entry
    assert "its steps are in the blocks" in lab.live.screen.headline
    assert figures(lab)[1] != drawn[1]
    network = lab.model_of(entry)
    assert measure.accuracy(network, digits.validation) == run.records[2].scorecard.accuracy
    again = packing.to_bytes(network)
    assert all(
        torch.equal(a, b)
        for a, b in zip(network.state_dict().values(), lab.model_of(entry).state_dict().values(),
                        strict=True)
    )  # fmt: skip
    assert again == packing.to_bytes(lab.model_of(entry))


def test_a_run_brought_back_in_a_new_lab_runs_to_the_same_file(make):
    first = finish(make(seed=2)).records[-1].data
    lab = make(steps=[Quantize(2)])
    click(lab, lab.tries[-1])
    assert finish(lab).records[-1].data == first


def test_a_network_with_fewer_channels_comes_back(make):
    lab = make(steps=[RemoveChannels(0.5), Pack()])
    finish(lab)
    assert lab.model_of(lab.tries[-1]).conv1.out_channels == 4


def test_a_try_of_another_lab_is_shown_by_its_parameters(make, journal, trained, says):
    fields = {"model": model_fingerprint(trained), "dataset": "digits"}
    journal.add(Entry("PruneLab", {"sparsity": "<b>"}, 0.9, 900, note="<i>by hand", **fields))
    lab = make()
    before = lab.params
    click(lab, lab.tries[0])
    assert lab.params == before
    assert "PruneLab, &lt;i&gt;by hand" in lab.live.screen.headline
    assert "&lt;b&gt;" in lab.live.screen.headline
    sentence = (
        "a try must have its file in the journal, got one of PruneLab without. "
        "Make it again by its parameters: {'sparsity': '<b>'}."
    )
    with says(ValueError, sentence):
        lab.model_of(lab.tries[0])


def test_tries_with_another_model_are_not_shown(make, journal):
    journal.add(Entry("PruneLab", {}, 0.9, 900, model="other", dataset="digits"))
    assert make().tries == ()


def test_clicks_elsewhere_and_on_what_is_no_try_do_nothing(make):
    lab = make()
    finish(lab)
    screen = lab.live.screen
    for place in (Click(0, 1, 1, lab.tries[0].key), Click(1, 1, 1, ""), Click(1, 1, 1, None)):
        lab._clicked(place)
    assert lab.chosen is None
    assert lab.live.screen is screen


def test_without_a_journal_the_lab_keeps_its_own_tries(make):
    lab = make(journal=None)  # LWLAB_JOURNAL is off in tests
    finish(lab)
    assert len(lab.tries) == 4
    click(lab, lab.tries[0])
    assert lab.model_of(lab.chosen) is not None


def test_a_journal_that_breaks_is_said_so_and_the_run_goes_on(make, journal):
    lab = make()
    journal.path.write_bytes(b"no journal at all, and long enough to be read as one" * 40)
    run = finish(lab)
    assert run.state == "finished"
    assert len(lab.tries) == 4
    assert "must be a journal of lwlab" in lab.live.screen.headline


def test_a_journal_that_cannot_be_written_is_said_so_and_no_try_is_lost(make, monkeypatch):
    def full(*_):
        raise OSError("the disk is full")

    lab = make()
    monkeypatch.setattr(Journal, "add", full)
    assert finish(lab).state == "finished"
    assert "OSError: the disk is full" in lab.live.screen.headline
    assert len(lab.tries) == 4
    assert lab.model_of(lab.tries[-1]) is not None


# ---- bad input ----------------------------------------------------------------------------------


def test_bad_arguments_are_one_sentence(trained, digits, says):
    with says(TypeError, "journal must be a Journal, got str."):
        PipelineLab(trained, digits, journal="tries.sqlite")
    with says(
        TypeError, "PipelineLab() knows 'steps' or 'seed', got 'step'. Did you mean 'steps'?"
    ):
        PipelineLab(trained, digits, step=[])
    with says(TypeError, "model must be a torch.nn.Module, got int."):
        PipelineLab(3, digits)


def test_a_model_with_masks_is_refused_at_once(trained, digits):
    prune.mask_model_(trained, sparsity=0.5)
    with pytest.raises(ValueError, match=r"^model must be plain"):
        PipelineLab(trained, digits)


def test_a_bad_move_leaves_everything_where_it_was(make, says):
    lab = make()
    screen = lab.live.screen
    with pytest.raises(ValueError, match=r"^a step must be one of"):
        lab.set_steps([{"step": "Shrink"}])
    assert lab.live.screen is screen
    assert lab.read_controls() == lab.params


def test_a_float_model_can_be_trained_by_the_first_step(make):
    run = finish(make(steps=[Train(1), Prune(0.5), Pack()]))
    assert len(run.records) == 3


def test_what_a_lab_keeps_of_its_history_is_light(make):
    lab = make()
    finish(lab)
    assert all(result.run is None for _, result in lab.history)
    assert json.dumps(lab.tries[0].params)
    assert isinstance(lab._bench.tries._journal, Journal)
