"""The controls of PackLab: three in sight, the rest in a fold."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets

from lwlab.labs.controls import WIDE, WRAP, in_sight, labelled, slider, toggles
from lwlab.labs.pack.choices import CodingChoices
from lwlab.labs.pack.params import CODEBOOK, FLOAT, HALF, WIDTHS, PackParams, Width

__all__ = ["Buttons", "controls", "rows", "width_text"]

_GROUP_SIZES = (4, 8, 16, 32, 64, 128)
_CODEBOOK_SIZES = (2, 4, 8, 16, 32, 64, 128, 256)
_HIGHEST_SPARSITY = 0.99


class Buttons:
    """What takes long, or is asked once."""

    def __init__(self) -> None:
        self.containers = widgets.Button(
            description="Compare containers",
            tooltip="The same network as torch.save, gzip and npz write it",
            layout={"width": "160px"},
        )
        self.test = widgets.Button(
            description="Score on test",
            tooltip="Once, when all choices are made",
            layout={"width": "120px"},
        )


def width_text(width: Width) -> str:
    """Return how a width is called: ``4 bits``, ``float``."""
    if not isinstance(width, int):
        return width
    return "1 bit" if width == 1 else f"{width} bits"


def controls(params: PackParams) -> dict[str, Any]:
    """Return the widgets of PackLab by the field of ``PackParams`` each one sets."""
    return {
        "sparsity": slider(
            "Sparsity", params.sparsity, _HIGHEST_SPARSITY, step=0.01, shown_as=".0%"
        ),
        "num_bits": widgets.SelectionSlider(
            options=[(width_text(width), width) for width in WIDTHS],
            value=params.num_bits,
            description="Weights",
            layout={"width": "360px"},
            **WIDE,
        ),
        "codings": CodingChoices(params.codings),
        "granularity": toggles(
            params.granularity,
            tensor=("global", "one scale for all weights of a layer"),
            channel=("channel", "local: a scale for each output channel"),
            group=("group", "local: a scale for each group of weights in a channel"),
        ),
        "group_size": _menu("of at most", params.group_size, _GROUP_SIZES),
        "codebook_size": _menu("Values in a codebook", params.codebook_size, _CODEBOOK_SIZES),
        "halved": widgets.Dropdown(
            options=[("in float", "none"), ("biases in half", "biases"), ("all in half", "all")],
            value=params.halved,
            description="Other numbers",
            tooltip="Biases and BatchNorm: rounded to half precision, or left as they are",
            layout={"width": "250px"},
            **WIDE,
        ),
    }


def _menu(name: str, value: int, sizes: tuple[int, ...]) -> widgets.Dropdown:
    return widgets.Dropdown(
        options=sorted({*sizes, value}),
        value=value,
        description=name,
        layout={"width": "230px" if len(name) > 12 else "150px"},
        **WIDE,
    )


def rows(parts: dict[str, Any], buttons: Buttons) -> list[widgets.Widget]:
    """Return the rows of controls; the fold shows only what counts for the chosen width."""
    scales = widgets.HBox(
        [labelled("Scales", parts["granularity"]), parts["group_size"]], layout=WRAP
    )
    codebook = parts["codebook_size"]

    def update(*_: object) -> None:
        width = parts["num_bits"].value
        in_sight(scales, width not in (FLOAT, HALF, CODEBOOK))
        in_sight(codebook, width == CODEBOOK)
        in_sight(parts["group_size"], parts["granularity"].value == "group")

    for name in ("num_bits", "granularity"):
        parts[name].observe(update, names="value")
    update()
    more = widgets.HBox([scales, codebook, parts["halved"]], layout=WRAP)
    actions = widgets.HBox([buttons.containers, buttons.test])
    return [
        widgets.HBox([parts["sparsity"], parts["num_bits"]], layout=WRAP),
        parts["codings"],
        widgets.Accordion([widgets.VBox([more, actions])], titles=("More",)),
    ]
