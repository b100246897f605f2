"""Draws what measured noise is like: correlation over pixels, strength by brightness, leak of samplers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from n2n_ablate.diagnostics import Diagnosis, Figures
from n2n_ablate.diagnostics.measured_noise import REACH, NoiseFigures
from n2n_ablate.report.figures.axes import GREY, SIZE, panel, plain, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
    axes.set_xlabel("leak, the larger way")
    axes.grid(axis="x", alpha=0.25)
    return figure


def _dots(axes: Axes, row: int, diagnosis: Diagnosis) -> None:
    leaks = [_leak(each, diagnosis) for each in diagnosis.images.values()]
    axes.plot(leaks, [row] * len(leaks), "o", color=_INK, ms=2.5, alpha=0.4)


def _leak(figures: Figures, diagnosis: Diagnosis) -> float:
    ways = (figures.leak.value, figures.back.value)[: 1 + diagnosis.both_ways]
    return max(ways, key=abs)
