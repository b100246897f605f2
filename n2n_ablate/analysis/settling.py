"""Puts what is open into words: what could have been seen, and how many images would settle it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

from n2n_ablate.stats import UNDECIDED, Difference, detectable, images_to_settle

_PLENTY = 1000  # images; a count beyond says no more


def unsettled(found: Mapping[str, Difference], margin: float) -> str:
    """Return what difference a study could have seen, and how many images would settle it.

    Of several contrasts it tells the least and the most, and of which.

    Args:
        found: What is open, by what a sentence calls it.
        margin: In dB.
    """
    seen = {name: value for name, gap in found.items() if (value := detectable(gap)) is not None}
    spans = {name: span for name, gap in found.items() if (span := images_to_settle(gap, margin))}
    parts = []
    if seen:
        parts.append(f"{ends(seen, '{:.2f} dB'.format)} would have been seen")
    if spans:
        told = "it if its mean stays" if len(found) == 1 else "them if their means stay"
        parts.append(f"{_count(spans)} would settle {told}")
    return ", ".join(parts)


def how_to_settle(
    found: Iterable[tuple[str, Difference | None]], margin: float, *, race: bool = True
) -> str:
    """Return what images the counts of `unsettled` mean; empty where nothing open has a count.

    Args:
        found: Words with the differences that they are read off.
        margin: In dB.
        race: Contrasts can be raced; effects cannot.
    """
    open_ = (gap for word, gap in found if word == UNDECIDED and gap and not gap.caveat)
    if not any(images_to_settle(gap, margin) for gap in open_):
        return ""
    raced = " or a race (--until-settled)" if race else ""
    return (
        f"would settle: so many new images, in a study{raced} of their own. Adding images "
        "to these until there is a word risks a false one."
    )


def ends(values: Mapping[str, float], form: Callable[[float], str]) -> str:
    """Return the smallest and the largest of several numbers in print, and whose they are."""
    first, last = (end(values, key=lambda name: values[name]) for end in (min, max))
    low, high = form(values[first]), form(values[last])
    return low if low == high else f"{low} for {first} to {high} for {last}"


def caveats(found: Mapping[str, Difference]) -> list[str]:
    """Return every caveat once, with the names that it holds for unless it holds for all."""
    told: dict[str, list[str]] = {}
    for name, gap in found.items():
        if gap.caveat:
            told.setdefault(gap.caveat, []).append(name)
    return [
        caveat if len(names) == len(found) > 1 else f"{listed(names)}: {caveat}"
        for caveat, names in told.items()
    ]


def shared_caveat(found: Iterable[Difference | None]) -> str:
    """Return why none of several differences has an interval, if that is the same for all; else empty."""
    every = [gap.caveat if gap and math.isinf(gap.half_width) else "" for gap in found]
    return every[0] if len(every) > 1 and len(set(every)) == 1 else ""


def listed(parts: list[str]) -> str:
    """Return `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _count(spans: Mapping[str, tuple[int, int]]) -> str:
    first = min(spans, key=lambda name: spans[name][0])
    last = max(spans, key=lambda name: spans[name][1])
    few, many = spans[first][0], spans[last][1]
    whose, other = (f" for {first}", f" for {last}") if first != last else ("", "")
    if few > _PLENTY:
        return f"more than {_PLENTY} images"
    if many > _PLENTY:
        return f"{_rounded(few)}{whose} to over {_PLENTY} images{other}"
    if _rounded(few) == _rounded(many):
        return f"{_rounded(few)} images"
    return f"{_rounded(few)}{whose} to {_rounded(many)} images{other}"


def _rounded(count: int) -> int:
    """Return a count with two digits that mean something."""
    scale = 10 ** max(0, len(str(count)) - 2)
    return int(math.ceil(count / scale) * scale)
