"""The looks of a race, from its results: the same while it runs, when it goes on, and when it is reopened."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from n2n_ablate.records import Header, TrialResult
from n2n_ablate.stats import Look, Looks
from n2n_ablate.study import BASELINE


def looks_of(header: Header, trials: Iterable[TrialResult]) -> dict[tuple[str, str], Look]:
    """Return the last look at each contrast, by condition and name of the trial.

    A look takes the first so many images in the order of the header, however many there are by
    now. The first look that gives a word ends the race of a contrast under its condition.

    Args:
        header: With the planned looks and the order of the images.
        trials: With the baseline; a contrast has as many images as it was given.
    """
    if not header.interim_sizes:
        return {}
    known = {item.trial.name: item for item in trials}
    base = known.get(BASELINE)
    if base is None:
        return {}
    plan = header.plan
    looks = Looks(header.interim_sizes, contrasts=len(plan.contrasts))
    names = [mark.name for mark in header.images]
    found = {}
    for condition in plan.conditions:
        for name in plan.contrasts:
            look = _last(looks, names, known.get(name), base, condition.label, plan.study.margin)
            if look is not None:
                found[condition.label, name] = look
    return found


def _last(
    looks: Looks,
    names: Sequence[str],
    item: TrialResult | None,
    base: TrialResult,
    condition: str,
    margin: float,
) -> Look | None:
    if item is None:
        return None
    given = min(len(item.given(condition)), len(base.given(condition)))
    first, second = item.by_image("psnr", condition), base.by_image("psnr", condition)
    last, before = None, list[int]()
    for number, size in enumerate(looks.sizes, 1):
        if size > given:
            break
        own, other = (_of(values, names[:size]) for values in (first, second))
        look = looks.look(number, own, other, margin=margin, before=before)
        before.append(look.difference.n if look else 0)
        if look is None:
            continue
        if last is None or math.isfinite(look.difference.critical):
            last = look  # else the batch brought no image that both have: the word is the same
        if last.settled:
            break
    return last


def _of(values: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    return {name: values[name] for name in names if name in values}
