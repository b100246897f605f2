"""Notes under tables: how to read what the table shows, and nothing that it does not show."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from n2n_ablate.analysis.records import Caveat, ContrastRecord, Kind, Role, Verdict
from n2n_ablate.analysis.study_records import (
    ConfirmationRecord,
    ConfirmedContrast,
    Family,
    Origin,
    StudyAnalysis,
    TrialRecord,
)
from n2n_ablate.report.numbers import format_percent, join_words, pluralize
from n2n_ablate.report.text.contrasts import unit_of

_DECIDED = (Verdict.BETTER, Verdict.WORSE)


def interval_note(records: Iterable[ContrastRecord | None], family: Family) -> str:
    """Return which confidence intervals a table shows, and how they are corrected."""
    shown = [record for record in records if record and record.interval]
    primary = [record for record in shown if record.role is Role.PRIMARY]
    others = [record for record in shown if record.role is not Role.PRIMARY]
    if not shown:
        return ""
    over = "scenes" if any(Caveat.CLUSTERED in record.caveats for record in shown) else "images"
    plain = _levels(others)
    if not primary:
        return f"CI: {plain} confidence interval across {over}."
    corrected = _correction(primary, family)
    decided = [record for record in primary if record.verdict is not Verdict.EQUIVALENT]
    level, equal = _levels(decided), _levels(_equivalent(primary))
    if level and equal and level != equal:
        corrected += f"; {equal} where equivalent"
    if not others or (plain == (level or equal) and not corrected):
        return f"CI: {level or equal} confidence interval across {over}{_bracketed(corrected)}."
    return (
        f"CI: confidence interval across {over}, {level or equal} for declared contrasts"
        f"{_bracketed(corrected)}, {plain} for other rows."
    )


def _equivalent(records: Sequence[ContrastRecord]) -> list[ContrastRecord]:
    """Return the records that are decided by the narrower interval of two one-sided tests."""
    return [record for record in records if record.verdict is Verdict.EQUIVALENT]


def _levels(records: Sequence[ContrastRecord]) -> str:
    levels = {record.interval.level for record in records if record.interval}
    return join_words(map(format_percent, sorted(levels)))


def _bracketed(text: str) -> str:
    return f" ({text.removeprefix('; ')})" if text else ""


def _correction(primary: Sequence[ContrastRecord], family: Family) -> str:
    parts = []
    if family.size > 1:
        effects = primary[0].contrast.kind in (Kind.MAIN_EFFECT, Kind.INTERACTION)
        what = pluralize(family.contrasts, "effect" if effects else "contrast")
        under = f" under {family.conditions} conditions" if family.conditions > 1 else ""
        parts.append(f"Bonferroni-corrected for {what}{under}")
    if any(record.interim for record in primary):
        parts.append("valid at every interim analysis")
    return ", ".join(parts)


def verdict_note(records: Iterable[ContrastRecord | None]) -> str:
    """Return what the verdicts that occur in a table mean."""
    known = [record for record in records if record and record.verdict]
    present: set[Verdict | None] = {record.verdict for record in known}
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
        parts.append(f"inconclusive: {_inconclusive(known, present)}")
    if Verdict.WITHHELD in present:
        parts.append("withheld: the reason is given with the contrast")
    if Verdict.IDENTICAL in present:
        parts.append("identical: the same result on every image")
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _level(known: Sequence[ContrastRecord], verdicts: Sequence[Verdict]) -> str:
    levels = {
        record.interval.level for record in known if record.interval and record.verdict in verdicts
    }
    return f"{format_percent(next(iter(levels)))} " if len(levels) == 1 else ""


def _inconclusive(known: Sequence[ContrastRecord], present: Collection[Verdict | None]) -> str:
    margin = known[0].margin or 0
    if not margin:
        return "the CI includes 0"
    if Verdict.EQUIVALENT in present and any(verdict in present for verdict in _DECIDED):
        return "neither"
    within = f"equivalence within \u00b1{margin:g}{unit_of(known[0].metric)}"
    return f"the CI includes 0, and {within} is not shown either"


def unequal_note(rows: Sequence[TrialRecord]) -> str:
    """Return how to read a table whose rows are over different numbers of images."""
    raced = any(row.contrast and row.contrast.interim for row in rows)
    ranked = ", by which they are ranked" if raced else ""
    return f"Rows are over different numbers of images: compare their differences{ranked}, not their means."


REFERENCES_NOTE = "Rows without a number are references, outside the ranking."


def confirmed_elsewhere_note(analysis: StudyAnalysis) -> str:
    """Return where the verdicts are, for the table of trials of a study with a confirmation."""
    return "Verdicts appear in the confirmation table only." if analysis.confirmation else ""


def shrinkage_note(*, searched: bool) -> str:
    """Return what the last column of the confirmation table is."""
    bias = (
        " Trials selected for their result shrink on average (selection bias)." if searched else ""
    )
    return (
        "Shrinkage: how much smaller the difference is on held-out images (negative: larger), "
        f"\u00b1 95 % CI (Welch).{bias}"
    )


def reuse_notes(confirmation: ConfirmationRecord, pairs: Sequence[ConfirmedContrast]) -> list[str]:
    """Return what to know of held-out images that were used before."""
    notes = []
    if any(pair.origin is Origin.EARLIER for pair in pairs):
        notes.append(
            "Confirmed earlier: on these images, by an earlier command; the correction includes it, so "
            "every interval is wider."
        )
    if confirmation.earlier:
        names = join_words(dict.fromkeys(confirmation.earlier))
        notes.append(
            f"{pluralize(len(confirmation.earlier), 'earlier confirmation')} ({names}) used some of these "
            "held-out images, so they are no longer unseen."
        )
    return notes


FACTORIAL_NOTE = "Main effect: the change from the baseline's level, averaged over the levels of the other factors."
INTERACTION_NOTE = (
    "Interaction (a \u00d7 b): the gain of both changes together beyond the sum of their gains."
)
SUPPORTING_CAPTION = "Supporting statistics (not used for verdicts)."
SUPPORTING_NOTES = {
    "d_z": "d_z: mean difference in standard deviations across images.",
    "better on": "Better on: images on which the trial is better, in brackets the 95 % CI of their share.",
    "Holm p": "Holm p: paired t test, Holm-corrected.",
    "sign-flip p": "Sign-flip p: assumes symmetric differences; in brackets the smallest possible with so many images.",
    "P(equivalent)": "P(equivalent): posterior probability of a true difference within the margin.",
    "detectable": "Detectable: a true difference of this size would be detected in about 4 of 5 such studies.",
    "images needed": "Images needed: of a new study that would resolve the contrast.",
    "these images": "These images: 95 % CI for the same images with other noise and training.",
    "one image out": "One image out: range of the mean difference when any single image is left out.",
}
"""By the title of the column."""
SECONDARY_CAPTION = (
    "Secondary metrics: paired differences of the declared contrasts, without verdicts."
)
RACED_P_NOTE = "p values do not allow for interim analyses."
TRAINING_CAPTION = (
    "Training curves: peaks before the last step, and crossings with the baseline's curve."
)
TRAINING_NOTES = (
    "Gain at peak: from stopping at the step where the mean curve of the other images peaks.",
    "Crossing: of the mean curves, in brackets the 95 % CI of the step.",
)
DOT_PLOT_NOTE = "Differences {base}by image (\u00b7), their mean (\u25c6) and its CI (\u2500); \u2502 marks no difference."
