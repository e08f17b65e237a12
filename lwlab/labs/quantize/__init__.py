"""QuantizeLab: a package of its own, since it has many rooms; ``lab`` is the door.

``params`` is what it is asked for, ``settings`` and ``layers`` quantize, ``scanning`` takes long,
``measuring`` scores, ``view``, ``layer_view`` and ``code`` show, ``controls``, ``clip_fields`` and
``desk`` are its widgets.
"""

from lwlab.labs.quantize.lab import QuantizeLab
from lwlab.labs.quantize.params import QuantizeParams
from lwlab.labs.quantize.result import QuantizeResult

__all__ = ["QuantizeLab", "QuantizeParams", "QuantizeResult"]
