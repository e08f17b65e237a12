"""PackLab: a package of its own, since it has many rooms; ``lab`` is the door.

``params`` is what it is asked for, ``shrinking`` prunes and quantizes a copy, ``files`` writes and
loads its files, ``bench`` puts them together, ``view`` and ``code`` show, ``controls`` are its
widgets.
"""

from lwlab.labs.pack.lab import PackLab
from lwlab.labs.pack.params import PackParams
from lwlab.labs.pack.result import PackResult

__all__ = ["PackLab", "PackParams", "PackResult"]
