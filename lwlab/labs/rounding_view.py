"""How RoundingLab looks: its controls, its tables and lines, its sums, the code it shows."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import ipywidgets as widgets
from plotly.graph_objects import Figure
from torch import Tensor

from lwlab import plots
from lwlab.labs.live_plot import Screen
from lwlab.units import format_bytes

if TYPE_CHECKING:
    from lwlab.labs.rounding import RoundingParams, RoundingResult

__all__ = ["controls", "draw", "rows"]

_WIDE = {"style": {"description_width": "initial"}}


def controls(
    params: RoundingParams, layers: list[str], sharing: list[str]
) -> dict[str, widgets.ValueWidget]:
    """Return the widgets of RoundingLab by the field of ``RoundingParams`` each one sets."""
    made = {
        "num_bits": widgets.IntSlider(params.num_bits, 2, 8, description="Bits", **_WIDE),
        "sharing": widgets.Dropdown(
            options=sharing, value=params.sharing, description="One scale for", **_WIDE
        ),
        "symmetric": widgets.Checkbox(params.symmetric, description="Symmetric", indent=False),
        "clip": widgets.FloatSlider(
            params.clip,
            min=min(0.1, params.clip),
            max=1.0,
            step=0.01,
            description="Span of the grid",
            readout_format=".0%",
            layout={"width": "360px"},
            **_WIDE,
        ),
        "outlier": widgets.FloatSlider(
            params.outlier,
            min=1,
            max=20,
            step=0.5,
            description="Largest number times",
            layout={"width": "380px"},
            **_WIDE,
        ),
    }
    if layers != [""]:
        made["layer"] = widgets.Dropdown(
            options=layers, value=params.layer, description="Layer", **_WIDE
        )
    return made


def rows(parts: dict[str, widgets.ValueWidget]) -> list[widgets.Widget]:
    """Return three controls in a row, and what widens or narrows the range in a fold."""
    wrap = {"flex_flow": "row wrap"}
    shown = [parts[name] for name in ("num_bits", "sharing", "symmetric")]
    folded = [parts[name] for name in ("clip", "outlier", "layer") if name in parts]
    fold = widgets.Accordion([widgets.HBox(folded, layout=wrap)], titles=("More settings",))
    return [widgets.HBox(shown, layout=wrap), fold]


def draw(params: RoundingParams, result: RoundingResult) -> Screen:
    """Return the screen of ``result``: numbers, codes, errors, and the lines of the grids."""
    hovers = _hovers(result)
    limit = float(result.values.abs().max())
    largest_error = float(result.error.abs().max())
    codes = _texts(result.quantized.codes, "d")
    figures = (
        _table("The numbers", result.values, _texts(result.values, ".2f"), hovers, limit),
        _table("Their codes", result.rounded, codes, hovers, limit),
        _lines(result),
        _table(
            "The errors: after minus before",
            result.error,
            _texts(result.error, "+.2f"),
            hovers,
            largest_error,
        ),
    )
    return Screen(figures, _headline(result), code=_code(params, result))


def _table(
    title: str, values: Tensor, texts: list[list[str]], hovers: list[list[str]], limit: float
) -> Figure:
    height, width = values.shape
    summary = f"{title}: a table of {height} rows of {width}, from {values.min():.3g} to "
    summary += f"{values.max():.3g}."
    return plots.number_table(
        values.tolist(), texts, hovers, title=title, limit=limit, summary=summary
    )


def _lines(result: RoundingResult) -> Figure:
    quantized, height = result.quantized, len(result.values)
    grids = _grids(result)
    grids = grids if len(grids) == height else grids * height
    step = float(quantized.scale.max())
    return plots.grid_lines(
        result.values.tolist(),
        result.rounded.tolist(),
        grids,
        title="Where each number goes, row by row",
        summary=f"Each number moves to the nearest place; the widest step is {step:.3g}.",
    )


def _grids(result: RoundingResult) -> list[list[float]]:
    """Return the places of the grid for each scale, but the lowest one if nothing can reach it."""
    quantized = result.quantized
    lowest = int(quantized.codes.min()) if quantized.symmetric else quantized.quant_min
    first = min(lowest, -quantized.quant_max) if quantized.symmetric else lowest
    return [
        [(code - zero) * scale for code in range(first, quantized.quant_max + 1)]
        for scale, zero in zip(quantized.scale.tolist(), quantized.zero_point.tolist(), strict=True)
    ]


def _texts(table: Tensor, form: str) -> list[list[str]]:
    return [[format(value, form) for value in row] for row in table.tolist()]


def _hovers(result: RoundingResult) -> list[list[str]]:
    quantized, shape = result.quantized, result.values.shape
    spread = quantized.granularity.spread
    scales = spread(quantized.scale, shape).expand(shape).tolist()
    zeros = spread(quantized.zero_point, shape).expand(shape).tolist()
    tables = (result.values, quantized.codes, result.rounded, result.error)
    texts = []
    for row in zip(*(table.tolist() for table in tables), scales, zeros, strict=True):
        texts.append([_hover(*cell) for cell in zip(*row, strict=True)])
    return texts


def _hover(
    value: float, code: int, rounded: float, error: float, scale: float, zero_point: int
) -> str:
    return (
        f"number {value:.5g}<br>code {code}<br>back ({code} - {zero_point}) x {scale:.5g} = "
        f"{rounded:.5g}<br>error {error:+.3g}<br>scale {scale:.5g}, zero point {zero_point}"
    )


def _headline(result: RoundingResult) -> str:
    quantized, count = result.quantized, result.values.numel()
    code_bytes = -(-count * quantized.num_bits // 8)
    scales = quantized.scale.numel()
    used = quantized.codes.unique().numel()
    cells = {
        "as float32": format_bytes(4 * count),
        "codes + scales": f"{code_bytes} + {format_bytes(4 * scales)}",
        "codes used": f"{used} of {2**quantized.num_bits}",
        "mean squared error": f"{result.mean_squared_error:.3g}",
    }
    row = "".join(
        f"<th>{escape(name)}</th><td><strong>{escape(text)}</strong></td>"
        for name, text in cells.items()
    )
    return f"<table><tr>{row}</tr></table>"


def _code(params: RoundingParams, result: RoundingResult) -> str:
    height, width = result.values.shape
    granularity = "PerChannel()" if params.sharing == "a row" else "PerTensor()"
    source = "values.reshape(-1, values.shape[-1])"
    if params.layer:
        module = "model" if params.layer == "model" else f"model.get_submodule({params.layer!r})"
        source = f"{module}.weight.detach().flatten(1)"
    lines = [
        "from lwlab import quantize",
        "",
        f"table = {source}[:{height}, :{width}].clone()",
    ]
    if params.outlier != 1:
        lines.append(f"table.view(-1)[table.abs().argmax()] *= {params.outlier:g}")
    clip = "" if params.clip == 1 else f"{params.clip:g} * "
    lines += [
        f"grid = quantize.Grid({params.num_bits}, symmetric={params.symmetric})",
        f"rows = quantize.{granularity}.rows(table)",
        f"low, high = {clip}rows.amin(dim=1), {clip}rows.amax(dim=1)",
        "scale, zero_point = quantize.choose_qparams(low, high, grid)",
        "codes = quantize.quantize(rows, scale[:, None], zero_point[:, None],",
        "                          quant_min=grid.quant_min, quant_max=grid.quant_max)",
        "back = quantize.dequantize(codes, scale[:, None], zero_point[:, None])",
        "back = back.reshape(table.shape)",
    ]
    return "\n".join(lines)
