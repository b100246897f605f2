"""How large stacks may be: what was learned by running out of memory."""

from __future__ import annotations

import math

from n2n_ablate.engine.fit import Fit


class Largest:
    """The largest stacks that fit into memory, by the form of their fits; empty at first.

    It outlives a call of `fit_all`, so that what one batch of fits has learned spares the next the
    same error. May be used from any thread.
    """

    def __init__(self) -> None:
        self._known: dict[object, int] = {}

    def of(self, fit: Fit) -> float:
        """Return how many fits like this one may be trained at once; infinity if nothing is known."""
        return self._known.get(_form(fit), math.inf)

    def learn(self, fit: Fit, size: float) -> None:
        """Remember that not more than `size` fits like this one, at least one, fit into memory."""
        if size < self.of(fit):
            self._known[_form(fit)] = max(1, math.floor(size))


def _form(fit: Fit) -> object:
    return fit.kin, tuple(fit.noisy.shape)
