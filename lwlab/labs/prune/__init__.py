"""PruneLab: a package of its own, since it has many rooms; ``lab`` is the door.

``params`` is what it is asked for, ``cutting`` and ``criteria`` prune, ``tuning`` and ``scanning``
take long, ``measuring`` scores, ``view`` and ``code`` show, ``controls`` and ``desk`` are its
widgets.
"""

from lwlab.labs.prune.lab import PruneLab
from lwlab.labs.prune.params import PruneParams
from lwlab.labs.prune.result import PruneResult

__all__ = ["PruneLab", "PruneParams", "PruneResult"]
