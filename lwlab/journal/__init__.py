"""The journal keeps every try, its parameters and what was measured, and outlives the kernel.

Read ``entry`` (what a try is), ``front`` (which tries are worth a look), then ``journal`` (the
file), ``database`` (how it stays whole) and ``exchange`` (how tries travel). ``origin`` tells the
tries of one model from those of another.
"""

from lwlab.journal.entry import Entry
from lwlab.journal.front import pareto_front
from lwlab.journal.journal import Journal
from lwlab.journal.origin import Origin, model_fingerprint
from lwlab.journal.places import default_journal

__all__ = [
    "Entry",
    "Journal",
    "Origin",
    "default_journal",
    "model_fingerprint",
    "pareto_front",
]
