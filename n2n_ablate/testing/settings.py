"""Which settings of a component are worth testing: its defaults and the ends of its parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from n2n_ablate.part import Scalar
from n2n_ablate.space import Choice, Parameter, Range, parameters


def settings_of(factory: Callable[..., Any]) -> Iterator[dict[str, Scalar]]:
    """Yield keyword arguments: none, then every parameter alone at each of its extremes.

    Extremes are both ends of a `Range`, every value of a `Choice` and both values of a bool.

    Example:
        >>> from n2n_ablate_plugins.stripe import Stripe
        >>> list(settings_of(Stripe))
        [{}, {'axis': 'rows'}]
    """
    yield {}
    for parameter in parameters(factory):
        for value in _extremes(parameter):
            if value != parameter.default:
                yield {parameter.name: value}


def name_of(component: str, setting: dict[str, Scalar]) -> str:
    """Return a test's name: `stripe` or `stripe(axis=rows)`."""
    inside = ", ".join(f"{name}={value}" for name, value in setting.items())
    return f"{component}({inside})" if inside else component


def _extremes(parameter: Parameter) -> tuple[Scalar, ...]:
    domain = parameter.domain
    if parameter.many:
        return ()
    if isinstance(domain, Range):
        return parameter.type(domain.low), parameter.type(domain.high)
    if isinstance(domain, Choice):
        return domain.values
    return (False, True) if parameter.type is bool else ()
