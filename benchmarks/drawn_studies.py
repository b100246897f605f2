"""Drawn studies with known answers, decided by the program's own code. Vectorised over studies.

The difference of trial a on image i under condition c is

    effect[c, a] + own[c, a, i] - own[c, 0, i]

so all contrasts of a condition share the baseline's part, as they do in a real study. Conditions
share nothing, which is the worst case for a family over all of them.
"""

from __future__ import annotations

import math

import numpy as np

from n2n_ablate.stats import (
    BETTER,
    EQUIVALENT,
    INCONCLUSIVE,
    WORSE,
    InterimDesign,
    Levels,
    decide,
    sizes_for,
    t_critical,
)

MARGIN = 0.05


def drawn(rng: np.random.Generator, shape: tuple[int, ...], kind: str) -> np.ndarray:
    """Draw values of mean 0 and standard deviation 1: normal, Student's t with 3, exponential."""
    if kind.startswith("t3"):
        return rng.standard_t(3, shape) / math.sqrt(3)
    if kind.startswith("skewed"):
        return rng.exponential(1.0, shape) - 1
    return rng.standard_normal(shape)


def differences(
    rng: np.random.Generator,
    rounds: int,
    effects: np.ndarray,
    n: int,
    *,
    spread: float = 1.0,
    kind: str = "normal",
) -> np.ndarray:
    """Return differences, seeds averaged, shape (rounds, conditions, contrasts, n).

    Args:
        rng: Draws them.
        rounds: Studies.
        effects: True differences, shape (conditions, contrasts).
        n: Images.
        spread: Standard deviation of the differences over images.
        kind: Of what both trials add; `skewed differences` draws the differences themselves.
    """
    conditions, contrasts = effects.shape
    if kind == "skewed differences":
        return effects[..., None] + spread * drawn(rng, (rounds, conditions, contrasts, n), kind)
    own = drawn(rng, (rounds, conditions, contrasts + 1, n), kind) * spread / math.sqrt(2)
    return effects[..., None] + own[:, :, 1:] - own[:, :, :1]


def ours(values: np.ndarray, margin: float = MARGIN) -> np.ndarray:
    """Return the verdicts of the program: one family over all conditions."""
    return decide(
        values, Levels(values.shape[1] * values.shape[2]).critical(values.shape[-1]), margin
    )


def t_alone(values: np.ndarray, margin: float = MARGIN) -> np.ndarray:
    """Return the same without Hall's limit."""
    return _by_t(
        values, Levels(values.shape[1] * values.shape[2]).critical(values.shape[-1]), margin
    )


def old(values: np.ndarray, margin: float = MARGIN) -> np.ndarray:
    """Return the verdicts of a family per condition, with one interval for all three verdicts."""
    critical = t_critical(1 - 0.05 / values.shape[2], values.shape[-1])
    return _by_t(values, (critical, critical), margin)


def raced(values: np.ndarray, margin: float = MARGIN) -> tuple[np.ndarray, np.ndarray]:
    """Return the verdicts of a race, and the images that each contrast took."""
    sizes = sizes_for(values.shape[-1])
    design = InterimDesign(sizes, values.shape[1] * values.shape[2])
    verdicts = np.full(values.shape[:-1], INCONCLUSIVE)
    used = np.full(values.shape[:-1], sizes[-1])
    for size, critical in zip(sizes, design.critical, strict=True):
        now = decide(values[..., :size], critical, margin)
        new = (verdicts == INCONCLUSIVE) & (now != INCONCLUSIVE)
        verdicts, used = np.where(new, now, verdicts), np.where(new, size, used)
    return verdicts, used


def false(verdicts: np.ndarray, effects: np.ndarray, margin: float = MARGIN) -> np.ndarray:
    """Return which verdicts are false; a difference of exactly the margin is not equivalent."""
    return (
        ((verdicts == BETTER) & (effects <= 0))
        | ((verdicts == WORSE) & (effects >= 0))
        | ((verdicts == EQUIVALENT) & (np.abs(effects) >= margin))
    )


def any_false(verdicts: np.ndarray, effects: np.ndarray) -> float:
    """Return the share of studies with any false verdict."""
    return float(false(verdicts, effects).any(axis=(1, 2)).mean())


def leaves_baseline(verdicts: np.ndarray) -> float:
    """Return the share of studies in which some contrast is better somewhere and worse nowhere."""
    better = (verdicts == BETTER).any(axis=1) & ~(verdicts == WORSE).any(axis=1)
    return float(better.any(axis=1).mean())


def _by_t(values: np.ndarray, critical: tuple[float, float], margin: float) -> np.ndarray:
    mean = values.mean(-1)
    error = values.std(-1, ddof=1) / math.sqrt(values.shape[-1])
    sign = np.where(mean > critical[0] * error, BETTER, INCONCLUSIVE)
    sign = np.where(mean < -critical[0] * error, WORSE, sign)
    return np.where(np.abs(mean) + critical[1] * error <= margin, EQUIVALENT, sign)
