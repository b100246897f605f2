"""The methods paragraph of a study, and the facts that it rests on."""

from __future__ import annotations

from n2n_ablate.analysis.records import Kind, Metric
from n2n_ablate.analysis.study_records import Family, StudyAnalysis
from n2n_ablate.records import Header, StudyTrials
from n2n_ablate.report.numbers import (
    format_duration,
    format_percent,
    join_words,
    pluralize,
)
from n2n_ablate.report.text.contrasts import unit_of
from n2n_ablate.storage.reopen import Reopened
from n2n_ablate.study import BASELINE, Plan, levels_of_samples

_DESIGN = {
    "search": "a search over {factors}",
    "factorial": "a factorial of {factors}",
    "grid": "a grid over {factors}",
    "one-at-a-time": "one factor changed at a time ({factors})",
    "leave-one-out": "one part left out at a time ({factors})",
}


def paragraph(study: Reopened, analysis: StudyAnalysis) -> str:
    """Return what was done, as the methods section of a paper says it.

    How verdicts were reached is described for the stage that gave them: the confirmation where there
    is one, else the trials.
    """
    plan, header, result = study.plan, study.header, study.result
    parts = [
        (
            f"The design was {_design(plan)}, with {_baseline(plan)} as the baseline: "
            f"{pluralize(len(result.trials), 'trial')}. {_trained(header, result)} The baseline was "
            f"trained for {pluralize(header.steps, 'step')}."
        ),
        noise(header),
    ]
    if header.confirmed is not None and result.confirmed is not None:
        parts.append(_confirmation(plan, header.confirmed, result.confirmed))
    metrics = join_words(_metric(name, plan.scales[name].convention) for name in plan.metrics)
    kinds = ["clean image"] * any(each.noise for each in plan.conditions)
    kinds += ["reference"] * any(each.pairs for each in plan.conditions)
    against = " or the ".join(kinds)
    parts.append(
        f"{metrics} {'was' if len(plan.metrics) == 1 else 'were'} computed against the {against}."
    )
    parts.append(statistics(analysis))
    if not plan.profile.decides:
        parts.append("The profile is a demonstration, so every verdict was withheld.")
    return " ".join(parts)


def _metric(name: str, convention: str) -> str:
    title = name.upper() if name in ("psnr", "ssim") else name
    return f"{title} ({convention})" if convention else title


def statistics(analysis: StudyAnalysis) -> str:
    """Return how verdicts were reached."""
    stage = analysis.deciding
    records = [record for condition in stage.conditions for record in condition.contrasts]
    factorial = any(record.contrast.kind is not Kind.TRIAL for record in records)
    skewed = any(record.interval and record.interval.method.endswith("hall") for record in records)
    held_out = analysis.confirmation is not None
    text = (
        "The unit of analysis is the image: seeds were averaged within an image, and each trial was "
        f"compared with the baseline by paired differences in {analysis.metric.name.upper()}. "
        f"{_intervals(stage, factorial=factorial)} {_rule(stage.family, analysis.metric, held_out=held_out, factorial=factorial)}"
    )
    if skewed:
        text += (
            " On each side the interval's limit is the outer one of the t interval and of Hall's "
            "skewness-corrected interval (Hall, 1992)."
        )
    if {record.n_seeds for record in records} == {1}:
        text += " With one seed per image, the spread between images includes noise and training."
    return (
        f"{text} Images on which a fit failed were excluded from the comparison. The intervals assume that the "
        "images are a random sample of the images of interest, which was not checked."
    )


def _intervals(stage: StudyAnalysis, *, factorial: bool) -> str:
    family = stage.family
    level = format_percent(family.levels.difference)
    if not stage.interim_sizes:
        return f"Confidence intervals are two-sided {level} t intervals across images{_family(family, factorial=factorial)}."
    sizes = join_words(map(str, stage.interim_sizes))
    return (
        f"Contrasts were tested at interim analyses after {sizes} images with repeated {level} confidence "
        f"intervals (Jennison and Turnbull, 1989){_family(family, factorial=factorial)}; the error was spent as "
        "the square of the share of images (Kim and DeMets, 1987)."
    )


def _family(family: Family, *, factorial: bool) -> str:
    if family.size <= 1:
        return ""
    what = pluralize(family.contrasts, "effect" if factorial else "contrast")
    under = f" under {pluralize(family.conditions, 'condition')}" if family.conditions > 1 else ""
    return f", Bonferroni-corrected for {what}{under} (family-wise error {format_percent(family.alpha)})"


def _rule(family: Family, metric: Metric, *, held_out: bool, factorial: bool) -> str:
    what = "A contrast of the confirmation" if held_out else "A declared contrast"
    if factorial:
        what = "An effect"
    equal = ""
    if metric.margin:
        equal = (
            f", equivalent if the {format_percent(family.levels.equivalence)} interval (two one-sided tests) "
            f"lies within \u00b1{metric.margin:g}{unit_of(metric)}, the margin below which the study counts differences "
            "as too small to matter"
        )
    rest = (
        "For interactions these verdicts read above the sum, below the sum and additive."
        if factorial
        else "Other trials received no verdict."
    )
    return f"{what} is called better or worse if its interval excludes zero{equal}, otherwise inconclusive. {rest}"


def facts(study: Reopened) -> list[tuple[str, str]]:
    """Return name and value of everything needed to run the study again."""
    plan, header = study.plan, study.header
    pairs = [
        ("study", f"{plan.study.name}, profile {plan.profile.name}"),
        *_material(header, ""),
        *((f"noise, {each.label}", each.source) for each in plan.conditions),
        *((kind, str(part)) for kind, part in plan.baseline.recipe.specs.items()),
        ("contrasts", ", ".join(plan.contrasts) or "none declared"),
    ]
    if header.confirmed is not None:
        pairs += _material(header.confirmed, "confirmation, ")
        pairs.append(("confirmation, contrasts", ", ".join(header.confirmed.plan.contrasts)))
    commands = study.commands
    for number, command in enumerate(commands, start=1):
        name = "command" if len(commands) == 1 else f"command {number} of {len(commands)}"
        status = command.status or "killed, or still running"
        pairs.append((name, f"{command.invocation.command} ({status})"))
    if commands:
        last = commands[-1].invocation
        pairs.append(("device", f"{last.device}, {last.precision}"))
        versions = ", ".join(f"{name} {number}" for name, number in last.versions.items())
        pairs.append(("versions", versions))
        pairs.append(("commit", last.commit or "not in a git repository"))
    pairs.append(("training time", _time(study.result)))
    pairs.append(("journal", study.journal.path.name))
    return pairs


def _confirmation(plan: Plan, later: Header, confirmed: StudyTrials) -> str:
    before = len(later.plan.before)
    added = [name for name in later.plan.contrasts if name not in plan.contrasts]
    declared = len(later.plan.contrasts) - len(added)
    best = len(added) - before
    what = ["the baseline"]
    what += [pluralize(declared, "declared contrast")] if declared else []
    what += [
        f"the {best} best trials of the search" if best > 1 else "the best trial of the search"
    ] * (best > 0)
    what += [f"{pluralize(before, 'trial')} confirmed earlier on the same images"] * (before > 0)
    return (
        f"For confirmation, {join_words(what)} were retrained on held-out images with new seeds. "
        f"{_trained(later, confirmed, each='There, each trial')}"
    )


def _trained(header: Header, result: StudyTrials, each: str = "Each trial") -> str:
    """Return on what the trials of a stage were trained, and how many fits that made."""
    plan = header.plan
    sizes = sorted({image.shape for image in header.images})
    shapes = " and ".join(f"{w}\u00d7{h} pixels, {_channels(c)}" for c, h, w in sizes[:3])
    more = f" and {pluralize(len(sizes) - 3, 'further size')}" if len(sizes) > 3 else ""
    cut = " (centre crops)" if plan.profile.crop else ""
    fits = sum(len(trial.rows) for trial in result.trials)
    failed = sum(trial.failures for trial in result.trials)
    opening = f"{each} was trained on"
    if header.interim_sizes:
        opening = (
            "Batch by batch, until its verdict was reached, each contrast was trained on up to"
        )
    images, seeds = (
        pluralize(len(header.images), "image"),
        pluralize(len(plan.profile.seeds), "seed"),
    )
    return (
        f"{opening} {images} of {shapes}{more}{cut}, with {seeds}: {pluralize(fits, 'fit')}, of which "
        f"{failed or 'none'} failed."
    )


def noise(header: Header) -> str:
    """Return where the noise came from, and its level in the samples of the images."""
    conditions, seeds = header.plan.conditions, header.plan.profile.seeds
    drawn = "; ".join(f"{each.label}: {each.source}" for each in conditions if each.noise)
    taken = "; ".join(f"{each.label}: {each.source}" for each in conditions if each.pairs)
    parts = [f"Noise ({drawn}) was drawn once per image and seed."] if drawn else []
    whites = [image.white for image in header.images if not image.condition]
    if levels := levels_of_samples(conditions, whites):
        parts.append(f"{levels[0].upper()}{levels[1:]}.")
    if taken:
        shots = (
            "each seed took a shot of the scene in turn"
            if len(seeds) > 1
            else "one shot of each scene"
        )
        parts.append(f"Noise was measured ({taken}): {shots}.")
    parts.append("Noisy images, initial weights and random numbers were the same for all trials.")
    return " ".join(parts)


def _material(header: Header, prefix: str) -> list[tuple[str, str]]:
    return [
        (f"{prefix}images", ", ".join(image.name for image in header.images)),
        (f"{prefix}seeds", ", ".join(map(str, header.plan.profile.seeds))),
    ]


def _time(result: StudyTrials) -> str:
    stages = [result, *([result.confirmed] if result.confirmed else [])]
    seconds = [sum(trial.seconds for trial in stage.trials) for stage in stages]
    of = (
        f", of which {format_duration(seconds[1])} for the confirmation" if len(seconds) > 1 else ""
    )
    return f"{format_duration(sum(seconds))} over all fits{of}"


def _design(plan: Plan) -> str:
    factors = ", ".join(factor.key for factor in plan.study.factors)
    pattern = _DESIGN.get(plan.study.design, f"{plan.study.design} over {{factors}}")
    text = pattern.replace("{factors}", factors)
    if plan.space:
        text += f" by {plan.strategy}"
    return text


def _baseline(plan: Plan) -> str:
    values = plan.baseline.values
    return ", ".join(f"{key} = {value}" for key, value in values.items()) or BASELINE


def _channels(count: int) -> str:
    return {1: "grey", 3: "colour"}.get(count, f"{count} channels")
