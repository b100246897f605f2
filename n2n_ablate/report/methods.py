"""The methods paragraph of a study, and the facts that it rests on."""

from __future__ import annotations

from n2n_ablate import stats
from n2n_ablate.analysis.answer import baseline_name
from n2n_ablate.records import Header, StudyResult
from n2n_ablate.storage.reopen import Reopened
from n2n_ablate.study import Plan

_DESIGN = {
    "search": "a search over {factors}",
    "factorial": "a factorial of {factors}",
    "grid": "a grid over {factors}",
    "one-at-a-time": "one factor changed at a time ({factors})",
    "leave-one-out": "one part left out at a time ({factors})",
}


def paragraph(found: Reopened) -> str:
    """Return what was done, as the methods section of a paper tells it.

    How verdicts were reached is told of the stage that gave them: the confirmation where there is
    one, else the trials.
    """
    plan, header, result = found.plan, found.header, found.result
    later, confirmed = header.confirmed, result.confirmed
    parts = [
        (
            f"The design was {_design(plan)}, with {baseline_name(plan)} as the baseline: "
            f"{_count(len(result.trials), 'trial')}. {_trained(header, result)} The baseline trains for "
            f"{header.steps} steps."
        ),
        _noise(plan),
    ]
    if later is not None and confirmed is not None:
        parts.append(_confirmation(plan, later, confirmed))
    parts.append(f"{_metrics(plan)} were measured against the clean image.")
    return " ".join([*parts, _statistics(result, header)])


def facts(found: Reopened) -> list[tuple[str, str]]:
    """Return name and value of everything needed to run the study again."""
    plan, header = found.plan, found.header
    told = [
        ("study", f"{plan.study.name}, profile {plan.profile.name}"),
        *_material(header, ""),
        *((f"noise, {item.label}", item.source) for item in plan.conditions),
        *((kind, str(part)) for kind, part in plan.baseline.recipe.specs.items()),
        ("contrasts", ", ".join(plan.contrasts) or "none declared"),
    ]
    if header.confirmed is not None:
        told += _material(header.confirmed, "confirmation, ")
        told.append(("confirmation, contrasts", ", ".join(header.confirmed.plan.contrasts)))
    commands = found.commands
    for number, command in enumerate(commands, start=1):
        place = "command" if len(commands) == 1 else f"command {number} of {len(commands)}"
        status = command.status or "killed, or still running"
        told.append((place, f"{command.invocation.command} ({status})"))
    if commands:
        last = commands[-1].invocation
        told.append(("device", f"{last.device}, {last.precision}"))
        versions = ", ".join(f"{name} {number}" for name, number in last.versions.items())
        told.append(("versions", versions))
        told.append(("commit", last.commit or "not in a git repository"))
    told.append(("training time", _time(found.result)))
    told.append(("journal", found.journal.path.name))
    return told


def intervals(result: StudyResult, header: Header) -> str:
    """Return how the intervals that give words are made, in a few words.

    Args:
        result: Of the stage that gives them.
        header: Of the same stage.
    """
    plan, level = result.plan, f"{100 * stats.LEVEL:g} %"
    what = "effects" if plan.effects else "contrasts"
    size = len(plan.effects or plan.contrasts)
    each = f"{100 * stats.family_level(size):.4g} %"
    where = "under each condition " if len(plan.conditions) > 1 else ""
    if not header.interim_sizes:
        if size <= 1:
            return f"{level} t intervals over images"
        others = "" if plan.effects or plan.confirming else f"; {level} for others"
        return (
            f"t intervals over images, {each} each for the {size} {what}, so that {where}all of these "
            f"hold at once at {level} (Bonferroni){others}"
        )
    family = f"{each} each for the {size} {what}, " if size > 1 else ""
    whole = f"all of these at all looks {where}" if size > 1 else f"those at all looks {where}"
    return (
        f"repeated confidence intervals over images (Jennison and Turnbull, 1989) for looks after "
        f"{_listed(list(map(str, header.interim_sizes)))} images, {family}so that {whole}hold at once at {level}; "
        "the allowed error is spent as the square of the share of images (Kim and DeMets, 1987), and "
        "the critical values are those of the t statistic"
    )


def _statistics(result: StudyResult, header: Header) -> str:
    plan, confirmed = result.plan, result.confirmed is not None
    deciding = (result.confirmed or result, header.confirmed or header)
    of = "Intervals of the confirmation" if confirmed else "Intervals"
    what = "A declared contrast"
    rest = "Other trials get no such word."
    if confirmed:
        what = "What was confirmed"
    if plan.effects:
        what = "An effect"
        rest = "Of an interaction the words are additive, above the sum or below the sum."
    return (
        "The unit is the image: seeds were averaged within an image, and trials were compared with "
        f"the baseline by paired differences. {of} are {intervals(*deciding)}. {what} is called "
        f"equivalent if its interval lies within \u00b1{plan.study.margin:g} dB, else better or worse if "
        f"it excludes zero, else {stats.UNDECIDED}. {rest} An image on which a trial lost a fit is left "
        "out of its comparison."
    )


def _confirmation(plan: Plan, later: Header, confirmed: StudyResult) -> str:
    before = len(later.plan.before)
    found = [name for name in later.plan.contrasts if name not in plan.contrasts]
    declared = len(later.plan.contrasts) - len(found)
    best = len(found) - before
    what = ["the baseline"]
    what += [_count(declared, "declared contrast")] if declared else []
    what += [f"the {best} best of the search" if best > 1 else "the best of the search"] * (
        best > 0
    )
    what += [_count(before, "trial that was confirmed on these images before")] * (before > 0)
    return (
        f"For the confirmation {_listed(what)} were trained again on images and with seeds that nothing "
        f"was chosen on. {_trained(later, confirmed)} Only what this confirmation bears out is a finding."
    )


def _trained(header: Header, result: StudyResult) -> str:
    """Return on what the trials of a stage were trained, and how many fits that made."""
    plan = header.plan
    sizes = sorted({image.shape for image in header.images})
    shapes = " and ".join(f"{w}x{h} pixels, {_channels(c)}" for c, h, w in sizes[:3])
    more = f" and {len(sizes) - 3} further sizes" if len(sizes) > 3 else ""
    cut = " (centre crops)" if plan.profile.crop else ""
    fits = sum(len(item.rows) for item in result.trials)
    failed = sum(item.failures for item in result.trials)
    most = "Every trial was trained on"
    if header.interim_sizes:
        most = "Batch by batch, until it had a word, a contrast was trained on up to"
    images, seeds = _count(len(header.images), "image"), _count(len(plan.profile.seeds), "seed")
    return (
        f"{most} {images} of {shapes}{more}{cut}, with {seeds}: {_count(fits, 'fit')}, of which "
        f"{failed or 'none'} failed."
    )


def _noise(plan: Plan) -> str:
    noises = "; ".join(f"{item.label}: {item.source}" for item in plan.conditions)
    return (
        f"Noise ({noises}) was drawn once for each image and seed, and noisy images, initial weights "
        "and random numbers were the same for all trials."
    )


def _material(header: Header, place: str) -> list[tuple[str, str]]:
    return [
        (f"{place}images", ", ".join(image.name for image in header.images)),
        (f"{place}seeds", ", ".join(map(str, header.plan.profile.seeds))),
    ]


def _time(result: StudyResult) -> str:
    stages = [result, *([result.confirmed] if result.confirmed else [])]
    minutes = [sum(item.seconds for item in stage.trials) / 60 for stage in stages]
    of = f", {minutes[1]:.1f} of them for the confirmation" if len(minutes) > 1 else ""
    return f"{sum(minutes):.1f} minutes over all fits{of}"


def _design(plan: Plan) -> str:
    factors = ", ".join(factor.key for factor in plan.study.factors)
    text = _DESIGN.get(plan.study.design, f"{plan.study.design} over {{factors}}")
    told = text.replace("{factors}", factors)
    if plan.space:
        told += f" by {plan.study.strategy} after {plan.study.startup} random trials"
    return told


def _metrics(plan: Plan) -> str:
    return _listed([name.upper() if name in ("psnr", "ssim") else name for name in plan.metrics])


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def _channels(count: int) -> str:
    return {1: "grey", 3: "colour"}.get(count, f"{count} channels")
