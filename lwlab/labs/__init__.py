"""Labs: widgets that connect controls to measured results. One class a technique."""

from lwlab.labs.base import Lab
from lwlab.labs.channel import ChannelLab, ChannelParams, ChannelResult
from lwlab.labs.click import Click, Drag
from lwlab.labs.contract import Gate, Part
from lwlab.labs.criteria import CriteriaLab, CriteriaParams, CriteriaResult
from lwlab.labs.distill import DistillLab, DistillParams, DistillResult
from lwlab.labs.live_plot import LivePlot, Screen
from lwlab.labs.pack import PackLab, PackParams, PackResult
from lwlab.labs.penalty import PenaltyLab, PenaltyParams, PenaltyResult, PenaltyRun
from lwlab.labs.pipeline import PipelineLab, PipelineLabResult, PipelineParams
from lwlab.labs.prune import PruneLab, PruneParams, PruneResult
from lwlab.labs.quantize import QuantizeLab, QuantizeParams, QuantizeResult
from lwlab.labs.rounding import RoundingLab, RoundingParams, RoundingResult
from lwlab.labs.sensitivity import SensitivityLab, SensitivityParams, SensitivityResult
from lwlab.labs.train import TrainLab, TrainParams, TrainResult

__all__ = [
    "ChannelLab",
    "ChannelParams",
    "ChannelResult",
    "Click",
    "CriteriaLab",
    "CriteriaParams",
    "CriteriaResult",
    "DistillLab",
    "DistillParams",
    "DistillResult",
    "Drag",
    "Gate",
    "Lab",
    "LivePlot",
    "PackLab",
    "PackParams",
    "PackResult",
    "Part",
    "PenaltyLab",
    "PenaltyParams",
    "PenaltyResult",
    "PenaltyRun",
    "PipelineLab",
    "PipelineLabResult",
    "PipelineParams",
    "PruneLab",
    "PruneParams",
    "PruneResult",
    "QuantizeLab",
    "QuantizeParams",
    "QuantizeResult",
    "RoundingLab",
    "RoundingParams",
    "RoundingResult",
    "Screen",
    "SensitivityLab",
    "SensitivityParams",
    "SensitivityResult",
    "TrainLab",
    "TrainParams",
    "TrainResult",
]
