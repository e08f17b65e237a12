"""lwlab: a lab bench for making neural networks lightweight.

Read in this order: ``data`` and ``models`` (what we work on), ``packing`` and ``measure`` (what
it costs), ``train`` (one loop for everything), ``prune`` (the first technique), ``plots`` and
``labs`` (the widgets).

``import lwlab`` loads neither plotly nor ipywidgets: a script or a server pays for neither.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
