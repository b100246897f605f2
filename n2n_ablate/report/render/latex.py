"""Writes the tables of a document for a paper: LaTeX with booktabs."""

from __future__ import annotations

from collections.abc import Sequence

from n2n_ablate.report.document import Document, Row, Table, cell_text

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
    "\u2013": "--",
    "\u00b1": r"$\pm$",
    "\u2264": r"$\leq$",
    "\u03c3": r"$\sigma$",
    "\u00d7": r"$\times$",
    "\u2026": r"\dots{}",
}
_HEAD = "% Needs \\usepackage{booktabs} and \\usepackage[T1]{fontenc}.\n"


def latex(document: Document) -> str:
    """Return the tables of a document that belong into a paper, each in an environment of its own."""
    tables = [each for each in document.blocks if isinstance(each, Table) and not each.detail]
    return _HEAD + "\n".join(latex_table(table, document.title) for table in tables)


def latex_table(table: Table, title: str = "") -> str:
    """Return a table with its caption, which opens with `title`, and its label."""
    table = table.printed
    columns = "".join("r" if column.numeric else "l" for column in table.columns)
    blocks = [
        [f"    {_row(row)}" for row in table.rows if (row.kind == "reference") is below]
        for below in (False, True)
    ]
    rule = ["    \\midrule"] if all(blocks) else []
    if not any(blocks):
        blocks[0] = [f"    \\multicolumn{{{len(columns)}}}{{l}}{{No trial has a result.}} \\\\"]
    caption = " ".join(filter(None, (title, table.caption, *table.notes)))
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering",
            f"  \\caption{{{escape(caption)}}}",
            f"  \\label{{tab:{_label(table.key)}}}",
            f"  \\begin{{tabular}}{{{columns}}}",
            r"    \toprule",
            f"    {_joined([column.title for column in table.columns])}",
            r"    \midrule",
            *blocks[0],
            *rule,
            *blocks[1],
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def escape(text: str) -> str:
    """Return a text that LaTeX prints as it stands, in one line."""
    return "".join(_SIGNS.get(letter, letter) for letter in " ".join(text.split()))


def _row(row: Row) -> str:
    return _joined([cell_text(cell) for cell in row.cells])


def _joined(texts: Sequence[str]) -> str:
    # A cell that starts with a bracket would be taken for an option of the line break before it.
    cells = [escape(text) for text in texts]
    cells = [f"{{}}{text}" if text.startswith(("[", "*")) else text for text in cells]
    return f"{' & '.join(cells)} \\\\"


def _label(key: str) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in key)
