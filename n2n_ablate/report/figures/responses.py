"""Draws the response to the parameter of a search, with a band."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from n2n_ablate import stats
from n2n_ablate.analysis.study_records import TrialRecord
from n2n_ablate.components.parameters import Range
from n2n_ablate.records import StudyTrials
from n2n_ablate.report.figures.axes import (
    GREY,
    PALETTE,
    ends_of,
    panel,
    plain,
    set_scale,
    verdict_colour,
)
from n2n_ablate.stats.response import Response
from n2n_ablate.study import BASELINE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
