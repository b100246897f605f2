"""What a study is: frozen records, and how a level is written and named."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from n2n_ablate.components.parameters import Domain
from n2n_ablate.components.recipe import Recipe
from n2n_ablate.components.spec import ComponentSpec, Value, written

BASELINE = "baseline"
WHITE = 255.0
"""White on the scale that noise levels are given on, whatever it is in the files."""
DESIGNS = ("search", "factorial", "grid", "one-at-a-time", "leave-one-out")


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


@dataclass(frozen=True)
class Condition:
    """Noise that trials are compared under: a model with its level, or measured on pairs.

    Trials are compared within a condition, never across.
    """

    noise: ComponentSpec | None  # the noise model; None where the noise is measured
    label: str  # its name in tables
    # where measured noise comes from; its scenes are the condition's images
    pairs: MeasuredPairs | None = None

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

    # other pictures than the profile's, see `Profile.images`; none where all noise is measured
    images: tuple[str, ...]
    # side of the centre crop in pixels, 0 for whole images; None for the profile's
    crop: int | None = None
    # other seeds than the profile's. Empty: as many as the profile has, and next to them.
    seeds: tuple[int, ...] = ()
    top: int = 1  # after a search: how many of its best trials are confirmed beside the contrasts
    scenes: int = 0  # how many scenes of each measured condition are held out of the trials for it


@dataclass(frozen=True)
class Profile:
    """A named budget."""

    name: str  # `quick`, `paper` or whatever the file calls it
    images: tuple[str, ...]  # folders, files, `builtin` or `builtin:NAME`
    crop: int = 0  # side of the centre crop in pixels, 0 for whole images
    seeds: tuple[int, ...] = (0,)  # one fit per image and seed
    trials: int = 0  # most trials, the baseline included; 0 for no limit
    # changes of the baseline, e.g. `training.steps`.
    changes: Mapping[str, Value] = field(default_factory=dict)
    confirm: Confirm | None = None  # what follows when the trials are finished; None for nothing
    decides: bool = True  # False for a demonstration: too few images and steps for any conclusion
    white: float = 0.0  # the sample of the image files that is white; 0 for that of their type
    # which channels of the image files to take where they are no colours, from 1
    channels: tuple[int, ...] = ()

    @property
    def told_seeds(self) -> str:
        """Its seeds, see `seeds_text`."""
        return seeds_text(self.seeds)


def seeds_text(seeds: Sequence[int]) -> str:
    """Return seeds by their numbers: how many there are would read as if it were one of them."""
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


@dataclass(frozen=True)
class Spread:
    """How far paired differences are expected to differ: standard deviations in units of the metric."""

    images: float  # over images, beyond what seeds add
    seeds: float  # over seeds on one image
    source: str  # where the figures come from

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


def shown(value: Value) -> str:
    """Return a value as tables show it: short, and equal for equal values."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return written(value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


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
