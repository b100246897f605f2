"""Checks that each picture of a study counts once: among the trials' images, and in a confirmation.

Two crops of one picture, or a picture and its grey version, are one image to statistics, however
their files are called. What they are known by: see `prints`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from n2n_ablate import images
from n2n_ablate.errors import ImageError
from n2n_ablate.images import BUILTIN, Image
from n2n_ablate.images.fingerprints import Print, alike, candidates, print_of
from n2n_ablate.images.shipped import COLOUR, GREY

_SHARED = 3  # equal patches that do not come about by chance


def require_different(seen: Sequence[str], held_out: Sequence[str] = ()) -> None:
    """Check that no picture is given twice: to the trials, to a confirmation, or to both.

    Args:
        seen: Sources of the images that the trials see, see `images.collect`.
        held_out: Sources of the images of the confirmation, none without one.

    Raises:
        ImageError: One picture is among them twice.
    """
    sources = (*seen, *held_out)
    if all(source.partition(":")[0] == BUILTIN for source in sources):
        _require_names(seen, held_out)
        return
    count, known = _known(seen, held_out, versions=False)
    if len({item.grey for item in known}) > 1:
        _, known = _known(seen, held_out, versions=True)
    if pairs := repeated(known):
        first, second = min(pairs, key=lambda pair: (pair[1], pair[0]))
        raise _twice(
            known[first].name,
            known[second].name,
            first_seen=first < count,
            second_seen=second < count,
        )


def _known(
    seen: Sequence[str], held_out: Sequence[str], *, versions: bool
) -> tuple[int, list[Print]]:
    """Return how many images the trials see, and what all images are known by, one read at a time."""
    first = [print_of(image, versions=versions) for image in _read(seen)]
    rest = [print_of(image, versions=versions) for image in _read(held_out)]
    return len(first), first + rest


def repeated(known: Sequence[Print]) -> set[tuple[int, int]]:
    """Return places of pictures that are one, the earlier place first.

    Of three that are one, it may be two of the three pairs.
    """
    return _equal(known) | _sharing(known) | _looking_alike(known)


def _require_names(seen: Sequence[str], held_out: Sequence[str]) -> None:
    """Check built-in pictures, of which no two show one scene, by their names: nothing is read."""
    names = {name for source in seen for name in _names(source)}
    for name in (name for source in held_out for name in _names(source)):
        if name in names:
            raise _twice(name, name, first_seen=True, second_seen=False)


def _names(source: str) -> Sequence[str]:
    name = source.partition(":")[2]
    return [name] if name not in ("", "grey") else [*(GREY if name else COLOUR)]


def _read(sources: Sequence[str]) -> Iterator[Image]:
    """Yield images one by one."""
    for source in sources:
        if source.partition(":")[0] == BUILTIN:
            yield from images.collect([source])
        else:
            for file in images.files_of(Path(source)):
                yield from images.pages(file)


def _equal(known: Sequence[Print]) -> set[tuple[int, int]]:
    first: dict[str, int] = {}
    places = ((first.setdefault(item.digest, place), place) for place, item in enumerate(known))
    return {(one, other) for one, other in places if one != other}


def _sharing(known: Sequence[Print]) -> set[tuple[int, int]]:
    if not known:
        return set()
    owners = np.concatenate([np.full(len(item.patches), i) for i, item in enumerate(known)])
    hashes = np.concatenate([item.patches for item in known])
    order = np.argsort(hashes, kind="stable")
    hashes, owners = hashes[order], owners[order]
    equal = hashes[1:] == hashes[:-1]
    pairs = np.stack([owners[:-1][equal], owners[1:][equal]], axis=1)
    each, counts = np.unique(pairs, axis=0, return_counts=True)
    return {(int(one), int(other)) for one, other in each[counts >= _SHARED]}


def _looking_alike(known: Sequence[Print]) -> set[tuple[int, int]]:
    if not known:
        return set()
    near = np.triu(candidates(np.stack([item.small for item in known])), 1)
    return {
        (int(one), int(other))
        for one, other in np.argwhere(near)
        if alike(known[one].small, known[other].small)
    }


def _twice(first: str, second: str, *, first_seen: bool, second_seen: bool) -> ImageError:
    if second_seen:
        return ImageError(
            f"image '{second}' shows the same picture as '{first}'. Pictures that are one count as "
            "one image to statistics: give each of them once."
        )
    where = "the images of the trials" if first_seen else "its other images"
    return ImageError(
        f"the confirmation's image '{second}' shows the same picture as '{first}' among {where}. "
        "Confirm on pictures that no trial saw, each of them once."
    )
