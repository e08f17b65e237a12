"""Search: many recipes tried, by several processes or machines, for the front of size and accuracy.

Read ``space`` (what may vary), ``evaluating`` (what one try is), then ``running`` (``search``).
Below that: ``study`` (the file that workers share), ``locks`` and ``alive`` (who may write, and who
still works) and ``worker`` (how each takes its turn). Needs Optuna, which is loaded with the first
search.
"""

from lwlab.search.evaluating import Outcome, evaluate
from lwlab.search.running import search, search_trials
from lwlab.search.space import SearchSpace
from lwlab.search.trials import SearchResult, SearchTrial

__all__ = [
    "Outcome",
    "SearchResult",
    "SearchSpace",
    "SearchTrial",
    "evaluate",
    "search",
    "search_trials",
]
