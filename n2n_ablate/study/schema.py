"""The form of a study file, as pydantic models: keys, types, defaults, meanings. What it says: `read`.

The same models check a study that is built as an object, give editors their JSON Schema, and the
reference page its tables.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NoReturn, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from n2n_ablate.components import RECIPE_KINDS
from n2n_ablate.components.spec import ComponentSpec, Scalar, Value, read_value
from n2n_ablate.errors import StudyError, nearest, printable
from n2n_ablate.study.model import DESIGNS, Level, MeasuredPairs

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

COMPONENT_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {"name": {"type": "string"}},
            "required": ["name"],
        },
    ]
}
"""A component: a name, or a table with a name and parameters."""


PAIRS_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {
                "folder": {"type": "string"},
                "reference": {"type": "string"},
                "noisy": {"type": "string"},
            },
            "required": ["reference", "noisy"],
            "additionalProperties": False,
        },
    ]
}
"""Measured noise: a folder or a named set, or a table that says which files are which."""


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
    known = ("folder", "reference", "noisy")
    for key, item in value.items():
        if key not in known:
            _refuse(f" has an unknown key '{key}'. {nearest(str(key), known)}")
        if not isinstance(item, str) or not item:
            _refuse(f": {key} must be text, got {item!r}")
    for key in known[1:]:
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


def _one_of(names: tuple[str, ...]) -> Any:
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


def _spec(kind: str, text: str, **more: Any) -> Any:
    """Return a field that holds a component of a kind."""
    return Field(description=text, json_schema_extra={"component": kind}, **more)


Component: TypeAlias = Annotated[
    ComponentSpec, PlainValidator(_component), WithJsonSchema(COMPONENT_SCHEMA)
]
Setting: TypeAlias = Annotated[Value, PlainValidator(_any_value), WithJsonSchema({})]
Changes: TypeAlias = dict[str, Setting]
Levels: TypeAlias = list[Annotated[Level, PlainValidator(_level), WithJsonSchema({})]]
Choices: TypeAlias = list[
    Annotated[
        Scalar, PlainValidator(_scalar), WithJsonSchema({"type": ["number", "string", "boolean"]})
    ]
]
Count: TypeAlias = Annotated[int, Field(ge=0)]
Seeds: TypeAlias = Annotated[list[int], AfterValidator(_each_once)]
Images: TypeAlias = Annotated[list[str], Field(min_length=1)]


class Table(BaseModel):
    """A TOML table with a known set of keys."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=False)

    @model_validator(mode="before")
    @classmethod
    def _knows_its_keys(cls, data: object) -> object:
        known = [field.alias or name for name, field in cls.model_fields.items()]
        for key in data if isinstance(data, Mapping) else ():
            if key not in known:
                kind, hint = "unknown_key", nearest(str(key), known)
                raise PydanticCustomError(kind, "{hint}", {"key": str(key), "hint": hint})
        return data


class ConditionTable(Table):
    """One noise that all trials are compared under: a model, or measured."""

    noise: Component | None = _spec(
        "noise",
        "a [noise model](components.md#noise) with its parameters; or `pairs`",
        default=None,
    )
    pairs: Annotated[MeasuredPairs, PlainValidator(_pairs), WithJsonSchema(PAIRS_SCHEMA)] | None = (
        Field(
            None,
            description="[measured noise](../how-to/measured-pairs.md): a folder of noisy shots with "
            "references, a named set such as `cc:`, or a table with `folder`, `reference` and `noisy`",
        )
    )
    label: str | None = Field(
        None, description="how tables call it; by default the noise itself, or the folder's name"
    )


class FactorTable(Table):
    """What is varied: levels that are always tried, and the range that a search may use."""

    levels: Levels = Field([], description="values that are always tried")
    without: Annotated[Level, PlainValidator(_level), WithJsonSchema({})] | None = Field(
        None, description="the level that switches the part off; of design `leave-one-out`"
    )
    low: float | None = Field(None, description="lower end of the range of a search")
    high: float | None = Field(None, description="upper end of the range of a search")
    log: bool = Field(default=False, description="search the range on a logarithmic scale")
    choices: Choices | None = Field(
        None, description="what a search may choose from, instead of a range"
    )

    @model_validator(mode="before")
    @classmethod
    def _list_means_levels(cls, data: object) -> object:
        return {"levels": data} if isinstance(data, list) else data

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the form of a table, or of a list of levels."""
        return {"anyOf": [{"type": "array"}, handler(core_schema)]}


class SearchTable(Table):
    """How a search chooses its trials."""

    strategy: Component = _spec(
        "strategy",
        "what chooses the next trial, a [search strategy](components.md#strategy)",
        default=ComponentSpec("tpe"),
    )


class SpreadTable(Table):
    """How far paired differences are expected to differ, as standard deviations."""

    images: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(
        description="over images, in units of the deciding metric"
    )
    seeds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        0.0, description="over seeds on one image"
    )
    source: str = Field(description="where the figures come from; `plan` prints it")


class ConfirmTable(Table):
    """The confirmation on held-out images."""

    images: Images | None = Field(
        None, description="as in a profile; none may show a picture of the trials"
    )
    scenes: Count = Field(
        0,
        description="of [measured pairs](../how-to/measured-pairs.md): how many scenes of each condition "
        "the trials do not see. A condition with a noise model needs `images`, a measured one `scenes`",
    )
    crop: Count | None = Field(
        None, description="side of the centre crop in pixels; by default the profile's"
    )
    seeds: Seeds | None = Field(
        None,
        description="none of the profile's; by default as many as the profile has, next to them",
    )
    top: Count = Field(
        1,
        description="after a search: how many of its best trials are confirmed beside the contrasts",
    )


class ProfileTable(Table):
    """A budget: images, seeds, trials."""

    images: Images | None = Field(
        None,
        description="folders, files, `builtin` (eight in colour), `builtin:grey` (eight more), "
        "`builtin:NAME`, or a [named set](../how-to/named-sets.md) such as `kodak24:`. Required unless "
        "all conditions are measured",
    )
    crop: Count = Field(0, description="side of the centre crop in pixels; 0 keeps whole images")
    white: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        0.0, description="the sample of the image files that is white; 0 for that of their type"
    )
    channels: list[Annotated[int, Field(ge=1)]] = Field(
        [],
        description="which channels of the image files to take where they are no colours, from 1",
    )
    seeds: Seeds = Field([0], description="one fit per image and seed")
    trials: Count = Field(
        0,
        description="maximum number of trials, including the baseline; 0 for no limit. A search "
        "needs it",
    )
    set: Changes = Field(
        {}, description='changes of the baseline, such as `"training.steps" = 500`'
    )
    confirm: dict[str, Any] | None = Field(
        None, description="[a confirmation](#confirm-profilesnameconfirm)"
    )
    decides: bool = Field(
        default=True,
        description="false for a demonstration: too few images and steps for any conclusion",
    )


class BaselineTable(Table):
    """The recipe that every trial is compared with."""

    sampler: Component = _spec("sampler", "cuts one noisy image into two views")
    backbone: Component = _spec("backbone", "builds the network")
    loss: Component = _spec("loss", "scores a network without a clean image")
    training: Component = _spec("training", "optimizer, learning rate and number of steps")
    estimator: Component = _spec(
        "estimator",
        "makes the denoised image from the trained weights",
        default=ComponentSpec("last"),
    )


class StudyTable(Table):
    """A study file."""

    name: Annotated[str, AfterValidator(_named)] = Field(
        description="lowercase letters, digits, `-` and `_`, at most 64; also the name of the MLflow "
        "experiment. Give the file the same name"
    )
    question: str = Field(description="one sentence, shown above the answer")
    design: _one_of(DESIGNS) = Field(description="how levels become trials")  # type: ignore[valid-type]
    metrics: list[Component] = _spec(
        "metric",
        'what is measured beside `psnr`: `["ssim", { name = "whiteness", lags = 5 }]`',
        default=[ComponentSpec("ssim")],
    )
    decide: str = Field("psnr", description="the metric that verdicts and searches go by")
    margin: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None,
        description="differences within ± this much of the deciding metric count as equivalent; "
        "0.05 dB for `psnr`, required for another",
    )
    spread: SpreadTable | None = Field(
        None, description="the spread that `plan` assumes for power, until a run has shown it"
    )
    contrasts: list[dict[str, Annotated[Level, PlainValidator(_level), WithJsonSchema({})]]] = (
        Field(
            [],
            description="the differences from the baseline that are the question and get a verdict; "
            "by default every declared trial",
        )
    )
    baseline: BaselineTable = Field(description="the recipe that every trial is compared with")
    conditions: Annotated[list[ConditionTable], Field(min_length=1)] = Field(
        description="noise models; trials are compared within each"
    )
    factors: dict[str, FactorTable] = Field(description="what is varied")
    references: dict[str, Changes] = Field(
        {}, description="recipes outside the question that give the table a scale"
    )
    search: SearchTable | None = Field(None, description="of design `search`")
    confirm: dict[str, Any] | None = Field(None, description="a confirmation for every profile")
    profiles: Annotated[dict[str, ProfileTable], Field(min_length=1)] = Field(
        description="budgets by name; the first is the default, but `paper` where a GPU is used"
    )


def checked(table: type[Any], data: object, where: tuple[str, ...] = ()) -> Any:
    """Return data as a table of the schema.

    Args:
        table: One of the classes above.
        data: From a TOML file.
        where: Path of keys to the data, for messages.

    Raises:
        StudyError: It has another form. The message has the key, what was given and what would work.
    """
    try:
        return table.model_validate(data)
    except ValidationError as error:
        # An unknown key is often a known one, misspelt, that is then missing too.
        problems = error.errors(include_url=False)
        first = min(problems, key=lambda problem: problem["type"] != "unknown_key")
        raise StudyError(_message(first, where)) from None


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


def _message(problem: Mapping[str, Any], where: tuple[str, ...]) -> str:
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
