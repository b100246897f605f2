"""The sign-flip test: how often would chance signs make a mean this far from zero?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

EXACT = 16
"""Images up to which every pattern of signs is tried."""

_DRAWS = 9_999
_BATCH = 4_000_000  # signs in memory at a time
_ROUNDING = 1e-9  # relative: sums of the same numbers in another order
_SINGLE = 1e-6  # the same in single precision


@dataclass(frozen=True)
class SignFlip:
    """The result of a sign-flip test."""

    p: float  # two-sided
    smallest: float  # the smallest p that this many images can give, whatever they show
    exact: bool  # True if all patterns of signs were tried, False if they were drawn


def sign_flip(gaps: Sequence[float] | np.ndarray) -> SignFlip:
    """Test whether differences are symmetric about zero, by flipping their signs.

    It assumes no normal distribution, only that under the null hypothesis a difference is as
    likely as its negative. Up to 16 images all 2**n patterns are counted; beyond, patterns are
    drawn with a fixed seed and the one observed is counted among them, which keeps the test valid
    (Phipson and Smyth, 2010).

    `gaps`: one finite difference per image.

    Raises:
        ValueError: There is no difference.
    """
    values = np.asarray(gaps, dtype=float)
    n = len(values)
    if n == 0:
        msg = "no differences given: a sign-flip test needs one image or more"
        raise ValueError(msg)
    limit = abs(values.sum()) - _ROUNDING * np.abs(values).sum()
    if n <= EXACT:
        share = float(np.mean(np.abs(_patterns(n) @ values) >= limit))
        return SignFlip(share, 2.0 ** (1 - n), exact=True)
    hits, batch = 0, max(1, _BATCH // n)
    single = values.astype(np.float32)  # half the memory to go through; no sum is exact here
    limit = abs(values.sum()) - _SINGLE * np.abs(values).sum()
    for start in range(0, _DRAWS, batch):
        signs = _signs(n, min(batch, _DRAWS - start), start)
        hits += int(np.count_nonzero(np.abs(signs @ single) >= limit))
    return SignFlip((1 + hits) / (1 + _DRAWS), 1 / (1 + _DRAWS), exact=False)


@lru_cache(maxsize=4)  # a study asks for the same number of images again and again
def _patterns(n: int) -> np.ndarray:
    return np.asarray(2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1) - 1)


@lru_cache(maxsize=4)
def _signs(n: int, draws: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.asarray(2 * rng.integers(2, size=(draws, n), dtype=np.int8) - 1, dtype=np.float32)
