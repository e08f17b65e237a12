import base64
import copy
import random
import re

import pytest
import torch
from torch import nn

from lwlab import data, measure, packing, prune
from lwlab.labs import PruneLab
from lwlab.labs.prune.criteria import CRITERIA
from lwlab.models import SimpleCNN

LONG = 30


def settle(lab, **changes):
    lab.set(**changes)
    assert lab.wait(LONG)
    assert lab.error is None
    return lab.result


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def random_settings(count):
    chooser = random.Random(5)
    for _ in range(count):
        by = chooser.choice(["sparsity", "threshold", "deviations"])
        yield {
            "by": by,
            "sparsity": round(chooser.uniform(0, 0.99), 3),
            "threshold": round(chooser.uniform(0, 0.3), 3),
            "deviations": round(chooser.uniform(0, 2.5), 2),
            "scope": chooser.choice(["global", "layer"]),
        }


def test_for_20_random_settings_the_result_is_that_of_the_file_loaded_back(lab, digits, tmp_path):
    seen = set()
    for setting in random_settings(20):
        result = settle(lab, **setting)
        path = tmp_path / "pruned.lwlab"
        written = packing.save(lab.pruned_model(), path)
        loaded = SimpleCNN(width=8, hidden=32, seed=99)
        packing.load_(loaded, path)
        assert result.accuracy == measure.accuracy(loaded, digits.validation)
        assert result.size_bytes == written == path.stat().st_size
        seen.add(result.size_bytes)
    assert len(seen) == 20


def test_the_constructor_shows_a_first_result_at_the_given_setting(trained, digits):
    lab = PruneLab(trained, digits, sparsity=0.7, scope="layer")
    assert (lab.params.sparsity, lab.params.scope) == (0.7, "layer")
    assert lab.result.sparsity == pytest.approx(0.7, abs=0.001)
    assert lab.controls["sparsity"].value == 0.7


def test_the_network_itself_is_left_alone(trained, digits):
    before = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    lab = PruneLab(trained, digits)
    settle(lab, sparsity=0.9)
    after = trained.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_sparsity_is_exact_and_the_file_shrinks_with_it(lab):
    sizes = []
    for sparsity in (0.2, 0.5, 0.8, 0.95):
        result = settle(lab, sparsity=sparsity)
        kept = sum(int(mask.sum()) for mask in result.masks.values())
        total = sum(mask.numel() for mask in result.masks.values())
        assert total - kept == round(sparsity * total)
        assert result.breakdown.total == result.size_bytes
        sizes.append(result.size_bytes)
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize(
    ("start", "control", "value"),
    [
        ({}, "sparsity", 0.9),
        ({"sparsity": 0.85}, "scope", "layer"),
        ({"threshold": 0.2}, "by", "threshold"),
        ({"by": "threshold"}, "threshold", 0.15),
        ({"by": "deviations"}, "deviations", 1.2),
        ({"by": "n_of_m"}, "pattern", "1:4"),
        ({"sparsity": 0.85}, "criterion", "taylor"),
        ({}, "layer_sparsities", {"conv1": 0.0, "conv2": 0.6, "fc1": 0.9, "fc2": 0.0}),
    ],
)
def test_each_control_changes_the_result_the_figures_and_the_code(
    trained, digits, start, control, value
):
    lab = PruneLab(trained, digits, **start)
    assert lab.wait(LONG)
    result, screen = lab.result, lab.live.screen
    lab.controls[control].value = value  # as a browser does
    assert lab.wait(LONG)
    assert lab.error is None
    assert any(not torch.equal(mask, lab.result.masks[name]) for name, mask in result.masks.items())
    for before, after in zip(screen.figures, lab.live.screen.figures, strict=True):
        assert before.to_json() != after.to_json()
    assert lab.live.screen.headline != screen.headline
    assert lab.live.screen.details != screen.details
    assert lab.live.screen.code != screen.code


def test_these_tests_cover_every_control(lab):
    cut = {"by", "sparsity", "threshold", "deviations", "scope", "pattern", "criterion"}
    elsewhere = {
        "layer_sparsities": "test_desk",
        "budget": "test_desk",
        "epochs": "test_tuning",
        "learning_rate": "test_tuning",
        "schedule": "test_tuning",
        "show": "test_damage",
    }
    assert set(lab.controls) == cut | set(elsewhere)


def test_only_what_counts_for_the_chosen_way_is_in_sight(lab):
    names = ("sparsity", "threshold", "deviations", "pattern", "criterion")
    folds = lab.children[2]
    scope = folds.children[0].children[0]

    def shown():
        assert lab.controls["scope"] in scope.children
        widgets = {**{name: lab.controls[name] for name in names}, "scope": scope}
        return {name for name, widget in widgets.items() if widget.layout.display != "none"}

    assert shown() == {"sparsity", "criterion", "scope"}
    settle(lab, by="deviations")
    assert shown() == {"deviations"}
    assert "A threshold looks at |weight| itself" in lab.live.screen.headline
    settle(lab, by="n_of_m")
    assert shown() == {"pattern", "criterion"}
    assert folds.selected_index is None
    settle(lab, by="layers")
    assert shown() == {"criterion"}
    assert folds.selected_index == 1


def test_test_is_scored_by_its_button_only_and_the_next_move_takes_it_away(lab, digits):
    assert lab.result.test_accuracy is None
    settle(lab, sparsity=0.8)
    assert "on test" not in lab.live.screen.headline
    lab.test_button.click()
    assert lab.wait(LONG)
    assert lab.result.test_accuracy == measure.accuracy(lab.pruned_model(), digits.test)
    assert "on test" in lab.live.screen.headline
    assert len(lab.history) == 2  # the test's figure was added to a try, it is not another one
    assert settle(lab, sparsity=0.81).test_accuracy is None


def test_a_long_validation_split_arrives_in_parts_with_a_label(trained_once, digits):
    many = data.Split(
        digits.validation.inputs.repeat(7, 1, 1, 1), digits.validation.targets.repeat(7)
    )
    dataset = data.Dataset("many", digits.train, many, digits.test, digits.class_names)
    lab = PruneLab(trained_once, dataset)
    assert lab.wait(LONG)
    parts = list(lab.compute(lab.params))
    assert [part.result.accuracy.total for part in parts] == [500, 2000, 2100]
    assert parts[0].estimate == (
        "Estimate from 500 of 2,100 validation examples; the rest is being scored."
    )
    assert parts[-1].estimate == ""
    assert lab.live.status["kind"] == "fresh"
    assert len(lab.history) == 1  # an estimate is no try


@pytest.mark.parametrize(
    "setting",
    [
        {"sparsity": 0.85, "scope": "layer"},
        {"by": "threshold", "threshold": 0.1},
        {"by": "n_of_m", "pattern": "1:4"},
        {"by": "n_of_m", "criterion": "taylor"},
        {"layer_sparsities": {"conv2": 0.5, "fc1": 0.9}, "criterion": "snip"},
        {"by": "layers"},
        *({"sparsity": 0.6, "criterion": name} for name in CRITERIA),
    ],
    ids=str,
)
def test_the_shown_code_reproduces_the_state(lab, run_shown_code, setting):
    result = settle(lab, **setting)
    *_, accuracy, size = run_shown_code(lab)
    assert accuracy == str(result.accuracy)
    assert size == f"{result.size_bytes} bytes"


@pytest.mark.parametrize("name", CRITERIA)
def test_each_criterion_prunes_as_the_function_of_its_name_says(lab, trained, digits, name):
    examples, layers = digits.train.take(500), ["conv1", "conv2", "fc1"]
    importance = {
        "magnitude": lambda: prune.magnitude,
        "random": lambda: prune.RandomImportance(seed=0),
        "taylor": lambda: prune.taylor_importance(trained, examples),
        "snip": lambda: prune.snip_importance(trained, examples),
        "obd": lambda: prune.obd_saliency(trained, digits.train.take(100)),
        "activation_entropy": lambda: prune.spread_channels(
            prune.activation_entropy(trained, examples, layers=layers), trained
        ),
        "weight_entropy": lambda: prune.spread_channels(
            {n: prune.weight_entropy(trained.get_submodule(n).weight) for n in layers}, trained
        ),
    }[name]()
    channels = name.endswith("_entropy")
    wanted = prune.choose_masks(
        trained, sparsity=0.7, importance=importance, layers=layers if channels else None
    )
    result = settle(lab, criterion=name, sparsity=0.7)
    for layer, mask in wanted.items():
        assert torch.equal(result.masks[layer], mask)
    if channels:
        assert result.masks["fc2"].all()
        assert "The last layer, fc2, is left out" in lab.live.screen.headline
    assert lab.controls["criterion"].label in [c.label for c in CRITERIA.values()]


def test_what_needs_data_is_computed_once(lab, monkeypatch):
    calls = []
    original = prune.taylor_importance
    monkeypatch.setattr(
        prune, "taylor_importance", lambda *args: calls.append(args) or original(*args)
    )
    settle(lab, criterion="taylor")
    settle(lab, sparsity=0.7)
    settle(lab, criterion="magnitude")
    settle(lab, criterion="taylor", scope="layer")
    assert len(calls) == 1


def test_n_of_m_is_exact_in_each_group_and_goes_by_the_criterion(lab, trained, digits):
    result = settle(lab, by="n_of_m", pattern="1:4", criterion="taylor")
    scores = prune.taylor_importance(trained, digits.train.take(500))
    for name, mask in result.masks.items():
        assert torch.equal(mask, prune.n_of_m_mask(scores[name], 1, 4))
    assert result.masks["conv1"].all()  # a single input channel has no neighbours
    assert "Of every 4 neighbouring input channels 1 stay" in lab.live.screen.headline


def test_what_a_combination_does_not_allow_is_one_sentence(lab):
    sentence = (
        "criterion must score single weights where N of M are kept, got 'weight_entropy', which "
        "scores whole channels. Try 'magnitude'."
    )
    with says(ValueError, sentence):
        lab.set(by="n_of_m", criterion="weight_entropy")
    settle(lab, criterion="weight_entropy")
    lab.controls["by"].value = "n_of_m"  # as a browser does
    assert str(lab.error) == sentence
    assert lab.live.status == {"kind": "error", "text": sentence}
    lab.controls["criterion"].value = "random"
    assert lab.wait(LONG)
    assert (lab.error, lab.params.by) == (None, "n_of_m")


def test_an_entropy_of_a_network_of_one_layer_is_refused():
    inputs = torch.randn(200, 6, generator=torch.Generator().manual_seed(0))
    dataset = data.from_arrays(inputs, (inputs[:, 0] > 0).long(), class_names=["no", "yes"])
    lab = PruneLab(nn.Sequential(nn.Linear(6, 2)), dataset)
    lab.set(criterion="weight_entropy")
    assert lab.wait(LONG)
    assert str(lab.error) == (
        "criterion must be one of single weights for a network of one layer, got "
        "'weight_entropy', which leaves the last layer out. Try 'magnitude'."
    )


def test_a_misspelt_first_value_is_refused(trained, digits):
    with pytest.raises(TypeError, match=r"got 'sparsty'\. Did you mean 'sparsity'\?$"):
        PruneLab(trained, digits, sparsty=0.5)


def test_a_users_own_module_and_tensors():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(200, 6, generator=generator)
    dataset = data.from_arrays(inputs, (inputs[:, 0] > 0).long(), class_names=["<b>no</b>", "yes"])
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
    lab = PruneLab(model, dataset, sparsity=0.25)
    assert lab.wait(LONG)
    assert lab.result.accuracy.total == len(dataset.validation)
    assert set(lab.result.masks) == {"0", "3"}


def test_a_network_without_prunable_layers_is_refused_with_a_sentence(digits):
    model = nn.Sequential(nn.Flatten(), nn.LayerNorm(64))
    with pytest.raises(ValueError, match=r"convolution|Linear|linear"):
        PruneLab(model, digits)


def test_settings_out_of_range_are_refused(trained, digits, lab):
    with says(ValueError, "sparsity must be a fraction in [0, 1), got 30.0. Did you mean 0.3?"):
        PruneLab(trained, digits, sparsity=30)
    with says(ValueError, "sparsity must be a fraction in [0, 1), got 30.0. Did you mean 0.3?"):
        lab.set(sparsity=30)
    assert lab.controls["sparsity"].value == 0.5


def test_a_value_beyond_the_slider_is_refused_and_a_first_value_stretches_it(trained, digits, lab):
    sentence = (
        "sparsity must be from 0 to 0.995 in this lab, got 0.999. "
        "Give the first value to the lab itself to make its slider reach further."
    )
    with says(ValueError, sentence):
        lab.set(sparsity=0.999)
    assert PruneLab(trained, digits, sparsity=0.999).params.sparsity == 0.999


def test_scoring_on_test_shows_that_it_is_being_done(lab):
    kinds = []
    lab.live.observe(lambda change: kinds.append(change["new"]["kind"]), names="status")
    lab.score_on_test()
    assert lab.wait(LONG)
    assert "working" in kinds
    assert lab.live.status["kind"] == "fresh"


def test_the_lab_brings_a_picture_for_pages_without_a_kernel(lab):
    data = lab._repr_mimebundle_()[0]
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert "application/vnd.jupyter.widget-view+json" in data


def test_a_setting_that_kills_every_weight_is_shown_as_what_it_is(lab, digits):
    result = settle(lab, by="threshold", threshold=lab.controls["threshold"].max)
    assert result.sparsity > 0.99
    assert result.accuracy.value < 0.4


def test_the_pruned_model_is_plain_and_independent_of_the_lab(lab):
    settle(lab, sparsity=0.6)
    model = lab.pruned_model()
    assert prune.current_masks(model) == {}
    assert measure.sparsity(model) == pytest.approx(0.6, abs=0.001)
    with torch.no_grad():
        model.fc1.weight.zero_()
    assert measure.sparsity(lab.pruned_model()) == pytest.approx(0.6, abs=0.001)
    copy.deepcopy(model)
