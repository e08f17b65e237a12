"""DistillLab: a package of its own, since it has many rooms; ``lab`` is the door.

``params`` is what it is asked for, ``knowledge`` what the teacher says, ``race`` trains the three
students, ``tally`` counts the seeds, ``bench`` puts them together, ``view`` and ``code`` show,
``controls`` are its widgets.
"""

from lwlab.labs.distill.lab import DistillLab
from lwlab.labs.distill.params import DistillParams
from lwlab.labs.distill.result import DistillResult

__all__ = ["DistillLab", "DistillParams", "DistillResult"]
