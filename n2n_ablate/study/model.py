"""What a study is: frozen records, and how a level is written and named."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from n2n_ablate.components.parameters import Domain
from n2n_ablate.components.recipe import Recipe
from n2n_ablate.components.spec import ComponentSpec, Value
from n2n_ablate.study.values import (
    Amount,
    Changes,
    Channel,
    Component,
    Count,
    Flag,
    Images,
    Level,
    Pairs,
    Positive,
    Seeds,
    Side,
    component_of,
    keys_of,
)

BASELINE = "baseline"
CONFIG = ConfigDict(extra="forbid", use_attribute_docstrings=True)
"""Of records that are read from study files: what stands below a field describes its key."""
WHITE = 255.0
"""White on the scale that noise levels are given on, whatever it is in the files."""
DESIGNS = ("search", "factorial", "grid", "one-at-a-time", "leave-one-out")


@dataclass(frozen=True)
class Factor:
    """What a study varies."""

    key: str  # `kind` or `kind.parameter`
    levels: tuple[Level, ...] = ()  # values that are always tried
    domain: Domain | None = None  # where a search may look, None if the factor is not searched


@dataclass(frozen=True)
class Scale:
    """What the numbers of a metric mean: their unit (empty for none) and which way is better."""

    unit: str = ""
    higher_is_better: bool = True
    convention: str = ""  # of several in use, the one that gave them


@dataclass(frozen=True)
class Condition:
    """Noise that trials are compared under: a model with its level, or measured on pairs.

    Trials are compared within a condition, never across.
    """

    __pydantic_config__ = CONFIG

    noise: Annotated[Component | None, component_of("noise")] = None
    """a [noise model](../components/noise.md) with its parameters; or `pairs`"""
    label: str = ""
    """how tables call it; by default the noise itself, or the folder's name"""
    pairs: Pairs | None = None
    """[measured noise](../how-to/measured-pairs.md), whose scenes are the condition's images: a folder of
    noisy shots with references, a named set such as `cc:`, or a table with `folder`, `reference`, `noisy`"""

    @property
    def source(self) -> str:
        """What the noise is, for people."""
        return str(self.noise or self.pairs)

    def plain(self) -> dict[str, object]:
        """Return plain data."""
        return {
            "label": self.label,
            "noise": self.noise and self.noise.plain(),
            "pairs": self.pairs and asdict(self.pairs),
        }


@dataclass(frozen=True)
class Confirm:
    """A second, smaller study of the same contrasts, on what the first one never saw."""

    __pydantic_config__ = CONFIG

    images: Images = ()
    """as in a profile; none may show a picture of the trials"""
    crop: Side | None = None
    """side of the centre crop in pixels; by default the profile's"""
    seeds: Seeds = ()
    """none of the profile's; by default as many as the profile has, next to them"""
    top: Count = 1
    """after a search: how many of its best trials are confirmed beside the contrasts"""
    scenes: Count = 0
    """of [measured pairs](../how-to/measured-pairs.md): how many scenes of each condition the trials do
    not see. A condition with a noise model needs `images`, a measured one `scenes`"""


@dataclass(frozen=True)
class Profile:
    """A budget: images, seeds, trials."""

    __pydantic_config__ = CONFIG

    name: SkipJsonSchema[str] = ""  # `quick`, `paper` or whatever the file calls it
    images: Images = ()
    """folders, files, `builtin` (eight in colour), `builtin:grey` (eight more), `builtin:NAME`, or a [named
    set](../how-to/named-sets.md) such as `kodak24:`. Required unless all conditions are measured"""
    crop: Side = 0
    """side of the centre crop in pixels; 0 keeps whole images"""
    white: Amount = 0.0
    """the sample of the image files that is white; 0 for that of their type"""
    channels: tuple[Channel, ...] = ()
    """which channels of the image files to take where they are no colours, from 1"""
    seeds: Seeds = (0,)
    """one fit per image and seed"""
    trials: Count = 0
    """maximum number of trials, including the baseline; 0 for no limit. A search needs it"""
    changes: Annotated[Changes, Field(alias="set")] = field(default_factory=dict)
    """changes of the baseline, such as `"training.steps" = 500`"""
    confirm: Annotated[Confirm, keys_of(Confirm)] | None = None
    """[a confirmation](#confirm-profilesnameconfirm)"""
    decides: Flag = True
    """false for a demonstration: too few images and steps for any conclusion"""

    @property
    def seeds_in_words(self) -> str:
        """Its seeds, see `seeds_text`."""
        return seeds_text(self.seeds)


def seeds_text(seeds: Sequence[int]) -> str:
    """Return seeds by their numbers: how many there are would read as if it were one of them."""
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


@dataclass(frozen=True)
class Spread:
    """How far paired differences are expected to differ: standard deviations in units of the metric."""

    __pydantic_config__ = CONFIG

    images: Positive
    """over images beyond what seeds add, in units of the deciding metric"""
    source: str
    """where the figures come from; `plan` prints it"""
    seeds: Amount = 0.0
    """over seeds on one image"""

    def over_images(self, seeds: int) -> float:
        """Return the standard deviation over images where so many seeds are averaged."""
        return math.sqrt(self.images**2 + self.seeds**2 / seeds)


@dataclass(frozen=True)
class Study:
    """A question, a baseline, and what is varied to answer it."""

    name: str  # also the name of the MLflow experiment
    question: str  # one sentence, shown above the answer
    design: str  # how factors become trials, one of `DESIGNS`
    baseline: Recipe  # the recipe every trial is compared with
    conditions: tuple[Condition, ...]  # noise models and levels
    factors: tuple[Factor, ...]  # what is varied
    # recipes outside the factors that give the table a scale, by name
    references: Mapping[str, Mapping[str, Value]]
    # names of the trials whose difference from the baseline is the question. Empty: all declared
    # trials. Of a factorial: its effects, by what they change.
    contrasts: tuple[str, ...]
    # what is measured, by what tables call it; `psnr` is the first
    metrics: Mapping[str, ComponentSpec]
    decide: str  # the metric that verdicts and searches go by
    margin: float  # differences within +- so much of it count as equivalent, in its units
    strategy: ComponentSpec  # what chooses the trials of a search
    profiles: Mapping[str, Profile]  # by name; the first is the default
    path: Path  # the file it was read from
    text: str = field(default="", repr=False)  # what stood in it, so that a study outlives its file
    # expected of the contrasts, for the power that `plan` prints; None if not known
    spread: Spread | None = None


@dataclass(frozen=True)
class Trial:
    """One recipe, to be tried on every image and seed under every condition."""

    name: str  # unique in the study, e.g. `sampler.center=0.2`.
    role: str  # `baseline`, `declared`, `reference` or `search`
    recipe: Recipe  # with every parameter written out
    # its levels of the factors, for the search strategy and the tables
    values: Mapping[str, Value] = field(default_factory=dict)


def named(values: Mapping[str, Level | Value]) -> str:
    """Return the name of a trial from what it changes."""
    pairs = (
        (key, level if isinstance(level, Level) else Level(level)) for key, level in values.items()
    )
    return ", ".join(f"{key}={level}" for key, level in pairs)


def levels_of_samples(conditions: Iterable[Condition], whites: Iterable[float]) -> str:
    """Return what noise levels are in the samples of the images; empty where white is 255.

    `whites`: the sample that is white, of each image with a noise model.
    """
    others = sorted({white for white in whites if white != WHITE})
    levels = dict.fromkeys(
        value
        for condition in conditions
        if condition.noise
        and isinstance(value := condition.noise.parameters.get("sigma"), int | float)
    )
    if not others or not levels:
        return ""
    each = [
        f"sigma = {level:g} is {level * white / WHITE:.4g} where white is {white:g}"
        for level in levels
        for white in others
    ]
    return (
        f"noise levels are on the scale of 0 to 255; in the samples of the images {', '.join(each)}"
    )
