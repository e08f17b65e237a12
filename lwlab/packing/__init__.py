"""One file per model: small, lossless, checksummed, without pickle; it loads back to the bit.

``save`` / ``load_`` for a file, ``to_bytes`` / ``from_bytes_`` for memory, ``breakdown`` for what
every byte is spent on, ``compare_containers`` for what other containers make of the same model.
``huffman.py``, ``range_coder.py`` and ``mask_coder.py`` are the entropy coders.

The format is written down in ``archive.py``; a coding is a file of its own (``dense.py``,
``sparse.py``, ``palette.py``, ``scaled.py``, ``half.py``, and ``composed.py`` for all combinations
with entropy coders), listed in ``codings.py``.
"""

from lwlab.packing.breakdown import Breakdown, TensorBytes, breakdown
from lwlab.packing.containers import Container, ContainerTable, compare_containers
from lwlab.packing.errors import PackingError
from lwlab.packing.families import CODING_FAMILIES
from lwlab.packing.files import load_, save
from lwlab.packing.halving import halve_
from lwlab.packing.model import from_bytes_, to_bytes
from lwlab.packing.rows import Rows
from lwlab.packing.stored import ScaledCodes

__all__ = [
    "CODING_FAMILIES",
    "Breakdown",
    "Container",
    "ContainerTable",
    "PackingError",
    "Rows",
    "ScaledCodes",
    "TensorBytes",
    "breakdown",
    "compare_containers",
    "from_bytes_",
    "halve_",
    "load_",
    "save",
    "to_bytes",
]
