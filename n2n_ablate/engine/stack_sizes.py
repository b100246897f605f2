"""How many fits a GPU's memory holds at once: foretold from the free memory, corrected by running out."""

from __future__ import annotations

import math
from collections.abc import Callable

from n2n_ablate.engine.fit import Fit
from n2n_ablate.engine.window import window_of
from n2n_ablate.errors import AblateError


class StackSizeCache:
    """The largest stacks that fit into memory, by the form of their fits; empty at first.

    It outlives a call of `fit_all`, so that what one batch of fits has learned spares the next the
    same error, or the same measurement. May be used from any thread.
    """

    def __init__(self) -> None:
        self._known: dict[object, float] = {}

    def limit(self, fit: Fit) -> float:
        """Return how many fits like this one may be trained at once; infinity if nothing is known."""
        return self._known.get(_form(fit), math.inf)

    def learn(self, fit: Fit, size: float) -> None:
        """Remember that not more than `size` fits like this one, at least one, fit into memory."""
        self._known[_form(fit)] = max(1, min(size, self.limit(fit)) // 1)

    def foretell(self, fit: Fit, size_of: Callable[[Fit], float]) -> None:
        """Ask `size_of` how many such fits there is room for, unless something is known already."""
        if _form(fit) not in self._known:
            self.learn(fit, size_of(fit))


def _form(fit: Fit) -> object:
    """What memory depends on: networks, loss, estimator, sizes, and how many views are cut."""
    try:
        window = window_of(fit)
    except AblateError:  # training says what is wrong
        return fit.key
    return fit.stack_key, tuple(fit.noisy.shape), window, type(fit.sampler)
