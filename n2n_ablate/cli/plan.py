"""`n2n-ablate plan`: what a study would do and how long it would take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from n2n_ablate.cli import grouping, options, stdout
from n2n_ablate.cli.screen import results, table
from n2n_ablate.report.numbers import format_duration, format_size

if TYPE_CHECKING:
    from rich.table import Table

    from n2n_ablate.analysis.power import Power
    from n2n_ablate.engine.paired_data import PairedData
    from n2n_ablate.runner.estimate import Estimate
    from n2n_ablate.runner.planning import StudyPlan
    from n2n_ablate.runner.session import Session
    from n2n_ablate.study import Plan


@grouping.grouped
def show(
    study: options.Study, asked: options.StudyOptions, *, as_json: options.Json = False
) -> None:
    """List the trials of a study, with expected time, memory and power.

    Trains a few steps, to measure the time. Power: how often a study of this size would decide a
    contrast.

    Example:
        n2n-ablate plan center-weight --profile paper --device cpu
    """
    from n2n_ablate.runner.planning import plan_study

    planned = plan_study(asked.request(study))
    if as_json:
        stdout.write_json(_to_json(planned))
    else:
        _print(planned)


def _print(planned: StudyPlan) -> None:
    from rich.padding import Padding
    from rich.text import Text

    from n2n_ablate.report.text.power import power_lines

    session, cost, later = planned.session, planned.cost, planned.confirmation
    plan, paired_data, out = session.plan, session.paired_data, results()
    out.print(plan.study.question, markup=False, highlight=False)
    if not plan.profile.decides:
        out.print(told_demonstration(plan), markup=False, highlight=False)
    out.print(_trials(plan))
    if plan.dropped:
        out.print(told_limit(plan))
    if plan.repeated:
        out.print(repeated_levels(plan), markup=False, highlight=False)
    if plan.effects:
        effects = ", ".join(effect.name for effect in plan.effects)
        out.print(f"effects: {effects}", markup=False, highlight=False)
    for line in session.notes:
        out.print(line, markup=False, highlight=False, soft_wrap=True)
    images = ", ".join(image.name for image in paired_data.images)
    conditions = "; ".join(
        f"{condition.label} ({condition.pairs})" if condition.pairs else condition.label
        for condition in plan.conditions
    )
    out.print(f"images: {images}", markup=False, highlight=False)
    out.print(f"noise: {conditions}; {plan.profile.seeds_in_words}", markup=False, highlight=False)
    out.print(
        f"{_fits(cost)} and {format_size(planned.memory)} on {paired_data.machine.name}, "
        f"{paired_data.machine.precision}",
        markup=False,
        highlight=False,
    )
    if later is not None and session.confirmation_data is not None:
        for line in _confirmation(session, session.confirmation_data, later):
            out.print(line, markup=False, highlight=False)
        total = format_duration(cost.seconds + later.seconds)
        out.print(f"Total: about {total}", markup=False, highlight=False)
    if planned.power:
        heading, *sentences = power_lines(planned.power, planned.longer)
        out.print(heading, markup=False, highlight=False)
        for sentence in sentences:
            out.print(Padding(Text(sentence), (0, 0, 0, 2)))


def _trials(plan: Plan) -> Table:
    """Return the table of trials."""
    from rich.text import Text

    rows = table("#", "trial", "role")
    for number, trial in enumerate(plan.fixed, 1):
        declared = "declared, no verdict" if plan.contrasts else "declared"
        role = {"declared": declared}.get(trial.role, trial.role)
        role = "contrast" if trial.name in plan.contrasts else role
        rows.add_row(str(number), Text(trial.name), role)
    if plan.searched:
        where = ", ".join(f"{key} in {domain}" for key, domain in plan.space.items())
        rest = f"{plan.searched} more, chosen by {plan.strategy}: {where}"
        rows.add_row(f"+{plan.searched}", Text(rest), "search")
    return rows


def repeated_levels(plan: Plan) -> str:
    """Return a sentence on the levels that equal the baseline."""
    several = len(plan.repeated) > 1
    return f"{', '.join(plan.repeated)} equal{'' if several else 's'} the baseline: not run again."


def told_limit(plan: Plan) -> str:
    """Return in words how many trials are left out."""
    most = plan.profile.trials
    return (
        f"{plan.dropped} more are declared, but the limit is {most} trial{'s' if most > 1 else ''}."
    )


def told_demonstration(plan: Plan) -> str:
    """Return that a plan's profile is a demonstration, and what answers the question instead."""
    name = plan.study.name
    answers = next((one.name for one in plan.study.profiles.values() if one.decides), "")
    instead = (
        f" n2n-ablate study {name} --profile {answers} answers the question." if answers else ""
    )
    return (
        f"The profile '{plan.profile.name}' is a demonstration: it shows what a study does and prints, "
        f"on images and steps too few to decide anything.{instead}"
    )


def _confirmation(session: Session, paired_data: PairedData, cost: Estimate) -> list[str]:
    names = [trial.name for trial in paired_data.plan.fixed]
    if more := session.plan.best_to_confirm:
        names.append("the best of the search" if more == 1 else f"the best {more} of the search")
    return [
        f"Confirmation on held-out images: {', '.join(names)}",
        f"images: {', '.join(image.name for image in paired_data.images)}; {paired_data.plan.profile.seeds_in_words}",
        _fits(cost),
    ]


def _fits(cost: Estimate) -> str:
    cached = f" ({cost.stored} cached)" if cost.stored else ""
    return f"{cost.trials} trials, {cost.fits} fits{cached}: about {format_duration(cost.seconds)}"


def _to_json(planned: StudyPlan) -> dict[str, Any]:
    session, cost, later = planned.session, planned.cost, planned.confirmation
    plan, paired_data = session.plan, session.confirmation_data
    confirmation = (
        later
        and paired_data
        and {
            "contrasts": list(paired_data.plan.contrasts),
            "best_of_search": session.plan.best_to_confirm,
            "images": [image.name for image in paired_data.images],
            "seeds": list(paired_data.plan.profile.seeds),
            "fits": later.fits,
            "stored": later.stored,
            "seconds": round(later.seconds, 1),
        }
    )
    return {
        "study": plan.study.name,
        "profile": plan.profile.name,
        "decides": plan.profile.decides,
        "plan": plan.key,
        "run": session.paired_data.key,
        "trials": [
            {"name": trial.name, "role": trial.role, "recipe": trial.recipe.flat()}
            for trial in plan.fixed
        ],
        "searched": plan.searched,
        "contrasts": list(plan.contrasts),
        "effects": [effect.name for effect in plan.effects],
        "images": [image.name for image in session.paired_data.images],
        "conditions": [condition.label for condition in plan.conditions],
        "seeds": list(plan.profile.seeds),
        "fits": cost.fits,
        "stored": cost.stored,
        "seconds": round(cost.seconds, 1),
        "memory": planned.memory,
        "confirmation": confirmation,
        "power": _power(planned.power),
        "longer": _power(planned.longer),
    }


def _power(power: Power | None) -> dict[str, Any] | None:
    """Return power as plain data, with the least of all contrasts beside each."""
    from n2n_ablate.analysis.records import to_plain

    if power is None:
        return None
    more = {"equivalence": power.equivalence, "images_needed": power.images_needed}
    return {**to_plain(power), **more}
