"""Which settings of a component are worth testing: its defaults and the ends of its parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from n2n_ablate.components.parameters import Choice, Parameter, Range, parameters
from n2n_ablate.components.spec import Scalar
from n2n_ablate.errors import ParameterError


def settings_of(factory: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    """Yield keyword arguments: none, then every parameter alone at each of its extremes.

    Extremes are both ends of a `Range`, every value of a `Choice` and both values of a bool. Lists
    and components have none: which of them make sense only their owner knows.

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


def variants(component: Any) -> dict[str, Callable[[], Any]]:
    """Return what makes a component of the same class at each of its settings, by their names.

    Left out are the defaults, and a class that cannot be made without its author.
    """
    factory: Callable[..., Any] = type(component)
    try:
        settings = [setting for setting in settings_of(factory) if setting]
    except ParameterError:
        return {}
    return {name_of("", setting)[1:-1]: partial(factory, **setting) for setting in settings}


def name_of(component: str, setting: dict[str, Any]) -> str:
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
