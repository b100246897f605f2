"""Scenes of measured noise, read and checked: one reference and k shots of equal shape each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from n2n_ablate.errors import ImageError
from n2n_ablate.images.clusters import Fingerprint, clustered, fingerprint
from n2n_ablate.images.image import Image, centre_crop
from n2n_ablate.images.pairs import ScenePaths, find_scenes
from n2n_ablate.images.sources import AS_TYPED, Reading, checked_name, pages

_GAIN, _OFFSET = 0.03, 0.02  # from which a reference is said to be brighter or darker
_CLEAR = 2.0  # how far a shifted match has to exceed the one in place


@dataclass(frozen=True, eq=False)
class Scene:
    """One scene of measured noise."""

    image: Image  # the reference; `image.condition` is empty until the scene joins a study
    shots: tuple[Tensor, ...]  # noisy images of it, (1, c, h, w) each


@dataclass(frozen=True, eq=False)
class MeasuredSet:
    """The scenes of one source."""

    scenes: tuple[Scene, ...]  # cropped, with clusters
    # lines for the user: what limits the comparison, what cannot be estimated
    notes: tuple[str, ...]
    known: tuple[Fingerprint, ...]  # what the whole references are known by


def read_measured(
    folder: Path,
    *,
    reference: str = "",
    noisy: str = "",
    held_out: int = 0,
    confirming: bool = False,
    crop: int = 0,
    reading: Reading = AS_TYPED,
) -> MeasuredSet:
    """Read the scenes of a folder.

    `reference`: see `find_scenes`; `noisy`: see `find_scenes`; `held_out`: how many scenes are held out;
    crops of one scene stay together; `confirming`: return the held-out scenes, and not the others; `crop`:
    side of the centre crop in pixels, the same of reference and shots; 0 keeps all; `reading`: what the files
    do not say themselves.
    """
    read = [_read(paths, reading) for paths in find_scenes(folder, reference, noisy)]
    whole = [scene for scene, _ in read]
    prints = [fingerprint(scene.image) for scene in whole]
    clusters = [whole[first].image.name for first in clustered(prints)]
    last = _held_out(clusters, held_out, folder)
    rows = [at for at, name in enumerate(clusters) if (name in last) == confirming]
    scenes, notes = [], [line for at in rows for line in read[at][1]]
    for at in rows:
        scene, cluster = whole[at], clusters[at] if clusters.count(clusters[at]) > 1 else ""
        image = replace(scene.image, cluster=cluster).cropped(crop)
        scenes.append(Scene(image, tuple(centre_crop(shot, crop) for shot in scene.shots)))
    for cluster in dict.fromkeys(scene.image.cluster for scene in scenes if scene.image.cluster):
        together = ", ".join(s.image.name for s in scenes if s.image.cluster == cluster)
        notes.append(f"{together} show parts of one scene and count as one image in the intervals")
    notes = [*_brightness([whole[at] for at in rows]), *notes]
    if {len(scene.shots) for scene in scenes} == {1}:
        notes.append(
            "one shot per scene: seeds change training only, and what the noise adds to the variance "
            "cannot be estimated"
        )
    return MeasuredSet(tuple(scenes), tuple(notes), tuple(prints[at] for at in rows))


def _held_out(clusters: Sequence[str], count: int, folder: Path) -> set[str]:
    """Return the clusters that only the confirmation sees.

    Their names choose, as good as at random: conditions that show the same scenes hold out the same.
    """
    names = sorted(set(clusters), key=lambda name: hashlib.sha256(name.encode()).digest())
    if count >= len(names):
        msg = (
            f"{count} scenes are to be held out for the confirmation, and '{folder}' has {len(names)}. "
            "Hold out fewer: the trials need some, too"
        )
        raise ImageError(msg)
    return set(names[:count])


def _read(paths: ScenePaths, reading: Reading) -> tuple[Scene, list[str]]:
    files = [path for path in (paths.reference, *paths.shots) if path is not None]
    images = {path: pages(path, reading) for path in files}
    shots = [image for path in paths.shots for image in images[path]]
    name, pixels = checked_name(Path(f"{paths.name}.png")), tuple(shot.pixels for shot in shots)
    for image in shots:
        _check_shape(image, shots[0], paths)
    if paths.reference is None:
        mean = torch.stack([each.double() for each in pixels]).mean(dim=0).float()
        return Scene(replace(shots[0], name=name, pixels=mean), pixels), []
    reference = images[paths.reference]
    if len(reference) > 1:
        msg = f"'{paths.reference}' holds {len(reference)} images; a reference is one"
        raise ImageError(msg)
    image = replace(reference[0], name=name)
    _check_shape(shots[0], image, paths)
    if any(shot.digest == image.digest for shot in shots):
        msg = f"a shot of scene '{paths.name}' has the same pixels as its reference '{paths.reference}'"
        raise ImageError(msg)
    notes = []
    if shots[0].bits != image.bits:
        notes.append(
            f"scene '{image.name}': shots of {shots[0].bits} bits, reference of {image.bits}; each is "
            "used over the range of its type"
        )
    if any(shift := _shift(shots[0].pixels, image.pixels)):
        notes.append(
            f"scene '{image.name}': the shot matches its reference best when moved by {shift[0]} rows "
            f"and {shift[1]} columns; align them, or PSNR measures the shift"
        )
    return Scene(image, pixels), notes


def _check_shape(shot: Image, other: Image, paths: ScenePaths) -> None:
    if shot.pixels.shape != other.pixels.shape:
        first, second = (
            f"{h}x{w} with {c} channel{'s' * (c > 1)}"
            for c, h, w in (image.pixels.shape[1:] for image in (shot, other))
        )
        where = paths.reference or paths.shots[0]
        msg = (
            f"scene '{paths.name}': shot '{shot.name}' has {first}, '{where}' has {second}. Shots and "
            "reference need equal sizes and channels"
        )
        raise ImageError(msg)


def _shift(shot: Tensor, reference: Tensor) -> tuple[int, int]:
    """Return by how many rows and columns a shot is moved against its reference, by phase correlation."""
    one, other = (
        np.fft.fft2(centre_crop(image, 512)[0].mean(dim=0).double().numpy())
        for image in (shot, reference)
    )
    product = one * other.conj()
    match = np.fft.ifft2(product / np.maximum(np.abs(product), 1e-12)).real
    h, w = match.shape
    row, column = np.unravel_index(int(match.argmax()), match.shape)
    if match[row, column] < _CLEAR * max(match[0, 0], 0.02):
        return 0, 0
    return int((row + h // 2) % h - h // 2), int((column + w // 2) % w - w // 2)


def _brightness(scenes: Sequence[Scene]) -> list[str]:
    """Return a line where references are brighter than shots, or darker: PSNR would measure that."""
    off = {}
    for scene in scenes:
        x, y = (
            scene.image.pixels.double(),
            torch.cat(scene.shots).double().mean(dim=0, keepdim=True),
        )
        spread = float((x - x.mean()).square().mean())
        gain = float(((x - x.mean()) * (y - y.mean())).mean()) / spread if spread else 1.0
        shift = float((y - x).mean())
        if abs(gain - 1) > _GAIN or abs(shift) > _OFFSET:
            off[scene.image.name] = (gain, shift)
    if not off:
        return []
    name = max(off, key=lambda each: abs(off[each][0] - 1) + abs(off[each][1]))
    gain, shift = off[name]
    line = (
        f"{len(off)} of {len(scenes)} references differ in brightness from their shots ('{name}': the "
        f"shot has {gain:.2f} times the contrast and is {255 * shift:+.1f} of 255 brighter); PSNR counts "
        "that as error"
    )
    return [line]
