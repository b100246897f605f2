"""Everything a study found as plain data, for scripts: what `--json` prints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from n2n_ablate import stats
from n2n_ablate.analysis import answer, confirmed
from n2n_ablate.analysis.compare import ONE_LOOK, crossing, peak
from n2n_ablate.analysis.curves import image_curves
from n2n_ablate.analysis.effects import EffectLine, effects
from n2n_ablate.analysis.guide import loss_as_guide
from n2n_ablate.records import Header, Line, StudyResult, TrialResult


def to_json(result: StudyResult, header: Header) -> dict[str, Any]:
    """Return everything a script could want to know. Numbers that do not exist are None."""
    plan = result.plan
    later = result.confirmed
    return {
        "study": plan.study.name,
        "question": plan.study.question,
        "profile": plan.profile.name,
        "plan": plan.key,
        "images": [image.name for image in header.images],
        "seeds": list(plan.profile.seeds),
        "settings": list(plan.settings),
        "margin": plan.study.margin,
        "conditions": [
            {
                "condition": condition.label,
                **condition.plain(),
                **_condition(result, header, condition.label),
            }
            for condition in plan.conditions
        ],
        "recipes": {item.trial.name: item.trial.recipe.flat() for item in result.trials},
        "fits": sum(len(item.rows) for item in result.trials),
        "reused": sum(item.reused for item in result.trials),
        "failures": sum(item.failures for item in result.trials),
        "looks": list(header.interim_sizes),
        "confirmation": to_json(later, header.confirmed) if later and header.confirmed else None,
    }


def _condition(result: StudyResult, header: Header, label: str) -> dict[str, Any]:
    lines = result.lines(label)
    size = len(result.plan.contrasts)
    asked = [line for line in lines if line.verdict and line.difference]
    ps = [line.difference.p for line in asked if line.difference]
    adjusted = dict(zip((line.name for line in asked), stats.holm(ps, size=size), strict=True))
    trials = {item.trial.name: item for item in result.trials}
    best = answer.best(result, label)
    return {
        "answer": answer.sentence(result, header, label),
        "best": best and best.name,
        "scope": answer.scope(header, label, answer.rests_on(result, label)),
        "confirmed": [_pair_of(pair) for pair in confirmed.pairs(result, label)],
        "family": {"contrasts": size, "level": stats.LEVEL, "each": stats.family_level(size)},
        "variance": _account(result.account(label)),
        "loss_as_guide": _guide(result, label),
        "effects": [_effect(line) for line in effects(result, label)],
        "trials": [
            {
                **_line(line, result.plan.study.margin),
                **_beside(
                    line, adjusted.get(line.name), raced=bool(result.raced(label, line.name))
                ),
                "curve": _curve(trials.get(line.name), result.baseline, label),
            }
            for line in lines
        ],
    }


def _pair_of(pair: confirmed.Pair) -> dict[str, Any]:
    """Return what the study said of a contrast, and what its confirmation said."""
    before, after = pair.before, pair.after
    return {
        "name": pair.name,
        "best_of_search": pair.best,
        "confirmed_before": pair.again,
        "difference_before": before and before.mean,
        "interval_before": before and _pair((before.low, before.high)),
        "difference": after and after.mean,
        "interval": after and _pair((after.low, after.high)),
        "verdict": pair.verdict or None,
        "shrinkage": pair.shrinkage,
        "shrinkage_interval": _pair(pair.shrinkage_interval),
    }


def _effect(line: EffectLine) -> dict[str, Any]:
    gap = line.difference
    return {
        "name": line.effect.name,
        "kind": "main" if line.effect.order == 1 else "interaction",
        "difference": gap and gap.mean,
        "interval": gap and _pair((gap.low, gap.high)),
        "level": gap and gap.level,
        "images": gap and gap.n,
        "verdict": line.verdict or None,
        "caveat": (gap and gap.caveat) or None,
    }


def _line(line: Line, margin: float) -> dict[str, Any]:
    gap = line.difference
    found = {
        "name": line.name,
        "role": line.role,
        "values": dict(line.values),
        **{name: _number(value) for name, value in line.figures.items()},
        "difference": gap and gap.mean,
        "interval": gap and _pair((gap.low, gap.high)),
        "level": gap and gap.level,
        "images": gap and gap.n,
        "lost_images": gap and gap.lost,
        "given_images": line.images,
        "spread": gap and _number(gap.sd),
        "effect": gap and _number(gap.effect),
        "wins": gap and gap.wins,
        "losses": gap and gap.losses,
        "ties": gap and gap.ties,
        "verdict": line.verdict or None,
        "caveat": (gap and gap.caveat) or None,
        "failures": line.failures,
        "seconds_per_fit": round(line.seconds, 3),
    }
    if gap and line.verdict:
        found["detectable"] = stats.detectable(gap)
        open_ = line.verdict == stats.UNDECIDED
        found["images_to_settle"] = _pair(stats.images_to_settle(gap, margin)) if open_ else None
    return found


def _beside(line: Line, p_holm: float | None, *, raced: bool) -> dict[str, Any]:
    """Return tests beside the verdict of a contrast; nothing for trials that get no verdict."""
    gap = line.difference
    if p_holm is None or gap is None:
        return {}
    flips = stats.sign_flip(gap.gaps)
    return {
        "p": gap.p if gap.has_spread else None,
        "p_holm": p_holm if gap.has_spread else None,
        "p_sign_flip": flips.p,
        "p_sign_flip_smallest": flips.smallest,
        "p_sign_flip_exact": flips.exact,
        "p_caveat": ONE_LOOK if raced else None,
        "interval_bca": None if raced else _pair(stats.bca(gap.gaps, gap.level)),
    }


def _curve(
    item: TrialResult | None, baseline: TrialResult | None, label: str
) -> dict[str, Any] | None:
    """Return peak against final PSNR, and where the trial changes places with the baseline."""
    if item is None or not image_curves(item, "psnr", label).images:
        return None
    top = peak(item, label)
    found: dict[str, Any] = {}
    if top is not None:
        found = {
            "peak_step": top.step,
            "gain_at_peak": _number(top.gain),
            "gain_interval": _pair((top.low, top.high)),
            "gain_with_own_peaks": top.oracle,
        }
    cross = crossing(item, baseline, label) if baseline else None
    if cross is not None and cross.step is not None:
        found["changes_places"] = {
            "step": cross.step,
            "interval": [cross.low, cross.high],
            "certain": cross.certain,
        }
    return found


def _account(account: stats.Account) -> dict[str, Any]:
    return {
        "advice": account.advice,
        "images": account.images,
        "seeds": account.seeds,
        "contrasts": account.contrasts,
        "sd_image": _number(account.image),
        "sd_noise_and_training_seed": _number(account.seed),
        "sd_trial_x_image": _number(account.trial_image),
        "sd_trial_x_seed": _number(account.trial_seed),
        "share_of_seeds": _number(account.share),
        "share_interval": _pair((account.share_low, account.share_high)),
    }


def _guide(result: StudyResult, label: str) -> dict[str, Any] | None:
    """Return how well the training loss ranks the trials; None where their losses differ in kind."""
    guide = loss_as_guide(result, label)
    if guide is None or guide.ranking is None:
        return None
    found = guide.ranking
    return {
        "trials": found.trials,
        "images": found.images,
        "tau": _number(found.tau),
        "tau_interval": _pair((found.tau_low, found.tau_high)),
        "tau_of_means": _number(found.overall),
        "cost": _number(found.cost),
        "cost_interval": _pair((found.cost_low, found.cost_high)),
        "caveat": guide.caveat or None,
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _pair(ends: Sequence[float] | None) -> list[float] | None:
    return list(ends) if ends is not None and all(map(math.isfinite, ends)) else None
