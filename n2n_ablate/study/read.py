"""Reads studies, from files and from Python data. A mistake names file, key, what was given and what works."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from n2n_ablate.components.parameters import Choice, Domain, Range
from n2n_ablate.components.recipe import Recipe
from n2n_ablate.components.spec import ComponentSpec, toml
from n2n_ablate.errors import ParameterError, StudyError, nearest
from n2n_ablate.study import limits
from n2n_ablate.study.model import DESIGNS, Condition, Factor, Profile, Study, named
from n2n_ablate.study.schema import FactorTable, StudyTable, checked
from n2n_ablate.study.values import NAME, joined
from n2n_ablate.study.write import to_toml

_MARGIN = 0.05  # dB
_AS_WRITTEN = ("name", "question", "design", "references", "decide", "spread")


def read(path: Path) -> Study:
    """Read a study file."""
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
    """Read the text of a study file; `path` says where it stood and begins every message."""
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of 5000 digits is a ValueError
        msg = f"{path}: is not valid TOML: {str(error) or 'nested too deeply'}"
        raise StudyError(msg) from error
    try:
        limits.check(data)
        return replace(_study(checked(_with_confirm(data)), path), text=text)
    except (StudyError, ParameterError) as error:
        msg = f"{path}: {error}"
        raise StudyError(msg) from error


def build(data: Mapping[str, Any]) -> Study:
    """Return a study from Python data with the keys of a study file.

    It becomes the text of a study file first, so that it is checked alike and can be stored.
    """
    name = data.get("name")
    path = Path(f"study '{name}'" if isinstance(name, str) and NAME.fullmatch(name) else "study")
    try:
        text = to_toml(data)
    except StudyError as error:
        msg = f"{path}: {error}"
        raise StudyError(msg) from error
    return parse(text, path)


def _study(table: StudyTable, path: Path) -> Study:
    metrics = _metrics(table.metrics)
    for key, given, known in (
        ("design", table.design, DESIGNS),
        ("decide", table.decide, metrics),
    ):
        if given not in known:
            msg = f"'{key}' cannot be '{given}'. {nearest(given, known)}"
            raise StudyError(msg)
    if table.decide != "psnr" and table.margin is None:
        msg = (
            f"'margin' is missing: with decide = \"{table.decide}\" say which differences of "
            f"{table.decide} are too small to matter, in its units"
        )
        raise StudyError(msg)
    if table.search and table.design != "search":
        msg = (
            f"'search' is for design 'search', and 'design' is '{table.design}'. "
            "Remove the table, or change the design"
        )
        raise StudyError(msg)
    same = {name: getattr(table, name) for name in _AS_WRITTEN}
    return Study(
        **same,
        baseline=Recipe(dict(table.baseline)),
        conditions=_conditions(table),
        factors=_factors(table),
        contrasts=tuple(named(values) for values in table.contrasts),
        metrics=metrics,
        margin=_MARGIN if table.margin is None else table.margin,
        strategy=table.search.strategy if table.search else ComponentSpec("tpe"),
        profiles={name: _profile(name, profile) for name, profile in table.profiles.items()},
        path=path,
    )


def _metrics(specs: list[ComponentSpec]) -> dict[str, ComponentSpec]:
    """Return metrics by label: the name, with its parameters where a name comes twice."""
    for spec in specs:
        if spec.name == "psnr" and spec.parameters:
            msg = f"'metrics': psnr has no parameters, got {toml(spec)}"
            raise StudyError(msg)
        if specs.count(spec) > 1:
            msg = f"'metrics' has {spec} twice"
            raise StudyError(msg)
    psnr = ComponentSpec("psnr")
    every = [psnr, *(spec for spec in specs if spec != psnr)]
    names = Counter(spec.name for spec in every)
    return {
        # Trackers take few characters in the name of a metric.
        spec.name if names[spec.name] == 1 else re.sub(r"\W+", "-", str(spec)).strip("-"): spec
        for spec in every
    }


def _conditions(table: StudyTable) -> tuple[Condition, ...]:
    conditions = list(table.conditions)
    for index, each in enumerate(conditions):
        if (each.noise is None) == (each.pairs is None):
            msg = f"'conditions[{index}]' needs either 'noise', a model, or 'pairs', measured noise"
            raise StudyError(msg)
        label = pairs_label(each.pairs.source) if each.pairs else str(each.noise)
        conditions[index] = replace(each, label=each.label or label)
    for label, count in Counter(condition.label for condition in conditions).items():
        if count > 1:
            msg = f"'conditions': two are called '{label}'. Give them different labels"
            raise StudyError(msg)
    return tuple(conditions)


def pairs_label(source: str) -> str:
    """Return what tables call measured noise: the name of its folder or set."""
    return Path(source.rstrip(":")).resolve().name if source.strip(".:/") else "measured"


def _factors(table: StudyTable) -> tuple[Factor, ...]:
    if not table.factors:
        msg = "'factors' is empty: say what the study varies, e.g. \"sampler.center\" = [0.0, 0.2]"
        raise StudyError(msg)
    factors = tuple(
        _factor(key, factor_table, table.design) for key, factor_table in table.factors.items()
    )
    if table.design == "search" and not any(factor.domain for factor in factors):
        msg = "design 'search' needs a factor with a range: { low = 0.0, high = 0.5 }"
        raise StudyError(msg)
    return factors


def _factor(key: str, factor_table: FactorTable, design: str) -> Factor:
    if design == "leave-one-out" and factor_table.model_fields_set != {"without"}:
        msg = f"factor '{key}': design 'leave-one-out' wants {{ without = ... }}, what switches it off"
        raise StudyError(msg)
    levels = (
        *factor_table.levels,
        *([] if factor_table.without is None else [factor_table.without]),
    )
    for number, level in enumerate(levels):
        if level.changes(key) in [other.changes(key) for other in levels[:number]]:
            msg = f"factor '{key}' has the level {level} twice"
            raise StudyError(msg)
    domain = _domain(key, factor_table)
    if domain is not None and design != "search":
        msg = f"factor '{key}' has a range, which is for design 'search'. Design '{design}' needs levels"
        raise StudyError(msg)
    return Factor(key, levels, domain)


def _domain(key: str, factor_table: FactorTable) -> Domain | None:
    where = joined(["factors", key])
    ends = [name for name in ("low", "high") if getattr(factor_table, name) is not None]
    if factor_table.choices is not None:
        if extra := [*ends, *(["log"] if factor_table.log else [])]:
            msg = f"'{where}' has both 'choices' and '{extra[0]}'. Give choices or a range"
            raise StudyError(msg)
        if not factor_table.choices:
            msg = f"'{where}.choices' is empty: it needs at least one entry"
            raise StudyError(msg)
        return Choice(*factor_table.choices)
    if factor_table.low is not None and factor_table.high is not None:
        return Range(factor_table.low, factor_table.high, log=factor_table.log)
    if ends or factor_table.log:
        missing = next(name for name in ("low", "high") if name not in ends)
        msg = f"'{where}.{missing}' is missing: a range has 'low' and 'high'"
        raise StudyError(msg)
    return None


def _profile(name: str, profile: Profile) -> Profile:
    if not NAME.fullmatch(name):
        msg = f"profile names are lowercase letters, digits, '-' and '_', got {name!r}"
        raise StudyError(msg)
    if (confirm := profile.confirm) and not confirm.images and not confirm.scenes:
        msg = f"'profiles.{name}.confirm' needs 'images', or 'scenes' where the noise is measured"
        raise StudyError(msg)
    return replace(profile, name=name)


def _with_confirm(data: dict[str, Any]) -> dict[str, Any]:
    """Return a study file's tables, with the keys of `[confirm]` in every profile that lacks them."""
    shared, profiles = data.get("confirm"), data.get("profiles")
    if not isinstance(shared, Mapping) or not isinstance(profiles, Mapping):
        return data  # the schema refuses what has another form
    merged = dict(profiles)
    for name, profile in profiles.items():
        if isinstance(profile, Mapping) and isinstance(
            given := profile.get("confirm", {}), Mapping
        ):
            merged[name] = {**profile, "confirm": {**shared, **given}}
    return {**data, "profiles": merged}
