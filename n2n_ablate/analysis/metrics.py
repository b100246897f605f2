"""The metrics of a study, with their units and directions."""

from __future__ import annotations

from n2n_ablate.analysis.records import Metric
from n2n_ablate.study import Plan


def metrics_of(plan: Plan) -> tuple[Metric, ...]:
    """Return the metrics of a plan, the one that decides first."""
    decides = plan.study.decide
    found = [
        Metric(
            name=name,
            unit=plan.scales[name].unit,
            higher_is_better=plan.scales[name].higher_is_better,
            margin=plan.study.margin if name == decides else None,
            decides=name == decides,
        )
        for name in plan.metrics
    ]
    return tuple(sorted(found, key=lambda metric: not metric.decides))
