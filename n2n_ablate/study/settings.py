"""Reads what a user changes on the command line: `kind.parameter=value`, `kind=name`. Pure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import replace

from n2n_ablate.components import RECIPE_KINDS
from n2n_ablate.components.spec import ComponentSpec, Scalar, Value, read_value
from n2n_ablate.errors import StudyError, nearest
from n2n_ablate.study import limits
from n2n_ablate.study.model import Factor, Study
from n2n_ablate.study.values import Level, shown


def setting(text: str) -> tuple[str, Value]:
    """Read `kind.parameter=value` or `kind=name` from the command line."""
    key, equals, value = text.partition("=")
    key, value = key.strip(), value.strip()
    kind = key.partition(".")[0]
    if not equals or not key or not value:
        msg = f"--set '{text}' must look like kind.parameter=value, e.g. sampler.center=0.2"
        raise StudyError(msg)
    if kind not in (*RECIPE_KINDS, "noise"):
        msg = (
            f"--set '{text}': no slot is called '{kind}'. {nearest(kind, (*RECIPE_KINDS, 'noise'))}"
        )
        raise StudyError(msg)
    read = _value(text, value)
    limits.check({key: read}, "--set")
    return key, read


_PART = re.compile(r"([^()=,\s]+)\s*(?:\((.*)\))?")


def read_part(text: str) -> ComponentSpec:
    """Read `name` or `name(parameter=value, parameter=value)`, as tables write a part."""
    match = _PART.fullmatch(text.strip())
    values: dict[str, Value] = {}
    for pair in (match[2] or "").split(",") if match and (match[2] or "").strip() else ():
        key, equals, value = (piece.strip() for piece in pair.partition("="))
        if not (key and equals and value) or key in values:
            match = None
            break
        values[key] = _scalar(value)
    if match is None:
        msg = f"'{text}' must look like name or 'name(parameter=value, parameter=value)'"
        raise StudyError(msg)
    return ComponentSpec(match[1], values)


def _value(text: str, value: str) -> Value:
    if value[0] in "[{":  # a list or a component with parameters, as in a study file
        try:
            return read_value(tomllib.loads(f"value = {value}")["value"], f"--set '{text}'")
        except (ValueError, RecursionError) as error:
            msg = f"--set '{text}': '{value}' is not valid TOML: {error}"
            raise StudyError(msg) from error
    return _scalar(value)


def _scalar(text: str) -> Scalar:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def check_settings(study: Study, settings: Sequence[tuple[str, Value]]) -> None:
    """Check that nothing is set to two values. Of a factor every value is another level."""
    factors = {factor.key for factor in study.factors}
    given: dict[str, Value] = {}
    for key, value in settings:
        if key not in factors and given.setdefault(key, value) != value:
            msg = f"--set {key} is given twice, as {shown(given[key])} and as {shown(value)}: give one"
            raise StudyError(msg)


def sort_settings(
    study: Study, settings: Sequence[tuple[str, Value]]
) -> tuple[list[Factor], dict[str, Value], dict[str, Value]]:
    """Sort settings into added levels, changes of the baseline, and changes of the noise."""
    factors = {factor.key: factor for factor in study.factors}
    changes: dict[str, Value] = {}
    noise: dict[str, Value] = {}
    for key, value in settings:
        kind, _, parameter = key.partition(".")
        if kind == "noise":
            noise[parameter] = value
        elif key in factors:
            old = factors[key]
            factors[key] = replace(old, levels=(*old.levels, Level(value)))
        else:
            changes[key] = value
    return list(factors.values()), changes, noise
