"""The form of a study file, as pydantic models: keys, types, defaults, meanings. What it says: `read`.

The same models check a study that is built as an object, give editors their JSON Schema, and the
reference page its tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from n2n_ablate.components.spec import ComponentSpec
from n2n_ablate.errors import StudyError, nearest
from n2n_ablate.study.model import DESIGNS
from n2n_ablate.study.schema_values import (
    Changes,
    Choices,
    Component,
    Count,
    Images,
    Levels,
    Name,
    OneLevel,
    Pairs,
    Seeds,
    Side,
    component_of,
    message,
    one_of,
)


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

    noise: Component | None = component_of(
        "noise",
        "a [noise model](../components/noise.md) with its parameters; or `pairs`",
        default=None,
    )
    pairs: Pairs | None = Field(
        None,
        description="[measured noise](../how-to/measured-pairs.md): a folder of noisy shots with "
        "references, a named set such as `cc:`, or a table with `folder`, `reference` and `noisy`",
    )
    label: str | None = Field(
        None, description="how tables call it; by default the noise itself, or the folder's name"
    )


class FactorTable(Table):
    """What is varied: levels that are always tried, and the range that a search may use."""

    levels: Levels = Field([], description="values that are always tried")
    without: OneLevel | None = Field(
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

    strategy: Component = component_of(
        "strategy",
        "what chooses the next trial, a [search strategy](../components/strategy.md)",
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
    crop: Side | None = Field(
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
    crop: Side = Field(0, description="side of the centre crop in pixels; 0 keeps whole images")
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

    sampler: Component = component_of("sampler", "cuts one noisy image into two views")
    backbone: Component = component_of("backbone", "builds the network")
    loss: Component = component_of("loss", "scores a network without a clean image")
    training: Component = component_of("training", "optimizer, learning rate and number of steps")
    estimator: Component = component_of(
        "estimator",
        "makes the denoised image from the trained weights",
        default=ComponentSpec("last"),
    )


class StudyTable(Table):
    """A study file."""

    name: Name = Field(
        description="lowercase letters, digits, `-` and `_`, at most 64; also the name of the MLflow "
        "experiment. Give the file the same name"
    )
    question: str = Field(description="one sentence, shown above the answer")
    design: one_of(DESIGNS) = Field(description="how levels become trials")  # type: ignore[valid-type]
    metrics: list[Component] = component_of(
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
    contrasts: list[dict[str, OneLevel]] = Field(
        [],
        description="the differences from the baseline that are the question and get a verdict; "
        "by default every declared trial",
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

    `data`: from a TOML file; `where`: path of keys to the data, for messages.
    """
    try:
        return table.model_validate(data)
    except ValidationError as error:
        # An unknown key is often a known one, misspelt, that is then missing too.
        problems = error.errors(include_url=False)
        first = min(problems, key=lambda problem: problem["type"] != "unknown_key")
        raise StudyError(message(first, where)) from None
