"""`n2n-ablate plan`: what a study would do and how long it would take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from n2n_ablate.cli import grouping, options
from n2n_ablate.cli.screen import results, show, show_json, table
from n2n_ablate.report.numbers import format_duration, format_size

if TYPE_CHECKING:
    from rich.table import Table

    from n2n_ablate.analysis.power import Power
    from n2n_ablate.runner.estimate import Estimate
    from n2n_ablate.runner.planning import StudyPlan
    from n2n_ablate.study import Plan


@grouping.grouped
def run(
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
        show_json(_to_json(planned))
    else:
        _print(planned)


def _print(planned: StudyPlan) -> None:
    from rich.padding import Padding

    from n2n_ablate.report.text.power import power_lines

    plan, data, out = planned.plan, planned.session.paired_data, results()
    out.print(plan.study.question)
    if not plan.profile.decides:
        out.print(demonstration_line(plan))
    out.print(_trials(plan))
    for line in left_out_lines(plan):
        out.print(line)
    if plan.effects:
        out.print(f"effects: {', '.join(effect.name for effect in plan.effects)}")
    show(*planned.session.notes)
    conditions = "; ".join(
        f"{condition.label} ({condition.pairs})" if condition.pairs else condition.label
        for condition in plan.conditions
    )
    machine = data.machine
    parts = (f"{kind} {spec.name}" for kind, spec in plan.baseline.recipe.specs.items())
    out.print(f"baseline: {', '.join(parts)}")
    out.print(f"images: {', '.join(image.name for image in data.images)}")
    out.print(f"noise: {conditions}; {plan.profile.seeds_in_words}")
    memory = format_size(planned.memory)
    out.print(f"{_fits(planned.cost)} and {memory} on {machine.name}, {machine.precision}")
    for line in _confirmation(planned):
        out.print(line)
    if planned.power:
        heading, *sentences = power_lines(planned.power, planned.longer)
        out.print(heading)
        for sentence in sentences:
            out.print(Padding(sentence, (0, 0, 0, 2)))


def _trials(plan: Plan) -> Table:
    """Return the table of trials."""
    rows = table("#", "trial", "role")
    for number, trial in enumerate(plan.fixed, 1):
        declared = "declared, no verdict" if plan.contrasts else "declared"
        role = declared if trial.role == "declared" else trial.role
        values = ", ".join(f"{key} = {value}" for key, value in trial.values.items())
        name = f"{trial.name} ({values})" if trial.role == "baseline" and values else trial.name
        rows.add_row(str(number), name, "contrast" if trial.name in plan.contrasts else role)
    if plan.searched:
        where = ", ".join(f"{key} in {domain}" for key, domain in plan.space.items())
        rest = f"{plan.searched} more, chosen by {plan.strategy}: {where}"
        rows.add_row(f"+{plan.searched}", rest, "search")
    return rows


def left_out_lines(plan: Plan) -> Iterator[str]:
    """Yield a sentence on the trials beyond the limit, and one on the levels that equal the baseline."""
    if plan.dropped:
        most = plan.profile.trials
        limit = f"{most} trial{'s' if most > 1 else ''}"
        yield f"{plan.dropped} more are declared, but the limit is {limit}."
    if plan.repeated:
        equal = "equal" if len(plan.repeated) > 1 else "equals"
        yield f"{', '.join(plan.repeated)} {equal} the baseline: not run again."


def answering_profile(plan: Plan) -> str:
    """Return the first profile of a study whose verdicts count; empty for none."""
    return next((one.name for one in plan.study.profiles.values() if one.decides), "")


def demonstration_line(plan: Plan) -> str:
    """Return that a plan's profile is a demonstration, and what answers the question instead."""
    answers = answering_profile(plan)
    command = f" For an answer, use --profile {answers}." if answers else ""
    return (
        f"Profile '{plan.profile.name}' is a demonstration: too few images and steps for a verdict."
        f"{command}"
    )


def _confirmation(planned: StudyPlan) -> Iterator[str]:
    data, cost, more = planned.held_out, planned.confirmation, planned.plan.best_to_confirm
    if data is None or cost is None:
        return
    names = [trial.name for trial in data.plan.fixed]
    if more:
        names.append("the best of the search" if more == 1 else f"the best {more} of the search")
    yield f"Confirmation on held-out images: {', '.join(names)}"
    images = ", ".join(image.name for image in data.images)
    yield f"images: {images}; {data.plan.profile.seeds_in_words}"
    yield _fits(cost)
    yield f"Total: about {format_duration(planned.seconds)}"


def _fits(cost: Estimate) -> str:
    cached = f" ({cost.stored} cached)" if cost.stored else ""
    return f"{cost.trials} trials, {cost.fits} fits{cached}: about {format_duration(cost.seconds)}"


def _to_json(planned: StudyPlan) -> dict[str, Any]:
    plan, data, later = planned.plan, planned.session.paired_data, planned.held_out
    confirmation = None
    if later is not None and planned.confirmation is not None:
        names = {"contrasts": list(later.plan.contrasts), "best_of_search": plan.best_to_confirm}
        images = [image.name for image in later.images]
        confirmation = {**names, "images": images, **_cost(planned.confirmation, later.plan)}
    return {
        "study": plan.study.name,
        "profile": plan.profile.name,
        "decides": plan.profile.decides,
        "plan": plan.key,
        "run": data.key,
        "trials": [
            {"name": trial.name, "role": trial.role, "recipe": trial.recipe.flat()}
            for trial in plan.fixed
        ],
        "searched": plan.searched,
        "contrasts": list(plan.contrasts),
        "effects": [effect.name for effect in plan.effects],
        "images": [image.name for image in data.images],
        "conditions": [condition.label for condition in plan.conditions],
        **_cost(planned.cost, plan),
        "memory": planned.memory,
        "confirmation": confirmation,
        "power": _power(planned.power),
        "longer": _power(planned.longer),
    }


def _cost(cost: Estimate, plan: Plan) -> dict[str, Any]:
    fits = {"fits": cost.fits, "stored": cost.stored, "seconds": round(cost.seconds, 1)}
    return {"seeds": list(plan.profile.seeds), **fits}


def _power(power: Power | None) -> dict[str, Any] | None:
    """Return power as plain data, with the least of all contrasts beside each."""
    from n2n_ablate.analysis.records import to_plain

    if power is None:
        return None
    more = {"equivalence": power.equivalence, "images_needed": power.images_needed}
    return {**to_plain(power), **more}
