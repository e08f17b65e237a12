"""Pipelines: steps of distillation, pruning and quantization on one model, in any sensible order.

Read ``steps`` (what there is to do), ``order`` (what goes before what), ``running`` (``run``, which
carries the steps out and measures each), ``recipe`` (the JSON) and ``folder`` (what a killed run
goes on from). ``compressing`` chooses the steps by itself, for a budget of bytes.
"""

from lwlab.pipeline.closing import Halve, Pack
from lwlab.pipeline.compressing import Compressed, compress
from lwlab.pipeline.families import FAMILIES
from lwlab.pipeline.order import check_order
from lwlab.pipeline.packed import StepScorecard, score
from lwlab.pipeline.pruning import Prune, RemoveChannels
from lwlab.pipeline.recipe import Recipe, recipe_from_json, recipe_to_json
from lwlab.pipeline.records import PipelineResult, Progress, StepRecord
from lwlab.pipeline.rounding import Quantize, ShareWeights
from lwlab.pipeline.running import run, run_all
from lwlab.pipeline.step import Step
from lwlab.pipeline.steps import STEPS
from lwlab.pipeline.survey import Tried
from lwlab.pipeline.training import Distil, FineTune, Train, TrainQuantized

__all__ = [
    "FAMILIES",
    "STEPS",
    "Compressed",
    "Distil",
    "FineTune",
    "Halve",
    "Pack",
    "PipelineResult",
    "Progress",
    "Prune",
    "Quantize",
    "Recipe",
    "RemoveChannels",
    "ShareWeights",
    "Step",
    "StepRecord",
    "StepScorecard",
    "Train",
    "TrainQuantized",
    "Tried",
    "check_order",
    "compress",
    "recipe_from_json",
    "recipe_to_json",
    "run",
    "run_all",
    "score",
]
