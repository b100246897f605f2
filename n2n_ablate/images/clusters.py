"""Which images show parts of one scene: crops, overlaps, versions of one picture. They count as one.

Two signs, whatever the files are called:

- Equal patches show that two images share pixels, wherever they were cropped. Of each image the same
  share of patches is kept, chosen by what they hold and not by where they lie, so that a crop keeps
  its part of the choice. Colour images also have the patches of their grey versions.
- Small versions show that two whole images are one though no pixel is equal: saved again with
  losses, resized, turned, mirrored, made lighter or darker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from n2n_ablate.images.image import Image, centre_crop

_SIDE = 8  # of a patch, in pixels
_KEPT_BITS = 5  # one patch of 32 is kept
_LARGEST = 2048  # side of the centre whose patches are hashed: a photograph costs a second then
_LIVELY = 12  # different values in a patch; flatter ones look alike in different pictures
_SHARED = 3  # equal patches that do not come about by chance
_GREYS = (
    (1 / 3, 1 / 3, 1 / 3),
    (19595 / 65536, 38470 / 65536, 7471 / 65536),  # ITU-R 601 as Pillow and OpenCV have it
    (0.2125, 0.7154, 0.0721),  # ITU-R 709 as scikit-image has it
)
_SMALL, _PARTS = 32, 4  # side of the small version, and parts along it that are compared
_VISIBLE = 1.0  # root mean square of a part, of 255; in a fainter one is nothing to see
_WHOLE, _ALIKE = 0.6, 0.65  # correlation of the whole, and of nine parts of ten at least: a shared
# frame, as of images from one microscope, is not enough


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """What an image is known by."""

    name: str  # of the image
    digest: str  # of its pixels
    patches: np.ndarray  # hashes of some patches, sorted, each once
    small: np.ndarray  # shape (32, 32), blurred light and shadow taken off


def fingerprint(image: Image) -> Fingerprint:
    """Return what an image is known by; give it whole, before any crop."""
    colours = np.rint(centre_crop(image.pixels, _LARGEST)[0].numpy() * np.float32(255))
    same = len(colours) == 1 or bool((colours == colours[:1]).all())
    greys = (
        [colours[0]]
        if same
        else [np.tensordot(np.array(each, np.float32), colours, 1) for each in _GREYS]
    )
    patches = np.unique(np.concatenate([_patches(grey) for grey in greys]))
    mean = _blocks(image.pixels[0].double().mean(dim=0).numpy() * 255)
    return Fingerprint(
        image.name, image.digest, patches, mean - ndimage.gaussian_filter(mean, 2, mode="nearest")
    )


def clustered(prints: Sequence[Fingerprint]) -> list[int]:
    """Return for each image the index of the first of its cluster."""
    first = list(range(len(prints)))

    def root(at: int) -> int:
        while first[at] != at:
            at = first[at]
        return at

    for one, other in _sharing(prints) | _looking_alike(prints):
        low, high = sorted((root(one), root(other)))
        first[high] = low
    return [root(at) for at in range(len(prints))]


def _sharing(prints: Sequence[Fingerprint]) -> set[tuple[int, int]]:
    """Return pairs of images that share patches; of three that do, it may be two of the pairs."""
    owners = np.repeat(np.arange(len(prints)), [len(fingerprint.patches) for fingerprint in prints])
    hashes = np.concatenate([fingerprint.patches for fingerprint in prints])
    order = np.argsort(hashes, kind="stable")
    hashes, owners = hashes[order], owners[order]
    equal = hashes[1:] == hashes[:-1]
    pairs, counts = np.unique(
        np.stack([owners[:-1][equal], owners[1:][equal]], axis=1), axis=0, return_counts=True
    )
    return {(int(one), int(other)) for one, other in pairs[counts >= _SHARED]}


def _looking_alike(prints: Sequence[Fingerprint]) -> set[tuple[int, int]]:
    small = np.stack([fingerprint.small for fingerprint in prints])
    flat = small.reshape(len(small), -1)
    length = np.maximum(np.linalg.norm(flat, axis=1), 1e-9)
    pairs = {
        (i, j) for i, one in enumerate(prints) for j in range(i) if one.digest == prints[j].digest
    }
    for quarter in range(4):
        for turned in (
            np.rot90(small, quarter, (1, 2)),
            np.rot90(small, quarter, (1, 2))[..., ::-1],
        ):
            whole = flat @ turned.reshape(flat.shape).T / np.outer(length, length)
            near = np.argwhere(np.triu(whole >= _WHOLE, 1))  # one product spares most comparisons
            pairs |= {(int(i), int(j)) for i, j in near if _alike(small[i], turned[j])}
    return pairs


def with_clusters(
    images: Sequence[Image], prints: Sequence[Fingerprint]
) -> tuple[list[Image], list[str]]:
    """Return images with their clusters, equal ones dropped, and a line for each that is not alone."""
    kept: dict[str, Image] = {}
    notes: list[str] = []
    groups: dict[str, list[str]] = {}
    for image, at in zip(images, clustered(prints), strict=True):
        if image.digest in kept:
            same = kept[image.digest].name
            notes.append(f"image '{image.name}' has the same pixels as '{same}' and is left out")
            continue
        kept[image.digest] = replace(image, cluster=images[at].name)
        groups.setdefault(images[at].name, []).append(image.name)
    notes += [
        f"{', '.join(members)} show parts of one scene and count as one image in the intervals"
        for members in groups.values()
        if len(members) > 1
    ]
    alone = {members[0] for members in groups.values() if len(members) == 1}
    return [replace(i, cluster="") if i.name in alone else i for i in kept.values()], notes


def first_shared(
    searched: Sequence[Fingerprint], held_out: Sequence[Fingerprint]
) -> tuple[str, str] | None:
    """Return a held-out image and an image of the trials that shows the same scene, if there is one."""
    prints = [*searched, *held_out]
    for new, old in enumerate(clustered(prints)):
        if old < len(searched) <= new:
            return prints[new].name, prints[old].name
    return None


def _alike(first: np.ndarray, second: np.ndarray) -> bool:
    shape = (_PARTS, _SMALL // _PARTS, _PARTS, _SMALL // _PARTS)
    one, other = first.reshape(shape), second.reshape(shape)
    power = [np.square(each).sum(axis=(1, 3)) for each in (one, other)]
    visible = np.maximum(*power) > (_VISIBLE * _SMALL / _PARTS) ** 2
    if visible.sum() < _PARTS:
        return False
    together = (one * other).sum(axis=(1, 3)) / np.sqrt(power[0] * power[1] + 1e-9)
    return bool(np.quantile(together[visible], 0.1) >= _ALIKE)


def _blocks(grey: np.ndarray) -> np.ndarray:
    """Return the means of 32 x 32 parts; shape (32, 32)."""
    for axis in (0, 1):
        edges = np.linspace(0, grey.shape[axis], _SMALL + 1)
        total = np.insert(np.cumsum(grey, axis=axis), 0, 0, axis=axis)
        low = np.floor(edges).astype(int).clip(0, grey.shape[axis] - 1)  # an edge cuts a pixel
        part = (edges - low).reshape([-1 if a == axis else 1 for a in (0, 1)])
        upto = np.take(total, low, axis) + part * np.take(grey, low, axis)
        grey = np.diff(upto, axis=axis) * _SMALL / grey.shape[axis]
    return grey


def _patches(grey: np.ndarray) -> np.ndarray:
    """Return hashes of some of the patches of a grey image: equal patches give equal hashes."""
    if min(grey.shape) < _SIDE:
        return np.array([], dtype=np.uint64)  # too small to be a crop of anything
    levels = np.floor(grey + 0.5).clip(0, 255).astype(np.uint8)  # halves go up, as in Pillow
    windows = np.lib.stride_tricks.sliding_window_view(levels, (_SIDE, _SIDE))
    h, w = (side - _SIDE + 1 for side in levels.shape)
    mixed = np.zeros((h, w), np.uint32)
    for y, x in ((0, 0), (1, 5), (3, 2), (4, 7), (6, 1), (7, 6)):  # enough to choose by
        mixed = mixed * np.uint32(0x9E3779B1) + levels[y : y + h, x : x + w]
    chosen = windows[(mixed * np.uint32(0x85EBCA6B)) >> np.uint32(32 - _KEPT_BITS) == 0]
    flat = chosen.reshape(len(chosen), _SIDE**2)
    lively = 1 + np.count_nonzero(np.diff(np.sort(flat, axis=1), axis=1), axis=1) >= _LIVELY
    weights = np.random.default_rng(0).integers(1, 2**63, _SIDE**2, dtype=np.uint64) | np.uint64(1)
    return np.unique(flat[lively].astype(np.uint64) @ weights)
