"""Notes under tables: how to read what the table shows, and nothing that it does not show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from n2n_ablate.analysis.records import (
    Caveat,
    ContrastRecord,
    Family,
    Kind,
    Role,
    StudyAnalysis,
    TrialRecord,
    Verdict,
)
from n2n_ablate.report.numbers import format_percent, join_words, pluralize
from n2n_ablate.report.text.contrasts import unit_of

_DECIDED = (Verdict.BETTER, Verdict.WORSE)


def interval_note(records: Iterable[ContrastRecord | None], family: Family) -> str:
    """Return which confidence intervals a table shows, and how they are corrected."""
    shown = [record for record in records if record and record.interval]
    primary = [record for record in shown if record.role is Role.PRIMARY]
    plain = {record.interval.level for record in shown if record.role is not Role.PRIMARY and record.interval}
    if not shown:
        return ""
    parts = []
    if primary:
        parts.append(f"{_levels(primary)}{_correction(primary, family)}")
    if plain:
        level = join_words(map(format_percent, sorted(plain)))
        parts.append(f"{level} for {'all other' if primary else 'all'} rows")
    over = "scenes" if any(Caveat.CLUSTERED in record.caveats for record in shown) else "images"
    return f"CI: confidence interval across {over}, {'; '.join(parts)}."


def _levels(primary: Sequence[ContrastRecord]) -> str:
    """Return the levels of intervals with a verdict; `equivalent` has its own."""
    by_level: dict[float, list[Verdict]] = {}
    for record in primary:
        if record.interval and record.verdict:
            by_level.setdefault(record.interval.level, []).append(record.verdict)
    if len(by_level) == 1:
        return f"{format_percent(next(iter(by_level)))} for rows with a verdict"
    parts = [
        f"{format_percent(level)} for {'equivalent rows' if set(verdicts) == {Verdict.EQUIVALENT} else 'the other rows with a verdict'}"
        for level, verdicts in sorted(by_level.items(), reverse=True)
    ]
    return join_words(parts)


def _correction(primary: Sequence[ContrastRecord], family: Family) -> str:
    parts = []
    if family.size > 1:
        effects = primary[0].contrast.kind in (Kind.MAIN_EFFECT, Kind.INTERACTION)
        what = pluralize(family.contrasts, "effect" if effects else "contrast")
        under = f" under {family.conditions} conditions" if family.conditions > 1 else ""
        parts.append(f"Bonferroni-corrected for {what}{under}")
    if any(record.interim for record in primary):
        parts.append("valid at every interim analysis")
    return f" ({', '.join(parts)})" if parts else ""


def verdict_note(records: Iterable[ContrastRecord | None]) -> str:
    """Return what the verdicts that occur in a table mean."""
    known = [record for record in records if record and record.verdict]
    present = {record.verdict for record in known}
    if not present:
        return ""
    interactions = {record.contrast.kind is Kind.INTERACTION for record in known} == {True}
    parts = []
    if decided := [verdict.value for verdict in _DECIDED if verdict in present]:
        level = _level(known, _DECIDED)
        words = "above or below the sum" if interactions else " or ".join(decided)
        parts.append(f"{words}: the {level}CI excludes 0")
    if Verdict.EQUIVALENT in present:
        record = next(record for record in known if record.verdict is Verdict.EQUIVALENT)
        margin = f"\u00b1{record.margin or 0:g}{unit_of(record.metric)}"
        level = _level(known, (Verdict.EQUIVALENT,))
        word = "additive" if interactions else "equivalent"
        parts.append(f"{word}: the {level}CI (two one-sided tests) lies within {margin}")
    if Verdict.INCONCLUSIVE in present:
        parts.append(f"inconclusive: {'neither' if len(parts) else _neither(known)}")
    if Verdict.WITHHELD in present:
        parts.append("withheld: fits failed or there is no interval, see the answer")
    if Verdict.IDENTICAL in present:
        parts.append("identical: the same result on every image")
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _level(known: Sequence[ContrastRecord], verdicts: Sequence[Verdict]) -> str:
    levels = {
        record.interval.level
        for record in known
        if record.interval and record.verdict in verdicts
    }
    return f"{format_percent(next(iter(levels)))} " if len(levels) == 1 else ""


def _neither(known: Sequence[ContrastRecord]) -> str:
    margin = known[0].margin or 0
    within = f" nor lies within \u00b1{margin:g}{unit_of(known[0].metric)}" if margin else ""
    return f"the CI neither excludes 0{within}" if within else "the CI includes 0"


def unequal_note(rows: Sequence[TrialRecord]) -> str:
    """Return how to read a table whose rows are over different numbers of images."""
    raced = any(row.contrast and row.contrast.interim for row in rows)
    ranked = "rows are ranked by difference, " if raced else ""
    return (
        f"Rows are over different numbers of images: {ranked}mean values of different rows are not "
        "comparable, differences are (paired by image)."
    )


def confirmed_elsewhere_note(analysis: StudyAnalysis) -> str:
    """Return where the verdicts are, for the table of trials of a study with a confirmation."""
    return "Verdicts appear in the confirmation table only." if analysis.confirmation else ""


def shrinkage_note(*, searched: bool) -> str:
    """Return what the last column of the confirmation table is."""
    bias = ", as expected of a trial that was selected for its result" if searched else ""
    return (
        "Shrinkage: how much smaller the difference is on held-out images; \u00b1 95 % CI (Welch). "
        f"Positive: it shrank{bias}."
    )


FACTORIAL_NOTE = (
    "Main effect: the change from the baseline's level, averaged over the levels of the other factors."
)
INTERACTION_NOTE = "Interaction (a \u00d7 b): the gain of both changes together beyond the sum of their gains."
SUPPORTING_CAPTION = "Supporting statistics (not used for verdicts)."
SUPPORTING_NOTES = {
    "d_z": "d_z: mean difference in standard deviations across images.",
    "better on": "Better on: images on which the trial is better.",
    "Holm p": "Holm p: paired t test, Holm-corrected.",
    "sign-flip p": "Sign-flip p: in brackets the smallest possible with so many images.",
    "P(equivalent)": "P(equivalent): posterior probability of a true difference within the margin.",
    "detectable": "Detectable: a true difference of this size would be detected in about 4 of 5 such studies.",
    "images needed": "Images needed: of a new study that would resolve the contrast.",
    "one image out": "One image out: range of the mean difference when any single image is left out.",
}
"""By the title of the column."""
RACED_P_NOTE = "p values do not allow for interim analyses."
TRAINING_CAPTION = "Training curves: peaks before the last step, and crossings with the baseline's curve."
TRAINING_NOTES = (
    "Gain at peak: from stopping at the step where the mean curve of the other images peaks.",
    "Crossing: of the mean curves, in brackets the 95 % CI of the step.",
)
