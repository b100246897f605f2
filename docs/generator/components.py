"""Every component that ships, from its docstring and parameters; samplers with a drawing."""

from __future__ import annotations

import importlib.metadata
from functools import cache
from pathlib import Path

from generator import drawings
from generator.docstrings import Parts, cell, parsed, rows
from n2n_ablate.components import BOTH_WAYS, KINDS
from n2n_ablate.components.parameters import Parameter
from n2n_ablate.components.spec import written
from n2n_ablate.registry import Entry, Registry, hookspecs

TITLES = dict(
    zip(
        KINDS,
        (
            "Noise models",
            "Samplers",
            "Backbones",
            "Losses",
            "Trainings",
            "Estimators",
            "Metrics",
            "Search strategies",
        ),
        strict=True,
    )
)
_DECLARED = {
    "fixed": False,
    "leaks": False,
    "supports_consistency": True,
    "pairs": BOTH_WAYS,
    "unbiased": True,
    "halo": None,
    "higher_is_better": None,
    "unit": "",
}
"""Attributes worth a word, with the value that goes without saying."""


@cache
def first_party() -> tuple[Registry, dict[str, str]]:
    """Return a registry of our plugins alone, and the file of each: others' must not show."""
    points = importlib.metadata.entry_points(group=hookspecs.PROJECT)
    ours = [point for point in points if point.module.startswith("n2n_ablate_plugins.")]
    plugins = {point.module: point.module.rpartition(".")[2] for point in ours}
    return Registry(*[point.load() for point in ours], installed=False), plugins


def index() -> str:
    """Return a table of all components: name and first line, by kind."""
    registry, _ = first_party()
    sections = []
    for kind in KINDS:
        lines = [f"## {TITLES[kind]}", "", "| name | what it is |", "|---|---|"]
        lines += [
            f"| [`{entry.name}`]({kind}.md#{entry.name}) | {cell(entry.summary)} |"
            for entry in registry
            if entry.kind == kind
        ]
        sections.append("\n".join(lines))
    return "\n\n".join(sections)


def of_kind(kind: str) -> str:
    """Return every component of a kind with text, parameters and what it declares."""
    registry, plugins = first_party()
    entries = (entry for entry in registry if entry.kind == kind)
    return "\n\n".join(
        _component(plugins[entry.origin.plugin], entry, registry) for entry in entries
    )


def pictures(folder: Path) -> dict[Path, str]:
    """Return the drawing of every sampler by its file."""
    registry, _ = first_party()
    names = [entry.name for entry in registry if entry.kind == "sampler"]
    drawn = {name: drawings.sampler(name, registry) for name in names}
    return {folder / f"{name}.svg": text for name, text in drawn.items() if text}


def _component(plugin: str, entry: Entry, registry: Registry) -> str:
    body, parts = parsed(entry.factory)
    sections = [f"## {entry.name}", body]
    if entry.kind == "sampler" and drawings.sampler(entry.name, registry):
        alt = f"{entry.name}: which pixels feed which view"
        sections.append(f"![{alt}](../assets/samplers/{entry.name}.svg)")
    sections.append("\n".join(_parameter(each, parts, registry) for each in entry.parameters))
    sections.append(rows(parts.get("Raises", {}), "Raises "))
    made = entry.factory()
    values = {name: getattr(made, name, usual) for name, usual in _DECLARED.items()}
    declared = ", ".join(
        f"`{name} = {_short(value)}`" for name, value in values.items() if value != _DECLARED[name]
    )
    declares = f" At its defaults it declares {declared}." if declared else ""
    sections.append(f"Plugin: `plugins/{plugin}.py`.{declares}")
    return "\n\n".join(filter(None, sections))


def _parameter(parameter: Parameter, parts: Parts, registry: Registry) -> str:
    value = registry.data(parameter, parameter.default)
    default = str(value).lower() if parameter.type is bool else _number(value)
    domain = "" if parameter.domain is None else f", {parameter.domain}"
    meaning = parts.get("Args", {}).get(parameter.name, "")
    return f"- `{parameter.name}` = `{default}` ({parameter.type_name}{domain}): {meaning}"


def _short(value: object) -> str:
    return f"{len(value)} pairs" if isinstance(value, tuple) and len(value) > 4 else repr(value)


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else written(value)
