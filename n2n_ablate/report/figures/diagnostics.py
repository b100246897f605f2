"""Draws how PSNR goes with leak and gap, and with the training loss: one dot per trial and image."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from n2n_ablate.diagnostics.relation import Point, relations
from n2n_ablate.report.figures.axes import plain, set_scale
from n2n_ablate.report.numbers import format_signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKS = "osD^vP*X<>"
_LONGEST = 30  # letters of a name in the legend
_MOST = 20  # trials or images that a legend can name


def psnr_by_diagnostics(points: Sequence[Point], colours: Mapping[str, str]) -> Figure:
    """Draw PSNR against the size of the leak and against the gap; a colour per trial, a mark per image.

    Thin lines join the trials of one image: PSNR differs between images by more than between
    trials, so only within a line can dots be compared.
    """
    figure, axes = _panels(2, 3.0)
    found = {item.what: item for item in relations(points) if not item.among}
    sizes = {"leak": "absolute leak, the larger way", "gap": "gap in grey levels"}
    for place, (what, label) in enumerate(sizes.items()):
        dots = [
            (point.trial, point.image, abs(float(getattr(point, what))), point.psnr)
            for point in points
        ]
        _scatter(axes[place], dots, colours)
        axes[place].set_xlabel(label)
        rank = found[what].rank
        if known := format_signed(rank.value):
            axes[place].set_title(f"rank correlation {known}", fontsize=10)
    axes[0].set_ylabel("PSNR in dB")
    axes[1].label_outer()
    _legend(axes[1])
    return figure


def psnr_by_loss(
    finals: Mapping[str, Mapping[str, tuple[float, float]]],
    colours: Mapping[str, str],
    tau: float | None = None,
) -> Figure:
    """Draw PSNR against the final training loss, as in `psnr_by_diagnostics`."""
    figure, (axes,) = _panels(1, 4.2)
    dots = [
        (trial, image, loss, psnr)
        for trial, own in finals.items()
        for image, (loss, psnr) in own.items()
    ]
    _scatter(axes, dots, colours)
    axes.set_xlabel("final training loss")
    axes.set_ylabel("PSNR in dB")
    if tau is not None:
        known = format_signed(tau)
        axes.set_title(f"Kendall's tau of low loss and high PSNR: {known}", fontsize=10)
    _legend(axes)
    return figure


def _panels(count: int, each: float) -> tuple[Figure, list[Axes]]:
    # Not pyplot: it keeps global state, and a tracker may draw in a thread of its own.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width = each * count + 2.5
    figure = Figure(figsize=(width, 4.2), dpi=100)
    FigureCanvasAgg(figure)
    figure.subplots_adjust(0.65 / width, 0.13, 1 - 2.5 / width, 0.85, wspace=0.12)
    axes = [figure.add_subplot(1, count, 1)]
    axes += [figure.add_subplot(1, count, place, sharey=axes[0]) for place in range(2, count + 1)]
    for one in axes:
        set_scale(one.xaxis, log=False)
    return figure, axes


def _scatter(
    axes: Axes, dots: Iterable[tuple[str, str, float, float]], colours: Mapping[str, str]
) -> None:
    good = [dot for dot in dots if all(map(math.isfinite, dot[2:]))]
    trials = list(dict.fromkeys(dot[0] for dot in good))
    images = list(dict.fromkeys(dot[1] for dot in good))
    marks = {image: _MARKS[place % len(_MARKS)] for place, image in enumerate(images)}
    for image in images:
        line = sorted((x, y) for _, on, x, y in good if on == image)
        axes.plot(*zip(*line, strict=True), color="0.8", lw=0.7, zorder=1)
    for mark in dict.fromkeys(marks.values()):  # few calls: each takes milliseconds
        marked = [(x, y, colours[trial]) for trial, on, x, y in good if marks[on] == mark]
        xs, ys, inks = zip(*marked, strict=True)
        axes.scatter(xs, ys, s=26, c=inks, marker=mark, zorder=2)
    for trial in trials[:_MOST]:  # empty dots, for the legend alone
        axes.scatter([], [], s=26, color=colours[trial], label=_short(trial))
    for place, image in enumerate(images[: len(_MARKS)]):
        axes.scatter([], [], s=26, color="0.4", marker=_MARKS[place], label=_short(image))
    axes.grid(alpha=0.25)


def _short(name: str) -> str:
    return plain(name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…")


def _legend(axes: Axes) -> None:
    if axes.collections:
        axes.legend(
            fontsize=9, frameon=False, loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0
        )
