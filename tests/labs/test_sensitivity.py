import copy
import dataclasses
import itertools
import re
import threading

import pytest
import torch
from torch import nn

from lwlab import data, measure, packing, prune
from lwlab.labs.layer_choices import LayerChoices
from lwlab.labs.sensitivity import SensitivityLab
from lwlab.prune.allocation import allocate
from lwlab.prune.sensitivity import SPARSITIES, Sensitivity, scan_sensitivity

LONG = 30
COLUMNS = (0.5, 0.8, 0.95)


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


@pytest.fixture
def lab(trained, digits):
    lab = SensitivityLab(trained, digits, sparsities=COLUMNS)
    assert lab.wait(LONG)
    return lab


def settle(lab, **changes):
    lab.set(**changes)
    assert lab.wait(LONG)
    assert lab.error is None
    return lab.result


def click(lab, **changes):
    """Let a click arrive as if a page had sent it."""
    message = {"kind": "click", "figure": 0, "x": 2, "y": 1, "customdata": None, **changes}
    lab.live._handle_custom_msg(message, [])
    assert lab.wait(LONG)


def test_the_scan_of_the_constructor_is_that_of_scan_sensitivity(lab, trained, digits):
    *_, expected = scan_sensitivity(trained, digits.validation, sparsities=COLUMNS)
    assert lab.result.sensitivity == expected
    assert (expected.done, expected.total) == (12, 12)
    assert lab.choices == dict.fromkeys(expected.layers, 0.0)
    assert lab.result.accuracy == expected.baseline
    assert lab.live.status == {"kind": "fresh", "text": ""}
    assert lab.scan_button.description == "Scan complete"


def test_a_click_prunes_that_layer_and_measures_all_choices_together(lab, trained, digits):
    click(lab, x=2, y=1)
    click(lab, x=1.0, y=2)
    click(lab, x=3, y=2)
    assert lab.error is None
    assert lab.choices == {"conv1": 0.0, "conv2": 0.8, "fc1": 0.95, "fc2": 0.0}
    pruned = copy.deepcopy(trained)
    prune.mask_model_(pruned, sparsity={"conv2": 0.8, "fc1": 0.95})
    assert lab.result.accuracy == measure.accuracy(pruned, digits.validation)
    assert lab.result.size_bytes == measure.packed_bytes(pruned)
    assert lab.result.sparsity == measure.sparsity(pruned)
    click(lab, x=0, y=2)  # the column of 0 takes it back
    assert lab.choices["fc1"] == 0
    assert len(lab.history) == 5


@pytest.mark.parametrize(
    "stray",
    [{"figure": 1}, {"x": 4}, {"x": -1}, {"y": 4}, {"y": "fc1"}, {"kind": "hover"}],
)
def test_a_click_elsewhere_changes_nothing(lab, stray):
    before = lab.live.content
    click(lab, **stray)
    assert lab.live.content == before
    assert lab.error is None


def test_the_file_is_that_of_pruned_model_loaded_back(lab, digits, tmp_path):
    result = settle(lab, choices={"conv2": 0.5, "fc2": 0.8})
    written = packing.save(lab.pruned_model(), tmp_path / "pruned.lwlab")
    loaded = copy.deepcopy(lab.pruned_model())
    for parameter in loaded.parameters():
        parameter.data.zero_()
    packing.load_(loaded, tmp_path / "pruned.lwlab")
    assert result.size_bytes == written == result.breakdown.total
    assert result.accuracy == measure.accuracy(loaded, digits.validation)


def test_the_target_fills_the_choices_as_allocate_does(lab, trained):
    result = settle(lab, target=0.7)
    assert lab.choices == allocate(result.sensitivity, trained, sparsity=0.7)
    assert result.sparsity >= 0.7
    assert lab.controls["choices"].value == lab.choices
    sliders = lab.controls["choices"].sliders
    assert {name: slider.value for name, slider in sliders.items()} == lab.choices
    assert f"sparsity={0.7}) fills the choices" in lab.live.screen.code
    lab.choose("conv1", 0.95)  # and one of them can be changed afterwards
    assert lab.wait(LONG)
    assert lab.choices == {**allocate(result.sensitivity, trained, sparsity=0.7), "conv1": 0.95}


def move_target(lab):
    lab.controls["target"].value = 0.8


def move_slider(lab):
    lab.controls["choices"].sliders["fc1"].value = 0.95


def press_nothing_but_choose(lab):
    lab.choose("conv2", 0.95)


@pytest.mark.parametrize("move", [move_target, move_slider, press_nothing_but_choose])
def test_each_control_changes_the_result_the_figures_and_the_code(lab, move):
    result, screen = lab.result, lab.live.screen
    move(lab)
    assert lab.wait(LONG)
    assert lab.error is None
    assert lab.result.size_bytes != result.size_bytes
    for before, after in zip(screen.figures, lab.live.screen.figures, strict=True):
        assert before.to_json() != after.to_json()
    assert lab.live.screen.headline != screen.headline
    assert lab.live.screen.details != screen.details
    assert lab.live.screen.code != screen.code


def test_this_parametrization_covers_every_control(lab):
    assert set(lab.controls) == {"target", "choices"}


@pytest.fixture
def stepwise(monkeypatch):
    """Let a lab's scan wait before each point until a test lets it pass; the first is free."""
    turns = threading.Semaphore(0)

    def held(*arguments, **settings):
        scan = scan_sensitivity(*arguments, **settings)
        yield next(scan)
        for table in scan:
            assert turns.acquire(timeout=LONG)
            yield table

    monkeypatch.setattr("lwlab.labs.sensitivity.scan_sensitivity", held)
    monkeypatch.setattr("lwlab.labs.sensitivity._SECONDS_BETWEEN_PICTURES", 0)
    return turns


def wait_for(lab, done):
    """Wait until ``done`` points of the scan are on screen."""
    for _ in range(LONG * 100):
        if lab.result.sensitivity.done == done:
            return
        threading.Event().wait(0.01)
    raise AssertionError(f"{lab.result.sensitivity.done} points, not {done}")


def test_the_heatmap_grows_point_by_point_and_the_scan_stops_and_goes_on(stepwise, trained, digits):
    lab = SensitivityLab(trained, digits, sparsities=COLUMNS)
    assert lab.result.sensitivity.done == 0
    stepwise.release(3)
    wait_for(lab, 3)
    assert lab.live.status == {"kind": "estimate", "text": "Scanning: 3 of 12 measured."}
    assert lab.scan_button.description == "Stop the scan"
    assert "3 of 12" not in lab.live.screen.headline
    figure = lab.live.screen.figures[0]
    assert "7 of 16 measured" in figure.layout.meta["summary"]  # with the column of 0
    lab.scan_button.click()
    stepwise.release()  # the point that it is at
    assert lab.wait(LONG)
    assert lab.live.status["kind"] == "fresh"
    assert lab.result.sensitivity.done == 4
    assert lab.scan_button.description == "Go on (4 of 12)"
    lab.choose("fc1", 0.8)  # does not wake the scan
    assert lab.wait(LONG)
    assert lab.result.sensitivity.done == 4
    lab.scan_button.click()
    stepwise.release(8)
    assert lab.wait(LONG)
    assert lab.scan_button.description == "Scan complete"
    *_, expected = scan_sensitivity(trained, digits.validation, sparsities=COLUMNS)
    assert lab.result.sensitivity == expected
    lab.scan_button.click()  # nothing is left to do
    assert lab.wait(LONG)
    assert lab.result.sensitivity == expected


def test_a_choice_while_the_scan_runs_is_answered_and_the_scan_goes_on(stepwise, trained, digits):
    lab = SensitivityLab(trained, digits, sparsities=COLUMNS)
    stepwise.release(2)
    wait_for(lab, 2)
    lab.choose("fc1", 0.95)
    stepwise.release()
    for _ in range(LONG * 100):
        if lab.choices["fc1"] == 0.95:
            break
        threading.Event().wait(0.01)
    assert lab.choices["fc1"] == 0.95
    assert lab.result.sensitivity.done == 3  # the point under way was not lost
    stepwise.release(9)
    assert lab.wait(LONG)
    assert lab.result.sensitivity.done == 12
    assert lab.choices["fc1"] == 0.95


def test_a_scan_that_was_kept_is_not_measured_again(trained, digits):
    *_, whole = scan_sensitivity(trained, digits.validation, sparsities=COLUMNS)
    known = Sensitivity.from_json(whole.to_json())
    lab = SensitivityLab(trained, digits, sparsities=COLUMNS, known=known)
    assert lab.result.sensitivity == whole  # at once
    with says(
        ValueError,
        "known must be of the same sparsities, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, "
        "0.98, got 0.5, 0.8, 0.95. Leave it out to begin anew.",
    ):
        SensitivityLab(trained, digits, known=known)


def test_the_tolerance_skips_what_lies_behind_a_fall(trained, digits):
    lab = SensitivityLab(trained, digits, tolerance=0.05)
    assert lab.wait(LONG)
    table = lab.result.sensitivity
    assert table.sparsities == SPARSITIES
    assert table.done == table.total > table.measured
    assert "tolerance=0.05" in lab.live.screen.code


def test_the_headline_sets_the_sum_of_the_losses_beside_the_loss_of_all(lab):
    assert "click on a cell" in lab.live.screen.headline
    result = settle(lab, choices={"conv2": 0.95, "fc2": 0.8})
    table = result.sensitivity
    drop = table.drop_at("conv2", 0.95) + table.drop_at("fc2", 0.8)
    assert f"{-100 * drop:+.1f} points, the losses of each layer" in lab.live.screen.headline
    part = dataclasses.replace(
        result, sensitivity=Sensitivity.empty(table.baseline, table.layers, table.sparsities)
    )
    assert "not every choice is measured alone" in lab.draw(lab.params, part).headline


def test_a_target_out_of_reach_is_answered_on_screen(stepwise, trained, digits):
    lab = SensitivityLab(trained, digits, sparsities=COLUMNS)
    stepwise.release()
    wait_for(lab, 1)
    lab.stop()
    stepwise.release()  # the point that it is at
    assert lab.wait(LONG)
    before = lab.choices
    lab.set(target=0.9)
    assert str(lab.error) == (
        "sparsity must be at most 0.0161, which the highest measured points make together, "
        "got 0.9. Scan higher sparsities, or with a larger tolerance."
    )
    assert lab.live.status == {"kind": "error", "text": str(lab.error)}
    assert lab.choices == before
    lab.choose("fc1", 0.5)
    assert lab.wait(LONG)
    assert lab.error is None


def test_what_is_no_choice_is_refused_and_nothing_moves(lab):
    before = lab.read_controls()
    with says(
        ValueError,
        "layer must be one of 'conv1', 'conv2', 'fc1' or 'fc2', got 'fc3'. Did you mean 'fc2'?",
    ):
        lab.choose("fc3", 0.5)
    with says(ValueError, "sparsity must be one of 0, 0.5, 0.8, 0.95, got 0.6."):
        lab.set(choices={"conv1": 0.5, "fc1": 0.6})
    with says(ValueError, "target must be a fraction in [0, 1), got 90.0. Did you mean 0.9?"):
        lab.set(target=90)
    with says(
        ValueError,
        "target must be from 0 to 0.95 in this lab, got 0.99. "
        "Give the first value to the lab itself to make its slider reach further.",
    ):
        lab.set(target=0.99)
    assert lab.read_controls() == before


def test_the_shown_code_reproduces_the_state(lab, digits, trained, tmp_path, monkeypatch, capsys):
    result = settle(lab, choices={"conv2": 0.5, "fc1": 0.95})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(prune, "scan_sensitivity", scan_sensitivity, raising=False)
    exec(lab.live.screen.code, {"model": trained, "dataset": digits})
    *table, accuracy, size = capsys.readouterr().out.splitlines()
    assert table == str(result.sensitivity).splitlines()
    assert accuracy == str(result.accuracy)
    assert size == f"{result.size_bytes} bytes"


def test_a_users_own_module_and_tensors():
    inputs = torch.randn(200, 6, generator=torch.Generator().manual_seed(0))
    dataset = data.from_arrays(inputs, (inputs[:, 0] > 0).long(), class_names=["no", "yes"])
    inner = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU())
    model = nn.Sequential(inner, nn.Linear(8, 2))
    lab = SensitivityLab(model, dataset, sparsities=[0.5])
    assert lab.wait(LONG)
    lab.choose("0.0", 0.5)
    assert lab.wait(LONG)
    assert lab.result.zeros == {"0.0": 0.5, "1": 0.0}


def test_the_network_itself_is_left_alone(lab, trained, trained_once):
    settle(lab, target=0.8)
    states = (trained.state_dict(), trained_once.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[1])


def test_a_long_validation_split_is_scored_in_parts(trained, digits):
    many = data.Split(
        digits.validation.inputs.repeat(7, 1, 1, 1), digits.validation.targets.repeat(7)
    )
    dataset = data.Dataset("many", digits.train, many, digits.test, digits.class_names)
    lab = SensitivityLab(trained, dataset, sparsities=[0.5])
    assert lab.wait(LONG)
    parts = list(itertools.islice(lab.compute(lab.params), 3))
    assert [part.result.accuracy.total for part in parts] == [500, 2000, 2100]
    assert parts[0].estimate == (
        "Estimate from 500 of 2,100 validation examples; the rest is being scored."
    )
    assert parts[-1].estimate == ""


def test_a_page_without_a_kernel_gets_a_picture(lab):
    assert "image/png" in lab._repr_mimebundle_()[0]


class Gate:
    answered = False

    def on_answer(self, callback):
        self.open = callback


def test_before_the_prediction_nothing_can_be_moved_or_clicked(trained, digits):
    gate = Gate()
    lab = SensitivityLab(trained, digits, sparsities=COLUMNS, after=gate)
    assert lab.wait(LONG)
    sliders = lab.controls["choices"].sliders.values()
    assert all(widget.disabled for widget in (lab.scan_button, *sliders))
    click(lab)
    assert lab.choices["conv2"] == 0
    gate.open()
    assert not any(widget.disabled for widget in (lab.scan_button, *sliders))
    click(lab)
    assert lab.choices["conv2"] == 0.8


def test_layer_choices_tell_of_many_moves_at_once():
    choices, told = LayerChoices(["a", "b"], [0.0, 0.5]), []
    choices.observe(lambda change: told.append(change.new), names="value")
    choices.value = {"a": 0.5, "b": 0.5}
    choices.sliders["a"].value = 0.0
    assert told == [{"a": 0.5, "b": 0.5}, {"a": 0.0, "b": 0.5}]
