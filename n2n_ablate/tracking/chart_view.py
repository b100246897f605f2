"""Arranges MLflow's chart page: one plan's runs, best first, and the answer above the details. Pure.

By default MLflow hides all but ten runs, the baseline among the hidden ones, sorts charts by the
alphabet, and draws every trial once for each plan of the study, in the same colour. A page that somebody has arranged can be shared: it is kept in a tag of the
experiment, and a link names it. This writes such a tag.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from n2n_ablate.report.file_names import slugs
from n2n_ablate.study import Plan
from n2n_ablate.tracking import record
from n2n_ablate.tracking.known import PLAN

_MOST_RUNS = 100  # in one chart
_MOST_IMAGES = 60  # a chart each; more would only slow the page down
_LINE = {
    "lineSmoothness": 0,
    "xAxisScaleType": "linear",
    "scaleType": "linear",
    "range": {},
    "xAxisKey": "step",
    "selectedXAxisMetricKey": "",
    "yAxisKey": "metric",
    "yAxisExpressions": [],
    "ignoreOutliers": False,
    "useGlobalXaxisKey": True,
    "useGlobalLineSmoothing": True,
}

Card = dict[str, Any]


def chart_view(plan: Plan, images: Sequence[str] = ()) -> str:
    """Return the value of the tag.

    Args:
        plan: The study's plan.
        images: Names of the images that have separate curves.
    """
    cards: list[Card] = []
    sections: list[dict[str, Any]] = []
    for title, cards in _sections(plan, images):
        key = f"section-{len(sections)}"
        cards += [
            {**card, "metricSectionId": key, "uuid": f"{key}-{n}"} for n, card in enumerate(cards)
        ]
        sections.append(
            {"uuid": key, "name": title, "display": True, "isReordered": False, "deleted": False}
        )
    decide = plan.study.decide
    state = {
        "searchFilter": f"tags.`{PLAN}` = '{plan.key}'",
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": cards,
        "compareRunSections": sections,
        "isAccordionReordered": True,
        "orderByKey": f"metrics.`{decide}{next(iter(record.suffixes(plan).values()))}`",
        "orderByAsc": not plan.scales[decide].higher_is_better,
    }
    packed = zlib.compress(json.dumps(state, separators=(",", ":")).encode(), 9)
    return f"deflate;{base64.b64encode(packed).decode()}"


def _sections(plan: Plan, images: Sequence[str]) -> Iterator[tuple[str, list[Card]]]:
    suffixes = record.suffixes(plan)
    keys = [factor.key for factor in plan.study.factors]
    decide = plan.study.decide
    for label, suffix in suffixes.items():
        cards = [_line(f"{decide}{suffix}"), _bar(f"{decide}_gain{suffix}")]
        cards += [_scatter(key, f"{decide}{suffix}") for key in keys if _is_number(plan, key)]
        if len(keys) > 1:
            cards.append(
                _card("PARALLEL", selectedParams=keys, selectedMetrics=[f"{decide}{suffix}"])
            )
        cards.append(_scatter("seconds", f"{decide}{suffix}", kind="METRIC"))
        rest = [name for name in plan.metrics if name != decide]
        beside = [_line(f"{name}{suffix}") for name in rest]
        yield label, [*cards, *beside, *(_bar(f"{name}_gain{suffix}") for name in rest)]
    for label, suffix in suffixes.items():
        title = "Sampler, untrained" if len(suffixes) == 1 else f"Sampler, untrained: {label}"
        figures = [f"diagnostic.{name}{suffix}" for name in ("leak", "gap")]
        yield (
            title,
            [_scatter(name, f"{decide}{suffix}", kind="METRIC") for name in figures]
            + [_bar(name) for name in figures],
        )
    names = list(slugs(images).values())[:_MOST_IMAGES]
    for label, suffix in suffixes.items() if names else ():
        title = "Each image" if len(suffixes) == 1 else f"Each image: {label}"
        yield title, [_line(f"{decide}{suffix}.{name}") for name in names]
    training = [_line(f"loss{suffix}") for suffix in suffixes.values()]
    spread = [_bar(f"{name}_std{suffix}") for suffix in suffixes.values() for name in plan.metrics]
    yield "Training", [*training, *spread, _bar("seconds"), _bar("failures")]


def _is_number(plan: Plan, key: str) -> bool:
    value = plan.baseline.recipe.flat().get(key)
    return isinstance(value, int | float) and not isinstance(value, bool)


def _card(kind: str, **settings: object) -> Card:
    common = {"deleted": False, "isGenerated": False, "runsCountToCompare": _MOST_RUNS}
    return {"type": kind, **common, **settings}


def _line(metric: str) -> Card:
    return _card("LINE", metricKey=metric, selectedMetricKeys=[metric], displayName=metric, **_LINE)


def _bar(metric: str) -> Card:
    return _card("BAR", metricKey=metric, displayName=metric)


def _scatter(key: str, metric: str, kind: str = "PARAM") -> Card:
    x, y = {"key": key, "type": kind}, {"key": metric, "type": "METRIC"}
    return _card("SCATTER", xaxis=x, yaxis=y)
