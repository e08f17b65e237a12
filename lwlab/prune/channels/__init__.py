"""Channels taken out for real: a smaller, faster, plain model.

Three steps, one file each. ``trace`` runs the model once and writes down every call. ``coupling``
lets channel positions flow through the calls (``layer_rules``, ``function_rules``, ``moving``) and
finds which layers are cut together. ``surgery`` cuts them. Between them stands the plan, which is
printed before anything changes: ``planning``, with ``scoring`` (what matters) and ``choosing`` (how
much goes).

    print(plan_channels(model, pruning_ratio=0.5, example_inputs=images))
    smaller = remove_channels(model, pruning_ratio=0.5, example_inputs=images)
"""

from lwlab.prune.channels.plan import ChannelGroup, ChannelPlan, Edge, Node, Refusal
from lwlab.prune.channels.planning import plan_channels
from lwlab.prune.channels.surgery import remove_channels, zero_channels_

__all__ = [
    "ChannelGroup",
    "ChannelPlan",
    "Edge",
    "Node",
    "Refusal",
    "plan_channels",
    "remove_channels",
    "zero_channels_",
]
