"""Are the verdicts right as often as they claim? Drawn studies with known answers, by the thousand.

    python benchmarks/verdicts.py                                    prints, takes some minutes
    python benchmarks/verdicts.py --out docs/results/statistics      writes JSON and Markdown

Every verdict comes from the code that the program decides with. Spreads are those of real studies:
0.02 to 0.15 dB over images, with a margin of 0.05 dB.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import scipy

sys.path.insert(0, str(Path(__file__).parent))

from drawn_studies import (
    BETTER,
    EQUIVALENT,
    INCONCLUSIVE,
    MARGIN,
    any_false,
    differences,
    leaves_baseline,
    old,
    ours,
    raced,
    t_alone,
)
from going_on import IN_TURN, MORE_IMAGES, in_turn, more_images

from n2n_ablate import stats
from n2n_ablate.stats import Levels, decide

FAMILIES = ((1, 1), (1, 3), (1, 10), (3, 3), (5, 4), (7, 3), (7, 10))
"""Conditions and contrasts."""

SIZES = (4, 6, 8, 14, 24)
KINDS = ("normal", "t3 arms", "skewed arms")
SPREADS = (0.02, 0.06)
SCENARIOS = ("all zero", "all at the margin", "beyond the margin", "mixed")


def effects_of(scenario: str, conditions: int, contrasts: int) -> np.ndarray:
    """Return true differences, shape (conditions, contrasts), of both signs."""
    sizes = {
        "all zero": [0.0],
        "all at the margin": [MARGIN],
        "beyond the margin": [1.5 * MARGIN],
        "mixed": [0.0, MARGIN, 2 * MARGIN, 0.5 * MARGIN],
    }[scenario]
    count = conditions * contrasts
    signs = np.where(np.arange(count) % 3 == 1, -1.0, 1.0)
    return (signs * np.resize(sizes, count)).reshape(conditions, contrasts)


def cells(
    families: tuple[tuple[int, int], ...], sizes: tuple[int, ...], kinds: tuple[str, ...]
) -> Iterator[tuple[int, int, int, str, str, float]]:
    """Yield what is drawn: conditions, contrasts, images, kind, scenario, spread."""
    for conditions, contrasts in families:
        for n in sizes:
            for kind in kinds:
                for scenario in SCENARIOS:
                    for spread in SPREADS:
                        yield conditions, contrasts, n, kind, scenario, spread


def false_verdicts(
    rounds: int,
    seed: int = 1,
    families: tuple[tuple[int, int], ...] = FAMILIES,
    sizes: tuple[int, ...] = SIZES,
    kinds: tuple[str, ...] = KINDS,
) -> list[dict[str, object]]:
    """How often does a study contain any false verdict? By family, images, kind, scenario and spread."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for conditions, contrasts, n, kind, scenario, spread in cells(families, sizes, kinds):
        effects = effects_of(scenario, conditions, contrasts)
        row: dict[str, object] = {
            "conditions": conditions,
            "contrasts": contrasts,
            "images": n,
            "kind": kind,
            "scenario": scenario,
            "spread": spread,
        }
        counts = {"one study": 0.0, "race": 0.0, "old rule": 0.0}
        if scenario == "all zero":
            counts |= {"best leaves": 0.0, "old best leaves": 0.0}
        batch = max(200, min(rounds, 4_000_000 // (conditions * contrasts * n)))
        done = 0
        while done < rounds:
            size = min(batch, rounds - done)
            values = differences(rng, size, effects, n, spread=spread, kind=kind)
            given, before, race = ours(values), old(values), raced(values)[0]
            found = {
                "one study": any_false(given, effects),
                "race": any_false(race, effects),
                "old rule": any_false(before, effects),
                "best leaves": max(leaves_baseline(given), leaves_baseline(race)),
                "old best leaves": leaves_baseline(before),
            }
            for name in counts:
                counts[name] += found[name] * size / rounds
            done += size
        rows.append(row | counts)
    return rows


def limit(rounds: int) -> float:
    """Return 5 % with three Monte Carlo standard errors."""
    return 0.05 + 3 * math.sqrt(0.05 * 0.95 / rounds)


def worst(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Return the worst cell of each family under both rules, over everything else."""
    table = []
    for conditions, contrasts in dict.fromkeys((r["conditions"], r["contrasts"]) for r in rows):
        own = [r for r in rows if (r["conditions"], r["contrasts"]) == (conditions, contrasts)]
        line: dict[str, object] = {
            "conditions": conditions,
            "contrasts": contrasts,
            "cells": len(own),
        }
        for name in ("one study", "race", "best leaves", "old rule", "old best leaves"):
            line[name] = max(float(r[name]) for r in own if name in r)
        table.append(line)
    return table


def skewed(rounds: int, seed: int = 2, contrasts: int = 8) -> list[dict[str, object]]:
    """What does Hall's limit do where the differences themselves are skewed, and what does it cost?"""
    rng = np.random.default_rng(seed)
    zero, rows = np.zeros((1, contrasts)), []
    for n in (8, 14, 24):
        values = differences(rng, rounds, zero, n, kind="skewed differences")
        critical = Levels(contrasts).critical(n)
        effect = _t_effect(n, critical[0])
        real = differences(rng, rounds, np.full((1, 1), effect), n)
        wide = decide(real, critical, 0.0) == BETTER
        plain = real.mean(-1) > critical[0] * real.std(-1, ddof=1) / math.sqrt(n)
        rows.append(
            {
                "images": n,
                "false, t alone": any_false(t_alone(values, 0.0), zero),
                "false, as decided": any_false(ours(values, 0.0), zero),
                "power on normal data, t alone": float(plain.mean()),
                "power on normal data, as decided": float(wide.mean()),
            }
        )
    return rows


def _t_effect(n: int, critical: float) -> float:
    """Return the effect that t alone finds with a power of 0.8."""
    low, high = 0.0, 5.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (
            (middle, high) if stats.planning.power(middle, n, critical) < 0.8 else (low, middle)
        )
    return high


def left_out(rounds: int, seed: int = 3) -> list[dict[str, object]]:
    """How often does a better or worse vanish when one image is left out, false ones and true ones?"""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for n in (6, 8, 14, 24):
        critical, fewer = Levels(2).critical(n), Levels(2).critical(n - 1)
        row: dict[str, object] = {"images": n}
        for name, effect in (("false", 0.0), ("true, power about 0.8", None)):
            size = stats.planning.detectable_effect(n, critical[0]) if effect is None else effect
            values = differences(rng, rounds, np.full((1, 1), size), n)[:, 0, 0]
            codes = decide(values, critical, 0.0)
            kept = values[codes != INCONCLUSIVE]
            codes = codes[codes != INCONCLUSIVE]
            rest = np.stack([np.delete(kept, i, axis=1) for i in range(n)], axis=1)
            same = (decide(rest, fewer, 0.0) == codes[:, None]).all(axis=1)
            row[name] = float(1 - same.mean())
        rows.append(row)
    return rows


def powers(rounds: int, seed: int = 4) -> list[dict[str, object]]:
    """How often is a true +0.1 dB called better, and a true zero equivalent?"""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for size in (1, 2, 8, 9):
        for spread in (0.02, 0.06, 0.15):
            for n in SIZES:
                row: dict[str, object] = {"family": size, "spread": spread, "images": n}
                for name, effect, code in (
                    ("+0.1 dB better", 0.1, BETTER),
                    ("zero equivalent", 0.0, EQUIVALENT),
                ):
                    values = differences(rng, rounds, np.full((1, 1), effect), n, spread=spread)
                    given = decide(values, Levels(size).critical(n), MARGIN)
                    row[name] = float((given == code).mean())
                rows.append(row)
    return rows


def planning(rounds: int, seed: int = 5) -> list[dict[str, object]]:
    """Do planning figures keep what they say? They rest on a spread that is itself estimated."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for n in (4, 6, 8, 14, 24):
        critical = Levels(2).critical(n)[0]
        effect = stats.planning.detectable_effect(n, critical)
        sds = rng.standard_normal((rounds, n)).std(axis=1, ddof=1)
        factor = stats.spread_limit(1.0, n)
        rows.append(
            {
                "images": n,
                "detectable, in true standard deviations": effect,
                "as printed, median": float(np.median(sds) * effect * factor),
                "printed figure has power 0.8": float((sds * factor >= 1).mean()),
                "without the upper end": float((sds >= 1).mean()),
            }
        )
    return rows


def races(rounds: int, seed: int = 8) -> list[dict[str, object]]:
    """What does a race save? Images that a contrast takes, and how often it is decided."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for contrasts in (2, 12):
        for effect in (0.0, 0.8, 1.2, 2.0):
            values = differences(rng, rounds, np.full((1, contrasts), effect), 24)
            # A margin of one standard deviation, so that zero can be called equivalent.
            verdicts, used = raced(values, 1.0 if effect == 0 else 0.0)
            once = ours(values, 1.0 if effect == 0 else 0.0)
            rows.append(
                {
                    "contrasts": contrasts,
                    "effect in sd": effect,
                    "decided": float((verdicts != INCONCLUSIVE).mean()),
                    "decided without a race": float((once != INCONCLUSIVE).mean()),
                    "images of 24": float(used.mean()),
                }
            )
    return rows


def measure(rounds: int) -> dict[str, object]:
    rows = false_verdicts(rounds)
    return {
        "limit": limit(rounds),
        "worst": worst(rows),
        "cells": rows,
        "skewed": skewed(rounds),
        "left out": left_out(rounds),
        "power": powers(rounds),
        "planning": planning(rounds),
        "races": races(rounds),
        "more images": more_images(rounds),
        "in turn": in_turn(rounds),
    }


def table(rows: list[dict[str, object]]) -> str:
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    lines += ["| " + " | ".join(map(_cell, row.values())) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}" if value < 1.5 else f"{value:.2f}"
    return str(value)


def page(found: dict[str, object], machine: str, command: str) -> str:
    count = len(found["cells"])
    parts = [
        "# Are the verdicts right as often as they claim?",
        (
            "Simulated studies with known effects, decided by the program's own code. "
            "[How verdicts are decided](../explanation/fairness-and-statistics.md)."
        ),
        "## Any false verdict in a study",
        (
            f"Share of studies with any false verdict, the worst of the cells of each family: {', '.join(map(str, SIZES))} "
            f"images; {', '.join(KINDS)}; all differences zero, at the margin of {MARGIN} dB, beyond it, mixed; sd "
            f"{' and '.join(map(str, SPREADS))} dB; {count} cells in all. *Best leaves*: share of studies without any "
            "difference in which `best` replaces the baseline. *Old rule*: a family for each condition, and the interval of "
            f"better and worse for equivalent too. 5 % plus three Monte Carlo standard errors is {found['limit']:.4f}."
        ),
        table(found["worst"]),
        "## Skewed differences",
        (
            "Exponentially distributed differences, a family of eight, all true means zero; and the power that Hall's limit costs "
            "where differences are normal and t alone has a power of 0.8. It is used from 14 images on."
        ),
        table(found["skewed"]),
        "## Without one image",
        "Share of better and worse that vanish when some single image is left out; a family of two.",
        table(found["left out"]),
        "## Power",
        "How often a true +0.1 dB is called better, and a true zero equivalent, by size of the family and sd over images.",
        table(found["power"]),
        "## Planning figures",
        (
            "The difference that is printed as detectable uses the upper end of the 80 % interval of the spread. In how many "
            "studies is the true power for it at least 0.8?"
        ),
        table(found["planning"]),
        f"## Races: interim analyses after {', '.join(map(str, stats.sizes_for(24)))} of 24 images",
        "For an effect of zero the margin is one standard deviation.",
        table(found["races"]),
        *(MORE_IMAGES, table(found["more images"])),
        *(IN_TURN, table(found["in turn"])),
        f"{machine}.",
        f"Command: `{command}`",
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--out", type=Path, help="without suffix: writes .json and .md")
    given = parser.parse_args()
    start = time.perf_counter()
    found = measure(given.rounds)
    seconds = time.perf_counter() - start
    machine = (
        f"{given.rounds} simulated studies per cell, {seconds:.0f} s; numpy {np.__version__}, "
        f"scipy {scipy.__version__}, Python {platform.python_version()}"
    )
    command = f"python {shlex.join(sys.argv)}"
    text = page(found, machine, command)
    if given.out:
        rest = {name: rows for name, rows in found.items() if name != "cells"}
        text = json.dumps({"command": command, "machine": machine, **rest}, indent=1).rstrip("}\n")
        lines = ",\n  ".join(map(json.dumps, found["cells"]))  # one a line: there are hundreds
        text = f'{text},\n "cells": [\n  {lines}\n ]\n}}\n'
        given.out.with_suffix(".json").write_text(text)
        given.out.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
