"""`n2n-ablate images`: the named sets of images, where their files lie, and how to get them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from n2n_ablate.cli import options
from n2n_ablate.cli.screen import results, say, show, show_json, table

if TYPE_CHECKING:
    from n2n_ablate.images.named_sets import NamedSet

_ACTIONS = ("list", "show", "fetch")


def run(
    action: Annotated[str, typer.Argument(help="list, show or fetch.", metavar="ACTION")] = "list",
    name: Annotated[str, typer.Argument(help="Name of a set.", metavar="SET")] = "",
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
    every, name = named_sets(), name.removesuffix(":")
    if action != "list" and name not in every:
        msg = f"no set of images is called '{name}'. {nearest(name, every)}"
        raise ImageError(msg)
    if action == "fetch":
        folder = fetch(every[name], note=say)
        say(f"{name}: {len(every[name].files)} files in '{folder}', all checked")
    elif as_json:
        show_json(_plain(every[name]) if action == "show" else [*map(_plain, every.values())])
    elif action == "show":
        _show(every[name])
    else:
        rows = table("set", "kind", "images", "here", "what it is", whole="set")
        for each in every.values():
            here = "no" if each.missing else "yes"
            rows.add_row(f"{each.name}:", each.kind, str(each.count), here, each.title)
        results().print(rows)


def _show(named_set: NamedSet) -> None:
    measured, missing = named_set.kind == "measured", bool(named_set.missing)
    show(
        named_set.title,
        f"use: {'--pairs' if measured else '--images'} {named_set.name}:",
        f"{'scenes' if measured else 'images'}: {named_set.count}",
        f"files: {named_set.layout}",
        f"licence: {named_set.licence or 'not known'}",
        f"cite: {named_set.citation or 'not known'}",
        f"described at: {named_set.page or 'not known'}",
        f"folder: {named_set.folder} ({'files are missing' if missing else 'files are there'})",
    )
    if missing:
        fetch = f"n2n-ablate images fetch {named_set.name}"
        show(f"to get it: {fetch if named_set.address else 'put the files into that folder'}")


def _plain(named_set: NamedSet) -> dict[str, object]:
    names = ("name", "kind", "title", "count", "layout", "licence", "citation", "page", "address")
    more = {"folder": str(named_set.folder), "missing": named_set.missing}
    return {name: getattr(named_set, name) for name in names} | more
