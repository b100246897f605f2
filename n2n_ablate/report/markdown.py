"""Writes a report as Markdown: the page without its pictures."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from n2n_ablate.report import words
from n2n_ablate.report.model import Report, Section

_SPECIAL = re.compile(r"([\\`*_{}\[\]#|~$])")


def markdown(report: Report) -> str:
    """Return the report as Markdown with tables."""
    plan = report.found.plan
    settings = f", with {', '.join(plan.heeded)}" if plan.heeded else ""
    parts = [
        f"# {escaped(plan.study.question)}",
        escaped(f"Study {plan.study.name}, profile {plan.profile.name}{settings}."),
    ]
    if report.problems:
        parts += ["## What is missing", _list(report.problems)]
    for section in report.sections:
        parts += _section(report, section)
    parts.append("## Failures")
    parts.append(_list(report.failures) if report.failures else "None: every fit has a result.")
    parts += ["## Methods", escaped(report.methods)]
    parts.append(_list(f"{name}: {value}" for name, value in report.facts))
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Return a text that Markdown shows as it stands."""
    plain = _SPECIAL.sub(r"\\\1", html.escape(text, quote=False))
    return " ".join(plain.split())


def _section(report: Report, section: Section) -> Iterable[str]:
    result = report.result
    yield f"## {escaped(section.condition.label)}"
    yield escaped(section.answer)
    yield escaped(section.highest)
    if section.confirmed:
        yield "### Confirmation"
        rows = [words.confirmation_row(item, section, result) for item in section.confirmed]
        yield _table(words.confirmation_head(section), rows)
        yield escaped(" ".join([f"{section.scope_confirmed}.", *section.confirm_legend]))
        yield "### Trials"
    yield _table(
        words.results_head(section, result),
        [words.results_row(line, section, result) for line in section.lines],
    )
    if section.legend:
        yield escaped(" ".join(section.legend))
    if section.effects:
        yield "### Effects of the factors"
        yield _table(words.EFFECTS, [words.effect_row(line) for line in section.effects])
        yield escaped(" ".join(section.effects_legend))
    if section.contrasts:
        yield f"### Beside the verdicts{' of the confirmation' if section.confirmed else ''}"
        yield _table(
            words.EVIDENCE, [words.evidence_row(item, section) for item in section.contrasts]
        )
        if section.contrasts_legend:
            yield escaped(" ".join(section.contrasts_legend))
    yield escaped(f"Uncertainty: {section.account.advice}.")
    if section.diagnoses:
        yield "### Diagnostics of the samplers"
        yield _table(
            words.DIAGNOSTICS,
            [
                words.diagnostics_row(section.names.get(name, name), found)
                for name, found in section.diagnoses.items()
            ],
        )
        notes = [*words.diagnosis_notes(section), *(item.sentence for item in section.relations)]
        yield _list(notes)
    if section.loss is not None:
        yield escaped(section.loss.sentence)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(head) - 1)]
    text = [f"| {' | '.join(map(escaped, head))} |", f"| {' | '.join(rule)} |"]
    text += [f"| {' | '.join(map(escaped, row))} |" for row in rows]
    return "\n".join(text)


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {escaped(item)}" for item in items)
