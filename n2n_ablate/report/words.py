"""Numbers of a report as text: the same in every format."""

from __future__ import annotations

import math
from collections.abc import Sequence

from n2n_ablate import stats
from n2n_ablate.analysis import Line, StudyResult
from n2n_ablate.analysis.answer import shown, signed
from n2n_ablate.analysis.compare import Comparison, told_crossing
from n2n_ablate.analysis.confirmed import Pair, told_shrinkage
from n2n_ablate.analysis.effects import EffectLine
from n2n_ablate.analysis.names import label
from n2n_ablate.analysis.uneven import uneven
from n2n_ablate.diagnostics import Diagnosis
from n2n_ablate.diagnostics import words as diagnosed
from n2n_ablate.report.model import Section
from n2n_ablate.study import BASELINE

MARKS = {"better": "▲", "worse": "▼", "equivalent": "≈", stats.UNDECIDED: "?"}
"""One sign per verdict, so that a table in black and white can be read at a glance."""


def number(value: float, digits: int = 2) -> str:
    """Return a number, empty if there is none."""
    return f"{value:.{digits}f}" if math.isfinite(value) else ""


def interval(gap: stats.Difference | None) -> str:
    """Return both ends of the interval, or why there is none."""
    if gap is None:
        return ""
    if not math.isfinite(gap.half_width):
        return "one image" if gap.n == 1 else "all equal"
    return f"{signed(gap.low)} to {signed(gap.high)}"


def verdict(word: str) -> str:
    """Return a verdict with its sign."""
    return f"{MARKS.get(word, '')} {word}".strip()


def psnr(line: Line) -> str:
    """Return the mean PSNR of a line, or that there is none."""
    return number(line.figures["psnr"]) or "failed"


def others(result: StudyResult) -> list[str]:
    """Return the names of the metrics beside PSNR."""
    return [name for name in result.plan.metrics if name != "psnr"]


def results_head(section: Section, result: StudyResult) -> list[str]:
    """Return the titles of the table of results."""
    more = [name.upper() if name == "ssim" else name for name in others(result)]
    word = ["verdict"] if result.confirmed is None else []  # else only what is confirmed has one
    count = ["images"] if uneven(section.lines) else []
    return ["trial", "PSNR in dB", "against baseline", "interval", *word, *count, *more, "fits"]


def results_row(line: Line, section: Section, result: StudyResult) -> list[str]:
    """Return a line of the table of results."""
    gap = line.difference
    failed = f", {line.failures} failed" if line.failures else ""
    name = section.names[line.name]
    if line.role == BASELINE:
        name = f"{name} (baseline)" if name != BASELINE else name
    return [
        name,
        psnr(line),
        "" if line.role == BASELINE or gap is None else signed(gap.mean),
        "" if line.role == BASELINE else interval(gap),
        *([verdict(line.verdict)] if result.confirmed is None else []),
        *([str(line.compared or "")] if uneven(section.lines) else []),
        *(number(line.figures.get(name, math.nan), 3) for name in others(result)),
        f"{line.fits}{failed}" if line.fits else "",
    ]


EVIDENCE = (
    *("contrast", "effect d_z", "higher / lower", "sign-flip p", "could be seen"),
    *("gain at the peak", "changes places"),
)


def evidence_row(found: Comparison, section: Section) -> list[str]:
    """Return what stands beside the verdict of a contrast; nothing of it decides."""
    gap, name = found.difference, section.names.get(found.first, found.first)
    if gap is None:
        return [name, "no image has both", "", "", "", "", ""]
    flips, seen, top = stats.sign_flip(gap.gaps), stats.detectable(gap), found.peaks[0]
    places = found.crossing and found.crossing.step is None
    return [
        name,
        signed(gap.effect) if math.isfinite(gap.effect) else "",
        f"{gap.wins} / {gap.losses} of {gap.n}",
        f"{flips.p:.2g} ({flips.smallest:.2g})",
        f"{seen:.2f} dB" if seen is not None else "",
        _peak(top),
        "no" if places else told_crossing(found.crossing),
    ]


EFFECTS = ("effect", "difference", "interval", "verdict")


def effect_row(line: EffectLine) -> list[str]:
    """Return an effect of a factorial study."""
    gap = line.difference
    told = verdict(line.verdict)
    return [line.effect.name, signed(gap.mean) if gap else "a cell is missing", interval(gap), told]


DIAGNOSTICS = ("trial", "leak", "back", "bias", "view noise", "gap", "warning")


def diagnostics_row(name: str, found: Diagnosis) -> list[str]:
    """Return what was measured of a sampler."""
    total = found.total
    return [
        name,
        diagnosed.signed(total.leak.value),
        diagnosed.signed(total.back.value) if found.both_ways else "",
        diagnosed.signed(total.bias.value, 1),
        " ".join(filter(None, (number(item.value) for item in total.noise))) if total.sigma else "",
        number(total.gap.value, 1),
        " ".join(item.word for item in diagnosed.concerns(found) if item.word),
    ]


def confirmation_head(section: Section) -> list[str]:
    """Return the titles of the table of a confirmation."""
    count = ["images"] if section.confirmed_uneven else []
    return ["trial", "before", "confirmed", "interval", "verdict", *count, "shrinkage"]


def confirmation_row(found: Pair, section: Section, result: StudyResult) -> list[str]:
    """Return a contrast before and after confirmation."""
    name = label(found.name, "", result.plan)
    return [
        f"{name} ({found.mark})" if found.mark else name,
        shown(found.before),
        signed(found.after.mean) if found.after else "no result",
        interval(found.after),
        verdict(found.verdict),
        *([str(found.after.n) if found.after else ""] if section.confirmed_uneven else []),
        told_shrinkage(found),
    ]


def diagnosis_notes(section: Section) -> Sequence[str]:
    """Return the warnings about samplers, each once; those of a search stand in the table alone."""
    told: dict[str, list[str]] = {}
    searched = {line.name for line in section.lines if line.role == "search"}
    for name, found in section.diagnoses.items():
        for item in diagnosed.concerns(found) if name not in searched else ():
            told.setdefault(item.sentence, []).append(section.names.get(name, name))
    return [f"{', '.join(names)}: {sentence}" for sentence, names in told.items()]


def _peak(found: stats.Peak | None) -> str:
    if found is None:
        return ""
    if found.oracle == 0:
        return "none: still rising"
    if math.isnan(found.gain):
        return f"step {found.step}; one image: no other to choose by"
    ends = f", {signed(found.low)} to {signed(found.high)}" if math.isfinite(found.low) else ""
    return f"{signed(found.gain)} dB at step {found.step}{ends}"
