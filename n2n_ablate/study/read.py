"""Reads study files. Every mistake names the file, the key, what was given and what would work."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from n2n_ablate.components import RECIPE_KINDS
from n2n_ablate.components.parameters import Choice, Domain, Range
from n2n_ablate.components.recipe import Recipe, missing_kinds
from n2n_ablate.components.spec import ComponentSpec, Scalar, Value, read_value
from n2n_ablate.errors import ParameterError, StudyError
from n2n_ablate.study import limits
from n2n_ablate.study.model import (
    DESIGNS,
    STRATEGIES,
    Condition,
    Confirm,
    Factor,
    Level,
    MeasuredPairs,
    Profile,
    Study,
    named,
)
from n2n_ablate.study.table import Table as _Table

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_KEYS = [
    "name",
    "question",
    "design",
    "decide",
    "margin",
    "baseline",
    "conditions",
    "factors",
    "references",
    "contrasts",
    "metrics",
    "search",
    "confirm",
    "profiles",
]
_PROFILE_KEYS = [
    *("images", "crop", "white", "channels", "seeds", "trials", "set", "confirm", "decides"),
]
_CONFIRM_KEYS = ["images", "crop", "seeds", "top"]
_FACTOR_KEYS = ["levels", "low", "high", "log", "choices", "without"]


def read(path: Path) -> Study:
    """Read a study file.

    Raises:
        StudyError: The file cannot be read or says something that makes no sense.
    """
    try:
        if path.stat().st_size > limits.MOST_BYTES:
            msg = f"{path}: has more than {limits.MOST_BYTES:,} bytes, which is no study file"
            raise StudyError(msg)
        text = path.read_text(encoding="utf-8-sig")  # Windows' editors write the mark
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror}"
        raise StudyError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"{path}: is not valid TOML: {error}"
        raise StudyError(msg) from error
    return parse(text, path)


def parse(text: str, path: Path) -> Study:
    """Read the text of a study file; `path` says where it stood and begins every message.

    Raises:
        StudyError: It says something that makes no sense.
    """
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of 5000 digits is a ValueError
        msg = f"{path}: is not valid TOML: {str(error) or 'nested too deeply'}"
        raise StudyError(msg) from error
    try:
        limits.check(data)
        return replace(_study(_Table(data, "", _KEYS), path), text=text)
    except (StudyError, ParameterError) as error:
        msg = f"{path}: {error}"
        raise StudyError(msg) from error


def _study(top: _Table, path: Path) -> Study:
    name = top.get("name", str)
    if not _NAME.fullmatch(name):
        msg = f"'name' must be lowercase letters, digits, '-' and '_', at most 64, got {name!r}"
        raise StudyError(msg)
    search = top.table("search", ["strategy", "startup"])
    factors = tuple(_factor(top.table("factors"), key) for key in top.table("factors").data)
    if not factors:
        msg = "'factors' is empty: say what the study varies, e.g. \"sampler.center\" = [0.0, 0.2]"
        raise StudyError(msg)
    design = top.choice("design", DESIGNS)
    if design == "search" and not any(factor.domain for factor in factors):
        msg = "design 'search' needs a factor with a range: { low = 0.0, high = 0.5 }"
        raise StudyError(msg)
    for key, value in top.table("factors").data.items() if design == "leave-one-out" else ():
        if not (isinstance(value, Mapping) and set(value) == {"without"}):
            msg = f"factor '{key}': design 'leave-one-out' wants {{ without = ... }}, what switches it off"
            raise StudyError(msg)
    startup = search.get("startup", int, 4)
    metrics = _metrics(top.get("metrics", list, ["ssim"]))
    decide = top.choice("decide", tuple(metrics), "psnr")
    if decide != "psnr" and "margin" not in top.data:
        msg = (
            f"'margin' is missing: with decide = \"{decide}\" say which differences of {decide} are too "
            "small to matter, in its units"
        )
        raise StudyError(msg)
    return Study(
        name=name,
        question=top.get("question", str),
        design=design,
        baseline=_baseline(top.table("baseline", list(RECIPE_KINDS))),
        conditions=_conditions(top),
        factors=factors,
        references=_each(top.table("references"), _changes),
        contrasts=tuple(_contrast(top, contrast) for contrast in top.get("contrasts", list, [])),
        metrics=metrics,
        decide=decide,
        margin=_above_zero(top.get("margin", float, 0.05), "margin"),
        strategy=search.choice("strategy", STRATEGIES, "tpe"),
        startup=startup,
        profiles=_each(_with_confirm(top), _profile) or _missing("profiles"),
        path=path,
    )


def _metrics(items: list[object]) -> dict[str, ComponentSpec]:
    """Return metrics by label: the name, with its parameters where a name comes twice."""
    specs = [ComponentSpec("psnr")]
    for metric in items:
        spec = ComponentSpec.read(metric, "'metrics'")
        if spec.name == "psnr" and spec.parameters:
            msg = f"'metrics': psnr has no parameters, got {metric!r}"
            raise StudyError(msg)
        specs += [spec] if spec not in specs else []
    names = [spec.name for spec in specs]
    return {
        # Trackers take few characters in the name of a metric.
        spec.name
        if names.count(spec.name) == 1
        else re.sub(r"\W+", "-", str(spec)).strip("-"): spec
        for spec in specs
    }


def _missing(key: str) -> Any:
    msg = f"'{key}' is missing"
    raise StudyError(msg)


def _above_zero(value: float, key: str) -> float:
    if not 0 < value < float("inf"):
        msg = f"'{key}' must be above 0, got {value}"
        raise StudyError(msg)
    return value


def _each(table: _Table, read_one: Callable[[_Table, str], Any]) -> dict[str, Any]:
    return {key: read_one(table, key) for key in table.data}


def _baseline(table: _Table) -> Recipe:
    specs = {"estimator": ComponentSpec("last")}
    specs |= {
        key: ComponentSpec.read(value, f"'baseline.{key}'") for key, value in table.data.items()
    }
    if empty := missing_kinds(specs):
        msg = f"'baseline.{empty[0]}' is missing. A recipe has {', '.join(RECIPE_KINDS)}."
        raise StudyError(msg)
    return Recipe({kind: specs[kind] for kind in RECIPE_KINDS})


def _conditions(top: _Table) -> tuple[Condition, ...]:
    conditions = []
    for index, entry in enumerate(top.get("conditions", list)):
        table = _Table(entry, f"conditions[{index}]", ["noise", "pairs", "label"])
        if ("noise" in table.data) == ("pairs" in table.data):
            msg = f"'{table.where}' needs either 'noise', a model, or 'pairs', measured noise"
            raise StudyError(msg)
        if "pairs" in table.data:
            pairs = _pairs(table)
            label = str(table.get("label", str, pairs_label(pairs.source)))
            conditions.append(Condition(None, label, pairs))
            continue
        noise = ComponentSpec.read(table.data["noise"], f"'{table.at('noise')}'")
        conditions.append(Condition(noise, str(table.get("label", str, str(noise)))))
    if not conditions or len({condition.label for condition in conditions}) < len(conditions):
        msg = "'conditions' needs at least one noise, and no two of one label"
        raise StudyError(msg)
    return tuple(conditions)


def _pairs(table: _Table) -> MeasuredPairs:
    value = table.data["pairs"]
    if isinstance(value, str):
        return MeasuredPairs(value)
    own = _Table(value, table.at("pairs"), ["folder", "reference", "noisy"])
    return MeasuredPairs(
        own.get("folder", str, "."), own.get("reference", str), own.get("noisy", str)
    )


def pairs_label(source: str) -> str:
    """Return what tables call measured noise: the name of its folder or set."""
    return Path(source.rstrip(":")).resolve().name if source.strip(".:/") else "measured"


def _factor(table: _Table, key: str) -> Factor:
    value = table.data[key]
    where = table.at(f'"{key}"')
    if isinstance(value, list):
        return Factor(key, tuple(_level(level, where) for level in value))
    table = _Table(value, where, _FACTOR_KEYS)
    levels = tuple(_level(level, where) for level in table.get("levels", list, []))
    if "without" in table.data:
        levels = (*levels, _level(table.data["without"], where))
    return Factor(key, levels, _domain(table))


def _domain(table: _Table) -> Domain | None:
    if "choices" in table.data:
        return Choice(
            *[_scalar(choice, table.at("choices")) for choice in table.get("choices", list)]
        )
    if "low" in table.data or "high" in table.data:
        return Range(
            table.get("low", float), table.get("high", float), log=table.get("log", bool, False)
        )
    return None


def _level(level: object, where: str) -> Level:
    if isinstance(level, Mapping):
        rest = {key: value for key, value in level.items() if key not in ("with", "label")}
        also = _Table(level.get("with", {}), f"{where}.with").data
        label = _Table(level, where).get("label", str, "")
        changes = {str(key): read_value(value, f"'{where}.with'") for key, value in also.items()}
        return Level(ComponentSpec.read(rest, where), changes, label)
    return Level(read_value(level, f"'{where}'"))


def _scalar(value: object, where: str) -> Scalar:
    if not isinstance(value, bool | int | float | str):
        msg = f"'{where}' must hold numbers, words or true/false, got {value!r}"
        raise StudyError(msg)
    return value


def _changes(table: _Table, key: str) -> dict[str, Value]:
    changes = table.table(key)
    return {
        name: read_value(value, f"'{changes.at(name)}'") for name, value in changes.data.items()
    }


def _contrast(top: _Table, contrast: object) -> str:
    table = _Table(contrast, "contrasts")
    values = {str(key): _level(value, "contrasts") for key, value in table.data.items()}
    return named(values)


def _with_confirm(top: _Table) -> _Table:
    """Return the profiles with what the study's `[confirm]` says where they say nothing."""
    shared = top.table("confirm", _CONFIRM_KEYS).data
    profiles = {}
    for key, profile in top.table("profiles").data.items():
        table = _Table(profile, f"profiles.{key}")
        said = table.table("confirm").data
        both = {**shared, **said}
        profiles[key] = {**table.data, **({"confirm": both} if both else {})}
    return _Table(profiles, "profiles")


def _profile(table: _Table, key: str) -> Profile:
    profile = table.table(key, _PROFILE_KEYS)
    if not _NAME.fullmatch(key):
        msg = f"profile names are lowercase letters, digits, '-' and '_', got {key!r}"
        raise StudyError(msg)
    crop, trials = profile.get("crop", int, 0), profile.get("trials", int, 0)
    if crop < 0 or trials < 0:
        msg = f"'{profile.where}': crop and trials must not be negative, got {crop} and {trials}"
        raise StudyError(msg)
    changes = profile.table("set").data
    white, channels = profile.get("white", float, 0.0), profile.get("channels", list, [])
    if not 0 <= white < float("inf") or any(
        type(setting) is not int or setting < 1 for setting in channels
    ):
        msg = (
            f"'{profile.where}': white is a number above 0, channels a list of whole numbers from 1"
        )
        raise StudyError(msg)
    return Profile(
        name=key,
        images=_sources(profile),
        crop=crop,
        white=white,
        channels=tuple(channels),
        seeds=_seeds(profile, [0]),
        trials=trials,
        changes={
            name: read_value(setting, f"'{profile.at('set')}'") for name, setting in changes.items()
        },
        confirm=_confirm(profile.table("confirm", _CONFIRM_KEYS))
        if "confirm" in profile.data
        else None,
        decides=profile.get("decides", bool, True),
    )


def _confirm(table: _Table) -> Confirm:
    crop = table.get("crop", int) if "crop" in table.data else None
    top = table.get("top", int, 1)
    if (crop or 0) < 0 or top < 0:
        msg = f"'{table.where}': crop and top must not be negative, got {crop} and {top}"
        raise StudyError(msg)
    return Confirm(_sources(table), crop, _seeds(table, []), top)


def _sources(table: _Table) -> tuple[str, ...]:
    sources = table.get("images", list, [])
    return tuple(str(_scalar(source, table.at("images"))) for source in sources)


def _seeds(table: _Table, default: list[int]) -> tuple[int, ...]:
    seeds = table.get("seeds", list, default)
    wrong = any(type(seed) is not int or seed < 0 for seed in seeds)
    if wrong or len(set(seeds)) < len(seeds) or ("seeds" in table.data and not seeds):
        msg = (
            f"'{table.at('seeds')}' must be a list of whole numbers from 0, each once, got {seeds}"
        )
        raise StudyError(msg)
    return tuple(seeds)
