"""What trains the fits of a study, as the runner sees it; and the executor that is this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Protocol, Self

from n2n_ablate.engine import Fit, Machine, StackSizeCache, fit_all
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

        `listener`: called at points of the curves, from any thread; the last point of a curve at the latest
        when its fit is done; `note`: called with what a user should know, from any thread.
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


class Local:
    """Trains side by side on a CPU, as one stacked network on a GPU; its workers are threads."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._sizes = StackSizeCache()
        self._noted: set[str] = set()

    @property
    def width(self) -> int:
        """See `Executor.width`."""
        return max(self._machine.stack, self._machine.workers)

    def run(
        self, fits: Sequence[Fit], listener: Listener, note: Callable[[str], None]
    ) -> Iterator[FitResult]:
        """See `Executor.run`."""

        def once(line: str) -> None:
            if line not in self._noted:  # every batch of fits learns it anew
                self._noted.add(line)
                note(line)

        return fit_all(fits, self._machine, listener, note=once, sizes=self._sizes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass
