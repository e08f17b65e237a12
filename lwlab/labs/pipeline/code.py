"""The lines of Python that do what the blocks of PipelineLab say."""

from __future__ import annotations

import dataclasses

from lwlab.labs.pipeline.params import PipelineParams
from lwlab.pipeline import Step

__all__ = ["code"]


def code(params: PipelineParams, *, model_name: str, with_teacher: bool) -> str:
    """Return the code of the blocks: the recipe, the run, the file.

    Args:
        params: what stands in the blocks.
        model_name: class of the network.
        with_teacher: whether the lab was given a teacher.
    """
    names = sorted({step.name for step in params.steps})
    teacher = ", teacher=teacher" if with_teacher else ""
    return "\n".join(
        [
            f"from lwlab.pipeline import {', '.join([*names, 'recipe_to_json', 'run_all'])}",
            "",
            *([f"# not to be run: {params.fault}"] if params.fault else []),
            "steps = [",
            *(f"    {_call(step)}," for step in params.steps),
            "]",
            f"# model: your {model_name}, as it was before the lab",
            f"result = run_all(model, dataset, steps, seed={params.seed}{teacher})",
            r'print(*result.records, sep="\n")',
            'print(len(result.data), "bytes")',
            f"print(recipe_to_json(steps, seed={params.seed}))  # to be kept and shared",
        ]
    )


def _call(step: Step) -> str:
    """Return the code that makes a step, without the fields that are as they are by default."""
    given = [
        f"{field.name}={getattr(step, field.name)!r}"
        for field in dataclasses.fields(step)
        if getattr(step, field.name) != field.default
    ]
    return f"{step.name}({', '.join(given)})"
