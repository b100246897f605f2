"""Numbers as text: the one place where a number becomes letters, in every format. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

MINUS = "\u2212"
_MORE_DIGITS = 2  # at most so many beyond what the scale of a number asks for
_BARS = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"


def format_number(value: float | None, digits: int = 2) -> str:
    """Return `28.24`; an empty text for what is not there or not finite. Never a negative zero."""
    if value is None or not math.isfinite(value):
        return ""
    text = f"{value:.{digits}f}"
    return text.replace("-", "" if float(text) == 0 else MINUS)


def format_signed(value: float | None, digits: int = 2) -> str:
    """Return `+0.12` or, with a real minus sign, the negative; an empty text as `format_number` does."""
    text = format_number(value, digits)
    return text if not text or text.startswith(MINUS) else f"+{text}"


def format_interval(low: float, high: float, digits: int = 2) -> str:
    """Return `-0.69 to -0.31`; an empty text unless both ends are finite."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"{format_signed(low, digits)} to {format_signed(high, digits)}"


def format_half_width(mean: float, low: float, high: float, digits: int = 2) -> str:
    """Return `-0.50 +- 0.19`; the mean alone where there is no interval, or one that is not symmetric."""
    half = (high - low) / 2
    if not math.isfinite(half) or not math.isclose(mean - low, half, rel_tol=1e-6, abs_tol=1e-9):
        return format_signed(mean, digits)
    return f"{format_signed(mean, digits)} \u00b1 {half:.{digits}f}"


def format_percent(share: float) -> str:
    """Return `97.5 %` for 0.975: as many digits as it has, four at most."""
    return f"{100 * share:.4g} %"


def format_p(value: float) -> str:
    """Return `p = 0.25`, or `p < 0.001`."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}"


def format_duration(seconds: float) -> str:
    """Return `40 s`, `12 min` or `1.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def digits_of_scale(scale: float) -> int:
    """Return how many decimals it takes to show the first digit of a positive number: 3 for 0.002."""
    return max(0, math.ceil(-math.log10(scale) - 1e-9))


def format_size(count: float) -> str:
    """Return bytes as `7 kB`, `1.2 MB` or `3.4 GB`."""
    if count < 1e6:
        return f"{count / 1e3:.0f} kB"
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"


def digits_for(values: Sequence[float], limits: Sequence[float], fewest: int = 2) -> int:
    """Return how many digits to print so that an interval shows its width, and on which side of limits it is.

    An interval of -0.052 to 0.051 does not lie within +-0.05, and must not be printed as if it did.

    `limits`: what a reader compares them with: zero, and the margin on both sides.
    """
    most, width = fewest + _MORE_DIGITS, (max(values) - min(values)) / 2
    if 0 < width < math.inf:
        fewest = min(most, max(fewest, digits_of_scale(width)))
    # What is as good as equal stays out: no digit that anybody reads would help.
    pairs = [
        (value, limit)
        for value in values
        for limit in limits
        if math.isfinite(value) and abs(value - limit) >= 10**-most
    ]
    for digits in range(fewest, most):
        if all(
            (round(value, digits) > limit) == (value > limit) != (round(value, digits) < limit)
            for value, limit in pairs
        ):
            return digits
    return most


def round_up(count: int) -> int:
    """Return a number of images with two digits that mean something."""
    scale = 10 ** max(0, len(str(count)) - 2)
    return math.ceil(count / scale) * scale


def pluralize(count: int, noun: str) -> str:
    """Return `1 image`, `8 images`, `12,000 fits`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def join_words(words: Iterable[str]) -> str:
    """Return `a, b and c`."""
    known = list(words)
    return " and ".join(filter(None, (", ".join(known[:-1]), *known[-1:])))


def capitalize(text: str) -> str:
    """Return a text whose first letter is a capital; the others stay as they are."""
    return f"{text[:1].upper()}{text[1:]}"


def sparkline(values: Sequence[float], width: int = 10) -> str:
    """Return a curve as a row of bars, from its lowest to its highest value."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    picks = [values[round(i * (len(values) - 1) / max(1, width - 1))] for i in range(width)]
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0
    return "".join(_BARS[round((v - low) * scale)] if math.isfinite(v) else " " for v in picks)
