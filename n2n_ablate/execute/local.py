"""Trains fits in this process: side by side on a CPU, as one stacked network on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Self

from n2n_ablate.engine import Fit, Machine, StackSizeCache, fit_all
from n2n_ablate.records import FitResult
from n2n_ablate.records.fit import Listener


class Local:
    """See `Executor`. Its workers are threads of this process, so there is nothing to start."""

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
