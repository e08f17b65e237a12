"""Paper: rectangles, lines and text at pixel positions, drawn by matplotlib into a PNG.

Of matplotlib only the painter is used, neither pyplot (its state is global and not for threads) nor
its axes and layout engines: they measure every text twice, which takes most of the time of a small
picture. As plotly, this counts pixels from the upper left corner.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Affine2D, Bbox, TransformedBbox

__all__ = ["Box", "Paper", "text_width"]

Box = tuple[float, float, float, float]  # left, top, right, bottom

_DOTS_PER_INCH = 72  # one point of a font or a line is one pixel
_INK = "#444444"
_HATCHES = {"/": "//", "x": "xx", ".": ".."}


class Paper:
    """A white picture of ``width`` x ``height`` pixels to draw on; what comes later lies on top."""

    def __init__(self, width: int, height: int) -> None:
        size = (width / _DOTS_PER_INCH, height / _DOTS_PER_INCH)
        self._figure = Figure(size, dpi=_DOTS_PER_INCH, facecolor="white", layout="none")
        self._from_above = Affine2D().scale(1, -1).translate(0, height)
        self._drawn = 0

    def rectangles(
        self,
        boxes: Sequence[Box],
        *,
        fill: str = "none",
        edge: str = "none",
        pattern: str = "",
        inside: Box | None = None,
    ) -> None:
        """Draw boxes, filled, outlined (2 pixels) or both; ``pattern`` is one of plotly's."""
        corners = [[(x0, y0), (x1, y0), (x1, y1), (x0, y1)] for x0, y0, x1, y1 in boxes]
        plain = PolyCollection(corners, facecolors=fill, edgecolors=edge, linewidths=2)
        plain.set_antialiased(edge != "none")  # smooth edges leave pale gaps between neighbours
        self._add(plain, inside)
        if pattern in _HATCHES:
            hatch = _HATCHES[pattern]
            style = {"facecolors": "none", "edgecolors": "#00000066", "linewidths": 0}
            self._add(PolyCollection(corners, hatch=hatch, **style), inside)

    def segments(
        self,
        boxes: Sequence[Box],
        *,
        color: str,
        width: float = 1,
        dash: str = "-",
        inside: Box | None = None,
    ) -> None:
        """Draw one straight line from the first to the second corner of each box."""
        ends = [((x0, y0), (x1, y1)) for x0, y0, x1, y1 in boxes]
        style = {"colors": color, "linewidths": width, "linestyles": dash}
        self._add(LineCollection(ends, **style), inside)

    def line(
        self, x: Sequence[float], y: Sequence[float], inside: Box | None = None, **style: object
    ) -> None:
        """Draw a line or markers through points; ``style`` is that of ``matplotlib.lines``."""
        self._add(Line2D(x, y, **style), inside)

    def text(
        self, x: float, y: float, text: str, size: float = 12, color: str = _INK, **style: object
    ) -> None:
        """Write ``text`` as it is (no mathematics between dollar signs), from its upper left."""
        place = {"horizontalalignment": "left", "verticalalignment": "top", **style}
        self._add(Text(x, y, text, fontsize=size, color=color, parse_math=False, **place), None)

    def png(self) -> bytes:
        """Return everything drawn as a PNG."""
        picture = io.BytesIO()
        FigureCanvasAgg(self._figure).print_png(picture)
        return picture.getvalue()

    def _add(self, artist: Artist, inside: Box | None) -> None:
        self._drawn += 1
        artist.set_zorder(self._drawn)
        artist.set_transform(self._from_above)
        self._figure.add_artist(artist)
        if inside is not None:
            x0, y0, x1, y1 = inside
            artist.set_clip_box(TransformedBbox(Bbox([[x0, y1], [x1, y0]]), self._from_above))


def text_width(text: str, size: float = 12) -> float:
    """Return about how many pixels wide ``text`` is; measuring it would cost more than it gives."""
    return 0.58 * size * len(text)
