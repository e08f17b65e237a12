"""Data sets: tensors in memory, in train, validation and test splits that never change.

>>> from lwlab import data
>>> data.load("digits")
Dataset('digits': 997 / 300 / 500 train / validation / test, inputs 1x8x8, 10 classes)

Read in this order: ``dataset`` (what a data set is), ``splitting``, ``arrays`` (from one's own
tensors), ``builtin`` (by name); below that ``catalogue``, ``places``, ``download`` and the formats
``idx``, ``cifar`` on top of ``files``.
"""

from lwlab.data.arrays import from_arrays
from lwlab.data.builtin import KNOWN, available, load
from lwlab.data.dataset import UNLABELLED, Dataset, Split
from lwlab.data.files import DataFileError
from lwlab.data.subsets import few_labels, only_labelled, without_class

__all__ = [
    "KNOWN",
    "UNLABELLED",
    "DataFileError",
    "Dataset",
    "Split",
    "available",
    "few_labels",
    "from_arrays",
    "load",
    "only_labelled",
    "without_class",
]
