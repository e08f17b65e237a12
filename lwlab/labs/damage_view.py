"""Damage as it is seen below the plots of a lab: the classes, and the examples that flip."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

from torch import Tensor

from lwlab.data import Dataset
from lwlab.labs.damage import Damage
from lwlab.labs.html_bars import class_rows, panel
from lwlab.measure import NO_ANSWER, Accuracy
from lwlab.plots.thumbnail import is_picture, thumbnail_png

__all__ = ["classes_html", "damage_html", "flips_html"]

_SHOWN_EXAMPLES = 12
_CLASSES_IN_ONE_COLUMN = 6
_PICTURE = "width:56px;height:56px;object-fit:contain;image-rendering:pixelated;background:#000"


def damage_html(damage: Damage | None, show: str, dataset: Dataset, before: str) -> str:
    """Return what ``show``, ``classes`` or ``flips``, asks for.

    Args:
        damage: None while it is still being measured.
        show: which view.
        dataset: for names and pictures.
        before: what was done to the network: ``before pruning``, ``in float``.
    """
    if damage is None:
        return "Shown as soon as the whole validation split is scored."
    if show == "classes":
        return classes_html(damage, dataset.class_names, before)
    return flips_html(damage, dataset, before)


def classes_html(damage: Damage, class_names: Sequence[str], before: str) -> str:
    """Return a bar for each class, with a line where it was before."""
    rows = class_rows(class_names, _values(damage.before), _values(damage.after))
    title = f"Right in each class; the line is {before}"
    if len(rows) <= _CLASSES_IN_ONE_COLUMN:
        return panel(title, rows)
    half = -(-len(rows) // 2)
    return panel(title, rows[:half]) + panel("The other classes", rows[half:])


def flips_html(damage: Damage, dataset: Dataset, before: str) -> str:
    """Return how many examples broke and were repaired, and the first that broke."""
    flips = damage.flips
    broken = flips.broken[:_SHOWN_EXAMPLES]
    some = "shown" if len(broken) == len(flips.broken) else f"{len(broken)} of them"
    shown = f", {some} below" if len(broken) else ""
    return (
        '<div style="flex:1 1 100%;padding:4px 0">'
        f"<b>{len(flips.broken)}</b> right {before} and wrong now{shown}; "
        f"<b>{len(flips.repaired)}</b> wrong before and right now. Two equally good networks "
        f"would differ so much with p = {flips.p_value:.2g} (McNemar).</div>"
        f"{_examples(broken, damage.answers, dataset)}"
    )


def _values(accuracies: Sequence[Accuracy | None]) -> list[float | None]:
    return [None if accuracy is None else accuracy.value for accuracy in accuracies]


def _examples(indices: Tensor, answers: Tensor, dataset: Dataset) -> str:
    """Return the examples with their class and the answer: as pictures, where they are such."""
    split, names = dataset.validation, dataset.class_names
    pairs = [(int(split.targets[i]), int(answers[i])) for i in indices]
    captions = [
        f"{_name(names, was)} \N{RIGHTWARDS ARROW} {_name(names, now)}" for was, now in pairs
    ]
    if not is_picture(dataset.input_shape):
        numbered = zip(indices.tolist(), captions, strict=True)
        items = "".join(f"<li>example {i}: {escape(caption)}</li>" for i, caption in numbered)
        return f'<ul style="margin:0">{items}</ul>'
    pictures = zip(indices.tolist(), captions, strict=True)
    return "".join(_picture(split.inputs[i], i, caption) for i, caption in pictures)


def _name(names: Sequence[str], answer: int) -> str:
    return "no answer" if answer == NO_ANSWER or answer >= len(names) else names[answer]


def _picture(image: Tensor, index: int, caption: str) -> str:
    data = base64.b64encode(thumbnail_png(image)).decode("ascii")
    text = escape(caption)
    return (
        '<figure style="margin:0;text-align:center;font-size:12px">'
        f'<img src="data:image/png;base64,{data}" style="{_PICTURE}" '
        f'alt="example {index}, {text}"><figcaption>{text}</figcaption></figure>'
    )
