"""Writes a table of a document as CSV, with numbers whole."""

from __future__ import annotations

import csv
import io

from n2n_ablate.report.document import Table, cell_value


def csv_table(table: Table) -> str:
    """Return a table as CSV: a title per column, a line per row."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([column.title for column in table.columns])
    writer.writerows([cell_value(cell) for cell in row.cells] for row in table.rows)
    return buffer.getvalue()
