"""The formats of a report: what they are called, and how their files end."""

from __future__ import annotations

from n2n_ablate.errors import StudyError

FORMATS = {
    "html": ".html",
    "md": ".md",
    "latex": ".tex",
    "csv": ".csv",
    "parquet": ".parquet",
    "json": ".json",
}
FIGURE_FORMATS = ("pdf", "svg", "png")


def check_formats(kind: str, figure_format: str = "pdf") -> None:
    """Check that there are such formats, of the report and of figures, before anything is read for them."""
    for option, given, known in (
        ("--format", kind, tuple(FORMATS)),
        ("--figure-format", figure_format, FIGURE_FORMATS),
    ):
        if given not in known:
            msg = f"{option} cannot be '{given}'. Use {', '.join(known[:-1])} or {known[-1]}."
            raise StudyError(msg)
