import base64
import re

import pytest
import torch
from torch import nn

from lwlab import data, measure
from lwlab.labs import PruneLab

LONG = 30


def shown(lab, **changes):
    lab.set(**changes)
    assert lab.wait(LONG)
    assert lab.error is None
    return lab.live.screen.details


def test_classes_and_flips_are_those_of_the_network_on_screen(lab, trained, digits):
    shown(lab, sparsity=0.85, show="classes")
    damage, pruned = lab.result.damage, lab.pruned_model()
    assert list(damage.before) == measure.per_class_accuracy(trained, digits.validation)
    assert list(damage.after) == measure.per_class_accuracy(pruned, digits.validation)
    flips = measure.flipped(trained, pruned, digits.validation)
    assert torch.equal(damage.flips.broken, flips.broken)
    assert torch.equal(damage.flips.repaired, flips.repaired)
    assert torch.equal(damage.answers, measure.predictions(pruned, digits.validation.inputs))


def test_each_view_shows_its_own_and_the_move_follows(lab):
    screens = {view: shown(lab, show=view, sparsity=0.8) for view in ("layers", "classes", "flips")}
    assert len(set(screens.values())) == 3
    assert "Zeros in each layer" in screens["layers"]
    assert "the line is before pruning" in screens["classes"]
    assert "McNemar" in screens["flips"]
    assert shown(lab, sparsity=0.9) != screens["flips"]


def test_a_class_has_its_share_as_a_bar_and_a_line_where_it_was(lab, digits):
    html = shown(lab, sparsity=0.85, show="classes")
    damage = lab.result.damage
    widths = [float(w) for w in re.findall(r'lwlab-part-0" style="width:([\d.]+)%', html)]
    lines = [float(w) for w in re.findall(r"left:calc\(([\d.]+)%", html)]
    assert widths == pytest.approx([100 * a.value for a in damage.after], abs=0.006)
    assert lines == pytest.approx([100 * a.value for a in damage.before], abs=0.006)
    for name, after in zip(digits.class_names, damage.after, strict=True):
        assert f"<th>{name}</th>" in html
        assert f"{100 * after.value:.1f} %" in html


def test_broken_examples_are_pictures_with_class_and_answer(lab, digits):
    html = shown(lab, sparsity=0.85, show="flips")
    flips, answers = lab.result.damage.flips, lab.result.damage.answers
    assert f"<b>{len(flips.broken)}</b> right before pruning and wrong now" in html
    assert f"<b>{len(flips.repaired)}</b> wrong before and right now" in html
    assert f"p = {flips.p_value:.2g}" in html
    pictures = re.findall(r"data:image/png;base64,([\w+/=]+)", html)
    assert len(pictures) == min(12, len(flips.broken)) > 0
    assert all(base64.b64decode(picture).startswith(b"\x89PNG") for picture in pictures)
    first = int(flips.broken[0])
    caption = f"{int(digits.validation.targets[first])} \N{RIGHTWARDS ARROW} {int(answers[first])}"
    assert f"<figcaption>{caption}</figcaption>" in html


def test_nothing_of_it_is_computed_while_the_layers_are_shown(lab, monkeypatch):
    asked = []
    original = measure.predictions
    monkeypatch.setattr(measure, "predictions", lambda *args: asked.append(args) or original(*args))
    shown(lab, sparsity=0.8)
    assert (asked, lab.result.damage) == ([], None)
    shown(lab, show="flips")
    assert len(asked) == 2  # the network before pruning, and the one on screen
    shown(lab, sparsity=0.7)
    assert len(asked) == 3  # the one before is known by now


def test_names_of_strangers_do_not_become_html_and_tables_are_listed():
    inputs = torch.randn(400, 6, generator=torch.Generator().manual_seed(0))
    targets = (inputs[:, 0] > 0).long()
    dataset = data.from_arrays(inputs, targets, class_names=["<b>no</b>", "<i>yes</i>"])
    model = nn.Sequential(nn.Linear(6, 2))
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].weight[1, 0] = 1.0
        model[0].bias.zero_()
    # Beyond the one weight: everything is answered with class 0.
    lab = PruneLab(model, dataset, by="threshold", threshold=1.5)
    for view in ("classes", "flips"):
        html = shown(lab, show=view)
        assert "<b>no" not in html
        assert "<i>yes" not in html
        assert "&lt;b&gt;no&lt;/b&gt;" in html
    first = int(lab.result.damage.flips.broken[0])
    assert f"<li>example {first}: &lt;i&gt;yes&lt;/i&gt; \N{RIGHTWARDS ARROW} &lt;b&gt;no" in html
    assert "<img" not in html


def test_a_long_split_says_that_the_view_is_coming(trained_once, digits):
    many = data.Split(
        digits.validation.inputs.repeat(2, 1, 1, 1), digits.validation.targets.repeat(2)
    )
    dataset = data.Dataset("many", digits.train, many, digits.test, digits.class_names)
    lab = PruneLab(trained_once, dataset, show="classes")
    assert lab.wait(LONG)
    first, whole = list(lab.compute(lab.params))
    assert first.estimate
    assert lab.draw(lab.params, first.result).details == (
        "Shown as soon as the whole validation split is scored."
    )
    assert whole.result.damage.after is not None
