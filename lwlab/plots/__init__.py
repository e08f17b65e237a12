"""Plots: records in, plotly figures out. No state, no widgets; ``template`` is the common style."""

from lwlab.plots.bars import layer_bars, size_bars
from lwlab.plots.classes import per_class_bars
from lwlab.plots.criteria import criteria_curves, criteria_strip
from lwlab.plots.curves import training_curves
from lwlab.plots.front import FrontPoint, pareto_front_plot
from lwlab.plots.groups import channel_groups
from lwlab.plots.heatmap import sensitivity_heatmap
from lwlab.plots.histogram import WeightBins, bin_weights, weight_histogram
from lwlab.plots.packing import LayerBytes, Rung, byte_ladder, layer_bytes
from lwlab.plots.quantization import grid_histogram, layer_error_bars
from lwlab.plots.recovery import recovery_curve
from lwlab.plots.rounding import grid_lines, number_table
from lwlab.plots.soft_answers import class_similarity_map, soft_answer_bars
from lwlab.plots.sparsity import accuracy_against_sparsity
from lwlab.plots.students import student_curves, students_against_size
from lwlab.plots.template import describe
from lwlab.plots.tradeoff import TradeoffPoint, accuracy_against_size

__all__ = [
    "FrontPoint",
    "LayerBytes",
    "Rung",
    "TradeoffPoint",
    "WeightBins",
    "accuracy_against_size",
    "accuracy_against_sparsity",
    "bin_weights",
    "byte_ladder",
    "channel_groups",
    "class_similarity_map",
    "criteria_curves",
    "criteria_strip",
    "describe",
    "grid_histogram",
    "grid_lines",
    "layer_bars",
    "layer_bytes",
    "layer_error_bars",
    "number_table",
    "pareto_front_plot",
    "per_class_bars",
    "recovery_curve",
    "sensitivity_heatmap",
    "size_bars",
    "soft_answer_bars",
    "student_curves",
    "students_against_size",
    "training_curves",
    "weight_histogram",
]
