"""`n2n-ablate plugins`: every component, who listens to studies, and what could not be loaded."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from n2n_ablate.cli import options, stdout
from n2n_ablate.cli.screen import messages, results, say
from n2n_ablate.components import KINDS
from n2n_ablate.errors import PluginError, StudyError, UnknownComponentError, nearest

_DISTRIBUTION = "n2n-ablate"


def show(
    name: Annotated[
        str, typer.Argument(help="Show this component in full.", metavar="[NAME]")
    ] = "",
    kind: Annotated[str, typer.Option(help=f"One of {', '.join(KINDS)}.")] = "",
    plugins_dir: options.PluginsDir = None,
    *,
    as_json: options.Json = False,
) -> None:
    """List all components and plugins.

    With a name: one component in full, with its parameters and, of a sampler, a drawing. A plugin that cannot be loaded is
    named with file and line; it stops only studies that need it.

    Examples:
        n2n-ablate plugins --kind sampler

        n2n-ablate plugins diagonal
    """
    if kind and kind not in KINDS:
        msg = f"no kind is called '{kind}'. {nearest(kind, KINDS)}"
        raise StudyError(msg)
    from n2n_ablate.cli import component_page
    from n2n_ablate.registry import Registry

    registry = Registry(plugins_dir=plugins_dir)
    entries = [entry for entry in registry if kind in ("", entry.kind) and name in ("", entry.name)]
    if name and not entries:
        raise _unknown(name, kind, registry)
    if as_json:
        stdout.write_json(_to_json(registry, entries))
        return
    if name:
        for place, entry in enumerate(entries):
            if place:
                results().print()
            results().print(component_page.page(entry, registry), highlight=False)
        return
    _list(registry, entries, whole=not kind)


def _list(registry: Any, entries: list[Any], *, whole: bool) -> None:
    """Print components by kind; of the whole list who listens, too, and what could not be loaded."""
    from n2n_ablate.report.document import Definitions, Document, Heading
    from n2n_ablate.report.render.console import print_document

    out = results()
    for each in dict.fromkeys(entry.kind for entry in entries):
        summaries = [(one.name, _summary(one)) for one in entries if one.kind == each]
        print_document(out, Document("", "", [Heading(each), Definitions(summaries)]))
    messages().print("For parameters: n2n-ablate plugins NAME.", highlight=False)
    for listener in registry.listeners if whole else ():
        line = f"{listener.origin.plugin} ({listener.origin}) listens to {', '.join(listener.listens_to)}"
        results().print(line, markup=False, highlight=False, soft_wrap=True)
    for line in [*(f"not loaded: {each}" for each in registry.broken), *registry.contested]:
        say(line)


def _summary(entry: Any) -> str:
    """Return what a component does, and where it comes from unless it is shipped."""
    origin = entry.origin
    shipped = origin.distribution == _DISTRIBUTION or origin.source == "checkout"
    return entry.summary if shipped else f"{entry.summary} [{origin}]"


def _unknown(name: str, kind: str, registry: Any) -> PluginError | UnknownComponentError:
    if claims := registry.claims(name):
        return PluginError(" ".join(claims))
    known = {entry.name for entry in registry if kind in ("", entry.kind)}
    hint = nearest(name, known).partition("Known:")[0]
    msg = f"no {kind or 'component'} is called '{name}'. {hint}See `n2n-ablate plugins`."
    if registry.broken:
        msg += f" Not loaded: {'; '.join(map(str, registry.broken))}."
    return UnknownComponentError(msg)


def _to_json(registry: Any, entries: list[Any]) -> dict[str, Any]:
    from n2n_ablate.cli.component_page import to_json

    return {
        "components": [to_json(entry, registry) for entry in entries],
        "listeners": [
            {
                "plugin": item.origin.plugin,
                "origin": str(item.origin),
                "file": item.origin.file,
                "hooks": list(item.listens_to),
            }
            for item in registry.listeners
        ],
        "broken": [
            {"plugin": item.origin.plugin, "where": item.where, "why": item.why}
            for item in registry.broken
        ],
        "contested": registry.contested,
    }
