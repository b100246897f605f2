"""`n2n-ablate plugins`: every component, who listens to studies, and what could not be loaded."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from n2n_ablate.cli import options
from n2n_ablate.cli.screen import messages, results
from n2n_ablate.components import KINDS
from n2n_ablate.errors import StudyError, nearest


def show(
    kind: Annotated[str, typer.Option(help=f"One of {', '.join(KINDS)}.")] = "",
    plugins_dir: options.PluginsDir = None,
    *,
    as_json: options.Json = False,
) -> None:
    """List every component: what it does, its parameters, and which plugin it comes from.

    A plugin that cannot be loaded is named with file and line; it stops only a study that needs it.
    """
    if kind and kind not in KINDS:
        msg = f"no kind is called '{kind}'. {nearest(kind, KINDS)}"
        raise StudyError(msg)
    from n2n_ablate import tables
    from n2n_ablate.registry import Registry

    registry = Registry(plugins_dir=plugins_dir)
    entries = [entry for entry in registry if kind in ("", entry.kind)]
    if as_json:
        print(json.dumps(_to_json(registry, entries), indent=2))  # noqa: T201
        return
    results().print(tables.components_table(entries))
    for listener in registry.listeners if not kind else ():
        line = f"{listener.origin.plugin} ({listener.origin}) listens: {', '.join(listener.hooks)}"
        results().print(line, markup=False, highlight=False, soft_wrap=True)
    for line in tables.problems(registry):
        messages().print(line, markup=False, highlight=False, soft_wrap=True)


def _to_json(registry: Any, entries: list[Any]) -> dict[str, Any]:
    from n2n_ablate.part import plain
    from n2n_ablate.space import Choice, Range

    def domain(item: Any) -> Any:
        if isinstance(item, Range):
            return {"low": item.low, "high": item.high, "log": item.log}
        return {"choices": list(item.values)} if isinstance(item, Choice) else None

    return {
        "components": [
            {
                "kind": entry.kind,
                "name": entry.name,
                "summary": entry.summary,
                "plugin": entry.origin.plugin,
                "origin": str(entry.origin),
                "file": entry.origin.file,
                "parameters": [
                    {
                        "name": item.name,
                        "type": item.type_name,
                        "default": plain(registry.data(item, item.default)),
                        "domain": domain(item.domain),
                    }
                    for item in entry.parameters
                ],
            }
            for entry in entries
        ],
        "listeners": [
            {
                "plugin": item.origin.plugin,
                "origin": str(item.origin),
                "file": item.origin.file,
                "hooks": list(item.hooks),
            }
            for item in registry.listeners
        ],
        "broken": [
            {"plugin": item.origin.plugin, "where": item.where, "why": item.why}
            for item in registry.broken
        ],
        "contested": registry.contested,
    }
