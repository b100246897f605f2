"""What a report says, before anybody writes it: answers, tables, evidence, in the order of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from n2n_ablate import stats
from n2n_ablate.analysis import Line, StudyResult, TrialResult, answer
from n2n_ablate.analysis.compare import Comparison, compare
from n2n_ablate.analysis.confirmed import Pair, pairs, search_best, unconfirmed
from n2n_ablate.analysis.diagnoses import Diagnoses, points
from n2n_ablate.analysis.effects import EffectLine, effects
from n2n_ablate.analysis.guide import loss_as_guide
from n2n_ablate.analysis.header import Header
from n2n_ablate.analysis.names import label
from n2n_ablate.analysis.uneven import uneven
from n2n_ablate.diagnostics import Diagnosis
from n2n_ablate.diagnostics.relation import LossAlone, Relation, relations
from n2n_ablate.errors import AblateError
from n2n_ablate.registry import Registry
from n2n_ablate.report import legends, methods
from n2n_ablate.storage.recovered_images import Gallery
from n2n_ablate.storage.reopen import Reopened
from n2n_ablate.study import Condition


@dataclass(frozen=True, eq=False)
class Section:
    """Everything about one condition.

    Attributes:
        condition: The noise.
        answer, highest: In one sentence each.
        lines: Of the table, best first.
        legend: How to read it.
        names: What tables print, by name of the trial.
        contrasts: Every contrast in full, of the stage that gives the words: the confirmation where
            there is one, else the trials.
        account: Where the uncertainty of that stage comes from.
        diagnoses: Of samplers, by name of the trial; empty without images.
        relations: How PSNR goes with leak and gap.
        loss: What choosing by the loss alone would have cost; None where losses differ in kind.
        contrasts_legend: How to read what stands beside their verdicts, beyond what is always so.
        effects: Of a factorial study.
        effects_legend: How to read them.
        confirmed: What the trials said and what the confirmation said; empty without one.
        confirm_legend: How to read that.
        confirmed_uneven: Whether its differences are over different numbers of images.
        scope_confirmed: What the confirmation holds for.
    """

    condition: Condition
    answer: str
    highest: str
    lines: Sequence[Line]
    legend: Sequence[str]
    names: Mapping[str, str]
    contrasts: Sequence[Comparison]
    account: stats.Account
    diagnoses: Mapping[str, Diagnosis]
    relations: Sequence[Relation]
    loss: LossAlone | None
    contrasts_legend: Sequence[str] = ()
    effects: Sequence[EffectLine] = ()
    effects_legend: Sequence[str] = ()
    confirmed: Sequence[Pair] = ()
    confirm_legend: Sequence[str] = ()
    confirmed_uneven: bool = False
    scope_confirmed: str = ""

    @property
    def trained(self) -> list[Line]:
        """The lines of trials, without those that need no training."""
        return [line for line in self.lines if line.role != "yardstick"]


@dataclass(frozen=True, eq=False)
class Report:
    """A study as a reader wants it.

    Attributes:
        found: The study as it was left.
        gallery: Its images, as far as they are there; None if nobody looked for them.
        later: The images of its confirmation, likewise.
        sections: One per condition.
        problems: One sentence for everything that is missing.
        failures: One sentence per fit without a result.
        methods: The paragraph for a paper.
        facts: What the methods rest on, name and value.
    """

    found: Reopened
    gallery: Gallery | None
    sections: Sequence[Section]
    problems: Sequence[str]
    failures: Sequence[str]
    methods: str
    facts: Sequence[tuple[str, str]] = field(default_factory=list)
    later: Gallery | None = None

    @property
    def result(self) -> StudyResult:
        """What the study found."""
        return self.found.result

    @property
    def header(self) -> Header:
        """What all trials share."""
        return self.found.header

    @property
    def deciding(self) -> StudyResult:
        """The stage that gives the words: the confirmation where there is one."""
        return self.result.confirmed or self.result


def build(
    found: Reopened,
    gallery: Gallery | None = None,
    registry: Registry | None = None,
    later: Gallery | None = None,
) -> Report:
    """Gather a report from a study that was opened again.

    Args:
        found: The study.
        gallery: Its images. Without them nothing is measured of samplers.
        registry: For the samplers.
        later: The images of its confirmation.
    """
    problems = [*found.problems(), *(gallery.problems if gallery else [])]
    problems += [f"confirmation: {text}" for text in (later.problems if later else [])]
    measured: dict[str, Mapping[str, Diagnosis]] = {}
    if gallery is not None and registry is not None and gallery.subjects:
        measured, more = _measured(found.result, gallery, registry)
        problems += more
    return Report(
        found=found,
        gallery=gallery,
        sections=[_section(found, item, measured) for item in found.plan.conditions],
        problems=problems,
        failures=failures(found.result),
        methods=methods.paragraph(found),
        facts=methods.facts(found),
        later=later,
    )


def failures(result: StudyResult) -> list[str]:
    """Return one sentence per fit without a result, those of the confirmation last."""
    own = [
        f"{item.trial.name}, {row.condition}, {row.image}, seed {row.seed}: {row.result.failure}"
        for item in result.trials
        for row in item.rows
        if row.result.failure
    ]
    return own + (failures(result.confirmed) if result.confirmed else [])


def _measured(
    result: StudyResult, gallery: Gallery, registry: Registry
) -> tuple[dict[str, Mapping[str, Diagnosis]], list[str]]:
    diagnoses, problems = Diagnoses(registry), []
    found: dict[str, Mapping[str, Diagnosis]] = {}
    for item in result.trials:
        try:
            found[item.trial.name] = diagnoses.of(item.trial.recipe, gallery.subjects)
        except AblateError as error:
            problems.append(f"the sampler of {item.trial.name} is not measured: {error}")
    return found, list(dict.fromkeys(problems))


def _section(
    found: Reopened, condition: Condition, measured: Mapping[str, Mapping[str, Diagnosis]]
) -> Section:
    result, here = found.result, condition.label
    deciding, later = result.confirmed or result, found.header.confirmed
    lines = result.lines(here)
    if result.confirmed is not None:  # then only what is confirmed has a word
        lines = [replace(line, verdict="") for line in lines]
    confirmed, contrasts = pairs(result, here), _contrasts(deciding, here)
    found_effects = effects(result, here)
    beside = (search_best(result), unconfirmed(result))
    return Section(
        condition=condition,
        answer=answer.sentence(result, found.header, here),
        highest=" ".join(filter(None, (answer.best_sentence(result, here), *beside))),
        lines=lines,
        legend=legends.of_trials(result, lines, here),
        names={
            line.name: label(line.name, line.role, result.plan)
            for line in (*lines, *(deciding.lines(here) if result.confirmed else ()))
        },
        contrasts=contrasts,
        contrasts_legend=legends.of_evidence(contrasts),
        account=deciding.account(here),
        diagnoses={name: own[here] for name, own in measured.items() if here in own},
        relations=relations(points(result, measured, here)) if measured else [],
        loss=loss_as_guide(result, here),
        effects=found_effects,
        effects_legend=legends.of_effects(result, found_effects),
        confirmed=confirmed,
        confirm_legend=legends.of_confirmation(result, confirmed, here),
        confirmed_uneven=bool(result.confirmed) and uneven(deciding.lines(here)),
        scope_confirmed=answer.scope(later, here, answer.rests_on(deciding, here)) if later else "",
    )


def _contrasts(result: StudyResult, condition: str) -> list[Comparison]:
    base = result.baseline
    return [compare(result, item, base, condition) for item in result.contrasts] if base else []


def arms(result: StudyResult, condition: str, most: int | None = None) -> list[TrialResult]:
    """Return the trials worth a curve or a picture: baseline, contrasts, the highest, references."""
    by_name = {item.trial.name: item for item in result.trials}
    best = answer.best(result, condition)
    chosen = [result.baseline, *result.contrasts, by_name.get(best.name) if best else None]
    chosen += [item for item in result.trials if item.trial.role == "reference"]
    chosen += [item for item in result.trials if item.trial.role == "declared"]
    return list(dict.fromkeys(item for item in chosen if item is not None))[:most]


def left_out(result: StudyResult, condition: str, most: int) -> str:
    """Return how many trials `arms` leaves out and which go first, as a sentence; empty for none."""
    shown, count = len(arms(result, condition, most)), len(result.trials)
    if shown == count:
        return ""
    searched = "; of the search's own the highest alone" if result.plan.space else ""
    return (
        f"{shown} of {count} trials are shown, {count - shown} left out: first the baseline, then "
        f"contrasts, the highest mean, references, other declared trials{searched}."
    )
