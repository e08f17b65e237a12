"""The lines of Python that reproduce what PackLab shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lwlab.labs.pack.params import CODEBOOK, HALF, LADDER, PackParams
from lwlab.labs.pack.result import PackResult
from lwlab.quantize import Granularity

__all__ = ["code"]


def code(
    params: PackParams,
    result: PackResult,
    *,
    scales: Mapping[Granularity, Sequence[str]],
    model_name: str,
    came_plain: bool,
) -> str:
    """Return the code of a state: shrink, write, load back, measure.

    Args:
        params: what is on screen.
        result: likewise.
        scales: the layers of each granularity.
        model_name: class of the network.
        came_plain: whether the network was plain; else what stands on its weights is taken off.
    """
    lines = [
        "import copy",
        "",
        "from lwlab import measure, packing, prune, quantize",
        *(["from lwlab.models import layer_names"] if params.num_bits == HALF else []),
        "",
        f"plain = copy.deepcopy(model)  # your trained {model_name}",
        *([] if came_plain else _TAKE_OFF),
        "small = copy.deepcopy(plain)",
        *_shrink(params, scales),
        f"data = packing.to_bytes(small{_codings(params)})",
        "loaded = copy.deepcopy(plain)",
        "packing.from_bytes_(loaded, data)",
        'print(len(data), "bytes")',
        "print(measure.accuracy(loaded, dataset.validation))",
        "print(packing.breakdown(data))",
    ]
    if result.containers is not None:
        lines.append("print(packing.compare_containers(small))")
    if result.test_accuracy is not None:
        lines.append("print(measure.accuracy(loaded, dataset.test))")
    return "\n".join(lines)


_TAKE_OFF = ["quantize.unprepare_(plain)", "quantize.unshare_weights_(plain)", "prune.bake_(plain)"]


def _shrink(params: PackParams, scales: Mapping[Granularity, Sequence[str]]) -> list[str]:
    lines = []
    if params.sparsity > 0:
        lines.append(f'prune.mask_model_(small, sparsity={params.sparsity!r}, scope="global")')
    if params.num_bits == CODEBOOK:
        lines.append(f"quantize.share_weights_(small, num_clusters={params.codebook_size})")
    elif params.has_scales:
        lines += _prepare(params, scales)
    elif params.num_bits == HALF:
        lines += [
            "prune.bake_(small)",
            'packing.halve_(small, tensors=[f"{name}.weight" for name in layer_names(small)])',
        ]
    if params.halved != "none":
        lines.append(f"packing.halve_(small, tensors={params.halved!r})")
    return lines


def _prepare(params: PackParams, scales: Mapping[Granularity, Sequence[str]]) -> list[str]:
    if params.granularity == "channel":
        return [f"quantize.prepare_(small, num_bits={params.num_bits})"]
    alone = len(scales) == 1
    return [
        f"quantize.prepare_(small, num_bits={params.num_bits}, "
        f"granularity=quantize.{granularity!r}{'' if alone else f', layers={list(layers)!r}'})"
        for granularity, layers in scales.items()
    ]


def _codings(params: PackParams) -> str:
    if params.codings == LADDER:
        return ""
    return f", codings={list(params.codings)!r}"
