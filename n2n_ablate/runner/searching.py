"""Runs what a search strategy asks for, until the budget is used or it has no new point to try."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from n2n_ablate.errors import AblateError
from n2n_ablate.records import TrialResult
from n2n_ablate.registry import Registry
from n2n_ablate.runner.plan_runner import PlanRunner, score_of
from n2n_ablate.study import Plan, Trial

if TYPE_CHECKING:
    from n2n_ablate.search.search import Outcome, Proposal, Search

_POINTS = 10  # of a curve in the search's database, which takes a request for each
_TRIES = 20  # places a search may name in vain before it is believed to have no other


def outcome_of(result: TrialResult, plan: Plan) -> Outcome:
    """Return what a search learns of a trial."""
    from n2n_ablate.search.search import Outcome  # late: it imports Optuna

    metric, labels = plan.study.decide, dict.fromkeys(row.condition for row in result.rows)
    curves = [result.curves(metric, label) for label in labels]
    curve: dict[int, float] = {}
    if curves and all(np.array_equal(one.steps, curves[0].steps) for one in curves):
        steps, mean = curves[0].steps, np.mean([one.mean for one in curves], axis=0)
        shown = np.unique(np.linspace(0, len(steps) - 1, _POINTS).round().astype(int))
        curve = {
            int(steps[i]): float(mean[i]) for i in shown if len(steps) and np.isfinite(mean[i])
        }
    name, score, key = result.trial.name, score_of(result, metric), plan.trial_key(result.trial)
    return Outcome(name, score, result.seconds, curve, key)


def search_on(plan_runner: PlanRunner, search: Search, registry: Registry) -> None:
    """Run the trials of a search that the plan has budget for, those of earlier commands first."""
    plan = plan_runner.plan
    for result in plan_runner.result.trials:
        search.know(result.trial.values, outcome_of(result, plan))
    wanted = plan.searched
    for asked in search.finished()[:wanted]:
        plan_runner.run([plan.search_trial(asked.values, registry)])
        wanted -= 1
    while wanted > 0:
        places: list[tuple[Proposal, Trial]] = []
        while len(places) < min(plan_runner.at_once, wanted):
            asked_trial = _ask(plan_runner, search, registry, [trial for _, trial in places])
            if asked_trial is None:
                break
            places.append(asked_trial)
        if not places:
            plan_runner.dispatcher.note("the search proposed no new point, so it ends here")
            return
        results = plan_runner.run([trial for _, trial in places])
        for (asked, _), result in zip(places, results, strict=True):
            search.tell(asked, outcome_of(result, plan))
        wanted -= len(places)


def _ask(
    plan_runner: PlanRunner, search: Search, registry: Registry, beside: Sequence[Trial]
) -> tuple[Proposal, Trial] | None:
    """Ask for a point that was not tried before and can be tried; None if there seems to be none."""
    known = {result.trial.recipe for result in plan_runner.result.trials}
    known |= {trial.recipe for trial in beside}
    for tried in range(_TRIES):
        asked = search.ask(at_random=tried >= _TRIES // 4)
        try:
            trial = plan_runner.plan.search_trial(asked.values, registry)
            plan_runner.paired_data.check(trial.recipe)
        except AblateError as error:
            plan_runner.dispatcher.note(f"the search skipped {dict(asked.values)}: {error}")
            search.skip(asked)
            continue
        if trial.recipe not in known:
            return asked, trial
        search.skip(asked)
    return None
