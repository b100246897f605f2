"""Do the bands of response curves hold as often as they promise? Drawn searches with known curves.

python benchmarks/responses.py                                        prints
python benchmarks/responses.py --out docs/results/response-curves     writes Markdown too
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from n2n_ablate.stats import response

TRUTHS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "flat": lambda x: 0 * x,
    "peak inside": lambda x: -1.5 * (x - 0.3) ** 2,
    "falling": lambda x: -0.5 * x - x**2,
    "bump": lambda x: 0.5 * np.exp(-(((x - 0.6) / 0.2) ** 2)),
    "kink": lambda x: -np.abs(x - 0.4),
}
"""In dB over the range 0 to 1. A kink is not smooth: what happens then is part of the answer."""

IMAGES = (6, 12)
PLACES = (7, 12, 24)
EFFECT, WAVE, FIT = 0.3, 0.05, 0.04
"""Spread over images: of the effect's size, of a smooth deviation of its own, of a single fit."""


def drawn(
    truth: Callable[[np.ndarray], np.ndarray], images: int, places: int, rng: np.random.Generator
) -> tuple[np.ndarray, list[dict[str, float]]]:
    """Return places, both ends among them, and values per image; the third is the baseline."""
    at = np.concatenate([[0.0, 1.0], rng.random(places - 2)])
    size, wave, turns = (rng.standard_normal(images) for _ in range(3))
    values = np.outer(truth(at), 1 + EFFECT * size) + WAVE * wave * np.sin(np.outer(at, 2 * turns))
    values += rng.normal(0, FIT, values.shape)
    return at, [{str(k): 28 + value for k, value in enumerate(row)} for row in values]


def row(name: str, images: int, places: int, rounds: int) -> tuple[float, ...]:
    """Return shares of: whole curve held, a place held, best place in the set; and two widths."""
    rng = np.random.default_rng([images, places, list(TRUTHS).index(name)])
    truth, found = TRUTHS[name], []
    for _ in range(rounds):
        at, trials = drawn(truth, images, places, rng)
        curve = response(at, trials, trials[2])
        assert curve is not None
        exact = truth(curve.grid)
        miss = np.abs(curve.mean - exact + truth(at[2:3]))
        found.append(
            (
                (miss <= curve.half_width).all(),
                (miss <= curve.pointwise).mean(),
                curve.near_best[exact.argmax()],
                np.median(curve.half_width),
                curve.near_best.mean(),
            )
        )
    return tuple(float(value) for value in np.mean(found, axis=0))


def main() -> None:
    """Draw, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    lines = [
        "# Do response curves hold what they promise?",
        "",
        f"Drawn searches, {given.rounds} a row, of one number between 0 and 1: both ends and places at",
        f"random, the baseline among them. Images differ by {EFFECT:.0%} of the effect, by a smooth wave of",
        f"{WAVE} dB and by {FIT} dB a fit. [What is computed](../explanation/fairness-and-statistics.md#response-curves).",
        "",
        "*Whole curve*, *one place*: share of studies, of places in which the band and the pointwise",
        "interval hold the true curve; 0.95 is promised for smooth curves. *Best place*: share of studies",
        "whose `near_best` holds it. Then the median half-width of the band in dB, and the share of the",
        "range that could not be told from the best.",
        "",
        "Two rows are warnings. *Bump* with 7 places has gaps as wide as itself, and a *kink* is not",
        "smooth: with few images the band is wide enough for either, with many it is not.",
        "",
        "| curve | images | places | whole curve | one place | best place | half-width | near best |",
        "|---|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines))
    for name in TRUTHS:
        for images in IMAGES:
            for places in PLACES:
                values = row(name, images, places, given.rounds)
                cells = [*(f"{value:.2f}" for value in values)]
                lines.append(f"| {name} | {images} | {places} | {' | '.join(cells)} |")
                print(lines[-1], flush=True)
    lines += ["", f"    python {shlex.join(sys.argv)}"]
    if given.out:
        given.out.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
