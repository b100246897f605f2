"""What trains the fits of a study, as the runner sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Protocol, Self

from n2n_ablate.engine import Fit
from n2n_ablate.records import FitResult
from n2n_ablate.records.fit import Listener


class Executor(Protocol):
    """Trains fits. Opened once per study, before the first fit, and closed after the last.

    It writes nothing: the process that holds the study's lock stores what it yields. A fit is named
    by its content, so an executor may train one twice; whoever asked counts it once.
    """

    @property
    def width(self) -> int:
        """How many fits it trains at once, as far as is known now."""
        ...

    def run(
        self, fits: Sequence[Fit], listener: Listener, note: Callable[[str], None]
    ) -> Iterator[FitResult]:
        """Train fits and yield each result as soon as it is there, in no fixed order.

        Closing the iterator ends what is being trained.

        Args:
            fits: What to train.
            listener: Called at points of the curves, from any thread; the last point of a curve at
                the latest when its fit is done.
            note: Told what a user should know, from any thread.
        """
        ...

    def __enter__(self) -> Self:
        """Start or reach the workers."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop what was started."""
        ...
