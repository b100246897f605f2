"""Draws the figures of a report: differences with their intervals, curves by step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from n2n_ablate import stats
from n2n_ablate.analysis import Line, TrialResult
from n2n_ablate.analysis.answer import shown
from n2n_ablate.analysis.compare import gaps
from n2n_ablate.analysis.curves import image_curves
from n2n_ablate.report.figures.colours import of_trials
from n2n_ablate.report.model import Report, arms
from n2n_ablate.report.svg import plain
from n2n_ablate.study import BASELINE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Of middle brightness, so that they can be read on white and on black.
GREY = "#8a8a8a"
OF_VERDICT = {
    "better": "#23945a",
    "worse": "#d3504f",
    "equivalent": "#2b8cbe",
    stats.UNDECIDED: "#b07d1e",
}
_LONGEST = 38  # letters of a name beside an axis
SIZE = 9.5


def forest(
    lines: Sequence[Line], names: Mapping[str, str], margin: float, title: str = ""
) -> Figure:
    """Draw the difference of every trial from the baseline with its interval.

    Args:
        lines: Of a table, yardsticks left out.
        names: How to call them.
        margin: In dB: the band of what counts as equivalent.
        title: Above it, where there is more than one.
    """
    drawn = [line for line in lines if line.difference or line.role == BASELINE]
    figure, axes = panel(width=6.4, height=0.9 + 0.27 * len(drawn))
    axes.axvspan(-margin, margin, color=GREY, alpha=0.18, lw=0)
    axes.axvline(0, color="black", lw=0.8)
    for place, line in enumerate(drawn):
        if line.difference is None:
            axes.plot([0], [place], marker="D", ms=6, mfc="none", mec="black")
        else:
            _difference(axes, place, line, line.difference)
    axes.set_yticks(range(len(drawn)), [plain(short(names[line.name])) for line in drawn])
    axes.set_ylim(len(drawn) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.25)
    axes.set_xlabel("difference from the baseline in dB")
    axes.set_title(title, fontsize=SIZE + 0.5, loc="left")
    return figure


def _difference(axes: Axes, place: int, line: Line, gap: stats.Difference) -> None:
    colour = OF_VERDICT.get(line.verdict, GREY)
    reach = gap.half_width if math.isfinite(gap.half_width) else 0.0
    face = colour if line.verdict else "none"
    mark = "s" if line.role == "reference" else "o"
    wide = 2.2 if line.verdict else 1.2
    axes.plot([gap.mean - reach, gap.mean + reach], [place, place], color=colour, lw=wide)
    axes.plot([gap.mean], [place], marker=mark, ms=6, mec=colour, mfc=face, ls="")
    axes.annotate(
        plain(f"{shown(gap)}  {line.verdict}".rstrip()),
        (1.02, place),
        xycoords=("axes fraction", "data"),
        va="center",
        fontsize=SIZE - 0.5,
    )


def colours(report: Report) -> dict[str, str]:
    """Return the colours of all trials by what tables call them, those worth a curve first."""
    names = {name: told for section in report.sections for name, told in section.names.items()}
    order = [
        item.trial.name
        for stage in (report.deciding, report.result)
        for section in report.sections
        for item in arms(stage, section.condition.label)
    ]
    order += [item.trial.name for item in report.result.trials]
    told = (names.get(name, name) for name in order)
    return of_trials(names.get(BASELINE, BASELINE), told)


def curves(
    chosen: Mapping[str, TrialResult], condition: str, colours: Mapping[str, str]
) -> Figure | None:
    """Draw mean PSNR by step of some trials, on the images that all of them have; None without.

    Args:
        chosen: By what tables call them.
        condition: Label of the noise.
        colours: By the same names.
    """
    own = {name: image_curves(item, "psnr", condition) for name, item in chosen.items()}
    drawn = [item for item in own.values() if item.images]
    shared = (
        [image for image in drawn[0].images if all(image in x.images for x in drawn)]
        if drawn
        else []
    )
    if not shared:
        return None
    figure, axes = panel(width=3.95, height=3.3)
    for name, item in own.items():
        if item.images:
            dashes = "--" if chosen[name].trial.role == BASELINE else "-"
            mean = np.mean([item.images[image] for image in shared], axis=0)
            label = plain(short(name))
            axes.plot(item.steps, mean, dashes, lw=1.6, color=colours[name], label=label)
    count = f"{len(shared)} image{'s' * (len(shared) > 1)}"
    return _finished(axes, figure, f"mean PSNR in dB, {count}", legend=True)


def gains(
    chosen: Mapping[str, TrialResult],
    baseline: TrialResult,
    condition: str,
    colours: Mapping[str, str],
) -> Figure | None:
    """Draw each trial's difference from the baseline by step, with its band over images.

    Args:
        chosen: See `curves`.
        baseline: Of the same stage.
        condition: Label of the noise.
        colours: See `curves`.
    """
    figure, axes = panel(width=3.95, height=3.3)
    axes.axhline(0, color="black", lw=0.9, ls="--")
    for name, item in chosen.items():
        found = gaps(item, baseline, condition) if item is not baseline else None
        if found is None:
            continue
        steps, values = found
        values = values[np.isfinite(values).all(axis=1)]
        if not len(values):
            continue
        mean, low, high = stats.band(values)
        colour = colours[name]
        if np.isfinite(low).all():
            axes.fill_between(steps, low, high, color=colour, alpha=0.18, lw=0)
        axes.plot(steps, mean, lw=1.6, color=colour, label=plain(short(name)))
    return _finished(axes, figure, "dB against the baseline", legend=False)


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


def short(name: str) -> str:
    """Return a name that has a place beside an axis."""
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
