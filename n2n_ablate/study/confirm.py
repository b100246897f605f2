"""A confirmation: what it is done on, and its plan: the contrasts, and the best of a search. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from n2n_ablate.errors import StudyError
from n2n_ablate.study.model import BASELINE, Condition, Confirm, Profile, Study, Trial
from n2n_ablate.study.plan import Plan


def confirmation(plan: Plan, best: Sequence[Trial] = (), before: Sequence[Trial] = ()) -> Plan:
    """Return the plan of a study's confirmation.

    Its trials are a new baseline, the contrasts that the study had budget for, and the best
    of its search. All of them but the baseline are its contrasts, so that its intervals hold at
    once. What the search chose was chosen on other images: given that, the family is fixed. What
    was confirmed on the same images before stays in it: these images had their say on that too.

    `plan`: the study's. Its profile says what to confirm on. `best`: trials of the search, see `chosen`;
    those that are contrasts already are left out; `before`: trials that were confirmed on the same images by
    an earlier command.
    """
    confirm = plan.profile.confirm
    if confirm is None:
        msg = f"profile '{plan.profile.name}' of study '{plan.study.name}' has no confirmation"
        raise StudyError(msg)
    asked = _asked(plan)
    known = {plan.baseline.recipe, *(trial.recipe for trial in asked)}
    added = [trial for trial in best if trial.recipe not in known]
    known |= {trial.recipe for trial in added}
    names = {trial.name for trial in (*asked, *added)}
    old = [trial for trial in before if trial.recipe not in known and trial.name not in names]
    profile = replace(plan.profile, images=confirm.images, seeds=confirm.seeds, confirm=None)
    crop = profile.crop if confirm.crop is None else confirm.crop
    profile = replace(profile, crop=crop, trials=0)
    declared = tuple(replace(trial, role="declared") for trial in (*asked, *added, *old))
    return replace(
        plan,
        profile=profile,
        conditions=with_pairs(plan.conditions, confirming=True),
        declared=declared,
        references=(),
        space={},
        whole=frozenset(),
        contrasts=tuple(trial.name for trial in declared),
        confirming=True,
        before=tuple(trial.name for trial in old if trial.name not in plan.contrasts),
    )


def chosen(plan: Plan, ranked: Sequence[Trial]) -> tuple[Trial, ...]:
    """Return the best of a search: the first trials that came out above the baseline.

    Contrasts are confirmed in any case, so they replace nobody.

    `plan`: the study's; its profile says how many; `ranked`: all trials of the study without a failure, best
    first.
    """
    confirm = plan.profile.confirm
    if confirm is None or not plan.space:
        return ()
    roles = [trial.role for trial in ranked]
    above = ranked[: roles.index(BASELINE)] if BASELINE in roles else ranked
    asked = {trial.recipe for trial in _asked(plan)}
    candidates = [
        trial for trial in above if trial.role != "reference" and trial.recipe not in asked
    ]
    return tuple(candidates[: confirm.top])


def _asked(plan: Plan) -> list[Trial]:
    """Return the contrasts that the study had budget for."""
    return [trial for trial in plan.fixed if trial.name in plan.contrasts]


def to_confirm(profile: Profile, asked: Mapping[str, Any]) -> Confirm | None:
    """Return what follows a profile's trials.

    `profile`: as the study file has it; `asked`: see `planning.PlanOptions`. Where images are given, those of the
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
