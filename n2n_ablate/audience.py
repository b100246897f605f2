"""Who is told what happens while a study runs, for people: a console, a progress bar, nobody."""

from __future__ import annotations

from typing import Protocol

from n2n_ablate.bench import Bench
from n2n_ablate.fit import FitResult, Point
from n2n_ablate.results import StudyResult, TrialResult
from n2n_ablate.study import Trial


class Audience(Protocol):
    """Told what happens, in this order; a confirmation begins and runs after the study's own trials."""

    def begun(self, bench: Bench) -> None:
        """The images are ready and the recipes are checked. `bench.plan` says what follows."""
        ...

    def trial_begun(self, trial: Trial, fits: int, reused: int) -> None:
        """A trial starts, or goes on with more images; `reused` of its fits are there already."""
        ...

    def point(self, point: Point) -> None:
        """A fit has a new point on its curves. Called from any thread."""
        ...

    def fit_done(self, result: FitResult) -> None:
        """A fit is finished and stored."""
        ...

    def trial_done(self, result: TrialResult, so_far: StudyResult) -> None:
        """A trial is finished."""
        ...

    def looked(self, so_far: StudyResult, images: int) -> None:
        """In a race: a batch of images is finished and every open contrast was looked at."""
        ...

    def note(self, message: str) -> None:
        """Something happened that the user should know. Called from any thread."""
        ...
