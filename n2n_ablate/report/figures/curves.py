"""Draws PSNR by training step, and the difference from the baseline by step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from n2n_ablate import stats
from n2n_ablate.analysis.rows import curve_differences
from n2n_ablate.records import TrialResult
from n2n_ablate.report.figures.axes import SIZE, panel, plain, short
from n2n_ablate.report.numbers import pluralize
from n2n_ablate.study import BASELINE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def curves(
    chosen: Mapping[str, TrialResult], condition: str, colours: Mapping[str, str]
) -> Figure | None:
    """Draw mean PSNR by step of some trials, on the images that all of them have; None without."""
    known = {name: trial.curves("psnr", condition) for name, trial in chosen.items()}
    drawn = [each for each in known.values() if each.images]
    shared = (
        [image for image in drawn[0].images if all(image in x.images for x in drawn)]
        if drawn
        else []
    )
    if not shared:
        return None
    figure, axes = panel(width=3.95, height=3.3)
    for name, each in known.items():
        if each.images:
            dashes = "--" if chosen[name].trial.role == BASELINE else "-"
            mean = np.mean([each.images[image] for image in shared], axis=0)
            label = plain(short(name))
            axes.plot(each.steps, mean, dashes, lw=1.6, color=colours[name], label=label)
    return _finished(
        axes, figure, f"mean PSNR in dB, {pluralize(len(shared), 'image')}", legend=True
    )


def gains(
    chosen: Mapping[str, TrialResult],
    baseline: TrialResult,
    condition: str,
    colours: Mapping[str, str],
) -> Figure | None:
    """Draw each trial's difference from the baseline by step, with its band over images."""
    figure, axes = panel(width=3.95, height=3.3)
    axes.axhline(0, color="black", lw=0.9, ls="--")
    for name, trial in chosen.items():
        known = (
            curve_differences(trial, baseline, "psnr", condition) if trial is not baseline else None
        )
        if known is None:
            continue
        steps, values = known
        values = values[np.isfinite(values).all(axis=1)]
        if not len(values):
            continue
        mean, low, high = stats.band(values)
        colour = colours[name]
        if np.isfinite(low).all():
            axes.fill_between(steps, low, high, color=colour, alpha=0.18, lw=0)
        axes.plot(steps, mean, lw=1.6, color=colour, label=plain(short(name)))
    return _finished(axes, figure, "difference from the baseline in dB", legend=False)


def _finished(axes: Axes, figure: Figure, what: str, *, legend: bool) -> Figure | None:
    if not axes.get_legend_handles_labels()[0]:
        return None
    axes.set_xlabel("step")
    axes.set_ylabel(what)
    axes.grid(alpha=0.25)
    if legend:  # below: curves are everywhere else
        axes.legend(
            fontsize=SIZE - 0.5,
            frameon=False,
            borderaxespad=0,
            loc="upper left",
            bbox_to_anchor=(-0.02, -0.16),
        )
    return figure
