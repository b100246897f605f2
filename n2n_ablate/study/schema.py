"""The form of a study file, as pydantic models: keys, types, defaults, meanings. What it says: `read`.

The same models check a study that is built as an object, give editors their JSON Schema, and the
reference page its tables.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from n2n_ablate.components.spec import ComponentSpec
from n2n_ablate.errors import StudyError
from n2n_ablate.study.model import DESIGNS, Condition, Confirm, Profile, Spread
from n2n_ablate.study.values import (
    Changes,
    Choices,
    Component,
    Name,
    OneLevel,
    Positive,
    component_of,
    keys_of,
    known_keys,
    message,
)


class Table(BaseModel):
    """A TOML table with a known set of keys."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True
    )

    @model_validator(mode="before")
    @classmethod
    def _knows_its_keys(cls, data: object) -> object:
        return known_keys(data, list(cls.model_fields))


class FactorTable(Table):
    """What is varied: levels that are always tried, and the range that a search may use."""

    levels: list[OneLevel] = []
    """values that are always tried"""
    without: OneLevel | None = None
    """the level that switches the part off; of design `leave-one-out`"""
    low: float | None = None
    """lower end of the range of a search"""
    high: float | None = None
    """upper end of the range of a search"""
    log: bool = False
    """search the range on a logarithmic scale"""
    choices: Choices | None = None
    """what a search may choose from, instead of a range"""

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

    strategy: Annotated[Component, component_of("strategy")] = ComponentSpec("tpe")
    """what chooses the next trial, a [search strategy](../components/strategy.md)"""


class BaselineTable(Table):
    """The recipe that every trial is compared with."""

    sampler: Annotated[Component, component_of("sampler")]
    """cuts one noisy image into two views"""
    backbone: Annotated[Component, component_of("backbone")]
    """builds the network"""
    loss: Annotated[Component, component_of("loss")]
    """scores a network without a clean image"""
    training: Annotated[Component, component_of("training")]
    """optimizer, learning rate and number of steps"""
    estimator: Annotated[Component, component_of("estimator")] = ComponentSpec("last")
    """makes the denoised image from the trained weights"""


class StudyTable(Table):
    """A study file."""

    name: Name
    """lowercase letters, digits, `-` and `_`, at most 64; also the name of the MLflow experiment. Give the
    file the same name"""
    question: str
    """one sentence, shown above the answer"""
    design: Annotated[str, Field(json_schema_extra={"enum": [*DESIGNS]})]
    """how levels become trials"""
    metrics: Annotated[list[Component], component_of("metric")] = [ComponentSpec("ssim")]
    """what is measured beside `psnr`: `["ssim", { name = "whiteness", lags = 5 }]`"""
    decide: str = "psnr"
    """the metric that verdicts and searches go by"""
    margin: Positive | None = None
    """differences within ± this much of the deciding metric count as equivalent; 0.05 dB for `psnr`,
    required for another"""
    spread: Annotated[Spread, keys_of(Spread)] | None = None
    """the spread that `plan` assumes for power, until a run has shown it"""
    contrasts: list[dict[str, OneLevel]] = []
    """the differences from the baseline that are the question and get a verdict; by default every declared
    trial"""
    baseline: BaselineTable
    """the recipe that every trial is compared with"""
    conditions: Annotated[list[Annotated[Condition, keys_of(Condition)]], Field(min_length=1)]
    """noise models; trials are compared within each"""
    factors: dict[str, FactorTable]
    """what is varied"""
    references: dict[str, Changes] = {}
    """recipes outside the question that give the table a scale"""
    search: SearchTable | None = None
    """of design `search`"""
    confirm: Annotated[Confirm, keys_of(Confirm)] | None = None
    """a confirmation for every profile"""
    profiles: Annotated[
        dict[str, Annotated[Profile, keys_of(Profile, name="", changes="set")]], Field(min_length=1)
    ]
    """budgets by name; the first is the default, but `paper` where a GPU is used"""


def checked(data: object) -> StudyTable:
    """Return what a TOML file holds as a table of the schema."""
    try:
        return StudyTable.model_validate(data)
    except ValidationError as error:
        # An unknown key is often a known one, misspelt, that is then missing too.
        problems = error.errors(include_url=False)
        first = min(problems, key=lambda problem: problem["type"] != "unknown_key")
        raise StudyError(message(first)) from None
