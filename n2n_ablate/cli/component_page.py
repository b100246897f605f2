"""One component in full, for the terminal and as plain data: what it is, takes, declares and cuts."""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from n2n_ablate.cli.screen import table
from n2n_ablate.components import BOTH_WAYS, OBJECT, OPTIONAL, declared, watchdog
from n2n_ablate.components.parameters import Choice, Component, Parameter, Range
from n2n_ablate.components.spec import plain, written
from n2n_ablate.errors import AblateError
from n2n_ablate.registry import Entry, Registry
from n2n_ablate.registry.entry import component_context, require_readable, source_line

if TYPE_CHECKING:
    from n2n_ablate.report.figures.sampler import Anatomy

ASSUMED = {
    kind: {name: value for name, value in values.items() if value is not OBJECT}
    for kind, values in OPTIONAL.items()
}
"""What a component of a kind may declare, and what is assumed if it does not."""

_AUTHOR = r"(?:(?:van|von|der|den|de|di|la|le) )*[^\W\d_a-z][\w'-]+"
_CITED = re.compile(
    rf"(?P<names>{_AUTHOR}(?: et al\.|(?:, {_AUTHOR})*,? and {_AUTHOR})?)(?:, | \()(?P<year>[12]\d{{3}})\b"
    r"|(?P<whole>N2N reproduction note|this project|github\.com/[\w.-]+/[\w-]+(?:\.[\w-]+)*)",
)
_ARGS = re.compile(r"^Args:\n((?:    .*\n|\n)*)", re.MULTILINE)
_ARGUMENT = re.compile(r"^    (\w+): (.*(?:\n     +.*)*)", re.MULTILINE)


def _made(entry: Entry, registry: Registry) -> tuple[Any, dict[str, Any]]:
    """Return a component with its defaults, and what it declares or is assumed to declare."""
    component = registry.build(entry.kind, entry.name, {})
    require_readable(entry, component)
    for parameter in entry.parameters:
        try:
            registry.data(parameter, parameter.default)
        except AblateError as error:
            problem = f"has the parameter '{parameter.name}', and {error}"
            raise entry.error(problem) from error
    values = {name: declared(component, name, each) for name, each in ASSUMED[entry.kind].items()}
    if values.get("unbiased", False) is None:
        values["unbiased"] = not declared(component, "clip", False)
    return component, values


def _default(parameter: Parameter, registry: Registry) -> Any:
    try:
        return registry.data(parameter, parameter.default)
    except AblateError:  # `_made` says why
        return repr(parameter.default)


def references(entry: Entry) -> list[str]:
    """Return the sources that a docstring cites, in their order.

    That is `Heckel, 2023`, `Mansour and Heckel, 2023` and `Lee et al., 2022`, also with the year in
    brackets; public code as `github.com/owner/name`; or `this project`.
    """
    text = " ".join(_docstring(entry).split())  # a citation may go on in the next line
    cited = [item["whole"] or f"{item['names']}, {item['year']}" for item in _CITED.finditer(text)]
    return list(dict.fromkeys(cited))


def to_json(entry: Entry, registry: Registry) -> dict[str, Any]:
    """Return everything that is known of a component as plain data."""
    meaning, origin = _meanings(entry), entry.origin
    try:
        declares = _made(entry, registry)[1]
    except AblateError as error:
        declares = {"error": str(error)}
    return {
        "kind": entry.kind,
        "name": entry.name,
        "summary": entry.summary,
        "description": _docstring(entry),
        "references": references(entry),
        "plugin": origin.plugin,
        "origin": str(origin),
        "installed": origin.source,
        "package": origin.distribution,
        "version": origin.version,
        "file": origin.file,
        "source": source_line(entry.factory, origin),
        "declares": declares,
        "parameters": [
            {
                "name": parameter.name,
                "type": parameter.type_name,
                "default": plain(_default(parameter, registry)),
                "domain": _domain(parameter.domain),
                "meaning": meaning.get(parameter.name, ""),
            }
            for parameter in entry.parameters
        ],
    }


def page(entry: Entry, registry: Registry) -> RenderableType:
    """Return a component in full, as rich draws it."""
    parts: list[RenderableType] = [Text(f"{entry.kind} {entry.name}", "bold")]
    parts += [Text(_reflowed(_ARGS.sub("", _docstring(entry) + "\n"))), Text("")]
    if entry.parameters:
        parts.append(_parameters(entry, registry))
    facts = Table.grid(padding=(0, 2))
    component, declares = None, dict[str, Any]()
    try:
        component, declares = _made(entry, registry)
    except AblateError as error:
        facts.add_row("cannot be used", Text(str(error), "red"))
    if declares:
        listed = ", ".join(f"{name} = {_short(value)}" for name, value in declares.items())
        facts.add_row("declares", Text(listed))
    facts.add_row("reference", Text(", ".join(references(entry)) or "none is given"))
    origin = entry.origin
    package = f"{origin.distribution} {origin.version}, " if origin.distribution else ""
    facts.add_row("from", Text(f"{package}plugin '{origin.plugin}' ({origin.source})"))
    facts.add_row("source", Text(source_line(entry.factory, origin)))
    if entry.kind == "metric" and component is not None:
        facts.add_row("cost", Text(_cost(entry, component, declares)))
    parts.append(facts)
    if entry.kind == "sampler" and component is not None:
        parts += [Text(""), _drawn(entry, component)]
    return Group(*parts)


def _cost(entry: Entry, metric: Any, declares: Mapping[str, Any]) -> str:
    """Return what one value takes on this machine, and how many of them a fit has."""
    import torch

    side = max(watchdog.SIDE, declares["smallest"])
    count = declares["channels"][0] if declares["channels"] else 3
    images = [torch.rand(1, count, side, side) for _ in range(3)]
    times = []
    try:
        with component_context(entry, "cannot be measured", "measure"):
            for _ in range(8):
                begun = time.perf_counter()
                metric.measure(*images)
                times.append(time.perf_counter() - begun)
    except AblateError as error:  # its page is still wanted
        return str(error)
    often = "once per fit" if declares["at_end"] else "per curve point, some 25 to a fit"
    # The first call may import a library.
    cost = 1000 * min(times[1:])
    return f"{cost:.{0 if cost >= 10 else 1}f} ms {often} ({count} x {side} x {side} values, on this CPU)"


def _drawn(entry: Entry, sampler: Any) -> RenderableType:
    from n2n_ablate.report.figures.sampler import anatomy

    try:
        with component_context(entry, "cannot be drawn", "draw"):
            drawn = anatomy(sampler, declared(sampler, "required_noise"))
    except AblateError as error:  # its page is still wanted
        return Text(str(error), "red")
    side = Table.grid(padding=(0, 3))
    side.add_row(_map(drawn), _kernels(drawn))
    return Group(side, Text(_key(drawn), "dim"))


def _map(drawn: Anatomy) -> Text:
    cells = {(True, False): ("1 ", "white on blue"), (False, True): ("2 ", "black on yellow"),
             (True, True): ("12", "white on magenta"), (False, False): (". ", "dim")}  # fmt: skip
    text = Text()
    for row in (drawn.total != 0).transpose(1, 2, 0):
        for first, second in row:
            text.append(*cells[bool(first), bool(second)])
        text.append("\n")
    return text


def _kernels(drawn: Anatomy) -> RenderableType:
    from n2n_ablate.report.figures.sampler import box_of

    top, left, bottom, right = box_of(drawn.cell)
    parts: list[RenderableType] = []
    for name, weights, style in zip(drawn.names, drawn.cell, ("blue", "yellow"), strict=True):
        parts.append(Text(f"behind one pixel of {name}", style))
        area = weights[top:bottom, left:right]
        if len(area) > 6:
            row, column = (int(at[0]) for at in area.nonzero()) if area.any() else (0, 0)
            parts.append(Text(f"  {int((area != 0).sum())} pixels, the first at ({row}, {column})"))
            continue
        grid = Table.grid(padding=(0, 0, 0, 2), pad_edge=True)
        for line in area:
            grid.add_row(*(f"{value:.3g}" if value else "." for value in line))
        for each in grid.columns:
            each.justify = "right"
        parts.append(grid)
    return Group(*parts)


def _key(drawn: Anatomy) -> str:
    both = int(((drawn.total[0] != 0) & (drawn.total[1] != 0)).sum())
    text = f"1: feeds {drawn.names[0]}. 2: feeds {drawn.names[1]}."
    if both:
        text += f" 12: feeds both, {both} of {drawn.side**2} pixels."
    if drawn.scheduled:
        text += " At step 0: it changes over the training."
    if not drawn.total.any():
        text += " Its views do not follow from single pixels."
    elif not drawn.alike:
        text += " One draw of many."
    elif not (drawn.declared or drawn.scheduled):
        text += " Two draws were alike: if all are, `fixed = True` says so, and trains faster."
    return text


def _parameters(entry: Entry, registry: Registry) -> Table:
    rows = table("parameter", "type", "default", "range", "meaning")
    meaning = _meanings(entry)
    for parameter in entry.parameters:
        value = _default(parameter, registry)
        default = str(value).lower() if parameter.type is bool else written(value)
        domain = "" if parameter.domain is None else str(parameter.domain)
        cells = map(Text, (default, domain, meaning.get(parameter.name, "")))
        rows.add_row(parameter.name, parameter.type_name, *cells)
    return rows


def _meanings(entry: Entry) -> dict[str, str]:
    args = _ARGS.search(_docstring(entry) + "\n")
    listed = _ARGUMENT.findall(args[1]) if args else []
    return {name: " ".join(about.split()) for name, about in listed}


def _docstring(entry: Entry) -> str:
    return inspect.cleandoc(getattr(entry.factory, "__doc__", None) or "")


def _domain(domain: object) -> dict[str, Any] | None:
    if isinstance(domain, Range):
        return {"low": domain.low, "high": domain.high, "log": domain.log}
    if isinstance(domain, Choice):
        return {"choices": list(domain.values)}
    return {"component": domain.kind} if isinstance(domain, Component) else None


def _reflowed(text: str) -> str:
    """Join the lines of paragraphs, so that the terminal breaks them where it ends."""
    parts = re.split(r"\n\s*\n", re.sub(r"::$", ":", text.strip(), flags=re.MULTILINE))
    return "\n\n".join(
        part if "\n " in part or part.startswith(" ") else " ".join(part.split("\n"))
        for part in parts
    )


def _short(value: object) -> str:
    if value == BOTH_WAYS:
        return "both ways"
    if isinstance(value, tuple) and len(value) > 4:
        return f"{len(value)} pairs"
    return str(value).lower() if isinstance(value, bool) else repr(value)
