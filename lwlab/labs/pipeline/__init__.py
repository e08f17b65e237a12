"""PipelineLab: a package of its own, since it has many rooms; ``lab`` is the door.

``params`` is what it is asked for, ``attempt`` carries the steps out, ``tries`` keeps them in the
journal, ``bench`` puts them together, ``view`` and ``code`` show, ``step_list`` is the row of
blocks and ``forms`` says what can be set in each.
"""

from lwlab.labs.pipeline.lab import PipelineLab
from lwlab.labs.pipeline.params import PipelineParams
from lwlab.labs.pipeline.result import PipelineLabResult
from lwlab.labs.pipeline.step_list import StepList

__all__ = ["PipelineLab", "PipelineLabResult", "PipelineParams", "StepList"]
