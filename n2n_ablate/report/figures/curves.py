"""Draws curves: PSNR and the difference from the baseline by training step, and the response to a parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from n2n_ablate import stats
from n2n_ablate.analysis.rows import curve_differences
from n2n_ablate.analysis.study_records import TrialRecord
from n2n_ablate.components.parameters import Range
from n2n_ablate.records import StudyTrials, TrialResult
from n2n_ablate.report.figures.axes import (
    GREY,
    PALETTE,
    SIZE,
    ends_of,
    panel,
    plain,
    set_scale,
    short,
    verdict_colour,
)
from n2n_ablate.report.numbers import pluralize
from n2n_ablate.stats.response import Response
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


_VARIED = ("declared", "search")


def along(rows: Sequence[TrialRecord], key: str) -> list[TrialRecord]:
    """Return the trials that were varied, along a factor whose values are all numbers; else none."""
    varied = [
        row
        for row in rows
        if row.role in _VARIED and row.contrast and row.contrast.estimate is not None
    ]
    return varied if all(number(row.parameters.get(key)) is not None for row in varied) else []


def number(value: object) -> float | None:
    """Return a value as a position on an axis, None if it is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def curve(result: StudyTrials, key: str, condition: str) -> Response | None:
    """Return the curve through all trials, None with too few places."""
    tried = [
        (at, each.by_image("psnr", condition))
        for each in result.trials
        if each.trial.role in (BASELINE, *_VARIED)
        and (at := number(each.trial.values.get(key))) is not None
    ]
    second = result.baseline.by_image("psnr", condition) if result.baseline else {}
    places, firsts = [at for at, _ in tried], [values for _, values in tried]
    domain = result.plan.space.get(key)
    log = isinstance(domain, Range) and domain.log
    return stats.response(places, firsts, second, log=log)


def response(
    rows: Sequence[TrialRecord],
    key: str,
    baseline: float | None,
    margin: float,
    fitted: Response | None,
) -> Figure:
    """Draw the difference from the baseline against the only parameter that varies."""
    figure, axes = panel(width=6.6, height=3.7)
    axes.axhspan(-margin, margin, color=GREY, alpha=0.18, lw=0)
    axes.axhline(0, color="black", lw=0.8)
    if fitted is not None:
        if np.isfinite(fitted.half_width).all():
            axes.fill_between(
                fitted.grid, fitted.low, fitted.high, color=PALETTE[0], alpha=0.2, lw=0
            )
        axes.plot(fitted.grid, fitted.mean, color=PALETTE[0], lw=1.6)
    known = [(number(row.parameters[key]) or 0.0, row.contrast) for row in rows if row.contrast]
    inks = [verdict_colour(record) for _, record in known]
    at = [each for each, _ in known]
    low, high = zip(*(ends_of(record) for _, record in known), strict=True) if known else ((), ())
    axes.vlines(at, low, high, colors=inks, lw=1.3)
    faces = [
        ink if record.verdict else "none" for ink, (_, record) in zip(inks, known, strict=True)
    ]
    means = [record.estimate or 0.0 for _, record in known]
    axes.scatter(at, means, s=36, facecolors=faces, edgecolors=inks)
    if baseline is not None:
        axes.plot([baseline], [0], marker="D", ms=7, mfc="none", mec="black", ls="")
    set_scale(axes.xaxis, log=fitted is not None and fitted.log)
    axes.set_xlabel(plain(key))
    axes.set_ylabel("difference from the baseline in dB")
    axes.grid(alpha=0.25)
    return figure
