import copy
import random

import pytest
import torch
from torch import nn

from lwlab import data, measure, packing, prune, quantize
from lwlab.journal import Journal
from lwlab.labs.pack import PackLab
from lwlab.labs.pack.bench import Bench
from lwlab.labs.pack.params import LADDER, SLOW, WIDTHS, PackParams
from lwlab.models import ResNet8, SimpleCNN, compressible_layers
from lwlab.units import format_bytes

LONG = 60


def settle(lab, **changes):
    lab.set(**changes)
    assert lab.wait(LONG)
    assert lab.error is None
    return lab.result


def random_settings(count):
    chooser = random.Random(7)
    for _ in range(count):
        yield {
            "sparsity": chooser.choice([0.0, 0.5, 0.9, 0.99]),
            "num_bits": chooser.choice(WIDTHS),
            "codings": tuple(chooser.sample(LADDER, chooser.randint(0, len(LADDER)))),
            "granularity": chooser.choice(["tensor", "channel", "group"]),
            "halved": chooser.choice(["none", "biases", "all"]),
        }


# ---- what is on screen is true -----------------------------------------------------------------


def test_for_15_random_settings_the_result_is_that_of_the_file_loaded_back(lab, digits):
    for setting in random_settings(15):
        result = settle(lab, **setting)
        file = lab.data()
        loaded = SimpleCNN(width=8, hidden=32, seed=99)
        packing.from_bytes_(loaded, file)
        assert result.accuracy == measure.accuracy(loaded, digits.validation)
        assert result.size_bytes == len(file) == sum(result.rungs[result.present].values())
        assert result.loaded.identical
        assert result.loaded.examples == 256


def test_the_network_is_pruned_over_all_layers_and_then_quantized(lab, trained):
    settle(lab, sparsity=0.7, num_bits=3)
    prune.mask_model_(trained, sparsity=0.7, scope="global")
    quantize.prepare_(trained, num_bits=3)
    assert lab.data() == packing.to_bytes(trained)
    layers = zip(compressible_layers(lab.packed_model()), compressible_layers(trained), strict=True)
    assert all(torch.equal(mine.weight, wanted.weight) for mine, wanted in layers)


def test_each_rung_is_the_file_with_the_codings_so_far(lab):
    result = settle(lab, sparsity=0.8, num_bits=4, codings=("scaled", "bitmask", "range"))
    network = lab._bench.shrinker.shrunk(lab.params)
    so_far = [(), ("scaled",), ("scaled", "bitmask"), ("scaled", "bitmask", "range")]
    expected = [len(packing.to_bytes(network, codings=codings)) for codings in so_far]
    shown = [sum(parts.values()) for parts in result.rungs if parts is not None]
    assert shown == expected
    assert [i for i, parts in enumerate(result.rungs) if parts is not None] == [0, 3, 4, 8]
    assert result.present == 8
    assert not result.missing


def test_the_ladder_falls_from_the_dense_file_to_less_than_a_tenth(make):
    lab = make(sparsity=0.8)
    totals = [sum(parts.values()) for parts in lab.result.rungs]
    assert (
        totals[0]
        == lab._bench.dense_bytes
        == len(packing.to_bytes(SimpleCNN(width=8, hidden=32), codings=()))
    )
    assert totals == sorted(totals, reverse=True)
    assert totals[-1] < totals[0] / 10


def test_the_bound_is_that_of_the_numbers_whatever_codings_are_on(lab):
    whole = lab.result
    few = settle(lab, codings=("bitmask",))
    assert few.bound_bytes == whole.bound_bytes == whole.breakdown.bound
    assert few.size_bytes > whole.size_bytes > whole.bound_bytes
    assert f"{round(few.size_bytes - few.bound_bytes):,} bytes over" in lab.live.screen.headline


def test_a_rung_says_its_bytes_or_that_it_is_off(make):
    lab = make(codings=("scaled",))
    [texts] = [t.text for t in lab.live.screen.figures[0].data if "mode" in t and t.mode == "text"]
    sizes = [format_bytes(sum(parts.values())) for parts in lab.result.rungs if parts]
    assert [text.strip() for text in texts] == [
        sizes[0], "off", "off", f"<b>{sizes[1]}</b>", "off", "off", "off", "off", "off"
    ]  # fmt: skip


def test_without_any_coding_the_present_rung_is_the_dense_one(lab):
    result = settle(lab, codings=())
    assert result.present == 0
    assert result.size_bytes == lab._bench.dense_bytes


def test_the_layers_of_the_figure_add_up_to_the_file(lab):
    bars = [trace for trace in lab.live.screen.figures[1].data if trace.type == "bar"]
    assert sum(sum(trace.x) for trace in bars) == lab.result.size_bytes


def test_the_network_itself_is_left_alone(trained, digits):
    before = copy.deepcopy(trained.state_dict())
    lab = PackLab(trained, digits)
    settle(lab, sparsity=0.95, num_bits=1, halved="all")
    after = trained.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert trained.training


def test_a_prepared_and_masked_network_comes_in_with_its_zeros(trained, digits):
    prune.mask_model_(trained, sparsity=0.5, scope="global")
    quantize.prepare_(trained, num_bits=2)
    lab = PackLab(trained, digits, sparsity=0.0, num_bits="float")
    assert lab.wait(LONG)
    zeros = sum(int((layer.weight == 0).sum()) for layer in compressible_layers(lab.packed_model()))
    total = sum(layer.weight.numel() for layer in compressible_layers(trained))
    assert zeros >= total // 2
    assert "unprepare_" in lab.live.screen.code


def test_batchnorm_and_residuals_go_through_the_file(digits):
    lab = PackLab(ResNet8(digits.input_shape, digits.num_classes, width=4), digits, halved="all")
    assert lab.wait(LONG)
    assert lab.error is None
    assert lab.result.loaded.identical


# ---- every control -----------------------------------------------------------------------------

WIRING = [
    ({}, "sparsity", 0.4),
    ({}, "num_bits", 2),
    ({}, "num_bits", "float"),
    ({}, "num_bits", "half"),
    ({}, "num_bits", "codebook"),
    ({}, "codings", ("bitmask",)),
    ({}, "granularity", "tensor"),
    ({"granularity": "group", "group_size": 8}, "group_size", 64),
    ({"num_bits": "codebook"}, "codebook_size", 4),
    ({"halved": "none"}, "halved", "biases"),
    ({"num_bits": "float"}, "halved", "all"),
]


@pytest.mark.parametrize(("start", "control", "value"), WIRING)
def test_each_control_changes_result_figures_headline_table_and_code(make, start, control, value):
    lab = make(**start)
    result, screen = lab.result, lab.live.screen
    lab.controls[control].value = value  # as a browser does
    assert lab.wait(LONG)
    assert lab.error is None
    assert lab.result.size_bytes != result.size_bytes
    for before, after in zip(screen.figures, lab.live.screen.figures, strict=True):
        assert before.to_json() != after.to_json()
    assert lab.live.screen.headline != screen.headline
    assert lab.live.screen.details != screen.details
    assert lab.live.screen.code != screen.code


def test_these_tests_cover_every_control(lab):
    assert set(lab.controls) == {control for _, control, _ in WIRING}


@pytest.mark.parametrize("family", LADDER)
def test_each_box_switches_its_rung_off_and_on_again(make, family):
    lab = make()
    row = 1 + LADDER.index(family)
    box = lab.controls["codings"].boxes[family]
    box.value = False
    assert lab.wait(LONG)
    assert family not in lab.params.codings
    assert lab.result.rungs[row] is None
    assert "codings=" in lab.live.screen.code
    box.value = True
    assert lab.wait(LONG)
    assert lab.result.rungs[row] is not None
    assert lab.params.codings == LADDER


def test_what_does_not_count_for_the_chosen_width_is_out_of_sight(lab):
    size, codebook = lab.controls["group_size"], lab.controls["codebook_size"]
    assert (size.layout.display, codebook.layout.display) == ("none", "none")
    settle(lab, granularity="group")
    assert size.layout.display is None
    settle(lab, num_bits="codebook")
    assert codebook.layout.display is None


def test_containers_are_compared_on_request_alone(lab):
    assert lab.result.containers is None
    lab.containers_button.click()
    assert lab.wait(LONG)
    assert lab.error is None
    rows = lab.result.containers.rows
    assert len(rows) >= 3
    assert min(row.size_bytes for row in rows) == lab.result.size_bytes
    assert all(row.why for row in rows)
    assert "compare_containers" in lab.live.screen.code
    assert "compare_containers" not in settle_code(lab, sparsity=0.3)


def settle_code(lab, **changes):
    settle(lab, **changes)
    return lab.live.screen.code


def test_the_test_split_is_scored_on_request_alone(lab, digits):
    assert lab.result.test_accuracy is None
    lab.test_button.click()
    assert lab.wait(LONG)
    assert lab.result.test_accuracy == measure.accuracy(lab.packed_model(), digits.test)
    assert str(lab.result.test_accuracy) in lab.live.screen.headline
    assert settle(lab, sparsity=0.3).test_accuracy is None


# ---- live ---------------------------------------------------------------------------------------


def test_the_first_part_of_a_move_is_a_true_file_without_the_entropy_coders(trained, digits):
    bench = Bench(trained, digits)
    bench._slow_seconds = 9.0  # as after a slow move
    first, *_, last = bench.parts(PackParams(), lambda: False)
    assert first.estimate == (
        "Written without the entropy coders (Huffman, coded mask, range coder), which follow."
    )
    quick = tuple(name for name in LADDER if name not in SLOW)
    network = bench.shrinker.shrunk(PackParams())
    assert first.result.size_bytes == len(packing.to_bytes(network, codings=quick))
    assert first.result.present == len(quick)
    assert first.result.missing == {i for i in range(9) if i not in (len(quick),)} - {
        i for i, parts in enumerate(first.result.rungs) if parts is not None
    }
    assert first.result.loaded.same_tensors
    assert first.result.accuracy == last.result.accuracy
    assert not last.estimate
    assert not last.result.missing


def test_while_a_slider_is_dragged_nothing_slow_is_written(trained, digits):
    bench = Bench(trained, digits)
    bench._slow_seconds = 9.0
    assert len(list(bench.parts(PackParams(), lambda: True))) == 1
    assert bench.files.known(PackParams().weights, LADDER) is None


def test_a_setting_that_was_there_before_comes_whole_and_at_once(trained, digits):
    bench = Bench(trained, digits)
    *_, whole = bench.parts(PackParams(), lambda: False)
    bench._slow_seconds = 9.0
    [again] = bench.parts(PackParams(), lambda: False)
    assert again.result == whole.result
    assert not again.estimate


# ---- the code -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "setting",
    [
        {},
        {"sparsity": 0.0, "num_bits": "float", "codings": ()},
        {"num_bits": "half", "halved": "biases"},
        {"num_bits": "codebook", "codebook_size": 4, "codings": ("palette", "mask")},
        {"num_bits": 1, "granularity": "group", "group_size": 8, "halved": "all"},
        {"num_bits": 8, "granularity": "tensor"},
    ],
)
def test_the_shown_code_prints_the_bytes_and_the_accuracy(make, run_shown_code, setting):
    lab = make(**setting)
    printed = run_shown_code(lab)
    assert printed[:2] == [f"{lab.result.size_bytes} bytes", str(lab.result.accuracy)]
    assert printed[2:] == str(lab.result.breakdown).splitlines()


def test_the_shown_code_takes_off_what_the_network_brought(trained, digits, run_shown_code):
    quantize.prepare_(trained, num_bits=2)
    lab = PackLab(trained, digits)
    assert lab.wait(LONG)
    assert run_shown_code(lab)[:2] == [f"{lab.result.size_bytes} bytes", str(lab.result.accuracy)]


# ---- bad input ----------------------------------------------------------------------------------


def test_a_model_that_is_none_or_a_field_that_there_is_not_is_one_sentence(trained, digits, says):
    with says(TypeError, "model must be a torch.nn.Module, got str."):
        PackLab("model", digits)
    sentence = (
        "PackLab() knows 'sparsity', 'num_bits', 'codings', 'granularity', 'group_size', "
        "'codebook_size' or 'halved', got 'bits'. Did you mean 'num_bits'?"
    )
    with says(TypeError, sentence):
        PackLab(trained, digits, bits=3)


def test_a_bad_move_leaves_everything_where_it_was(lab):
    screen = lab.live.screen
    with pytest.raises(ValueError, match=r"^num_bits must be"):
        lab.set(num_bits=12)
    assert lab.live.screen is screen
    assert lab.read_controls() == lab.params


def test_a_network_without_layers_is_refused(digits):
    with pytest.raises(ValueError, match="layer"):
        PackLab(nn.Flatten(), digits)


def test_layer_names_of_a_stranger_are_escaped(digits):
    model = nn.Sequential()
    model.add_module("flat", nn.Flatten())
    model.add_module("<b>fc", nn.Linear(64, 10))
    lab = PackLab(model, digits)
    assert lab.wait(LONG)
    assert lab.error is None
    assert "<b>fc" not in lab.live.screen.details
    assert "<b>fc" not in lab.live.screen.figures[1].to_json().replace("\\u003c", "<")


def test_large_validation_splits_come_in_labelled_parts(trained):
    digits = data.load("digits")
    split = data.Split(
        digits.train.inputs.repeat(4, 1, 1, 1)[:3000], digits.train.targets.repeat(4)[:3000]
    )
    large = data.Dataset("large", digits.train, split, digits.test, digits.class_names)
    bench = Bench(trained, large)
    parts = list(bench.parts(PackParams(), lambda: False))
    assert [bool(part.estimate) for part in parts][-1] is False
    assert all(part.estimate.startswith("Estimate from") for part in parts[:-1])
    assert parts[-1].result.accuracy.total == 3000


def test_what_a_button_asked_for_goes_with_a_setting_that_was_given_up(make, monkeypatch, until):
    lab = make()
    lab._bench._slow_seconds = 9.0
    monkeypatch.setattr("lwlab.labs.pack.bench._REST_SECONDS", 30.0)
    lab.request(PackParams(sparsity=0.31), "test")
    until(lab, lambda lab: lab.params.sparsity == 0.31)  # its quick part; the whole waits
    monkeypatch.setattr("lwlab.labs.pack.bench._REST_SECONDS", 0.0)
    assert settle(lab, sparsity=0.32).test_accuracy is None
    assert lab.params.sparsity == 0.32
    assert all(past.test_accuracy is None for _, past in lab.history)


def test_the_try_on_screen_goes_to_the_journal_with_its_file(make, monkeypatch, tmp_path):
    monkeypatch.setenv("LWLAB_JOURNAL", str(tmp_path / "tries.sqlite"))
    lab = make(sparsity=0.77)
    lab._recorder.flush()
    # A lab of an earlier test may still have waited for its second.
    tries = Journal(tmp_path / "tries.sqlite").entries(source="PackLab")
    [entry] = [found for found in tries if found.params["sparsity"] == 0.77]
    assert PackParams(**entry.params) == lab.params
    assert (entry.accuracy, entry.size_bytes) == (lab.result.accuracy.value, len(lab.data()))
    assert Journal(tmp_path / "tries.sqlite").state(entry.id) == lab.data()


def test_a_setting_that_was_there_before_makes_no_network_and_no_file_again(
    trained, digits, monkeypatch
):
    bench = Bench(trained, digits)
    *_, whole = bench.parts(PackParams(), lambda: False)
    monkeypatch.setattr(bench.shrinker, "shrunk", None)
    monkeypatch.setattr(bench.files, "packed", None)
    [again] = bench.parts(PackParams(), lambda: False)
    assert again.result is whole.result
    bench.forget()
    with pytest.raises(TypeError):
        next(bench.parts(PackParams(), lambda: False))
