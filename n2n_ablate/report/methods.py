"""The methods paragraph of a study, and the facts that it rests on."""

from __future__ import annotations

from n2n_ablate import stats
from n2n_ablate.journal.reopen import Reopened
from n2n_ablate.results.answer import baseline_name
from n2n_ablate.study import Plan

_DESIGN = {
    "search": "a search over {factors}",
    "grid": "a grid over {factors}",
    "one-at-a-time": "one factor changed at a time ({factors})",
    "leave-one-out": "one part left out at a time ({factors})",
}


def paragraph(found: Reopened) -> str:
    """Return what was done, as the methods section of a paper tells it."""
    plan, header = found.plan, found.header
    sizes = sorted({image.shape for image in header.images})
    shapes = " and ".join(f"{w}x{h} pixels, {_channels(c)}" for c, h, w in sizes[:3])
    more = f" and {len(sizes) - 3} further sizes" if len(sizes) > 3 else ""
    cut = " (centre crops)" if plan.profile.crop else ""
    noises = "; ".join(f"{item.label}: {item.noise}" for item in plan.conditions)
    trials = len(found.result.trials)
    fits = sum(len(item.rows) for item in found.result.trials)
    failed = sum(item.failures for item in found.result.trials)
    return " ".join(
        [
            (
                f"The design was {_design(plan)}, with {baseline_name(plan)} as the baseline: {trials} "
                f"trials. Every trial was trained on {_count(len(header.images), 'image')} of "
                f"{shapes}{more}{cut}, with {_count(len(plan.profile.seeds), 'seed')}: {fits} fits, of "
                f"which {failed or 'none'} failed. The baseline trains for {header.steps} steps."
            ),
            (
                f"Noise ({noises}) was drawn once for each image and seed, and noisy images, initial "
                "weights and random numbers were the same for all trials."
            ),
            f"{_metrics(plan)} were measured against the clean image.",
            _statistics(plan, bool(found.result.looks)),
            *_confirmation(found),
        ]
    )


def facts(found: Reopened) -> list[tuple[str, str]]:
    """Return name and value of everything needed to run the study again."""
    plan, header = found.plan, found.header
    told = [
        ("study", f"{plan.study.name}, profile {plan.profile.name}"),
        ("images", ", ".join(image.name for image in header.images)),
        ("seeds", ", ".join(map(str, plan.profile.seeds))),
        *((f"noise, {item.label}", str(item.noise)) for item in plan.conditions),
        *((kind, str(part)) for kind, part in plan.baseline.recipe.parts.items()),
        ("contrasts", ", ".join(plan.contrasts) or "none declared"),
    ]
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
    seconds = sum(item.seconds for item in found.result.trials)
    told.append(("training time", f"{seconds / 60:.1f} minutes over all fits"))
    told.append(("journal", found.journal.path.name))
    return told


def intervals(plan: Plan) -> str:
    """Return how the intervals of declared contrasts are made, in a few words."""
    size = len(plan.contrasts)
    if size <= 1:
        return f"{100 * stats.LEVEL:g} % t interval over images"
    each = 100 * stats.family_level(size)
    return (
        f"t intervals over images, {each:.4g} % each for the {size} declared contrasts, so that all "
        f"hold at once at {100 * stats.LEVEL:g} % (Bonferroni); {100 * stats.LEVEL:g} % for others"
    )


def _statistics(plan: Plan, looked: bool) -> str:
    looks = " They hold at every look that was taken while the study ran." if looked else ""
    return (
        "The unit is the image: seeds were averaged within an image, and trials were compared with "
        f"the baseline by paired differences. Intervals are {intervals(plan)}.{looks} A declared "
        f"contrast is called equivalent if its interval lies within \u00b1{plan.study.margin:g} dB, "
        "else better or worse if it excludes zero, else not distinguishable. Other trials get no "
        "such word. An image on which a trial lost a fit is left out of its comparison."
    )


def _confirmation(found: Reopened) -> list[str]:
    later = found.header.confirmed
    if later is None:
        return []
    names = ", ".join(image.name for image in later.images)
    seeds = ", ".join(map(str, later.plan.profile.seeds))
    what = " and the best of the search" if found.plan.space else ""
    return [
        (
            f"The declared contrasts{what} were then tried again on images and with seeds that nothing "
            f"was chosen on ({names}; seed{'s' * (len(later.plan.profile.seeds) != 1)} {seeds}): only "
            "what this confirmation bears out is a finding."
        )
    ]


def _design(plan: Plan) -> str:
    factors = ", ".join(factor.key for factor in plan.study.factors)
    text = _DESIGN.get(plan.study.design, f"{plan.study.design} over {{factors}}")
    told = text.replace("{factors}", factors)
    if plan.space:
        told += f" by {plan.study.strategy} after {plan.study.startup} random trials"
    return told


def _metrics(plan: Plan) -> str:
    names = [name.upper() if name in ("psnr", "ssim") else name for name in plan.metrics]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def _channels(count: int) -> str:
    return {1: "grey", 3: "colour"}.get(count, f"{count} channels")
