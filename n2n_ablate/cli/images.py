"""`n2n-ablate images`: the named sets of images, where their files lie, and how to get them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from n2n_ablate.cli import options, stdout
from n2n_ablate.cli.screen import results, say

if TYPE_CHECKING:
    from n2n_ablate.images.named_sets import NamedSet

_ACTIONS = ("list", "show", "fetch")


def run(
    action: Annotated[str, typer.Argument(help="list, show or fetch.", metavar="ACTION")] = "list",
    name: Annotated[str, typer.Argument(help="Name of a set.", metavar="[SET]")] = "",
    *,
    as_json: options.Json = False,
) -> None:
    """List named sets of images, show one, or download it.

    A set is used as --images kodak24: or, if it is measured noise, as --pairs cc:

    Examples:
        n2n-ablate images

        n2n-ablate images show cc

        n2n-ablate images fetch kodak24
    """
    from n2n_ablate.errors import ImageError, nearest
    from n2n_ablate.images.named_sets import fetch, named_sets
    from n2n_ablate.registry import Registry

    if action not in _ACTIONS:
        msg = f"images can {', '.join(_ACTIONS)}, not '{action}'. {nearest(action, _ACTIONS)}"
        raise ImageError(msg)
    Registry()  # plugins may bring sets
    every = named_sets()
    if action == "list":
        _list(every, as_json=as_json)
        return
    name = name.removesuffix(":")
    if name not in every:
        msg = f"no set of images is called '{name}'. {nearest(name, every)}"
        raise ImageError(msg)
    if action == "show":
        _show(every[name], as_json=as_json)
        return
    folder = fetch(every[name], note=say)
    say(f"{name}: {len(every[name].files)} files in '{folder}', all checked")


def _list(every: dict[str, NamedSet], *, as_json: bool) -> None:
    if as_json:
        stdout.write_json([_plain(own) for own in every.values()])
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for title in ("set", "kind", "images", "here", "what it is"):
        table.add_column(title, overflow="fold", no_wrap=title == "set")
    for own in every.values():
        here = "no" if own.missing else "yes"
        table.add_row(f"{own.name}:", own.kind, str(own.count), here, Text(own.title))
    results().print(table)


def _show(own: NamedSet, *, as_json: bool) -> None:
    if as_json:
        stdout.write_json(_plain(own))
        return
    out = results()
    use = f"--pairs {own.name}:" if own.kind == "measured" else f"--images {own.name}:"
    lines = [
        own.title,
        f"use: {use}",
        f"{'scenes' if own.kind == 'measured' else 'images'}: {own.count}",
        f"files: {own.layout}",
        f"licence: {own.licence or 'not known'}",
        f"cite: {own.citation or 'not known'}",
        f"described at: {own.page or 'not known'}",
        f"folder: {own.folder} ({'files are missing' if own.missing else 'files are there'})",
    ]
    if own.missing:
        fetch = f"n2n-ablate images fetch {own.name}"
        lines.append(f"to get it: {fetch if own.address else 'put the files into that folder'}")
    for line in lines:
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _plain(own: NamedSet) -> dict[str, object]:
    return {
        "name": own.name,
        "kind": own.kind,
        "title": own.title,
        "count": own.count,
        "layout": own.layout,
        "licence": own.licence,
        "citation": own.citation,
        "page": own.page,
        "address": own.address,
        "folder": str(own.folder),
        "missing": own.missing,
    }
