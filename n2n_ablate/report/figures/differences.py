"""Draws differences from the baseline with a dot per image, and PSNR against training time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from n2n_ablate.analysis.records import Metric
from n2n_ablate.analysis.study_records import TrialRecord
from n2n_ablate.report.figures.axes import (
    GREY,
    SIZE,
    ends_of,
    panel,
    plain,
    set_scale,
    short,
    verdict_colour,
)
from n2n_ablate.report.text.contrasts import verdict_word

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FASTEST_SPREAD = 1.1  # slowest over fastest trial: below it times differ by chance


def differences(
    rows: Sequence[TrialRecord], names: Mapping[str, str], metric: Metric, title: str = ""
) -> Figure:
    """Draw the difference of every trial from the baseline: a dot per image, mean and interval."""
    drawn = [row for row in rows if row.role == "baseline" or _estimated(row)]
    figure, axes = panel(width=6.4, height=0.9 + 0.27 * len(drawn))
    if metric.margin:
        axes.axvspan(-metric.margin, metric.margin, color=GREY, alpha=0.18, lw=0)
    axes.axvline(0, color="black", lw=0.8)
    _differences(axes, drawn)
    axes.set_yticks(range(len(drawn)), [plain(short(names[row.name])) for row in drawn])
    axes.set_ylim(len(drawn) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.25)
    axes.set_xlabel(f"difference from the baseline{f' in {metric.unit}' if metric.unit else ''}")
    axes.set_title(title, fontsize=SIZE + 0.5, loc="left")
    return figure


def _estimated(row: TrialRecord) -> bool:
    return row.contrast is not None and row.contrast.estimate is not None


def _differences(axes: Axes, rows: Sequence[TrialRecord]) -> None:
    """Draw all rows with few calls, of which each takes milliseconds."""
    known = [(place, row.contrast) for place, row in enumerate(rows) if row.contrast]
    dots = [
        (each.difference, place)
        for place, record in known
        for each in record.images
        if each.difference is not None
    ]
    if dots:
        axes.plot(*zip(*dots, strict=True), marker=".", ms=4, color=GREY, alpha=0.6, ls="")
    if known:
        low, high = zip(*(ends_of(record) for _, record in known), strict=True)
        widths = [2.2 if record.verdict else 1.2 for _, record in known]
        inks = [verdict_colour(record) for _, record in known]
        axes.hlines([place for place, _ in known], low, high, colors=inks, linewidths=widths)
    for mark in ("D", "s", "o"):
        shown = [(place, row) for place, row in enumerate(rows) if _mark(row) == mark]
        records = [row.contrast for _, row in shown]
        inks = [verdict_colour(record) if record else "black" for record in records]
        axes.scatter(
            [(record.estimate or 0.0) if record else 0.0 for record in records],
            [place for place, _ in shown],
            s=36,
            marker=mark,
            edgecolors=inks,
            facecolors=[
                ink if record and record.verdict else "none"
                for ink, record in zip(inks, records, strict=True)
            ],
            zorder=3,
        )
    beside = axes.get_yaxis_transform()
    for place, record in known:
        if word := verdict_word(record):
            axes.text(1.02, place, plain(word), transform=beside, va="center", fontsize=SIZE - 0.5)


def _mark(row: TrialRecord) -> str:
    return "D" if row.contrast is None else "s" if row.role == "reference" else "o"


def worth_drawing_times(rows: Sequence[TrialRecord], metric: Metric) -> bool:
    """Say whether training times of trials with results differ by more than chance."""
    known = [row for row in rows if row.means.get(metric.name) is not None]
    times = [row.seconds_per_fit for row in known if row.seconds_per_fit]
    return len(times) > 1 and max(times) > _FASTEST_SPREAD * min(times)


def time_against_metric(
    rows: Sequence[TrialRecord],
    names: Mapping[str, str],
    metric: Metric,
    colours: Mapping[str, str],
) -> Figure:
    """Draw the mean of a metric against training time, with the Pareto front as a line."""
    figure, axes = panel(width=5.2, height=0.4 + max(3.0, 0.2 * len(rows)))
    front = []
    for row in rows:
        value, seconds = row.means.get(metric.name), row.seconds_per_fit
        if value is None or not seconds:
            continue
        name = names[row.name]
        mark = {"baseline": "D", "reference": "s"}.get(row.role, "o")
        colour = colours.get(name, GREY)
        axes.plot(
            [seconds],
            [value],
            marker=mark,
            ms=7,
            mec=colour,
            mfc=colour if row.pareto else "none",
            ls="",
            label=plain(short(name)),
        )
        if row.pareto:
            front.append((seconds, value))
    xs, ys = zip(*sorted(front), strict=True) if front else ((), ())
    axes.plot(xs, ys, color=GREY, lw=1.0, drawstyle="steps-post", zorder=0)
    axes.margins(x=0.08, y=0.08)
    set_scale(axes.xaxis, log=True)
    axes.set_xlabel("training time in s/fit")
    axes.set_ylabel(f"mean {metric.name.upper()}{f' in {metric.unit}' if metric.unit else ''}")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=SIZE - 0.5, frameon=False, loc="upper left", bbox_to_anchor=(1.02, 1.0))
    return figure
