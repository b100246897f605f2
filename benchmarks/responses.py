"""Do the bands of response curves hold as often as they promise? Drawn searches.

python benchmarks/responses.py                                        prints, takes ten minutes
python benchmarks/responses.py --out docs/results/response-curves     writes JSON and Markdown too
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import multiprocessing
import os
import shlex
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
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

COLUMNS = ("whole", "one place", "best place", "half-width", "near best")


def drawn(
    truth: np.ndarray, at: np.ndarray, images: int, rng: np.random.Generator
) -> list[dict[str, float]]:
    """Return values per image of trials at places between 0 and 1, given their true differences."""
    size, wave, turns = (rng.standard_normal(images) for _ in range(3))
    values = np.outer(truth, 1 + EFFECT * size) + WAVE * wave * np.sin(np.outer(at, 2 * turns))
    values += rng.normal(0, FIT, values.shape)
    return [{str(k): 28 + value for k, value in enumerate(row)} for row in values]


def curve(name: str, images: int, places: int, rng: np.random.Generator) -> tuple[float, ...]:
    """Draw a search over one number: both ends, the baseline third, places at random."""
    at = np.concatenate([[0.0, 1.0], rng.random(places - 2)])
    truth = TRUTHS[name]
    trials = drawn(truth(at), at, images, rng)
    found = response(at, trials, trials[2])
    assert found is not None
    return held(found, truth(found.grid) - truth(at[2:3]), np.ones(len(found.grid), bool))


def held(found: object, exact: np.ndarray, inside: np.ndarray) -> tuple[float, ...]:
    """Return what a curve held: all of it, one place, the best place; and two widths."""
    miss = np.abs(found.mean - exact)
    best = np.where(inside, exact, -np.inf).argmax()
    return (
        (miss <= found.half_width)[inside].all(),
        (miss <= found.pointwise)[inside].mean(),
        found.near_best.ravel()[best],
        np.median(found.half_width[inside]),
        found.near_best[inside].mean(),
    )


def case(name: str, images: int, places: int, draws: int) -> dict[str, object]:
    """Draw one row of the page."""
    rng = np.random.default_rng([len("curve"), images, places, list(TRUTHS).index(name)])
    shares = [curve(name, images, places, rng) for _ in range(draws)]
    values = dict(zip(COLUMNS, np.mean(shares, axis=0).tolist(), strict=True))
    return {"truth": name, "images": images, "places": places} | values


def rows(rounds: int) -> list[dict[str, object]]:
    """Draw every case, on all cores, and print as it goes."""
    curves = itertools.product(TRUTHS, IMAGES, PLACES, [rounds])
    found = []
    os.environ["OMP_NUM_THREADS"] = "1"  # small matrices: threads cost more than they give
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        for row in pool.map(case, *zip(*curves, strict=True)):
            found.append(row)
            print(line(row), flush=True)
    return found


def line(row: dict[str, object]) -> str:
    cells = [row["truth"], row["images"], row["places"]]
    cells += [f"{row['whole']:.3f}", f"{row['one place']:.3f}", f"{row['best place']:.3f}"]
    cells += [f"{row['half-width']:.2f}", f"{row['near best']:.2f}"]
    return f"| {' | '.join(map(str, cells))} |"


def page(found: list[dict[str, object]], rounds: int, command: str) -> str:
    parts = [
        "# Are response curves as sure as they say?",
        (
            "One smoother for all images (a plane and a Gaussian process, by restricted likelihood) makes a curve per\n"
            "image; mean and spread over images give the confidence band (Worsley, 1994; Taylor and Worsley, 2007), and\n"
            "`near_best` is the set of values that are not significantly below the best. Beyond the outermost values the\n"
            "curve is extrapolated and marked; a search chooses its values by their results, so for a curve free of\n"
            'selection bias use `strategy = "random"`.'
        ),
        (
            f"Simulated searches, {rounds} a row, over one number between 0 and 1: both ends and values at\n"
            f"random, the baseline among them. Images differ by {EFFECT:.0%} of the effect, by a smooth "
            f"wave of\n{WAVE} dB and by {FIT} dB a fit."
        ),
        (
            "*Whole*: share of studies whose band covers the whole true curve; *one place*: share of values at which the\n"
            "pointwise interval covers it; the nominal coverage is 0.95, for smooth curves. *Best place*: share of studies\n"
            "whose `near_best` contains the true best. Then the median half-width of the band in dB, and the share of the\n"
            f"range that is in `near_best`. A share of 0.95 of {rounds} simulations has a standard\n"
            f"error of {error(rounds):.3f}."
        ),
        (
            "Two curves show the limits. A *bump* is as narrow as the gaps between 7 values, and a *kink* is not\n"
            "smooth: there the coverage of the band is too low, and more images do not help, because\n"
            "the error is bias, not chance. `near_best` contains the best all the same."
        ),
        table(found),
        "```sh",
        command,
        "```",
    ]
    return "\n\n".join(parts) + "\n"


def error(draws: int) -> float:
    return math.sqrt(0.95 * 0.05 / draws)


def table(rows_: list[dict[str, object]]) -> str:
    head = f"| truth | images | places | {' | '.join(COLUMNS)} |"
    return "\n".join([head, "|" + "---|" * (3 + len(COLUMNS)), *map(line, rows_)])


def main() -> None:
    """Draw, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--out", type=Path, help="without suffix: writes .json and .md")
    given = parser.parse_args()
    found = rows(given.rounds)
    command = f"python {shlex.join(sys.argv)}"
    if given.out:
        record = {"command": command, "rounds": given.rounds, "rows": found}
        given.out.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")
        text = page(found, given.rounds, command)
        given.out.with_suffix(".md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
