"""Everything a study says as plain data, for scripts: what `--json` prints."""

from __future__ import annotations

from typing import Any

from n2n_ablate.analysis.analyse import analyse
from n2n_ablate.analysis.records import to_plain
from n2n_ablate.records import Header, StudyResult


def to_json(result: StudyResult, header: Header) -> dict[str, Any]:
    """Return the analysis of a study, with its recipes and noises; numbers that do not exist are None."""
    plan = result.plan
    return {
        **to_plain(analyse(result, header)),
        "noises": {condition.label: condition.plain() for condition in plan.conditions},
        "recipes": {each.trial.name: each.trial.recipe.flat() for each in result.trials},
    }
