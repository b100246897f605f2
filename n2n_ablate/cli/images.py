"""`n2n-ablate images`: the named sets of images, where their files lie, and how to get them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from n2n_ablate.cli import options, stdout
from n2n_ablate.cli.screen import results, say, table

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
        stdout.write_json([_plain(each) for each in every.values()])
        return
    from rich.text import Text

    rows = table("set", "kind", "images", "here", "what it is", whole="set")
    for each in every.values():
        here = "no" if each.missing else "yes"
        rows.add_row(f"{each.name}:", each.kind, str(each.count), here, Text(each.title))
    results().print(rows)


def _show(named_set: NamedSet, *, as_json: bool) -> None:
    if as_json:
        stdout.write_json(_plain(named_set))
        return
    out = results()
    use = (
        f"--pairs {named_set.name}:"
        if named_set.kind == "measured"
        else f"--images {named_set.name}:"
    )
    lines = [
        named_set.title,
        f"use: {use}",
        f"{'scenes' if named_set.kind == 'measured' else 'images'}: {named_set.count}",
        f"files: {named_set.layout}",
        f"licence: {named_set.licence or 'not known'}",
        f"cite: {named_set.citation or 'not known'}",
        f"described at: {named_set.page or 'not known'}",
        f"folder: {named_set.folder} ({'files are missing' if named_set.missing else 'files are there'})",
    ]
    if named_set.missing:
        fetch = f"n2n-ablate images fetch {named_set.name}"
        lines.append(
            f"to get it: {fetch if named_set.address else 'put the files into that folder'}"
        )
    for line in lines:
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _plain(named_set: NamedSet) -> dict[str, object]:
    names = ("name", "kind", "title", "count", "layout", "licence", "citation", "page", "address")
    more = {"folder": str(named_set.folder), "missing": named_set.missing}
    return {name: getattr(named_set, name) for name in names} | more
