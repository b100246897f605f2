"""Finds the images of a study that was opened again: the clean ones by content, the noisy ones anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from n2n_ablate import images
from n2n_ablate.engine.measured import measured_sets
from n2n_ablate.engine.paired_data import noisy_image
from n2n_ablate.errors import AblateError
from n2n_ablate.images import BUILTIN, Image, Reading
from n2n_ablate.records import Header, NoisySample
from n2n_ablate.registry import Registry

_UNREADABLE = (AblateError, OSError, ValueError)


@dataclass(frozen=True, eq=False)
class RecoveredImages:
    """What is left of a study's images."""

    clean: dict[str, Image]  # by the name that the study gave them, cropped as the study did
    samples: tuple[NoisySample, ...]  # the noisy images that can be made, in the order of the fits
    problems: tuple[str, ...]  # one sentence for each thing that is missing


def gallery(header: Header, registry: Registry, sources: Sequence[str] = ()) -> RecoveredImages:
    """Look for the images of a study. What is not there stands in `problems`; nothing is raised.

    An image is known by its pixels: it may have another name or another folder than before.

    `sources`: where to look first: folders, files, `builtin`. Then come the sources of the study.
    """
    crop = header.plan.profile.crop
    reading = Reading(header.plan.profile.white, header.plan.profile.channels)
    names = [mark.name for mark in header.images]
    reasons: list[str] = []
    images, shots = _measured(header, reasons)
    for source in [*sources, *header.plan.profile.images]:
        if len(images) == len(names):
            break
        for image in _read(source, header.folder, reading, reasons):
            cropped = image.cropped(crop)
            for mark in header.images:
                if mark.digest == cropped.digest:
                    images.setdefault(
                        mark.name, replace(cropped, name=mark.name, cluster=mark.cluster)
                    )
    clean = {name: images[name] for name in names if name in images}
    problems = []
    for source in sources:
        try:
            if not source.startswith(BUILTIN):
                _files(source, header.folder)
        except _UNREADABLE as error:
            problems.append(str(error))
    if lost := [name for name in names if name not in images]:
        why = f" ({'; '.join(dict.fromkeys(reasons))})" if reasons else ""
        problems.append(f"clean images not found: {', '.join(lost)}{why}")
    samples, noises = _samples(header, registry, clean, shots)
    return RecoveredImages(clean, tuple(samples), (*problems, *noises))


def _samples(
    header: Header,
    registry: Registry,
    clean: dict[str, Image],
    scenes: dict[str, tuple[Tensor, ...]],
) -> tuple[list[NoisySample], list[str]]:
    made, problems = [], dict[str, None]()
    for condition in header.plan.conditions:
        try:
            for label, mark, seed in header.places():
                if label != condition.label or mark.name not in clean:
                    continue
                image, shots = clean[mark.name], scenes.get(mark.name, ())
                if condition.pairs is None:
                    noisy = noisy_image(registry, condition, image, seed)
                else:
                    noisy = shots[seed % len(shots)]
                made.append(NoisySample(condition, image, seed, noisy, shots))
        except AblateError as error:
            problems[f"noisy images of '{condition.label}' cannot be made again: {error}"] = None
    return made, list(problems)


def _measured(
    header: Header, reasons: list[str]
) -> tuple[dict[str, Image], dict[str, tuple[Tensor, ...]]]:
    """Return references and shots of measured noise by name, where the pixels are still the same."""
    clean, shots = {}, {}
    marks = {mark.name: mark for mark in header.images if mark.condition}
    try:
        sets = measured_sets(header.plan, Path(header.folder)) if marks else {}
    except AblateError as error:
        reasons.append(str(error))
        sets = {}
    for scene in (scene for each in sets.values() for scene in each.scenes):
        mark = marks.get(scene.image.name)
        if mark is not None and mark.digest == scene.image.digest:
            clean[mark.name], shots[mark.name] = scene.image, scene.shots
    return clean, shots


def _read(source: str, folder: str, reading: Reading, reasons: list[str]) -> Iterator[Image]:
    if source == BUILTIN or source.startswith(f"{BUILTIN}:"):
        try:
            yield from images.collect([source])
        except (AblateError, ImportError) as error:
            reasons.append(str(error))
        return
    try:
        files = _files(source, folder)
    except _UNREADABLE as error:
        reasons.append(str(error))
        return
    for file in files:
        try:
            yield from images.pages(file, reading)
        except AblateError as error:
            reasons.append(str(error))


def _files(source: str, folder: str) -> list[Path]:
    elsewhere = Path(folder) / source
    return images.files_of(elsewhere if folder and not Path(source).exists() else Path(source))
