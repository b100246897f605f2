"""What all drawn figures share: empty axes, sizes, colours of verdicts, texts that matplotlib leaves alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from n2n_ablate.analysis.records import ContrastRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Of middle brightness, so that they can be read on white and on black.
GREY = "#8a8a8a"
_OF_VERDICT = {
    "better": "#23945a",
    "worse": "#d3504f",
    "equivalent": "#2b8cbe",
    "inconclusive": "#b07d1e",
}
_LONGEST = 38  # letters of a name beside an axis
SIZE = 9.5


def panel(*, width: float, height: float) -> tuple[Figure, Axes]:
    """Return an empty figure with one pair of axes, in inches."""
    # Not pyplot, which keeps global state.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100)
    axes = figure.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=SIZE)
    axes.xaxis.label.set_fontsize(SIZE)
    axes.yaxis.label.set_fontsize(SIZE)
    return figure, axes


def verdict_colour(record: ContrastRecord) -> str:
    """Return the colour of a contrast by its verdict."""
    return _OF_VERDICT.get(record.verdict.value, GREY) if record.verdict else GREY


def ends_of(record: ContrastRecord) -> tuple[float, float]:
    """Return the ends of the interval to draw; the estimate twice where there is none."""
    estimate = record.estimate or 0.0
    interval = record.interval
    return (interval.low, interval.high) if interval else (estimate, estimate)


def plain(text: str) -> str:
    """Return a text that matplotlib draws as it stands: no formula, no label that it would hide."""
    text = text.replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def short(name: str) -> str:
    """Return a name that fits beside an axis."""
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}\u2026"
