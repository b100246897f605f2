"""How a study goes on: a progress bar on a terminal and in a notebook, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from html import escape
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from n2n_ablate.analysis.analyse import analyse
from n2n_ablate.analysis.records import ContrastRecord
from n2n_ablate.records import Invocation, Point, StudyTrials, TrialResult
from n2n_ablate.registry.hookspecs import hookimpl
from n2n_ablate.report.text import progress
from n2n_ablate.study import Plan, Trial


class Silent:
    """Prints nothing but notes.

    Attributes:
        time_left: Returns how long the rest takes once a trial has finished (of the confirmation, if
            the second argument is true), as text; empty if that is not known.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.time_left: Callable[[str, bool], str] = lambda _trial, _confirmed: ""

    @hookimpl
    def note(self, message: str) -> None:
        """See `hookspecs.note`."""
        self.console.print(message, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Clear what is drawn."""


class Plain(Silent):
    """One line per trial, for logs."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._count = 0
        self._total = 0
        self._confirming = False

    @hookimpl
    def study_started(self, plan: Plan, invocation: Invocation, fits: int, steps: int) -> None:
        """See `hookspecs.study_started`."""
        self._total = len(plan.fixed) + plan.searched
        self.note(
            progress.started(self._total, fits, f"{invocation.device}, {invocation.precision}")
        )

    @hookimpl
    def confirmation_started(self, plan: Plan, fits: int, steps: int) -> None:
        """See `hookspecs.confirmation_started`."""
        self._count, self._total, self._confirming = 0, len(plan.fixed), True
        self.note(progress.confirmation_started(self._total, fits))

    @hookimpl
    def trial_finished(self, result: TrialResult, so_far: StudyTrials) -> None:
        """See `hookspecs.trial_finished`."""
        self._count += 1
        line = progress.trial_finished(result, so_far)
        left = self.time_left(result.trial.name, self._confirming)
        self.note(f"[{self._count}/{self._total}] {line}  {left}".rstrip())

    @hookimpl
    def interim_analysis_finished(self, so_far: StudyTrials, images: int) -> None:
        """See `hookspecs.interim_analysis_finished`."""
        analysis = analyse(so_far)
        records = [
            record
            for condition in analysis.conditions
            for record in condition.contrasts
            if record.interim and (not record.interim.decided or _at(record) >= images)
        ]
        for line in progress.interim_analysis(images, records, conditions=len(analysis.conditions)):
            self.note(line)


class Live(Plain):
    """A progress bar with the present trial, its PSNR and the time left; a line per finished trial."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._lock = threading.Lock()
        self._steps: dict[str, int] = {}
        self._per_fit = 0
        self._progress = Progress(
            TextColumn("[bold]{task.description}", markup=True),
            BarColumn(bar_width=24),
            TextColumn("fit {task.fields[fit]}"),
            TextColumn("step {task.fields[step]}"),
            TextColumn("{task.fields[psnr]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("preparing", total=None, fit="", step="", psnr="")

    @hookimpl
    def study_started(self, plan: Plan, invocation: Invocation, fits: int, steps: int) -> None:
        """See `hookspecs.study_started`."""
        super().study_started(plan, invocation, fits, steps)
        self._per_fit = steps
        self._left = self._total * fits
        self._progress.update(self._task, total=self._left * self._per_fit)
        self._progress.start()

    @hookimpl
    def confirmation_started(self, plan: Plan, fits: int, steps: int) -> None:
        """See `hookspecs.confirmation_started`."""
        super().confirmation_started(plan, fits, steps)
        with self._lock:
            self._steps.clear()
            self._left = self._total * fits
        total = self._left * self._per_fit
        self._progress.update(self._task, total=total, completed=0)

    @hookimpl
    def trial_started(self, trial: Trial, cached: int) -> None:
        """See `hookspecs.trial_started`."""
        with self._lock:
            self._left -= cached
            total = self._left * self._per_fit
        self._progress.update(self._task, description=_short(trial.name), total=total)

    @hookimpl
    def point(self, point: Point) -> None:
        """See `hookspecs.point`."""
        with self._lock:
            done = point.step - self._steps.get(point.key, 0)
            self._steps[point.key] = point.step
            advance = done * self._per_fit / point.steps
            fit = f"{len(self._steps)}/{self._left}"
        self._progress.update(
            self._task,
            advance=advance,
            fit=fit,
            step=f"{point.step}/{point.steps}",
            psnr=f"{point.values['psnr']:.2f} dB" if "psnr" in point.values else "",
        )

    def close(self) -> None:
        """See `Silent.close`."""
        self._progress.stop()


def _at(record: ContrastRecord) -> int:
    """Return after how many images the interim analysis was that decided a contrast."""
    return record.interim.sizes[record.interim.number - 1] if record.interim else 0


def audience(console: Console, *, quiet: bool) -> Silent:
    """Return the view that suits the console."""
    if quiet:
        return Silent(console)
    return Live(console) if console.is_terminal else Plain(console)


def _short(name: str) -> str:
    return name if len(name) <= 28 else f"{name[:27]}\u2026"


_PAUSE = 0.2  # seconds between two drawings


def in_notebook() -> bool:
    """Say whether this process is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and type(shell).__name__ == "ZMQInteractiveShell"


class Collected:
    """Shows nothing and keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    @hookimpl
    def note(self, message: str) -> None:
        """See `hookspecs.note`."""
        self.notes.append(message)

    def close(self) -> None:
        """There is nothing to clear."""


class NotebookProgress(Collected):
    """A progress bar over all steps, with the present trial and its metric."""

    def __init__(self) -> None:
        super().__init__()
        from IPython.display import HTML, display

        self._html: Any = HTML
        self._handle: Any = display(HTML(""), display_id=True)
        self._name, self._part, self._drawn = "", "", 0.0
        self._fits = self._per_fit = 0
        self._steps: dict[str, float] = {}  # by fit: the share of its training that is done

    @hookimpl
    def study_started(self, plan: Plan, invocation: Invocation, fits: int, steps: int) -> None:
        """See `hookspecs.study_started`."""
        self._name = plan.study.name
        self._fits = (len(plan.fixed) + plan.searched) * fits

    @hookimpl
    def confirmation_started(self, plan: Plan, fits: int, steps: int) -> None:
        """See `hookspecs.confirmation_started`."""
        self._name, self._steps = f"{self._name}, confirmation", {}
        self._fits = len(plan.fixed) * fits

    @hookimpl
    def trial_started(self, trial: Trial, fits: int, cached: int) -> None:
        """See `hookspecs.trial_started`."""
        self._part = trial.name
        self._fits -= cached
        self._draw(force=True)

    @hookimpl
    def point(self, point: Point) -> None:
        """See `hookspecs.point`."""
        self._steps[point.key] = point.step / point.steps
        self._draw()

    def close(self) -> None:
        """Clear the bar."""
        self._handle.update(self._html(""))

    def _draw(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if not force and now - self._drawn < _PAUSE:
            return
        self._drawn = now
        done = sum(self._steps.values())
        text = f"{self._name}: {self._part}, {done:.0f} of {self._fits} fits"
        bar = f'<progress value="{done:.2f}" max="{max(self._fits, 1)}" style="width:20em"></progress>'
        self._handle.update(self._html(f"{bar} {escape(text)}"))
