"""What all drawn figures share: empty axes, sizes, colours of verdicts, texts that matplotlib leaves alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from n2n_ablate.analysis.records import ContrastRecord
from n2n_ablate.report.document import style_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# Of middle brightness, so that they can be read on white and on black.
GREY = "#8a8a8a"
_LONGEST = 38  # letters of a name beside an axis
SIZE = 9.5
PALETTE = (
    *("#2b7bba", "#e07b24", "#23945a", "#b5519c", "#8c6d46", "#3aa6a6", "#d3504f"),
    *("#8168c2", "#a3a032", "#e48bb0"),
)
"""Of middle brightness, so that they can be read on white and on black."""


def panel(*, width: float, height: float) -> tuple[Figure, Axes]:
    """Return an empty figure with one pair of axes, in inches."""
    # Not pyplot, which keeps global state.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100)
    axes = figure.add_subplot()
    for axis in (axes.xaxis, axes.yaxis):
        set_scale(axis, log=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=SIZE)
    axes.xaxis.label.set_fontsize(SIZE)
    axes.yaxis.label.set_fontsize(SIZE)
    return figure, axes


def set_scale(axis: Axis, *, log: bool) -> None:
    """Make an axis linear or logarithmic, with two to six or so numbers that never lie on each other.

    Set the scale after everything is drawn: a logarithmic axis is numbered for the range that it shows.
    """
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, ScalarFormatter

    axes = axis.axes
    rescale = axes.set_xscale if axis is axes.xaxis else axes.set_yscale
    rescale("log" if log else "linear")
    few = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10])
    axis.set_major_locator(few)
    if not log:
        return
    low, high = axis.get_view_interval()
    # Matplotlib's own choice puts up to ten numbers on less than a decade, more than there is room for.
    if (ratio := high / low) > 5:
        subs = (1.0, 2.0, 5.0) if ratio < 30 else (1.0, 3.0) if ratio < 300 else (1.0,)
        axis.set_major_locator(LogLocator(subs=subs, numticks=6))
        axis.set_major_formatter("{x:g}")
    else:
        axis.set_major_formatter(ScalarFormatter())
    axis.set_minor_formatter(NullFormatter())


def verdict_colour(record: ContrastRecord) -> str:
    """Return the colour of a contrast by its verdict."""
    return style_of(record.verdict or "").ink or GREY


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


def of_trials(baseline: str, others: Iterable[str]) -> dict[str, str]:
    """Return a colour by name of trial: black for the baseline, after ten others they repeat."""
    names = [name for name in dict.fromkeys(others) if name != baseline]
    colours = {name: PALETTE[at % len(PALETTE)] for at, name in enumerate(names)}
    return {baseline: "black", **colours}
