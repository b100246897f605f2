"""The runs of a study: one journal each, of the same images, seeds and settings on the same device."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from n2n_ablate.errors import StoreError
from n2n_ablate.storage.journal import Contents

_NAMED = 5  # runs that a message lists; it counts the others


def pick(runs: Sequence[Contents], key: str = "") -> Contents:
    """Return the run whose key begins like this; without one the most recently used.

    Args:
        runs: Runs of one study, the most recently used first; at least one.
        key: See `Contents.key`.
    """
    matching = [contents for contents in runs if contents.key.startswith(key)]
    if not key or len(matching) == 1:
        return matching[0]
    study = runs[0].path.parent.name
    if matching:
        msg = (
            f"--run {key} could be {len(matching)} runs of study '{study}': {_listed(matching)}. "
            "Give more of the key."
        )
        raise StoreError(msg)
    msg = f"study '{study}' has no run '{key}'. Its runs: {_listed(runs)}."
    raise StoreError(msg)


def described(contents: Contents) -> str:
    """Return what tells a run from others: `8f0eab29fc (2026-05-01 12:00, quick, seed 0, 9 trials)`."""
    parts = [when(contents), contents.profile]
    if contents.header is None:
        parts.append("cannot be opened")
    else:
        plan = contents.header.plan
        parts.append(plan.profile.told_seeds)
        count = len(contents.trials)
        parts.append(f"{count} trial{'s' * (count != 1)}")
        parts += [f"--set {text}" for text in plan.settings]
    return f"{contents.key} ({', '.join(parts)})"


def when(contents: Contents) -> str:
    """Return when a command last used a run, in local time, to the minute."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(contents.used))


def _listed(runs: Iterable[Contents]) -> str:
    names = [described(contents) for contents in runs]
    rest = f"; and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return "; ".join(names[:_NAMED]) + rest
