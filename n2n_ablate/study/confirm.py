"""The plan of a confirmation: the contrasts, and the best of a search, on what nothing was chosen on. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from n2n_ablate.errors import StudyError
from n2n_ablate.study.held_out import with_pairs
from n2n_ablate.study.model import BASELINE, Trial
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
