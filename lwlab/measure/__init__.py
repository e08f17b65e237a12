"""What a model gives and what it costs, measured; measuring never changes it.

Read ``evaluating`` (how a model is looked at), ``predicting`` and ``accuracy`` (what it gives),
``damage`` (what a total hides), ``size``, ``compute`` and ``latency`` (what it costs), then
``scorecard`` and ``comparison`` (all of it at once).
"""

from lwlab.measure.accuracy import Accuracy, accuracy, accuracy_in_parts, accuracy_of
from lwlab.measure.comparison import Comparison, compare
from lwlab.measure.compute import call_macs, layer_macs, macs
from lwlab.measure.damage import Flips, flipped, flips_of, per_class_accuracy, per_class_accuracy_of
from lwlab.measure.evaluating import evaluating
from lwlab.measure.latency import Latency, folded, latency
from lwlab.measure.layout import fastest_layout
from lwlab.measure.paired import PairedDifference, paired_difference, spread, verdict
from lwlab.measure.predicting import NO_ANSWER, predictions
from lwlab.measure.scorecard import Scorecard, scorecard
from lwlab.measure.size import (
    gzip_bytes,
    layer_sparsities,
    num_nonzero,
    num_parameters,
    packed_bytes,
    plain_bytes,
    sparsity,
)

__all__ = [
    "NO_ANSWER",
    "Accuracy",
    "Comparison",
    "Flips",
    "Latency",
    "PairedDifference",
    "Scorecard",
    "accuracy",
    "accuracy_in_parts",
    "accuracy_of",
    "call_macs",
    "compare",
    "evaluating",
    "fastest_layout",
    "flipped",
    "flips_of",
    "folded",
    "gzip_bytes",
    "latency",
    "layer_macs",
    "layer_sparsities",
    "macs",
    "num_nonzero",
    "num_parameters",
    "packed_bytes",
    "paired_difference",
    "per_class_accuracy",
    "per_class_accuracy_of",
    "plain_bytes",
    "predictions",
    "scorecard",
    "sparsity",
    "spread",
    "verdict",
]
