"""Draws the response to the parameters of a search: dB against one, or over two, with a band."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from n2n_ablate import stats
from n2n_ablate.analysis import Line, StudyResult
from n2n_ablate.components.parameters import Range
from n2n_ablate.components.spec import Value
from n2n_ablate.report.charts import GREY, OF_VERDICT, SIZE, panel
from n2n_ablate.report.figures.colours import PALETTE
from n2n_ablate.report.svg import plain
from n2n_ablate.stats.response import Response
from n2n_ablate.stats.surface import Surface
from n2n_ablate.study import BASELINE, Plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_OWN = ("declared", "search")
_COLOURS = "PuOr"


def axes_of(plan: Plan, lines: Sequence[Line]) -> tuple[list[str], list[Line]]:
    """Return the factors if all of them are numbers, and the trials that have a place on each.

    A study that varies one factor at a time has no surface between two.
    """
    keys = [factor.key for factor in plan.study.factors]
    own = [line for line in lines if line.role in _OWN and line.difference]
    placed = [line for line in own if all(place(line.values.get(key)) is not None for key in keys)]
    crossed = plan.study.design != "one-at-a-time" or len(keys) == 1
    return (keys, placed) if crossed and placed and len(placed) == len(own) else ([], [])


def place(value: Value | object) -> float | None:
    """Return a value as a place on an axis, None if it is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def is_log(plan: Plan, key: str) -> bool:
    """Say whether a parameter was searched on a logarithmic scale."""
    domain = plan.space.get(key)
    return isinstance(domain, Range) and domain.log


def curve(result: StudyResult, key: str, condition: str) -> Response | None:
    """Return the curve through all trials, None with too few places."""
    places, firsts, second = _tried(result, (key,), condition)
    return stats.response([at for (at,) in places], firsts, second, log=is_log(result.plan, key))


def sheet(result: StudyResult, keys: tuple[str, str], condition: str) -> Surface | None:
    """Return the surface through all trials, None with too few places."""
    places, firsts, second = _tried(result, keys, condition)
    logs = (is_log(result.plan, keys[0]), is_log(result.plan, keys[1]))
    return stats.surface([(one, two) for one, two in places], firsts, second, log=logs)


def response(
    lines: Sequence[Line], key: str, baseline: float | None, margin: float, fitted: Response | None
) -> Figure:
    """Draw the difference from the baseline against the only parameter that varies.

    Args:
        lines: The trials that have a place on the axis.
        key: The parameter.
        baseline: The baseline's place.
        margin: In dB: the band of what counts as equivalent.
        fitted: The curve through all of them.
    """
    figure, axes = panel(width=6.6, height=3.7)
    axes.axhspan(-margin, margin, color=GREY, alpha=0.18, lw=0)
    axes.axhline(0, color="black", lw=0.8)
    if fitted is not None:
        if np.isfinite(fitted.half_width).all():
            own = fitted.inside
            ends = (fitted.low[own], fitted.high[own])
            axes.fill_between(fitted.grid[own], *ends, color=PALETTE[0], alpha=0.2, lw=0)
        axes.plot(fitted.grid, fitted.mean, color=PALETTE[0], lw=1.6)
        axes.set_xscale("log" if fitted.log else "linear")
    for line in lines:
        gap, at = line.difference, place(line.values[key])
        if gap is None or at is None:
            continue
        colour = OF_VERDICT.get(line.verdict, GREY)
        reach = gap.half_width if math.isfinite(gap.half_width) else 0.0
        face = colour if line.verdict else "none"
        axes.plot([at, at], [gap.mean - reach, gap.mean + reach], color=colour, lw=1.3)
        axes.plot([at], [gap.mean], marker="o", ms=6, mec=colour, mfc=face, ls="")
    if baseline is not None:
        axes.plot([baseline], [0], marker="D", ms=7, mfc="none", mec="black", ls="")
    axes.set_xlabel(plain(key))
    axes.set_ylabel("dB against the baseline")
    axes.grid(alpha=0.25)
    return figure


def surface(
    lines: Sequence[Line],
    keys: tuple[str, str],
    baseline: tuple[float, float] | None,
    fitted: Surface | None,
) -> Figure:
    """Draw the difference from the baseline in colours over the two parameters that vary."""
    figure, axes = panel(width=6.0, height=4.3)
    good = [(line, line.difference.mean) for line in lines if line.difference]
    first, second = ([place(line.values[key]) or 0.0 for line, _ in good] for key in keys)
    values = [value for _, value in good]
    most = max(map(abs, values), default=0.0) or 1.0
    if fitted is not None:
        inside = np.ma.masked_where(~fitted.inside, fitted.mean).T
        axes.contourf(*fitted.grids, inside, levels=12, cmap=_COLOURS, vmin=-most, vmax=most)
        if bounded(fitted):
            near = np.where(fitted.inside & fitted.near_best, 1.0, 0.0).T
            axes.contour(*fitted.grids, near, levels=[0.5], colors=["black"], linestyles="dashed")
        for setter, log in zip((axes.set_xscale, axes.set_yscale), fitted.log, strict=True):
            setter("log" if log else "linear")
    dots = axes.scatter(
        first,
        second,
        c=values,
        s=70,
        edgecolors="black",
        lw=0.8,
        cmap=_COLOURS,
        vmin=-most,
        vmax=most,
    )
    if baseline is not None:
        axes.plot([baseline[0]], [baseline[1]], marker="D", ms=10, mfc="none", mec="black")
    axes.set_xlabel(plain(keys[0]))
    axes.set_ylabel(plain(keys[1]))
    axes.use_sticky_edges = False  # the colours end at the outermost dots, which need more room
    axes.margins(0.08)
    bar = figure.colorbar(dots, ax=axes)
    bar.set_label("dB against the baseline", fontsize=SIZE)
    bar.ax.tick_params(labelsize=SIZE)
    return figure


def bounded(fitted: Surface) -> bool:
    """Say whether the places that cannot be told from the best are some, and not all."""
    near = int((fitted.inside & fitted.near_best).sum())
    return 0 < near < int(fitted.inside.sum())


def _tried(
    result: StudyResult, keys: Sequence[str], condition: str
) -> tuple[list[tuple[float, ...]], list[dict[str, float]], dict[str, float]]:
    places, firsts = [], []
    for item in result.trials:
        at = [place(item.trial.values.get(key)) for key in keys]
        if item.trial.role in (BASELINE, *_OWN) and None not in at:
            places.append(tuple(float(value) for value in at if value is not None))
            firsts.append(item.by_image("psnr", condition))
    second = result.baseline.by_image("psnr", condition) if result.baseline else {}
    return places, firsts, second
