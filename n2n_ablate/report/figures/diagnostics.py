"""Draws how PSNR goes with leak and gap, one dot per trial and image, and what measured noise is like."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from n2n_ablate.diagnostics import Diagnosis, Figures
from n2n_ablate.diagnostics.measured_noise import REACH, NoiseFigures
from n2n_ablate.diagnostics.relation import Point, relations
from n2n_ablate.report.figures.axes import GREY, SIZE, panel, plain, set_scale, short
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
    figure, axes = _panels()
    ranks = {each.what: each for each in relations(points) if not each.among}
    sizes = {"leak": "absolute leak (larger direction)", "gap": "gap in grey levels"}
    for index, (what, label) in enumerate(sizes.items()):
        dots = [
            (point.trial, point.image, abs(float(getattr(point, what))), point.psnr)
            for point in points
        ]
        _scatter(axes[index], dots, colours)
        axes[index].set_xlabel(label)
        rank = ranks[what].rank
        if known := format_signed(rank.value):
            axes[index].set_title(f"rank correlation {known}", fontsize=10)
    axes[0].set_ylabel("PSNR in dB")
    axes[1].label_outer()
    _legend(axes[1])
    return figure


def _panels() -> tuple[Figure, list[Axes]]:
    # Not pyplot: it keeps global state, and a tracker may draw in a thread of its own.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width = 8.5
    figure = Figure(figsize=(width, 4.2), dpi=100)
    FigureCanvasAgg(figure)
    figure.subplots_adjust(0.65 / width, 0.13, 1 - 2.5 / width, 0.85, wspace=0.12)
    first = figure.add_subplot(1, 2, 1)
    axes = [first, figure.add_subplot(1, 2, 2, sharey=first)]
    for one in axes:
        set_scale(one.xaxis, log=False)
    return figure, axes


def _scatter(
    axes: Axes, dots: Iterable[tuple[str, str, float, float]], colours: Mapping[str, str]
) -> None:
    good = [dot for dot in dots if all(map(math.isfinite, dot[2:]))]
    trials = list(dict.fromkeys(dot[0] for dot in good))
    images = list(dict.fromkeys(dot[1] for dot in good))
    marks = {image: _MARKS[index % len(_MARKS)] for index, image in enumerate(images)}
    for image in images:
        line = sorted((x, y) for _, on, x, y in good if on == image)
        axes.plot(*zip(*line, strict=True), color="0.8", lw=0.7, zorder=1)
    for mark in dict.fromkeys(marks.values()):  # few calls: each takes milliseconds
        marked = [(x, y, colours[trial]) for trial, on, x, y in good if marks[on] == mark]
        xs, ys, inks = zip(*marked, strict=True)
        axes.scatter(xs, ys, s=26, c=inks, marker=mark, zorder=2)
    for trial in trials[:_MOST]:  # empty dots, for the legend alone
        axes.scatter([], [], s=26, color=colours[trial], label=_short(trial))
    for index, image in enumerate(images[: len(_MARKS)]):
        axes.scatter([], [], s=26, color="0.4", marker=_MARKS[index], label=_short(image))
    axes.grid(alpha=0.25)


def _short(name: str) -> str:
    return plain(name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…")


def _legend(axes: Axes) -> None:
    if axes.collections:
        axes.legend(
            fontsize=9, frameon=False, loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0
        )


_INK = "#2b7bba"
_ROW, _LEAST = 0.22, 3.0  # height of a sampler's row and of a panel, in inches


def measured_noise(
    scenes: Mapping[str, NoiseFigures], diagnoses: Mapping[str, Diagnosis]
) -> list[Figure]:
    """Draw the noise of one condition; what the scenes do not show is left out.

    `diagnoses`: of samplers, by what tables call them.
    """
    parts = []
    if correlated := [each.correlations for each in scenes.values() if each.sigma > 0]:
        mean = np.ma.masked_invalid(correlated).mean(axis=0)  # small scenes do not reach as far
        parts += [_correlations(np.ma.filled(mean, np.nan)), _levels(scenes)]
    leaks = {
        name: each for name, each in diagnoses.items() if math.isfinite(_leak(each.total, each))
    }
    return [*parts, _leaks(leaks)] if leaks else parts


def _correlations(table: np.ndarray) -> Figure:
    figure, axes = panel(width=3.6, height=_LEAST)
    ends = (-REACH - 0.5, REACH + 0.5)
    axes.imshow(table, cmap="RdBu_r", vmin=-1, vmax=1, extent=(*ends, *ends[::-1]))
    for (row, column), value in np.ndenumerate(table):
        if abs(value) >= 0.05 and (row, column) != (REACH, REACH):
            ink = "white" if abs(value) > 0.6 else "0.15"
            text = f"{value:.2f}".replace("0.", ".")
            axes.text(
                column - REACH, row - REACH, text, ha="center", va="center", fontsize=6, color=ink
            )
    axes.set_xticks(range(-REACH, REACH + 1, 2))
    axes.set_yticks(range(-REACH, REACH + 1, 2))
    axes.set_xlabel("pixels beside")
    axes.set_ylabel("pixels below")
    axes.set_title("correlation of the noise", fontsize=SIZE)
    return figure


def _levels(scenes: Mapping[str, NoiseFigures]) -> Figure:
    figure, axes = panel(width=3.6, height=_LEAST)
    for each in scenes.values():
        levels, deviations = zip(*each.levels, strict=True)
        axes.plot(levels, deviations, color=_INK, lw=0.9, alpha=0.6, marker="o", ms=2)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("reference (0 to 255)")
    axes.set_ylabel("noise, sd (of 255)")
    axes.set_title("a line per scene", fontsize=SIZE)
    axes.grid(alpha=0.25)
    return figure


def _leaks(diagnoses: Mapping[str, Diagnosis]) -> Figure:
    names = sorted(diagnoses, key=lambda name: abs(_leak(diagnoses[name].total, diagnoses[name])))
    figure, axes = panel(width=4.6, height=max(_LEAST, 0.9 + _ROW * len(names)))
    for row, name in enumerate(names):
        diagnosis = diagnoses[name]
        _dots(axes, row, diagnosis)
        axes.plot(_leak(diagnosis.total, diagnosis), row, "D", color=_INK, ms=5)
    axes.axvline(0, color=GREY, lw=1)
    axes.set_yticks(range(len(names)), [plain(short(name)) for name in names])
    axes.invert_yaxis()
    axes.set_xlabel("leak (larger direction)")
    axes.grid(axis="x", alpha=0.25)
    return figure


def _dots(axes: Axes, row: int, diagnosis: Diagnosis) -> None:
    leaks = [_leak(each, diagnosis) for each in diagnosis.images.values()]
    axes.plot(leaks, [row] * len(leaks), "o", color=_INK, ms=2.5, alpha=0.4)


def _leak(figures: Figures, diagnosis: Diagnosis) -> float:
    ways = (figures.leak.value, figures.back.value)[: 1 + diagnosis.both_ways]
    return max(ways, key=abs)
