"""How a study goes on, in a notebook: one progress bar that the browser draws, without widgets."""

from __future__ import annotations

import sys
import time
from html import escape
from typing import Any

from n2n_ablate.records import Invocation, Point
from n2n_ablate.registry.hookspecs import hookimpl
from n2n_ablate.study import Plan, Trial

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
