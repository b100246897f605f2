"""Are the verdicts right as often as they promise? Drawn studies with known answers, by the thousand.

    python benchmarks/verdicts.py                                    prints, takes half a minute
    python benchmarks/verdicts.py --out docs/results/statistics      writes JSON and Markdown

Spreads are those measured in real studies: 0.02 to 0.15 dB over images.
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import sys
import time
from pathlib import Path

import numpy as np
import scipy

sys.path.insert(0, str(Path(__file__).parent))

from drawn_studies import (
    IMAGE,
    MARGIN,
    SEED,
    SEEDS,
    always_valid,
    gaps,
    holm_words,
    intervals,
    race,
    seeded_gaps,
    words,
)
from going_on import IN_TURN, MORE_IMAGES, in_turn, more_images

from n2n_ablate.runner.interim import sizes_for
from n2n_ablate.stats import Looks, family_level, t_critical
from n2n_ablate.stats.boundaries import Spending, obrien_fleming, pocock, squared

KINDS = ("normal", "t3 arms", "skewed arms", "t3", "skewed")
"""Of values: the arms' own parts, or the differences themselves, without a shared baseline."""

SIZES = (4, 6, 8, 24)
SPREADS = (0.02, 0.06, 0.15)
LOOKS = sizes_for(24)
"""As a race on 24 images looks at them."""


# What is asked


def coverage(rounds: int, seed: int = 0) -> dict[str, dict[str, float]]:
    """How often does one 95 % interval hold the true mean? By images, for each kind of value."""
    rng = np.random.default_rng(seed)
    found: dict[str, dict[str, float]] = {}
    for n in SIZES:
        row = {}
        for kind in KINDS:
            mean, half = intervals(gaps(rng, rounds, n, kind=kind)[:, 0], t_critical(0.95, n))
            row[kind] = float(np.mean(np.abs(mean) <= half))
        values = seeded_gaps(rng, rounds, n)
        mean, half = intervals(values.mean(-1), t_critical(0.95, n))
        row["seeds averaged"] = float(np.mean(np.abs(mean) <= half))
        mean, half = intervals(values.reshape(rounds, -1), t_critical(0.95, n * SEEDS))
        row["seeds as images"] = float(np.mean(np.abs(mean) <= half))
        found[str(n)] = row
    return found


def false_words(rounds: int, seed: int = 1, arms: int = 10) -> dict[str, dict[str, float]]:
    """How often does a family of ten get any false word? By images and kind of value."""
    rng = np.random.default_rng(seed)
    level = family_level(arms)
    half_real = np.where(np.arange(arms) < arms // 2, 0.1, 0.0)
    found = {}
    for n in SIZES:
        for kind in KINDS:
            row = {}
            critical = t_critical(level, n)
            nothing = gaps(rng, rounds, n, arms=arms, spread=0.06, kind=kind)
            some = gaps(rng, rounds, n, arms=arms, effects=half_real, spread=0.06, kind=kind)
            row["better or worse, none real"] = _any(
                np.abs(words(*intervals(nothing, critical))) == 1
            )
            mean, half = intervals(some, critical)
            row["better or worse, half real"] = _any(
                np.abs(words(mean, half)[:, half_real == 0]) == 1
            )
            for spread in (0.005, 0.02, 0.06):
                edge = gaps(rng, rounds, n, arms=arms, effects=MARGIN, spread=spread, kind=kind)
                row[f"equivalent, sd {spread}"] = _any(words(*intervals(edge, critical)) == 2)
            row["any interval misses"] = _any(np.abs(mean - half_real) > half)
            found[f"{n}, {kind}"] = row
    return found


def false_words_of_holm(rounds: int, seed: int = 5, arms: int = 10) -> dict[str, dict[str, float]]:
    """What would words off Holm's step-down intervals risk? Ten independent contrasts, small spread."""
    rng = np.random.default_rng(seed)
    found = {}
    for n in SIZES:
        edge = gaps(rng, rounds, n, arms=arms, effects=MARGIN, spread=0.0005, kind="independent")
        ours = words(*intervals(edge, t_critical(family_level(arms), n)))
        found[str(n)] = {
            "equivalent, Holm's intervals": _any(holm_words(edge) == 2),
            "equivalent, ours": _any(ours == 2),
        }
    return found


def false_races(rounds: int, seed: int = 2, arms: int = 10) -> dict[str, dict[str, float]]:
    """How often does a family of ten get a false word at any look?"""
    rng = np.random.default_rng(seed)
    found = {}
    plain = np.array([t_critical(family_level(arms), size) for size in LOOKS])
    for kind in KINDS:
        row = {}
        nothing = gaps(rng, rounds, LOOKS[-1], arms=arms, spread=0.06, kind=kind)
        edge = gaps(rng, rounds, LOOKS[-1], arms=arms, effects=MARGIN, spread=0.02, kind=kind)
        looks = Looks(LOOKS, contrasts=arms)
        row["better or worse"] = _any(np.abs(race(nothing, looks)[0]) == 1)
        row["equivalent"] = _any(race(edge, looks)[0] == 2)
        row["better or worse, intervals for one look"] = _any(
            np.abs(race(nothing, looks, plain)[0]) == 1
        )
        row["equivalent, intervals for one look"] = _any(race(edge, looks, plain)[0] == 2)
        found[kind] = row
    return found


def powers(rounds: int, seed: int = 3) -> list[dict[str, float]]:
    """How often is a true +0.1 dB called better? For families of which some or all are real."""
    rng = np.random.default_rng(seed)
    found = []
    for arms, count in ((1, 1), (2, 1), (2, 2), (10, 5), (10, 10)):
        real = np.arange(arms) < count
        for spread in SPREADS:
            for n in SIZES:
                values = gaps(rng, rounds, n, arms=arms, effects=0.1 * real, spread=spread)
                given = words(*intervals(values, t_critical(family_level(arms), n)))
                found.append(
                    {
                        "contrasts": arms,
                        "real": count,
                        "spread": spread,
                        "images": n,
                        "called better": float(np.mean(given[:, real] == 1)),
                        "by Holm": float(np.mean(holm_words(values)[:, real] == 1)),
                    }
                )
    return found


def spendings(rounds: int, seed: int = 4) -> list[dict[str, object]]:
    """Which way to spend the error? Effects in sd over images, 24 images in the looks of a race."""
    rng = np.random.default_rng(seed)
    ways: dict[str, Spending | None] = {
        "share squared (ours)": squared,
        "O'Brien-Fleming": obrien_fleming,
        "Pocock": pocock,
        "always valid": None,
    }
    found: list[dict[str, object]] = []
    for contrasts in (2, 10):
        for name, way in ways.items():
            looks = Looks(LOOKS, contrasts=contrasts, spending=way or squared)
            criticals = np.array(looks.critical)
            if way is None:
                criticals = always_valid(LOOKS, 0.05 / contrasts)
            row: dict[str, object] = {
                "contrasts": contrasts,
                "spending": name,
                "last critical": float(criticals[-1]),
                "one look": t_critical(family_level(contrasts), LOOKS[-1]),
            }
            for effect in (0.7, 1.0, 1.5, 2.5):
                values = effect + rng.standard_normal((rounds, LOOKS[-1]))
                # The margin is out of reach: what counts is how soon the sign is known.
                settled = np.array(
                    [
                        words(*intervals(values[:, :size], critical), margin=0.0) == 1
                        for size, critical in zip(LOOKS, criticals, strict=True)
                    ]
                )
                first = np.where(settled.any(0), np.array(LOOKS)[settled.argmax(0)], LOOKS[-1])
                row[f"settled at {effect} sd"] = float(settled.any(0).mean())
                row[f"images at {effect} sd"] = float(first.mean())
            found.append(row)
    return found


def _any(false: np.ndarray) -> float:
    return float(false.any(-1).mean())


# What is written


def measure(rounds: int) -> dict[str, object]:
    return {
        "coverage": coverage(rounds),
        "false words": false_words(rounds),
        "false words of Holm": false_words_of_holm(rounds),
        "false words in a race": false_races(rounds),
        "power": powers(rounds),
        "spending": spendings(rounds),
        "more images": more_images(rounds),
        "in turn": in_turn(rounds),
    }


def table(rows: list[dict[str, object]]) -> str:
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    lines += ["| " + " | ".join(map(_cell, row.values())) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: object) -> str:
    return (
        f"{value:.3f}"
        if isinstance(value, float) and value < 1.5
        else (f"{value:.2f}" if isinstance(value, float) else str(value))
    )


def named(key: str, rows: dict[str, dict[str, float]]) -> list[dict[str, object]]:
    return [{key: name, **row} for name, row in rows.items()]


def page(found: dict[str, object], machine: str, command: str) -> str:
    parts = [
        "# Are the verdicts right as often as they promise?",
        (
            "Drawn studies with known answers. Spreads as measured in real studies; contrasts share "
            "the baseline. [How verdicts are decided](../explanation/fairness-and-statistics.md)."
        ),
        "## One interval",
        (
            "Share of 95 % intervals that hold the true mean, by images. *t3* (Student's t with 3 degrees "
            "of freedom) and *skewed* (exponential) are the differences themselves; *arms*: what both "
            "trials add is of that kind, and the difference of the two is symmetric. *Seeds averaged* and "
            f"*seeds as images*: three seeds, trial x image sd {IMAGE} dB, trial x seed sd {SEED} dB."
        ),
        table(named("images", found["coverage"])),
        "## A family of ten",
        (
            "Share of studies with any false word among ten. *Equivalent*: all ten differ by exactly the "
            "margin, so the word is false. Half real: five differ by 0.1 dB; sd 0.06 dB."
        ),
        table(named("images, values", found["false words"])),
        (
            "Words read off Holm's step-down intervals instead: ten contrasts that share nothing, all "
            "differing by exactly the margin, sd 0.0005 dB."
        ),
        table(named("images", found["false words of Holm"])),
        f"## A race: looks after {', '.join(map(str, LOOKS))} images",
        (
            f"Share of studies with any false word among ten contrasts that are looked at {len(LOOKS)} times and "
            "dropped once settled; sd 0.06 dB for *better or worse*, 0.02 dB for *equivalent*."
        ),
        table(named("values", found["false words in a race"])),
        "## Power against +0.1 dB",
        (
            "How often a true +0.1 dB is called better. The last column is what Holm's step-down "
            "intervals would give."
        ),
        table(found["power"]),
        "## How to spend the error",
        "Share of contrasts settled, and mean images used, for true effects in standard deviations.",
        table(found["spending"]),
        *(MORE_IMAGES, table(found["more images"])),
        *(IN_TURN, table(found["in turn"])),
        f"{machine}.",
        f"Command: `{command}`",
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20_000)
    parser.add_argument("--out", type=Path, help="without suffix: writes .json and .md")
    given = parser.parse_args()
    start = time.perf_counter()
    found = measure(given.rounds)
    seconds = time.perf_counter() - start
    machine = (
        f"{given.rounds} drawn studies per cell, {seconds:.0f} s; numpy {np.__version__}, "
        f"scipy {scipy.__version__}, Python {platform.python_version()}"
    )
    command = f"python {shlex.join(sys.argv)}"
    text = page(found, machine, command)
    if given.out:
        record = {"command": command, "machine": machine, "looks": LOOKS, **found}
        given.out.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
        given.out.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
