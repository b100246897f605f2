"""Puts a diagnosis into words: what breaks the assumption of Noise2Noise, and what that implies. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from n2n_ablate.diagnostics.model import Diagnosis, Estimate, Figures

LEAK, BIAS, GAIN = 0.01, 1.0, 0.01
"""What matters: a leak of a hundredth, a bias of one grey level, a gain off by a hundredth. Below
the first two, a fit at 30 dB (an error of 8 grey levels) loses less than 0.1 dB to them directly."""


@dataclass(frozen=True)
class Concern:
    """Something about a sampler that a reader should know.

    Attributes:
        word: `leak`, `bias` or `gain`; empty for a remark that is no warning.
        sentence: In full, without the sampler's name.
    """

    word: str
    sentence: str


def clear_leak(figures: Figures, *, both_ways: bool = True) -> float:
    """Return the leak of the largest size among the ways that train, 0 if none is clear."""
    ways = (figures.leak, figures.back) if both_ways else (figures.leak,)
    clear = [estimate.value for estimate in ways if estimate.is_clear(LEAK)]
    return max(clear, key=abs, default=0.0)


def concerns(diagnosis: Diagnosis) -> list[Concern]:
    """Return what breaks the assumption, beyond Monte Carlo error and by enough to matter."""
    known = []
    total = diagnosis.total
    if not total.sigma > 0:
        return [Concern("", "there is no noise here, so leak and view noise have no meaning.")]
    if not all(math.isfinite(estimate.value) for estimate in total.noise):
        return [
            Concern("", "a view holds values that are no numbers: nothing can be measured of it.")
        ]
    if clear_leak(total, both_ways=diagnosis.both_ways):
        known.append(Concern("leak", _leak(diagnosis)))
    elif diagnosis.declared:
        known.append(Concern("", f"declares a leak, but {_unseen(diagnosis)}."))
    if total.bias.is_clear(BIAS):
        brighter = "brighter" if total.bias.value > 0 else "darker"
        sentence = (
            f"its first view is {abs(total.bias.value):.0f} grey levels {brighter} than its second; "
            "training asks for that change too."
        )
        known.append(Concern("bias", sentence))
    off = max(total.gain, key=lambda gain: abs(gain - 1) if math.isfinite(gain) else 0.0)
    if abs(off - 1) > GAIN:
        sentence = (
            f"a view has {off:.2f} times the brightness of the image, so the network is trained on "
            "other grey levels than it is used on."
        )
        known.append(Concern("gain", sentence))
    return known


MEANING = {
    "leak": "Noise2Noise needs views with independent noise, leak 0. The best guess of a view from "
    "one that leaks keeps that share of its noise, so training is pulled towards keeping noise; a "
    "leak below 0 pulls it towards removing too much.",
    "bias": "Noise2Noise needs views of equal mean, bias 0: what differs on average is learnt as if "
    "it were scene.",
}
"""What a warning implies, by its word."""


def signed(value: float, digits: int = 2) -> str:
    """Return `+0.12` or, with a real minus sign, the negative; `0.00` for 0, nothing for NaN."""
    if math.isnan(value):
        return ""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "\u2212")


def to_json(diagnosis: Diagnosis) -> dict[str, object]:
    """Return everything as plain data."""
    return {
        **_figures_json(diagnosis.total),
        "declares_leak": diagnosis.declared,
        "both_ways": diagnosis.both_ways,
        "noisy_images": diagnosis.draws,
        "warnings": [concern.word for concern in concerns(diagnosis) if concern.word],
        "remarks": [concern.sentence for concern in concerns(diagnosis)],
        "images": {name: _figures_json(figures) for name, figures in diagnosis.images.items()},
    }


def flat(figures: Figures) -> dict[str, float]:
    """Return the figures by the names that trackers and files give them."""
    return {
        "leak": figures.leak.value,
        "leak_error": figures.leak.error,
        "leak_back": figures.back.value,
        "leak_back_error": figures.back.error,
        "gap": figures.gap.value,
        "bias": figures.bias.value,
        "bias_error": figures.bias.error,
        "view_noise_1": figures.noise[0].value,
        "view_noise_2": figures.noise[1].value,
        "gain_1": figures.gain[0],
        "gain_2": figures.gain[1],
        "sigma": figures.sigma,
    }


def _leak(diagnosis: Diagnosis) -> str:
    worst = clear_leak(diagnosis.total, both_ways=diagnosis.both_ways)
    share = f"keeps {worst:.2f} of" if worst > 0 else f"turns round {-worst:.2f} of"
    sentence = (
        f"leak {_ways(diagnosis)}: the best guess of one view from the other {share} its noise."
    )
    if not diagnosis.declared:
        sentence += (
            " None is declared: noise that is clipped, correlated over pixels or of another strength in "
            "other parts of the scene can do that, or the sampler shares noise after all."
        )
    return sentence


def _unseen(diagnosis: Diagnosis) -> str:
    """Return why a declared leak is no warning: it is small, or its error is too large to know."""
    total = diagnosis.total
    ways = (total.leak, total.back) if diagnosis.both_ways else (total.leak,)
    if all(abs(estimate.value) < LEAK for estimate in ways):
        return f"one of {LEAK} or more cannot be seen ({_ways(diagnosis, 3)})"
    error = max(estimate.error for estimate in ways)
    known = f"standard error {error:.3f}" if math.isfinite(error) else "standard error unknown"
    return f"it cannot be told from 0 ({_ways(diagnosis, 3)}; {known})"


def _ways(diagnosis: Diagnosis, digits: int = 2) -> str:
    total = diagnosis.total
    forward, back = signed(total.leak.value, digits), signed(total.back.value, digits)
    if not diagnosis.both_ways:
        return forward
    return f"{forward} both ways" if forward == back else f"{forward}, back {back}"


def _figures_json(figures: Figures) -> dict[str, object]:
    numbers: dict[str, object] = {name: _finite(value) for name, value in flat(figures).items()}
    return numbers | {"gap_error": _error(figures.gap), "gap_psnr": _finite(figures.gap_psnr)}


def _error(estimate: Estimate) -> float | None:
    return _finite(estimate.error)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
