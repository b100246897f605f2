"""What going on costs: more images for what is open, or another confirmation on the same images.

Drawn studies in which no difference is real. `verdicts.py` runs this and writes the page.
"""

from __future__ import annotations

import numpy as np
from drawn_studies import gaps, intervals, race, words

from n2n_ablate.runner.interim import sizes_for
from n2n_ablate.stats import Looks, family_level, t_critical

GROWING = ((6, 24), (6, 12, 24), (6, 8, 12, 16, 24))
"""Images of a study that is run again with more, as long as a contrast is open."""

HELD_OUT = 8
SPREAD = 0.15

MORE_IMAGES = f"""## More images for what is open

Share of studies with a false *better* or *worse* if what is open is run again with more images, \
each time with a plain interval; sd {SPREAD} dB."""

IN_TURN = f"""## Several bests confirmed in turn

The same of the last confirmation on {HELD_OUT} images, of one declared contrast and the bests of a \
search that goes on: for a number that was fixed beforehand, or until there is a word."""


def more_images(rounds: int, seed: int = 6) -> list[dict[str, object]]:
    """How often is a word false if what is open gets more images, each time with a plain interval?"""
    rng = np.random.default_rng(seed)
    found: list[dict[str, object]] = []
    for contrasts in (2, 8):
        values = gaps(rng, rounds, GROWING[0][-1], arms=contrasts, spread=SPREAD)
        for sizes in GROWING:
            looks = Looks(sizes, contrasts=contrasts)
            plain = np.array([t_critical(family_level(contrasts), size) for size in sizes])
            once = words(*intervals(values[..., : sizes[0]], plain[0]))
            raced = Looks(sizes_for(sizes[-1]), contrasts=contrasts)
            found.append(
                {
                    "contrasts": contrasts,
                    "images": ", ".join(map(str, sizes)),
                    "the first alone": _any(once),
                    "going on": _any(race(values, looks, plain)[0]),
                    "a race from the start": _any(race(values, raced)[0]),
                }
            )
    return found


def in_turn(rounds: int, seed: int = 7) -> list[dict[str, object]]:
    """How often is a word of the last confirmation false, with a new best each time?

    One declared contrast, and so many bests one after the other on the same images.
    """
    rng = np.random.default_rng(seed)
    values = gaps(rng, rounds, HELD_OUT, arms=5, spread=SPREAD)
    every = [_false(values[:, : turn + 1]) for turn in range(1, 5)]
    alone = [_false(values[:, [0, turn]]) for turn in range(1, 5)]
    return [
        {
            "bests in turn": most,
            "all counted, as planned": float(every[most - 1].mean()),
            "all counted, until a word": float(np.any(every[:most], axis=0).mean()),
            "the last alone, until a word": float(np.any(alone[:most], axis=0).mean()),
        }
        for most in range(1, 5)
    ]


def _false(values: np.ndarray) -> np.ndarray:
    """Say of each study whether one of its contrasts, all of one family, gets a false word."""
    critical = t_critical(family_level(values.shape[1]), HELD_OUT)
    return (np.abs(words(*intervals(values, critical))) == 1).any(-1)


def _any(given: np.ndarray) -> float:
    """Return the share of studies with a better or worse: none is real."""
    return float((np.abs(given) == 1).any(-1).mean())
