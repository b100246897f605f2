"""Writes the tables of a report for a paper: LaTeX with booktabs, one table per condition."""

from __future__ import annotations

from collections.abc import Sequence

from n2n_ablate.analysis.answer import rests_on, scope
from n2n_ablate.report import words
from n2n_ablate.report.model import Report, Section

_SIGNS = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "\u2212": "$-$",
    "\u00b1": r"$\pm$",
    "\u2264": r"$\leq$",
    "\u03c3": r"$\sigma$",
    "\u2026": r"\dots{}",
    "\u25b2": r"$\blacktriangle$",
    "\u25bc": r"$\blacktriangledown$",
    "\u2248": r"$\approx$",
}
_WORDS = ("trial", "effect", "verdict", "finding")  # columns that hold words, not numbers
_HEAD = "% Needs \\usepackage{booktabs}, \\usepackage{amssymb} and \\usepackage[T1]{fontenc}.\n"


def latex(report: Report) -> str:
    """Return one table per condition, and one per confirmation, to be put into a paper."""
    tables = []
    for number, section in enumerate(report.sections, start=1):
        tables.append(_results(report, section, number))
        if section.effects:
            tables.append(_effects(report, section, number))
        if section.confirmed:
            tables.append(_confirmation(report, section, number))
    return _HEAD + "\n".join(tables)


def escaped(text: str) -> str:
    """Return a text that LaTeX prints as it stands, in one line."""
    return "".join(_SIGNS.get(letter, letter) for letter in " ".join(text.split()))


def _results(report: Report, section: Section, number: int) -> str:
    result, plan = report.result, report.found.plan
    rows = [words.results_row(line, section, result) for line in section.lines]
    references = [line.role in ("reference", "yardstick") for line in section.lines]
    ruled = [row for row, apart in zip(rows, references, strict=True) if not apart]
    below = [row for row, apart in zip(rows, references, strict=True) if apart]
    most = max((line.whole for line in section.lines), default=0)
    text = (
        f"{plan.study.question} Mean PSNR over {scope(report.header, section.condition.label, most)}; "
        f"differences from the baseline are paired by image. {' '.join(section.legend)}"
    )
    if lost := sum(line.failures for line in section.lines):
        text += f" Fits without a result: {lost}."
    label = f"tab:{plan.study.name}-{number}"
    return _table(words.results_head(section, result), (ruled, below), text, label)


def _effects(report: Report, section: Section, number: int) -> str:
    rows = [words.effect_row(line) for line in section.effects]
    here = section.condition.label
    where = scope(report.header, here, rests_on(report.result, here))
    text = (
        f"{report.found.plan.study.question} Effects of the factors over {where}, in dB. "
        f"{' '.join(section.effects_legend)}"
    )
    label = f"tab:{report.found.plan.study.name}-{number}-effects"
    return _table(words.EFFECTS, (rows, []), text, label)


def _confirmation(report: Report, section: Section, number: int) -> str:
    rows = [words.confirmation_row(item, section, report.result) for item in section.confirmed]
    text = (
        f"{report.found.plan.study.question} Confirmation on {section.scope_confirmed}; differences "
        f"from the baseline in dB. {' '.join(section.confirm_legend)}"
    )
    label = f"tab:{report.found.plan.study.name}-{number}-confirmed"
    return _table(words.confirmation_head(section), (rows, []), text, label)


def _table(
    head: Sequence[str],
    blocks: tuple[Sequence[Sequence[str]], Sequence[Sequence[str]]],
    caption: str,
    label: str,
) -> str:
    columns = "".join("l" if title in _WORDS else "r" for title in head)
    first, second = ([f"    {_row(row)}" for row in rows] for rows in blocks)
    rule = ["    \\midrule"] if first and second else []
    if not first and not second:
        first = [f"    \\multicolumn{{{len(head)}}}{{l}}{{No trial has a result.}} \\\\"]
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering",
            f"  \\caption{{{escaped(caption)}}}",
            f"  \\label{{{_plain(label)}}}",
            f"  \\begin{{tabular}}{{{columns}}}",
            r"    \toprule",
            f"    {_row(head)}",
            r"    \midrule",
            *first,
            *rule,
            *second,
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _row(cells: Sequence[str]) -> str:
    # A cell that starts with a bracket would be taken for an option of the line break before it.
    texts = [escaped(cell) for cell in cells]
    texts = [f"{{}}{text}" if text.startswith(("[", "*")) else text for text in texts]
    return f"{' & '.join(texts)} \\\\"


def _plain(label: str) -> str:
    return "".join(
        letter if (letter.isascii() and letter.isalnum()) or letter == ":" else "-"
        for letter in label
    )
