"""Values of study files as pydantic reads them, and what a value that is refused says."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, NoReturn, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from n2n_ablate.components import RECIPE_KINDS
from n2n_ablate.components.spec import ComponentSpec, Scalar, Value, read_value, written
from n2n_ablate.errors import StudyError, nearest, printable
from n2n_ablate.study.limits import LARGEST_SIDE

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

_PAIRS = ("folder", "reference", "noisy")


@dataclass(frozen=True)
class Level:
    """One value of a factor."""

    value: Value  # a part (the factor is a whole component) or the value of a parameter
    # further changes that belong to this level, e.g. another learning rate.
    also: Mapping[str, Value] = field(default_factory=dict)
    label: str = ""  # how to call it in tables; empty to derive it from the value

    def __str__(self) -> str:
        extra = "".join(f", {key}={value}" for key, value in self.also.items())
        return self.label or f"{shown(self.value)}{extra}"

    def changes(self, key: str) -> dict[str, Value]:
        """Return everything that this level of factor `key` changes in the baseline."""
        return {key: self.value, **self.also}


@dataclass(frozen=True)
class MeasuredPairs:
    """Where measured noise comes from: noisy shots of scenes, with references."""

    source: str  # a folder whose layout is recognised, or a named set such as `cc:`
    # folders or patterns with `*` inside `source`, where it is not
    reference: str = ""
    noisy: str = ""
    held_out: int = 0  # how many scenes only the confirmation sees; 0 without one
    confirming: bool = False  # whether the held-out scenes are meant, and not the others

    def __str__(self) -> str:
        names = f" (reference {self.reference}, noisy {self.noisy})" if self.reference else ""
        which = "the" if self.confirming else "without the"
        part = f", {which} {self.held_out} held-out scenes" if self.held_out else ""
        return f"measured: pairs in {self.source}{names}{part}"


def shown(value: Value) -> str:
    """Return a value as tables show it: short, and equal for equal values."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return written(value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _text_or_table(names: tuple[str, ...], required: tuple[str, ...], **more: Any) -> Any:
    text = {"type": "string"}
    properties = dict.fromkeys(names, text)
    table = {"type": "object", "properties": properties, "required": [*required], **more}
    return WithJsonSchema({"anyOf": [text, table]})


def _component(value: object) -> ComponentSpec:
    return _read(lambda: ComponentSpec.read(value, ""))


def _any_value(value: object) -> Value:
    return _read(lambda: read_value(value, ""))


def _level(value: object) -> Level:
    if not isinstance(value, Mapping):
        return Level(_any_value(value))
    rest = {key: change for key, change in value.items() if key not in ("with", "label")}
    also, label = value.get("with", {}), value.get("label", "")
    if not isinstance(also, Mapping):
        _refuse(f": with must be a table, got {also!r}")
    if not isinstance(label, str):
        _refuse(f": label must be text, got {label!r}")
    changes = {str(key): _any_value(change) for key, change in also.items()}
    return Level(_component(rest), changes, label)


def _pairs(value: object) -> MeasuredPairs:
    if isinstance(value, str) and value:
        return MeasuredPairs(value)
    if not isinstance(value, Mapping):
        _refuse(f" must be a folder, a named set such as 'cc:', or a table, got {value!r}")
    for key, text in value.items():
        if key not in _PAIRS:
            _refuse(f" has an unknown key '{key}'. {nearest(str(key), _PAIRS)}")
        if not isinstance(text, str) or not text:
            _refuse(f": {key} must be text, got {text!r}")
    for key in _PAIRS[1:]:
        if key not in value:
            _refuse(f" lacks '{key}': shots and references need one each")
    return MeasuredPairs(value.get("folder", "."), value["reference"], value["noisy"])


def _scalar(value: object) -> Scalar:
    if not isinstance(value, bool | int | float | str):
        _refuse(f" must be a number, a word or true/false, got {value!r}")
    return value


def _read(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except StudyError as error:
        _refuse(str(error))


def _refuse(text: str) -> NoReturn:
    """Refuse a value; in the message the text follows its key."""
    kind = "refused"
    raise PydanticCustomError(kind, "{text}", {"text": text})


def _named(value: str) -> str:
    if not NAME.fullmatch(value):
        _refuse(
            f" must be lowercase letters, digits, '-' and '_', at most 64, got '{printable(value)}'"
        )
    return value


def _each_once(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        _refuse(f" must be a list of whole numbers from 0, each once, got {[*seeds]}")
    return seeds


def component_of(kind: str) -> Any:
    """Return what marks a field as holding a component of a kind."""
    return Field(json_schema_extra={"component": kind})


def keys_of(record: Any, **keys: str) -> BeforeValidator:
    """Return what lets a table of a study file have the fields of a record as keys, and no others.

    `keys`: fields with another key in the file; empty for those that have none.
    """
    names = [keys.get(each.name, each.name) for each in fields(record)]
    return BeforeValidator(lambda data: known_keys(data, [*filter(None, names)]))


def known_keys(data: object, names: Sequence[str]) -> object:
    """Return a table as it is, unless it has other keys than these."""
    for key in data if isinstance(data, Mapping) else ():
        if key not in names:
            kind, hint = "unknown_key", nearest(str(key), names)
            raise PydanticCustomError(kind, "{hint}", {"key": str(key), "hint": hint})
    return data


Name: TypeAlias = Annotated[str, AfterValidator(_named)]
Component: TypeAlias = Annotated[
    ComponentSpec, PlainValidator(_component), _text_or_table(("name",), ("name",))
]
Pairs: TypeAlias = Annotated[
    MeasuredPairs,
    PlainValidator(_pairs),
    _text_or_table(_PAIRS, _PAIRS[1:], additionalProperties=False),
]
OneLevel: TypeAlias = Annotated[Level, PlainValidator(_level), WithJsonSchema({})]
Changes: TypeAlias = dict[str, Annotated[Value, PlainValidator(_any_value), WithJsonSchema({})]]
Choices: TypeAlias = list[
    Annotated[
        Scalar, PlainValidator(_scalar), WithJsonSchema({"type": ["number", "string", "boolean"]})
    ]
]
Images: TypeAlias = Annotated[tuple[str, ...], Field(min_length=1)]
# Strict: of TOML's values none passes for one of another type.
Flag: TypeAlias = Annotated[bool, Field(strict=True)]
Count: TypeAlias = Annotated[int, Field(strict=True, ge=0)]
Channel: TypeAlias = Annotated[int, Field(strict=True, ge=1)]
Side: TypeAlias = Annotated[int, Field(strict=True, ge=0, le=LARGEST_SIDE)]
Amount: TypeAlias = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Positive: TypeAlias = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
Seeds: TypeAlias = Annotated[
    tuple[Annotated[int, Field(strict=True)], ...], AfterValidator(_each_once)
]

_REASONS = {
    "missing": "is missing",
    "too_short": "is empty: it needs at least one entry",
    "refused": "{text}",
    "greater_than_equal": "must be at least {ge}, got {given!r}",
    "less_than_equal": "must be at most {le}, got {given!r}",
    "greater_than": "must be above {gt:g}, got {given!r}",
    "int_type": "must be a whole number, got {given!r}",
    "float_type": "must be a number, got {given!r}",
    "finite_number": "must be a finite number, got {given!r}",
    "string_type": "must be text, got {given!r}",
    "bool_type": "must be true or false, got {given!r}",
    **dict.fromkeys(("list_type", "tuple_type"), "must be a list, got {given!r}"),
    **dict.fromkeys(
        ("dict_type", "model_type", "dataclass_type"), "must be a table, got {given!r}"
    ),
}
"""What follows the key, by the type of pydantic's error; `given` is what stood there."""


def message(problem: Mapping[str, Any]) -> str:
    """Return what is wrong, from one of pydantic's errors: the key, what was given, what would work."""
    kind, about = problem["type"], {"given": problem["input"], **problem.get("ctx", {})}
    parts = list(problem["loc"])
    if kind == "unknown_key":
        return f"unknown key '{joined([*parts, about['key']])}'. {about['hint']}"
    known = _REASONS.get(kind)
    reason = known.format(**about) if known else f": {problem['msg']}, got {problem['input']!r}"
    if about.get("ge") == 0:
        reason = f"must not be negative, got {problem['input']!r}"
    if kind == "missing" and parts[:1] == ["baseline"] and len(parts) == 2:
        reason += f". A recipe has {', '.join(RECIPE_KINDS)}."
    return f"'{joined(parts)}'{'' if reason.startswith((':', ' ')) else ' '}{reason}"


def joined(parts: list[Any]) -> str:
    """Return a path of keys and indices as a TOML file has them: `factors."sampler.center"[0]`."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            bare = re.fullmatch(r"[A-Za-z0-9_-]+", part)
            text += f".{part}" if bare else f'."{part}"'
    return text.removeprefix(".")
