"""`n2n-ablate plugins`: every component, who listens to studies, and what could not be loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from n2n_ablate.cli import options
from n2n_ablate.cli.screen import messages, results, say, show, show_json
from n2n_ablate.components import KINDS
from n2n_ablate.errors import PluginError, StudyError, UnknownComponentError, nearest

if TYPE_CHECKING:
    from n2n_ablate.registry import Entry, Registry


def run(
    name: Annotated[str, typer.Argument(help="Show this component in full.", metavar="NAME")] = "",
    kind: Annotated[str, options.option("Only components of this kind.", "KIND")] = "",
    plugins_dir: options.PluginsDir = None,
    *,
    as_json: options.Json = False,
) -> None:
    """List all components and plugins.

    With a name: one component in full, with its parameters and, of a sampler, a drawing. A plugin
    that cannot be loaded is named with file and line; it stops only studies that need it.

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
        components = [component_page.to_json(entry, registry) for entry in entries]
        show_json({"components": components, **_plugins_to_json(registry)})
    elif name:
        for number, entry in enumerate(entries):
            if number:
                results().print()
            results().print(component_page.page(entry, registry))
    else:
        _list(registry, entries, whole=not kind)


def _list(registry: Registry, entries: list[Entry], *, whole: bool) -> None:
    """Print components by kind; of the whole list who listens, too, and what could not be loaded."""
    from n2n_ablate.report.document import Definitions, Document, Heading
    from n2n_ablate.report.render.console import print_document

    out = results()
    for kind in dict.fromkeys(entry.kind for entry in entries):
        summaries = [(one.name, _summary(one)) for one in entries if one.kind == kind]
        print_document(out, Document("", "", [Heading(kind), Definitions(summaries)]))
    messages().print("For parameters: n2n-ablate plugins NAME.")
    for plugin in registry.listeners if whole else ():
        heard = ", ".join(plugin.listens_to)
        show(f"{plugin.origin.plugin} ({plugin.origin}) listens to {heard}")
    for line in [*(f"not loaded: {each}" for each in registry.broken), *registry.contested]:
        say(line)


def _summary(entry: Entry) -> str:
    """Return what a component does, and where it comes from unless it is shipped."""
    origin = entry.origin
    shipped = origin.distribution == "n2n-ablate" or origin.source == "checkout"
    return entry.summary if shipped else f"{entry.summary} [{origin}]"


def _unknown(name: str, kind: str, registry: Registry) -> PluginError | UnknownComponentError:
    if claims := registry.claims(name):
        return PluginError(" ".join(claims))
    known = {entry.name for entry in registry if kind in ("", entry.kind)}
    return registry.unknown(f"no {kind or 'component'} is called '{name}'.", name, known)


def _plugins_to_json(registry: Registry) -> dict[str, Any]:
    return {
        "listeners": [
            {
                "plugin": plugin.origin.plugin,
                "origin": str(plugin.origin),
                "file": plugin.origin.file,
                "hooks": list(plugin.listens_to),
            }
            for plugin in registry.listeners
        ],
        "broken": [
            {"plugin": each.origin.plugin, "where": each.where, "why": each.why}
            for each in registry.broken
        ],
        "contested": registry.contested,
    }
