"""The lines of Python that reproduce what QuantizeLab shows."""

from __future__ import annotations

from lwlab.labs.quantize.bench import CALIBRATION_EXAMPLES
from lwlab.labs.quantize.layers import STOCHASTIC_SEED
from lwlab.labs.quantize.params import FLOAT, QuantizeParams, Width
from lwlab.labs.quantize.settings import RULES_BY_NAME, LayerSetting
from lwlab.quantize import PerGroup, PerTensor

__all__ = ["code"]

Settings = dict[str, LayerSetting]


def code(
    params: QuantizeParams, settings: Settings, *, model_name: str, came_prepared: bool
) -> str:
    """Return the code of a state: quantize, measure, save.

    Args:
        params: what is on screen.
        settings: how each layer is quantized by its name.
        model_name: class of the network.
        came_prepared: whether the network brought quantizers of its own, which are taken off.
    """
    quantized = {name: s for name, s in settings.items() if s.width != FLOAT}
    lines = ["import copy", "", "from lwlab import measure, packing, quantize"]
    if came_prepared:
        lines += ["", "model = copy.deepcopy(model)", "quantize.unprepare_(model)"]
    lines += ["", f"quantized = copy.deepcopy(model)  # your trained {model_name}"]
    for names in _alike(quantized):
        lines += _prepare(names, settings)
    lines += _by_chance([name for name, s in quantized.items() if s.rounding == "stochastic"])
    if (bits := params.activations) != FLOAT:
        lines += [
            f"calibration = dataset.train.take({CALIBRATION_EXAMPLES})",
            f"quantized = quantize.prepare_activations(quantized, calibration, num_bits={bits})",
        ]
    lines.append("print(measure.accuracy(quantized, dataset.validation))")
    lines.append('print(packing.save(quantized, "quantized.lwlab"), "bytes")')
    return "\n".join(lines)


def _alike(settings: Settings) -> list[list[str]]:
    """Return the names of layers that one call prepares: the same but for their widths."""
    groups: dict[tuple, list[str]] = {}
    for name, s in settings.items():
        # Without a range any rule will do: such a layer goes with the first others of its scales.
        key = (s.granularity, s.symmetric, s.rule, s.percent, s.clip)
        groups.setdefault(key, []).append(name)
    return list(groups.values())


def _prepare(names: list[str], settings: Settings) -> list[str]:
    first = settings[names[0]]
    widths: dict[str, Width] = {name: settings[name].width for name in names}
    bits, layers = repr(widths), ""
    if len(set(widths.values())) == 1:
        bits = repr(first.width)
        layers = "" if len(names) == len(settings) else f", layers={names!r}"
    rule = RULES_BY_NAME[first.rule].code(first.percent, first.clip) if first.rule else ""
    return [
        "quantize.prepare_(",
        f"    quantized, num_bits={bits}{layers},",
        f"    granularity={_granularity(first)}, symmetric={first.symmetric},",
        *([f"    range_rule={rule},"] if rule else []),
        ")",
    ]


def _granularity(setting: LayerSetting) -> str:
    granularity = setting.granularity
    if isinstance(granularity, PerTensor):
        return "quantize.PerTensor()"
    if isinstance(granularity, PerGroup):
        return f"quantize.PerGroup({granularity.size})"
    return "quantize.PerChannel()"


def _by_chance(names: list[str]) -> list[str]:
    """Return the code that rounds layers by chance, on the grids that they have by then."""
    if not names:
        return []
    return [
        "codes = quantize.quantized_weights(quantized)",
        f"for name in {names!r}:",
        "    q, layer = codes[name], quantized.get_submodule(name)",
        "    layer.weight = quantize.fake_quantize(",
        "        model.get_submodule(name).weight.detach(),",
        "        q.granularity.spread(q.scale, q.shape),",
        "        q.granularity.spread(q.zero_point, q.shape),",
        "        quant_min=q.quant_min, quant_max=q.quant_max,",
        f"        rounding=quantize.stochastic(seed={STOCHASTIC_SEED}),",
        "    )",
    ]
