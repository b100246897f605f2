"""A study that was run, from Python: tables, contrasts, figures, report."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from n2n_ablate import records
from n2n_ablate.analysis import frames
from n2n_ablate.analysis.analyse import analyse
from n2n_ablate.analysis.records import ContrastRecord
from n2n_ablate.analysis.study_records import StudyAnalysis
from n2n_ablate.errors import StudyError, nearest
from n2n_ablate.records import Header
from n2n_ablate.report.formats import FORMATS
from n2n_ablate.storage import reopen
from n2n_ablate.study import Study

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_FORMATS = {ending: name for name, ending in FORMATS.items()}


@dataclass(frozen=True, eq=False)
class StudyResult:
    """A study that was run.

    Attributes:
        record: Every trial with all its fits, and the confirmation's.
        header: What the trials share: plan, images, steps, device.
        output: The output folder.
        run: Key of the run: other images, seeds, settings or devices make another.
        notes: What was said while it ran, and what is missing in what was read.
    """

    record: records.StudyTrials = field(repr=False)
    header: Header = field(repr=False)
    output: Path
    run: str
    notes: tuple[str, ...] = ()

    @property
    def study(self) -> Study:
        """The study."""
        return self.record.plan.study

    @cached_property
    def analysis(self) -> StudyAnalysis:
        """Everything that the results say, as records of numbers; see `analysis.records`."""
        return analyse(self.record, self.header)

    @property
    def contrasts(self) -> tuple[ContrastRecord, ...]:
        """The declared contrasts with their verdicts, of every condition.

        Of a study with a confirmation they are those of the confirmation, on held-out images.
        """
        stage = self.analysis.deciding
        return tuple(record for condition in stage.conditions for record in condition.contrasts)

    @property
    def best(self) -> str:
        """Name of the trial to use: the baseline, unless another is better beyond doubt."""
        return self.analysis.best.name

    @property
    def confirmation(self) -> StudyResult | None:
        """The confirmation on held-out images, as a result; None without one."""
        later, header = self.record.confirmed, self.header.confirmed
        if later is None or header is None:
            return None
        return StudyResult(later, header, self.output, self.run)

    def to_frame(self, *, references: bool = False) -> pd.DataFrame:
        """Return a row per fit: trial, condition, image, seed, every metric, loss, seconds, failure.

        The order is that of the plan: after `run` the same as after `load`.

        Args:
            references: With the fits of reference trials, which lie outside the question.
        """
        return frames.fits_frame(self.record, references=references)

    def curves(self, *, references: bool = False) -> pd.DataFrame:
        """Return a row per point of a curve: trial, condition, image, seed, step, metric, value."""
        return frames.curves_frame(self.record, references=references)

    def summary(self) -> pd.DataFrame:
        """Return a row per trial and condition: means, difference from the baseline, verdict.

        `estimate` is the mean difference by the metric that decides, `ci_low` to `ci_high` its
        confidence interval at `ci_level`. Of a study with a confirmation the findings are
        `confirmation.summary()`.
        """
        return frames.summary_frame(self.analysis)

    def report(self, path: str | PathLike[str], format: str = "") -> Path:
        """Write the report and return its path.

        Args:
            path: The file.
            format: As on the command line: html, md and so on; by default that of the file's ending.

        Raises:
            StudyError: There is no such format.
            OSError: The file cannot be written.
        """
        from n2n_ablate.registry import Registry
        from n2n_ablate.report.write import written

        file = Path(path)
        if not format and file.suffix not in _FORMATS:
            msg = f"a report cannot end in '{file.suffix}'. {nearest(file.suffix, _FORMATS)}"
            raise StudyError(msg)
        text, _ = written(self._reopened(), format or _FORMATS[file.suffix], Registry())
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return file

    def figures(self) -> dict[str, Figure]:
        """Return the figures of the report by name, as matplotlib's, in the report's order."""
        from n2n_ablate.report.build import report_document
        from n2n_ablate.report.document import Figure as Block
        from n2n_ablate.report.sources import sources

        document = report_document(sources(self._reopened(), figures=True))
        found: dict[str, Figure] = {}
        for block in document.blocks:
            if isinstance(block, Block):
                for number, figure in enumerate(block.parts, 1):
                    found[f"{block.key}-{number}" if number > 1 else block.key] = figure
        return found

    def _reopened(self) -> reopen.Reopened:
        return reopen.reopen(self.output, self.study.name, run=self.run)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the question, the summary, and that of the confirmation."""
        parts = [f"<h4>{escape(self.study.question)}</h4>", _html(self.summary())]
        if self.confirmation is not None:
            parts += [
                "<h5>Confirmation on held-out images</h5>",
                _html(self.confirmation.summary()),
            ]
        return "\n".join(parts)


def _html(frame: pd.DataFrame) -> str:
    """Return a summary as a table: the columns that say something, four significant digits."""
    shown = frame.dropna(axis="columns", how="all").drop(columns=["fits"])
    shown = shown.drop(columns=["failed"]) if not shown["failed"].any() else shown
    return str(shown.to_html(index=False, na_rep="", float_format="{:.4g}".format, border=0))
