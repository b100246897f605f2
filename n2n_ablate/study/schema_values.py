"""Values of study files as pydantic reads them, and what a value that is refused says."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NoReturn, TypeAlias

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from n2n_ablate.components import RECIPE_KINDS
from n2n_ablate.components.spec import ComponentSpec, Scalar, Value, read_value
from n2n_ablate.errors import StudyError, nearest, printable
from n2n_ablate.study.limits import LARGEST_SIDE
from n2n_ablate.study.model import Level, MeasuredPairs

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

_PAIRS = ("folder", "reference", "noisy")


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


def one_of(names: tuple[str, ...]) -> Any:
    """Return the type of a text that is one of a few names."""

    def checked(value: str) -> str:
        if value not in names:
            _refuse(f" cannot be '{value}'. {nearest(value, names)}")
        return value

    return Annotated[
        str, AfterValidator(checked), WithJsonSchema({"type": "string", "enum": [*names]})
    ]


def _named(value: str) -> str:
    if not NAME.fullmatch(value):
        _refuse(
            f" must be lowercase letters, digits, '-' and '_', at most 64, got '{printable(value)}'"
        )
    return value


def _each_once(seeds: list[int]) -> list[int]:
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        _refuse(f" must be a list of whole numbers from 0, each once, got {seeds}")
    return seeds


def component_of(kind: str, text: str, **more: Any) -> Any:
    """Return a field that holds a component of a kind."""
    return Field(description=text, json_schema_extra={"component": kind}, **more)


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
Setting: TypeAlias = Annotated[Value, PlainValidator(_any_value), WithJsonSchema({})]
Changes: TypeAlias = dict[str, Setting]
Levels: TypeAlias = list[OneLevel]
Choices: TypeAlias = list[
    Annotated[
        Scalar, PlainValidator(_scalar), WithJsonSchema({"type": ["number", "string", "boolean"]})
    ]
]
Count: TypeAlias = Annotated[int, Field(ge=0)]
Side: TypeAlias = Annotated[int, Field(ge=0, le=LARGEST_SIDE)]
Seeds: TypeAlias = Annotated[list[int], AfterValidator(_each_once)]
Images: TypeAlias = Annotated[list[str], Field(min_length=1)]


_TYPES = {
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "finite_number": "a finite number",
}


def message(problem: Mapping[str, Any], where: tuple[str, ...]) -> str:
    """Return what is wrong, from one of pydantic's errors: the key, what was given, what would work."""
    kind, given = problem["type"], problem["input"]
    parts = [*where, *problem["loc"]]
    if kind == "unknown_key":
        return f"unknown key '{joined([*parts, problem['ctx']['key']])}'. {problem['ctx']['hint']}"
    key = joined(parts)
    if kind == "missing":
        if where == () and parts[:1] == ["baseline"] and len(parts) == 2:
            return f"'{key}' is missing. A recipe has {', '.join(RECIPE_KINDS)}."
        return f"'{key}' is missing"
    if kind == "refused":
        return f"'{key}'{problem['ctx']['text']}"
    if kind in _TYPES:
        return f"'{key}' must be {_TYPES[kind]}, got {given!r}"
    if kind == "greater_than_equal":
        least = problem["ctx"]["ge"]
        what = "not be negative" if least == 0 else f"be at least {least}"
        return f"'{key}' must {what}, got {given!r}"
    if kind == "less_than_equal":
        return f"'{key}' must be at most {problem['ctx']['le']}, got {given!r}"
    if kind == "greater_than":
        return f"'{key}' must be above {problem['ctx']['gt']:g}, got {given!r}"
    if kind == "too_short":
        return f"'{key}' is empty: it needs at least one entry"
    return f"'{key}': {problem['msg']}, got {given!r}"


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
