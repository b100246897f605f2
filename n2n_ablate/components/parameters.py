"""Typed parameters: which ones a component has, what they may be, and where to search.

Pure Python: a search range is data next to a field, no search library is needed to write one. A
parameter may be a component itself, or a list; as data such a component is a `ComponentSpec`.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from n2n_ablate.components.spec import Scalar
from n2n_ablate.errors import ParameterError, nearest


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included: what is valid and, by default, searched.

    Args:
        low: Smallest value.
        high: Largest value.
        log: Search on a logarithmic scale.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            msg = f"a range needs two finite ends in order, got {self.low} to {self.high}"
            raise ParameterError(msg)
        if self.log and self.low <= 0:
            msg = f"a logarithmic range must start above 0, got {self.low}"
            raise ParameterError(msg)

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}{' (log)' if self.log else ''}"


@dataclass(frozen=True, init=False)
class Choice:
    """One of a few values, unordered."""

    values: tuple[Scalar, ...]

    def __init__(self, *values: Scalar) -> None:
        object.__setattr__(self, "values", values)

    def __contains__(self, value: object) -> bool:
        return any(type(value) is type(known) and value == known for known in self.values)

    def __str__(self) -> str:
        return " | ".join(str(value) for value in self.values)


@dataclass(frozen=True)
class Component:
    """Marks a parameter that is itself a component: `Annotated[Sampler, Component("sampler")]`.

    Its default is a component, of a class that some plugin registers.

    Args:
        kind: The kind of the component.
    """

    kind: str

    def __str__(self) -> str:
        return f"any {self.kind}"


@dataclass(frozen=True)
class File:
    """Marks a path whose file is a part of the component: `Annotated[str, File()]`; empty for no file.

    The bytes of the file join the identity of a fit in place of the path, so other bytes are another
    fit, and the same bytes under another name are the same. The path counts from the working folder.
    """

    def __contains__(self, value: object) -> bool:
        return isinstance(value, str) and (not value or Path(value).is_file())

    def __str__(self) -> str:
        return "a file"


Domain: TypeAlias = Range | Choice


@dataclass(frozen=True)
class Parameter:
    """One parameter of a component: its name, type, default and what it may be.

    Attributes:
        name: Its name.
        type: Its type, or that of the items of a list; `object` for a component.
        default: Its default; for a component the component itself.
        domain: What it, or every element of a list, may be. None: anything of the type.
        many: Whether it is a list, in Python a tuple.
    """

    name: str
    type: type
    default: Any
    domain: Domain | Component | File | None = None
    many: bool = False

    @property
    def type_name(self) -> str:
        """The type in words: `float`, `sampler`, `list of sampler`."""
        name = self.domain.kind if isinstance(self.domain, Component) else self.type.__name__
        return f"list of {name}" if self.many else name

    def checked(self, value: object, owner: str) -> Any:
        """Return `value` as this parameter's type; a list as a tuple, a component as it is.

        Args:
            value: What the study file or the command line gave.
            owner: How to call the parameter's component in a message, e.g. `sampler 'diagonal'`.

        Raises:
            ParameterError: The type is wrong or the value lies outside the domain.
        """
        label = f"{owner}: parameter '{self.name}'"
        if not self.many:
            return self._element(value, label)
        if not isinstance(value, tuple | list):
            msg = f"{label} must be a {self.type_name}, got {value!r}"
            raise ParameterError(msg)
        return tuple(self._element(element, label) for element in value)

    def _element(self, value: object, label: str) -> Any:
        if isinstance(self.domain, Component):
            if value is None or isinstance(value, bool | int | float | tuple | list):
                msg = f"{label} must be a {self.domain.kind}, got {value!r}"
                raise ParameterError(msg)
            return value
        wanted = float if self.type is float and type(value) is int else self.type
        if wanted is float and isinstance(value, int | float) and not isinstance(value, bool):
            value = float(value)
        if wanted is not Any and type(value) is not wanted:
            msg = f"{label} must be of type {self.type.__name__}, got {value!r}"
            raise ParameterError(msg)
        if isinstance(value, float) and not math.isfinite(value):
            msg = f"{label} must be finite, got {value}"
            raise ParameterError(msg)
        if isinstance(self.domain, File) and value not in self.domain:
            msg = f"{label}: there is no file {value!r}"
            raise ParameterError(msg)
        if self.domain is not None and value not in self.domain:
            what = "in the range" if isinstance(self.domain, Range) else "one of"
            msg = f"{label} must be {what} {self.domain}, got {value!r}"
            raise ParameterError(msg)
        return value


@functools.cache  # thousands of fits ask for those of the same few components
def parameters(factory: Callable[..., Any]) -> tuple[Parameter, ...]:
    """List the parameters of a component class, in the order of its fields or signature.

    A frozen dataclass is read field by field; any other class or function by its signature.
    `Annotated[float, Range(0, 1)]` carries the domain, `Literal["a", "b"]` is a choice,
    `Annotated[Sampler, Component("sampler")]` is a component, and `tuple[X, ...]` a list of X.

    Raises:
        ParameterError: A parameter has no default, so nobody could build the component, or one
            that no study file could write, or that would be refused there.
    """
    hints = _hints(factory)
    if dataclasses.is_dataclass(factory):
        given = [
            (field.name, _default(field)) for field in dataclasses.fields(factory) if field.init
        ]
    else:
        skip = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        signature = inspect.signature(factory).parameters.values()
        given = [
            (argument.name, argument.default) for argument in signature if argument.kind not in skip
        ]
    known = []
    for name, default in given:
        if default is inspect.Parameter.empty or default is dataclasses.MISSING:
            msg = f"parameter '{name}' of '{getattr(factory, '__name__', factory)}' has no default"
            raise ParameterError(msg)
        parameter = _read_hint(name, hints.get(name, type(default)), default)
        items = default if parameter.many and isinstance(default, tuple) else (default,)
        plain = all(isinstance(element, bool | int | float | str) for element in items)
        if not plain and not isinstance(parameter.domain, Component):
            msg = (
                f"parameter '{name}' of '{getattr(factory, '__name__', factory)}' needs a number, a "
                f"word or true/false as default, got {default!r}"
            )
            raise ParameterError(msg)
        parameter.checked(default, f"the defaults of '{getattr(factory, '__name__', factory)}'")
        known.append(parameter)
    return tuple(known)


def build(factory: Callable[..., Any], given: Mapping[str, object], owner: str) -> Any:
    """Call `factory` with checked parameters.

    Raises:
        ParameterError: A name is unknown, or a value is wrong; the message says what would work.
    """
    known = {parameter.name: parameter for parameter in parameters(factory)}
    values = {}
    for name, value in given.items():
        if name not in known:
            msg = f"{owner} has no parameter '{name}'. {nearest(name, known)}"
            raise ParameterError(msg)
        values[name] = known[name].checked(value, owner)
    return factory(**values)


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _hints(factory: Callable[..., Any]) -> dict[str, Any]:
    target = factory if dataclasses.is_dataclass(factory) else getattr(factory, "__init__", factory)
    if inspect.isfunction(factory):
        target = factory
    try:
        return typing.get_type_hints(target, include_extras=True)
    except Exception:  # noqa: BLE001  a plugin may annotate with names that exist only for its editor
        return {}


def _read_hint(name: str, hint: Any, default: Any) -> Parameter:
    domain = None
    if typing.get_origin(hint) is typing.Annotated:
        hint, *extras = typing.get_args(hint)
        known = (extra for extra in extras if isinstance(extra, Range | Choice | Component | File))
        domain = next(known, None)
    many = typing.get_origin(hint) is tuple
    hint = typing.get_args(hint)[0] if many else hint
    if isinstance(domain, Component):
        return Parameter(name, object, default, domain, many)
    if typing.get_origin(hint) is Literal:
        choice = Choice(*typing.get_args(hint))
        return Parameter(name, type(choice.values[0]), default, choice, many)
    scalar = isinstance(default, bool | int | float | str)
    kind = hint if hint in (bool, int, float, str) else type(default) if scalar else object
    return Parameter(name, kind, default, domain, many)
