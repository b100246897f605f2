"""Several studies in one view: what of them may be contrasted, and what differs. See `side_by_side`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from n2n_ablate.analysis import rows
from n2n_ablate.analysis.analyse import analyse, rule_of
from n2n_ablate.analysis.contrast import plain
from n2n_ablate.analysis.records import Caveat, ContrastRecord, Metric, Role
from n2n_ablate.records import Header, StudyTrials, TrialResult
from n2n_ablate.records.results import OWN


@dataclass(frozen=True)
class Protocol:
    """What has to be the same for results to be contrasted, under one condition."""

    noise: str  # the noise model with its parameters, or where measured noise comes from
    images: frozenset[str]  # digests of the images, whatever their names are
    seeds: tuple[int, ...]  # one fit per image and seed
    steps: int  # of the baseline's training: the budget
    computed: str  # type of the device, and precision


@dataclass(frozen=True)
class StudyRow:
    """A trial among those of other studies."""

    study: str  # which study it comes from
    # its name and role there
    trial: str
    role: str
    mean: float | None  # over its images, by the metric of the table; None if it has none
    # images that it has a value on, and fits that failed
    n_images: int
    n_failed: int
    # its paired difference from the reference of the table. It has a verdict where the study
    # declared it against that very baseline. None of the reference.
    contrast: ContrastRecord | None


@dataclass(frozen=True)
class StudyTable:
    """Trials of studies that share a protocol."""

    condition: str  # label of the noise in the first of the studies
    protocol: Protocol  # what they share
    studies: tuple[str, ...]  # their names, the first that was asked for first
    metric: Metric  # that decides the first study
    reference: str  # name of the study whose baseline is subtracted
    rows: tuple[StudyRow, ...]  # best first


def side_by_side(
    studies: Mapping[str, tuple[StudyTrials, Header]],
) -> tuple[StudyTable, ...]:
    """Return a table per protocol: trials are contrasted within one, never across.

    `studies`: results and headers by what the study is called.
    """
    groups: dict[Protocol, list[tuple[str, str]]] = {}
    for name, (result, header) in studies.items():
        for condition in result.plan.conditions:
            shared = protocol_of(header, condition.label)
            groups.setdefault(shared, []).append((name, condition.label))
    return tuple(_table(shared, members, studies) for shared, members in groups.items())


def protocol_of(header: Header, condition: str) -> Protocol:
    """Return what the trials of a study share under a condition."""
    plan = header.plan
    (asked,) = (each for each in plan.conditions if each.label == condition)
    return Protocol(
        asked.source,
        frozenset(image.digest for label, image, _ in header.places() if label == condition),
        plan.profile.seeds,
        header.steps,
        f"{header.device}, {header.precision}",
    )


def _table(
    shared: Protocol,
    members: Sequence[tuple[str, str]],
    studies: Mapping[str, tuple[StudyTrials, Header]],
) -> StudyTable:
    reference, label = members[0]
    metric = rows.metrics_of(studies[reference][0].plan)[0]
    found = [
        row
        for name, condition in members
        for row in _rows(name, condition, studies[name], (*studies[reference], label))
    ]
    worst = -math.inf

    def place(row: StudyRow) -> float:
        value = worst if row.mean is None or row.n_failed else row.mean
        return -value if metric.higher_is_better or value == worst else value

    return StudyTable(
        condition=label,
        protocol=shared,
        studies=tuple(name for name, _ in members),
        metric=metric,
        reference=reference,
        rows=tuple(sorted(found, key=place)),
    )


def _rows(
    name: str,
    condition: str,
    study: tuple[StudyTrials, Header],
    reference: tuple[StudyTrials, Header, str],
) -> Iterator[StudyRow]:
    result, header = study
    base, rule = reference[0].baseline, rule_of(reference[0], reference[1])
    analysis = analyse(result, header)
    # A verdict of the study itself holds where the baseline that it is about is the reference.
    known = {
        row.name: row.contrast
        for row in analysis.condition(condition).trials
        if analysis.metric == rule.metric and _same(result.baseline, base)
    }
    for item in result.trials:
        if item.trial.role not in (*OWN, "reference"):
            continue
        contrast = known.get(item.trial.name)
        if contrast is None and base is not None and not _same(item, base):
            contrast = _contrast(item, condition, header, base, reference)
        elif contrast is not None and analysis.confirmation is not None:
            contrast = replace(contrast, verdict=None)  # the confirmation gives them
        mean = item.mean(rule.metric.name, condition)
        yield StudyRow(
            study=name,
            trial=item.trial.name,
            role=item.trial.role,
            mean=mean if math.isfinite(mean) else None,
            n_images=len(item.values(rule.metric.name, condition)),
            n_failed=sum(
                bool(row.result.failure) for row in item.rows if row.condition == condition
            ),
            contrast=contrast,
        )


def _contrast(
    item: TrialResult,
    condition: str,
    header: Header,
    base: TrialResult,
    reference: tuple[StudyTrials, Header, str],
) -> ContrastRecord:
    """Return a trial's difference from the baseline of another study, paired by the images' pixels."""
    base_result, base_header, label = reference
    rule = rule_of(base_result, base_header)
    names = {image.digest: image.name for image in base_header.images}
    called = {image.name: names.get(image.digest, "") for image in header.images}
    values = item.values(rule.metric.name, condition)
    given = {called[image] for image in item.given(condition)} & {*base.given(label)}
    selected = [Caveat.SELECTED_BY_SEARCH] if item.trial.role == "search" else []
    return plain(
        rows.contrast_of(item.trial, base.trial),
        label,
        {called[image]: each for image, each in values.items()},
        base.values(rule.metric.name, label),
        [image for image in rule.order if image in given],
        rule,
        role=Role.EXPLORATORY,
        caveats=[*selected, Caveat.NOT_DECLARED],
    )


def _same(one: TrialResult | None, other: TrialResult | None) -> bool:
    """Say whether two trials are the same fits."""
    if one is None or other is None:
        return False
    return {row.result.key for row in one.rows} == {row.result.key for row in other.rows}
