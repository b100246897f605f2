"""Drawn studies with known answers, and the words they would get. Vectorised over studies.

The difference of arm a on image i with seed s is

    effect[a] + own[a, i] - own[0, i] + luck[a, i, s] - luck[0, i, s]

so all contrasts share the baseline's part, as they do in a real study.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import stats as scipy_stats

from n2n_ablate.stats import Looks

MARGIN = 0.05
IMAGE, SEED, SEEDS = 0.12, 0.07, 3  # sd over images and over seeds of one trial's own part, in dB


def drawn(rng: np.random.Generator, shape: tuple[int, ...], kind: str) -> np.ndarray:
    """Draw values of mean 0 and standard deviation 1: normal, Student's t with 3, exponential."""
    if kind.startswith("t3"):
        return rng.standard_t(3, shape) / math.sqrt(3)
    if kind.startswith("skewed"):
        return rng.exponential(1.0, shape) - 1
    return rng.standard_normal(shape)


def gaps(
    rng: np.random.Generator,
    rounds: int,
    n: int,
    *,
    arms: int = 1,
    effects: float | np.ndarray = 0.0,
    spread: float = 1.0,
    kind: str = "normal",
) -> np.ndarray:
    """Return differences, seeds averaged, shape (rounds, arms, n); `spread` is their sd over images."""
    effect = np.asarray(effects).reshape(-1, 1)
    if kind in ("t3", "skewed", "independent"):
        return effect + spread * drawn(rng, (rounds, arms, n), kind)
    own = drawn(rng, (rounds, arms + 1, n), kind) * spread / math.sqrt(2)
    return effect + own[:, 1:] - own[:, :1]


def seeded_gaps(rng: np.random.Generator, rounds: int, n: int) -> np.ndarray:
    """Return differences per image and seed, shape (rounds, n, seeds), true mean zero."""
    own = rng.standard_normal((rounds, n, 1)) * IMAGE * math.sqrt(2)
    return own + rng.standard_normal((rounds, n, SEEDS)) * SEED * math.sqrt(2)


def intervals(values: np.ndarray, critical: float) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and half-width over the last axis."""
    return values.mean(-1), critical * values.std(-1, ddof=1) / math.sqrt(values.shape[-1])


def words(mean: np.ndarray, half: np.ndarray, margin: float = MARGIN) -> np.ndarray:
    """Return 1 for better, -1 for worse, 2 for equivalent, 0 for not distinguishable."""
    sign = np.where(mean > half, 1, np.where(mean < -half, -1, 0))
    return np.where(np.abs(mean) + half <= margin, 2, sign)


def race(
    values: np.ndarray, looks: Looks, criticals: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the word at which each contrast settles, 0 if at none, and the images it took."""
    chosen = looks.critical if criticals is None else criticals
    word = np.zeros(values.shape[:-1], int)
    used = np.full(values.shape[:-1], looks.sizes[-1])
    for size, critical in zip(looks.sizes, chosen, strict=True):
        now = words(*intervals(values[..., :size], critical))
        new = (word == 0) & (now != 0)
        word, used = np.where(new, now, word), np.where(new, size, used)
    return word, used


def holm_words(values: np.ndarray) -> np.ndarray:
    """Return the words that Holm's step-down intervals would give, shape (rounds, arms)."""
    arms, n = values.shape[-2:]
    mean, error = intervals(values, 1.0)
    p = 2 * scipy_stats.t.sf(np.abs(mean) / error, n - 1)
    order = np.argsort(p, axis=-1)
    limits = 0.05 / (arms - np.arange(arms))
    rejected = np.cumprod(np.take_along_axis(p, order, -1) <= limits, -1).sum(-1)
    stop = np.minimum(rejected, arms - 1)[:, None]
    rank = np.argsort(order, axis=-1)
    level = 1 - limits[np.minimum(rank, stop)]
    critical = scipy_stats.t.isf((1 - level) / 2, n - 1)
    return words(mean, critical * error)


def always_valid(sizes: tuple[int, ...], alpha: float, scale: float = 1.0) -> np.ndarray:
    """Return critical values that hold at every number of images for ever.

    The t statistic's likelihood ratio, mixed over effects from N(0, scale**2) sd, stays below
    1 / alpha with probability 1 - alpha (Ville, 1939; for t see Lai, 1976).
    """
    n = np.asarray(sizes, float)
    mixed = 1 + n * scale**2
    ratio = (np.sqrt(mixed) / alpha) ** (2 / n)
    square = np.where(ratio < mixed, (ratio - 1) / np.maximum(1 - ratio / mixed, 1e-12), np.inf)
    return np.sqrt((n - 1) * square)
