"""What a confirmation is done on: from the study file and the command line, seeds checked. Pure."""

from __future__ import annotations

from dataclasses import replace

from n2n_ablate.errors import StudyError
from n2n_ablate.study.model import Confirm, Profile, Study


def to_confirm(
    profile: Profile, *, seeds: int | None, crop: int | None, images: bool, sources: tuple[str, ...]
) -> Confirm | None:
    """Return what follows a profile's trials.

    Args:
        profile: As the study file has it.
        seeds: Given on the command line, for both parts.
        crop: The same.
        images: Images were given on the command line. Those of the file may be of another kind, so
            a confirmation needs other images then.
        sources: The sources of these.
    """
    confirm = Confirm(sources) if sources and not profile.confirm else profile.confirm
    if confirm is None or (images and not sources):
        return None
    confirm = replace(
        confirm, images=sources or confirm.images, crop=confirm.crop if crop is None else crop
    )
    searched = profile.seeds if seeds is None else tuple(range(seeds))
    if seeds is not None or not confirm.seeds:
        start = max(searched) + 1
        confirm = replace(confirm, seeds=tuple(range(start, start + len(searched))))
    return replace(confirm, crop=profile.crop if confirm.crop is None else confirm.crop)


def check_confirm(study: Study, profile: Profile) -> None:
    """Check that a confirmation shares no seed with what it confirms.

    Raises:
        StudyError: It does, or asks for the best of a search where there is none.
    """
    if profile.confirm is None:
        return
    where = f"{study.path}: the confirmation of profile '{profile.name}'"
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
