"""What a result depends on that nobody handed over: what all share, and earlier calls."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import torch

from n2n_ablate.components.torch_state import preserve_torch_state, reset
from n2n_ablate.testing.promise import alike

GENERATORS = ("torch", "numpy", "Python")
"""The generators that belong to everybody, and that no component may use."""


@contextmanager
def global_seeds(seed: int, *names: str) -> Iterator[None]:
    """Seed some of the global generators inside, and put all of them back afterwards."""
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    seeds: dict[str, Callable[[int], object]] = {
        "torch": torch.manual_seed,
        "numpy": np.random.seed,
        "Python": random.seed,
    }
    with torch.random.fork_rng(devices=[]):
        for name in names:
            seeds[name](seed)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)


def seeded() -> AbstractContextManager[None]:
    """Seed all global generators alike inside, and put them back afterwards."""
    return global_seeds(0, *GENERATORS)


def hidden_cause(work: Callable[[], object]) -> str:
    """Say with what the result of `work` changes that nobody hands to it; empty if with nothing.

    Args:
        work: Returns a tensor, or a tuple of them.

    Returns:
        The end of a sentence that starts with the result: `the views change ...`.
    """
    if not _differs(work, 2):
        if not _heeds(work, *GENERATORS):
            return ""
        if names := [name for name in GENERATORS if _heeds(work, name)]:
            return f"with the global generator of {' and '.join(names)}"
    return (
        "from call to call, however the global generators are seeded: it remembers earlier calls, "
        "or has other random numbers"
    )


def changed_for_all(work: Callable[[], object]) -> str:
    """Say what `work` changes that all components share; empty if nothing.

    That is settings of torch and the working folder, and global generators that it advances or seeds
    without using their numbers. Settings start as torch has them: who ran before may have changed one.

    Returns:
        The end of a sentence that starts with the component: `it changes ...`.
    """
    with (
        preserve_torch_state(),
        global_seeds(987_654_321, *GENERATORS),
    ):  # a seed that nobody would set
        reset()
        before = _states()
        with preserve_torch_state() as changed:
            work()
        touched = [name for name, state in _states().items() if state != before[name]]
        # Whoever uses the numbers of one advances it too, and breaks another promise.
        names = [name for name in touched if not _heeds(work, name)]
    if names:
        changed.insert(0, f"the global generator of {' and '.join(names)}")
    return " and ".join(changed)


def _heeds(work: Callable[[], object], *names: str) -> bool:
    return _differs(work, 4, *names)


def _differs(work: Callable[[], object], runs: int, *names: str) -> bool:
    """Say whether runs differ that start from the same state, but for other seeds of `names`."""
    results = []
    for seed in range(runs):
        with global_seeds(seed, *names):
            results.append(work())
    return not all(alike(result, results[0]) for result in results)


def _states() -> dict[str, object]:
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": repr(numpy_state),
        "Python": random.getstate(),
    }
