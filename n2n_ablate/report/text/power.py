"""What a study can decide before it is run: power, what is detectable, and which profile has more."""

from __future__ import annotations

from collections.abc import Iterable

from n2n_ablate import stats
from n2n_ablate.analysis.power import MeasuredSpread, Power
from n2n_ablate.report.numbers import digits_of_scale, format_number, pluralize, round_up
from n2n_ablate.report.text.contrasts import unit_of
from n2n_ablate.report.text.study import scope_text

_PLENTY = 10_000  # images: a larger number says no more


def power_lines(power: Power, longer: Power | None) -> list[str]:
    """Return the power of a profile in sentences, the first a heading.

    `power`: of the profile; `longer`: of the profile to take instead, if this one has too little.
    """
    metric, unit = power.metric, unit_of(power.metric)
    family = pluralize(power.family.contrasts, "contrast")
    if power.family.conditions > 1:
        family += f" under {power.family.conditions} conditions"
    heading = f"Power for {family} on {_images(power)} (margin \u00b1{metric.margin:g}{unit}):"
    if power.detectable_per_spread is None or power.spread_limit is None:
        return [heading, "One image gives no confidence interval, so nothing is decided."]
    if not power.contrasts:
        limit = _size([power.spread_limit], unit)
        return [
            heading,
            (
                "A true difference of zero is called equivalent in at least 80 % of such studies if the "
                f"differences have a standard deviation over images of at most {limit}; a true difference of "
                f"{power.detectable_per_spread:.2g} times the standard deviation is called better or worse in 80 %."
            ),
            (
                "The standard deviation is not known: no run of this study is in the output folder, and the "
                "study file has no [spread]."
            ),
        ]
    chances = [each.equivalence for each in power.contrasts]
    detectable = _size([each.detectable for each in power.contrasts], unit)
    spreads = _size([each.spread for each in power.contrasts], unit)
    lines = [
        heading,
        (
            f"A true difference of zero is called equivalent in {_percent(chances)} of such studies; a true "
            f"difference of {detectable} is called better or worse in 80 %."
        ),
        f"Expected standard deviation of the differences over images: {spreads} ({_source(power)}).",
    ]
    return [*lines, *_too_little(power, longer)]


def _too_little(power: Power, longer: Power | None) -> Iterable[str]:
    if round(power.equivalence or 0.0, 2) >= stats.POWER:  # as it is printed
        return
    best = longer or power
    which = "every contrast" if len(power.contrasts) > 1 else "the contrast"
    if (best.equivalence or 0.0) >= stats.POWER:
        yield (
            f"Power below 80 %: a true difference of zero is likely to stay inconclusive. --profile {best.profile} has "
            f"{_percent([best.equivalence or 0.0])} for {which} ({_images(best)})."
        )
        return
    needed = power.images_needed or 0
    count = f"more than {_PLENTY:,}" if needed > _PLENTY else f"about {round_up(needed):,}"
    most = ""
    if longer:
        detectable = _size([each.detectable for each in longer.contrasts], unit_of(longer.metric))
        most = (
            f" ({longer.profile}, {_images(longer)}: {_percent([longer.equivalence or 0.0])}, and {detectable} "
            "are detected)"
        )
    yield (
        f"Power below 80 %: a true difference of zero is likely to stay inconclusive in every profile of this study{most}. "
        f"80 % for {which} would take {count} images."
    )


def _images(power: Power) -> str:
    what = "held-out image" if power.held_out else "image"
    return f"{pluralize(power.n_images, what)} with {pluralize(power.n_seeds, 'seed')}"


def _percent(chances: list[float]) -> str:
    low, high = (f"{100 * chance:.0f}" for chance in (min(chances), max(chances)))
    return f"{low} %" if low == high else f"{low} to {high} %"


def _size(values: list[float], unit: str) -> str:
    """Return a size or a range of sizes, with two digits of the smallest that mean something."""
    smallest = min((value for value in values if value > 0), default=1.0)
    digits = digits_of_scale(smallest) + 1 if smallest < 1 else 1
    low, high = (format_number(value, digits) for value in (min(values), max(values)))
    return f"{low}{unit}" if low == high else f"{low} to {high}{unit}"


def _source(power: Power) -> str:
    spread = power.spread
    if isinstance(spread, MeasuredSpread):
        return (
            "upper end of the 80 % interval from the last run here: "
            f"{scope_text(spread.scope, f'profile {spread.profile}')}"
        )
    return spread.source if spread else ""
