"""Runs what a search strategy asks for, until the budget is used or it has no new place to try."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from n2n_ablate.errors import AblateError
from n2n_ablate.registry import Registry
from n2n_ablate.runner.plan_runner import PlanRunner, score_of
from n2n_ablate.study import Trial

if TYPE_CHECKING:
    from n2n_ablate.search.search import Asked, Search

_TRIES = 20  # places a search may name in vain before it is believed to have no other


def search_on(stage: PlanRunner, search: Search, registry: Registry) -> None:
    """Run the trials of a search that the plan has budget for, those of earlier commands first."""
    plan = stage.plan
    for result in stage.result.trials:
        search.know(result.trial.name, result.trial.values, score_of(result))
    wanted = plan.searched
    for asked in search.finished()[:wanted]:
        stage.run([plan.search_trial(asked.values, registry)])
        wanted -= 1
    while wanted > 0:
        places: list[tuple[Asked, Trial]] = []
        while len(places) < min(stage.at_once, wanted):
            found = _ask(stage, search, registry, [trial for _, trial in places])
            if found is None:
                break
            places.append(found)
        if not places:
            stage.audience.note("the search has tried every place that it can think of")
            return
        results = stage.run([trial for _, trial in places])
        for (asked, _), result in zip(places, results, strict=True):
            search.tell(asked, score_of(result))
        wanted -= len(places)


def _ask(
    stage: PlanRunner, search: Search, registry: Registry, beside: Sequence[Trial]
) -> tuple[Asked, Trial] | None:
    """Ask for a place that was not tried before and can be tried; None if there seems to be none."""
    known = {result.trial.recipe for result in stage.result.trials}
    known |= {trial.recipe for trial in beside}
    for tried in range(_TRIES):
        asked = search.ask(at_random=tried >= _TRIES // 4)
        try:
            trial = stage.plan.search_trial(asked.values, registry)
            stage.bench.check(trial.recipe)
        except AblateError as error:
            stage.audience.note(f"the search left out {dict(asked.values)}: {error}")
            search.skip(asked)
            continue
        if trial.recipe not in known:
            return asked, trial
        search.skip(asked)
    return None
