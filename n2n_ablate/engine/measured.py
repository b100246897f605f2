"""The measured noise of a plan: its scenes by condition, with names that are unique in the study."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from n2n_ablate.errors import AblateError, ImageError
from n2n_ablate.images import Reading
from n2n_ablate.images.measured import MeasuredSet, Scene, read_measured
from n2n_ablate.images.named_sets import named_set
from n2n_ablate.images.sources import AS_TYPED
from n2n_ablate.study import Condition, MeasuredPairs, Plan


def measured_sets(plan: Plan, folder: Path = Path()) -> dict[str, MeasuredSet]:
    """Read the scenes of every condition with measured noise, by its label.

    Raises:
        ImageError: A source holds no pairs, or a pair does not fit together.
    """
    found = {
        condition.label: _read(plan, condition, folder)
        for condition in plan.conditions
        if condition.pairs
    }
    counts = Counter(scene.image.name for own in found.values() for scene in own.scenes)
    return {
        label: MeasuredSet(
            tuple(
                _of_condition(scene, label, alone=counts[scene.image.name] == 1)
                for scene in own.scenes
            ),
            own.notes,
            own.known,
        )
        for label, own in found.items()
    }


def _read(plan: Plan, condition: Condition, folder: Path) -> MeasuredSet:
    profile = plan.profile
    assert condition.pairs is not None
    try:
        reading = Reading(profile.white, profile.channels)
        return read_pairs(condition.pairs, profile.crop, reading, folder)
    except AblateError as error:
        msg = f"condition '{condition.label}': {error}"
        raise type(error)(msg) from error


def read_pairs(
    pairs: MeasuredPairs, crop: int, reading: Reading = AS_TYPED, folder: Path = Path()
) -> MeasuredSet:
    """Read the scenes of one source of measured noise.

    `pairs`: the source: a folder, or a named set; `crop`: side of the centre crop in pixels; 0 keeps all;
    `reading`: what the files do not say themselves; `folder`: where a relative source starts from.
    """
    known = named_set(pairs.source)
    if known is not None and known.kind != "measured":
        msg = f"the set '{known.name}' holds clean images: use it with --images {known.name}:"
        raise ImageError(msg)
    return read_measured(
        known.require() if known else folder / pairs.source,
        reference=pairs.reference,
        noisy=pairs.noisy,
        held_out=pairs.held_out,
        confirming=pairs.confirming,
        crop=crop,
        reading=reading,
    )


def _of_condition(scene: Scene, label: str, *, alone: bool) -> Scene:
    image = replace(scene.image, condition=label)
    if not alone:  # results are told apart by name
        cluster = f"{image.cluster}, {label}" if image.cluster else ""
        image = replace(image, name=f"{image.name}, {label}", cluster=cluster)
    return Scene(image, scene.shots)
