"""The exercises of the lessons, by name."""

from lwlab.exercises.task import Task
from lwlab.exercises.tasks.channels import CHANNEL_TASKS
from lwlab.exercises.tasks.combine import COMBINE_TASKS
from lwlab.exercises.tasks.criteria import CRITERIA_TASKS
from lwlab.exercises.tasks.distill import DISTILL_TASKS
from lwlab.exercises.tasks.measure import MEASURE_TASKS
from lwlab.exercises.tasks.pack import PACK_TASKS
from lwlab.exercises.tasks.prune import PRUNE_TASKS
from lwlab.exercises.tasks.quantize import QUANTIZE_TASKS
from lwlab.exercises.tasks.repair import REPAIR_TASKS
from lwlab.exercises.tasks.start import START_TASKS
from lwlab.exercises.tasks.train_quantized import TRAIN_QUANTIZED_TASKS

__all__ = ["TASKS"]

_ALL = (
    *START_TASKS,
    *MEASURE_TASKS,
    *DISTILL_TASKS,
    *REPAIR_TASKS,
    *PRUNE_TASKS,
    *CRITERIA_TASKS,
    *CHANNEL_TASKS,
    *QUANTIZE_TASKS,
    *TRAIN_QUANTIZED_TASKS,
    *PACK_TASKS,
    *COMBINE_TASKS,
)

TASKS: dict[str, Task] = {task.name: task for task in _ALL}
