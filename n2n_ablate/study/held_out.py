"""What a confirmation is done on: from the study file and the command line, seeds checked. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from n2n_ablate.errors import StudyError
from n2n_ablate.study.model import Condition, Confirm, Profile, Study


def to_confirm(profile: Profile, asked: Mapping[str, Any]) -> Confirm | None:
    """Return what follows a profile's trials.

    `profile`: as the study file has it; `asked`: see `planning.Asked`. Where images are given, those of the
    file may be of another kind, so a confirmation needs other images then.
    """
    scenes, seeds, crop = (asked.get(name) for name in ("confirm_scenes", "seeds", "crop"))
    sources = tuple(asked.get("confirm_images", ()))
    if scenes is not None and scenes < 0:
        msg = f"--confirm-scenes must not be negative, got {scenes}"
        raise StudyError(msg)
    confirm = profile.confirm or Confirm()
    confirm = replace(
        confirm,
        images=sources or (() if asked.get("images") else confirm.images),
        scenes=confirm.scenes if scenes is None else scenes,
        crop=confirm.crop if crop is None else crop,
    )
    if not confirm.images and not confirm.scenes:
        return None
    searched = profile.seeds if seeds is None else tuple(range(seeds))
    if seeds is not None or not confirm.seeds:
        start = max(searched) + 1
        confirm = replace(confirm, seeds=tuple(range(start, start + len(searched))))
    return replace(confirm, crop=profile.crop if confirm.crop is None else confirm.crop)


def with_pairs(conditions: Sequence[Condition], **changes: Any) -> tuple[Condition, ...]:
    """Return conditions with changes of those whose noise is measured, see `MeasuredPairs`."""
    return tuple(
        replace(each, pairs=replace(each.pairs, **changes)) if each.pairs else each
        for each in conditions
    )


def check_confirm(study: Study, profile: Profile) -> None:
    """Check that a confirmation has images for every condition, and no seed of what it confirms."""
    if profile.confirm is None:
        return
    where = f"{study.path}: the confirmation of profile '{profile.name}'"
    measured = [condition.label for condition in study.conditions if condition.pairs]
    if measured and not profile.confirm.scenes:
        msg = (
            f"{where} needs 'scenes' (or --confirm-scenes N): how many scenes of '{measured[0]}', whose "
            "noise is measured, are held out"
        )
        raise StudyError(msg)
    if profile.confirm.scenes and not measured:
        msg = f"{where}: 'scenes' and --confirm-scenes are for measured noise; give held-out images"
        raise StudyError(msg)
    if not profile.confirm.images and len(measured) < len(study.conditions):
        msg = f"{where} needs held-out images (--confirm-images) for its noise models"
        raise StudyError(msg)
    if shared := sorted(set(profile.seeds) & set(profile.confirm.seeds)):
        free = max(profile.seeds) + 1
        msg = (
            f"{where} uses seed {shared[0]}, which its trials use too. Seeds from {free} are free."
        )
        raise StudyError(msg)
    if study.design == "factorial":
        msg = f"{where}: a factorial has effects, no contrasts to confirm. Give it more images instead"
        raise StudyError(msg)
    if study.design != "search" and profile.confirm.top > 1:
        msg = f"{where}: 'top' is for searches; design '{study.design}' has none"
        raise StudyError(msg)
