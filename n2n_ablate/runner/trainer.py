"""Fits into results: from the store, or trained now. Each is safe on disk before anybody hears of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from n2n_ablate.engine import Fit
from n2n_ablate.execute import Executor
from n2n_ablate.records import FitResult
from n2n_ablate.records.fit import Listener
from n2n_ablate.runner.dispatcher import HookDispatcher
from n2n_ablate.storage.fit_store import FitStore


@dataclass
class Trainer:
    """Gives the results of fits."""

    store: FitStore  # where finished fits are
    executor: Executor  # trains the others
    dispatcher: HookDispatcher  # hears of every fit
    refit: bool = False  # train again what is in the store, once
    # keys of the fits that were trained by this object
    fresh: set[str] = field(default_factory=set)
    trained: int = 0  # how many of them gave a result that was stored
    seconds: float = 0.0  # how long that took, by the clock on the wall

    def stored(self, wanted: Mapping[str, Fit]) -> dict[str, FitResult]:
        """Return the results that are there, with their images if a plugin wants to see them."""
        keys = [key for key in wanted if not self.refit or key in self.fresh]
        images = self.dispatcher.wants_images
        results = {key: self.store.load(key, with_image=images) for key in keys}
        for path in self.store.damaged:
            self.dispatcher.note(f"'{path}' is damaged; it was set aside and its fit is retrained")
        self.store.damaged.clear()
        return {key: result for key, result in results.items() if result is not None}

    def train(self, fits: Sequence[Fit], listener: Listener) -> Iterator[FitResult]:
        """Train fits and yield each result once it is safe on disk, in no fixed order.

        `listener` hears of every point, from any thread.
        """
        began = time.monotonic()
        for result in self.executor.run(fits, listener, self.dispatcher.note):
            if not result.passing:
                self.store.save(result)
                self.trained += 1
            self.fresh.add(result.key)
            self.dispatcher.fit_finished(result)
            self.seconds, began = self.seconds + time.monotonic() - began, time.monotonic()
            yield result
            began = time.monotonic()

    @property
    def per_fit(self) -> float | None:
        """Seconds that a fit takes here, all workers busy; None if none was trained yet."""
        return self.seconds / len(self.fresh) if self.fresh else None
