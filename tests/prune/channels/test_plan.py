from __future__ import annotations

import torch
from torch import nn

from lwlab.prune.channels import plan_channels


class Named(nn.Module):
    """A model with a layer name that is not fit for HTML."""

    def __init__(self):
        super().__init__()
        self.add_module("<b>", nn.Conv2d(1, 4, 1))
        self.bn = nn.BatchNorm2d(4)
        self.fc = nn.Linear(16, 2)

    def forward(self, x):
        return self.fc(self.bn(self.get_submodule("<b>")(x)).flatten(1))


def plan(ratio=0.5):
    return plan_channels(Named(), pruning_ratio=ratio, example_inputs=torch.ones(1, 1, 2, 2))


def test_a_plan_reads_as_a_table():
    assert str(plan()) == (
        "group  removed  cut in outputs  followed by  cut in inputs\n"
        "<b>    2 of 4   <b>             bn           fc\n"
        "parameters: 50 -> 26, 48.0 % fewer\n"
        "not cut in outputs:\n"
        "  fc: its outputs are the model's outputs"
    )


def test_its_html_is_escaped_and_holds_the_same():
    text = plan()._repr_html_()
    assert "<b>" not in text
    assert text.count("&lt;b&gt;") == 2
    for part in ("2 of 4", "parameters: 50 -&gt; 26, 48.0 % fewer", "model&#x27;s outputs"):
        assert part in text
