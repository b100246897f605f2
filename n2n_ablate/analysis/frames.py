"""Results as pandas tables: fits, curves, and the rows of an analysis. Numbers only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from n2n_ablate.analysis.records import ContrastRecord
from n2n_ablate.analysis.studies import side_by_side
from n2n_ablate.analysis.study_records import StudyAnalysis
from n2n_ablate.records import Header, StudyTrials, TrialResult
from n2n_ablate.study import Plan

if TYPE_CHECKING:
    import pandas as pd

_LOSS = "loss"


def fits_frame(result: StudyTrials, *, references: bool = False) -> pd.DataFrame:
    """Return a row per fit: trial, condition, image, seed, every metric, loss, seconds, failure.

    A value that does not exist is NaN; a fit that failed has the reason in `failure`.

    `references`: with the fits of reference trials, which lie outside the question.
    """
    names = list(dict.fromkeys([*result.plan.metrics, _LOSS]))
    columns = ["trial", "condition", "image", "seed", *names, "seconds", "failure"]
    table = fits_table(result.plan, ordered(result, references=references))
    return table.reindex(columns=columns).astype(dict.fromkeys(names, float))


def fits_table(plan: Plan, trials: Sequence[TrialResult]) -> pd.DataFrame:
    """Return a row per fit with every number, for anybody's own statistics."""
    import pandas as pd

    rows = [(item.trial, row) for item in trials for row in item.rows]
    metrics = list(dict.fromkeys([*plan.metrics, *(k for _, r in rows for k in r.result.figures)]))
    head = ["study", "trial", "role", "condition", "image", "seed"]
    values = [
        (
            *(plan.study.name, trial.name, trial.role, row.condition, row.image, row.seed),
            *(row.result.figures.get(name) for name in metrics),
            *(row.result.seconds, row.result.failure, row.result.key),
        )
        for trial, row in rows
    ]
    return pd.DataFrame(values, columns=[*head, *metrics, "seconds", "failure", "fit"])


def stages_table(result: StudyTrials) -> pd.DataFrame:
    """Return the same of a study and its confirmation; `stage` says which."""
    later = result.confirmed.trials if result.confirmed else ()
    table = fits_table(result.plan, [*result.trials, *later])
    own = sum(len(trial.rows) for trial in result.trials)
    stages = ["trials"] * own + ["confirmation"] * (len(table) - own)
    table.insert(1, "stage", stages)
    table["failure"] = table["failure"].where(table["failure"] != "")
    return table


def curves_frame(result: StudyTrials, *, references: bool = False) -> pd.DataFrame:
    """Return a row per point of a curve: trial, condition, image, seed, step, metric, value.

    Arguments as in `fits_frame`. Fits that failed have no curves.
    """
    import pandas as pd

    columns: dict[str, list[Any]] = {name: [] for name in _CURVE}
    for item in ordered(result, references=references):
        for row in item.rows:
            for metric, values in row.result.curves.items():
                count = len(values)
                about = (item.trial.name, row.condition, row.image, row.seed)
                for name, value in zip(_CURVE, about, strict=False):
                    columns[name] += [value] * count
                columns["step"] += row.result.steps.tolist()
                columns["metric"] += [metric] * count
                columns["value"] += [float(value) for value in values]
    return pd.DataFrame(columns)


_CURVE = ("trial", "condition", "image", "seed", "step", "metric", "value")


def ordered(result: StudyTrials, *, references: bool) -> list[TrialResult]:
    """Return the trials in the order of the plan, then those that a search chose, as they came."""
    planned = {trial.name: number for number, trial in enumerate(result.plan.fixed)}
    chosen = [item for item in result.trials if references or item.trial.role != "reference"]
    return sorted(chosen, key=lambda item: planned.get(item.trial.name, len(planned)))


def summary_frame(analysis: StudyAnalysis) -> pd.DataFrame:
    """Return a row per trial and condition, best first, references and untrained methods included.

    The estimate is the difference from the baseline by the metric that decides, in its unit;
    `ci_low` to `ci_high` is the confidence interval at `ci_level`. Only declared contrasts have a
    verdict. What does not exist is NaN or None.
    """
    import pandas as pd

    metrics = [metric.name for metric in analysis.metrics]
    columns = ["condition", "trial", "role", *metrics, *_ESTIMATE, *_COUNTS, "seconds_per_fit"]
    frame = pd.DataFrame(_summary_rows(analysis, metrics), columns=columns)
    numbers = [*metrics, "estimate", "ci_low", "ci_high", "ci_level", "seconds_per_fit"]
    return frame.astype(dict.fromkeys(numbers, float))


def studies_frame(studies: Mapping[str, tuple[StudyTrials, Header]]) -> pd.DataFrame:
    """Return a row per trial of several studies, see `side_by_side`."""
    import pandas as pd

    return pd.DataFrame(
        {
            "protocol": number,
            "condition": table.condition,
            "study": row.study,
            "trial": row.trial,
            "role": row.role,
            table.metric.name: row.mean,
            "reference": table.reference,
            **_estimate(row.contrast),
            "images": row.n_images,
            "failed": row.n_failed,
        }
        for number, table in enumerate(side_by_side(studies), 1)
        for row in table.rows
    )


_COUNTS = ("images", "fits", "failed")
_ESTIMATE = ("estimate", "ci_low", "ci_high", "ci_level", "verdict", "withheld_because")


def _summary_rows(analysis: StudyAnalysis, metrics: list[str]) -> Iterator[dict[str, Any]]:
    for condition in analysis.conditions:
        for row in condition.trials:
            yield {
                "condition": condition.condition,
                "trial": row.name,
                "role": row.role,
                **{name: row.means.get(name) for name in metrics},
                **_estimate(row.contrast),
                "images": row.n_images,
                "fits": row.n_fits,
                "failed": row.n_failed,
                "seconds_per_fit": row.seconds_per_fit,
            }


def _estimate(record: ContrastRecord | None) -> dict[str, Any]:
    if record is None:
        return dict.fromkeys(_ESTIMATE)
    interval = record.interval
    values = (
        record.estimate,
        interval.low if interval else None,
        interval.high if interval else None,
        interval.level if interval else None,
        record.verdict.value if record.verdict else None,
        record.reason.value if record.reason else None,
    )
    return dict(zip(_ESTIMATE, values, strict=True))
