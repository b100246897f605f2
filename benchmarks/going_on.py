"""What going on costs: more images for what is open, or another confirmation on the same images.

Drawn studies in which no difference is real. `verdicts.py` runs this and writes the page.
"""

from __future__ import annotations

import numpy as np
from drawn_studies import BETTER, WORSE, differences, ours, raced

from n2n_ablate.stats import Levels, decide

GROWING = ((6, 24), (6, 12, 24), (6, 8, 12, 16, 24))
"""Images of a study that is run again with more, as long as a contrast is open."""

HELD_OUT = 8
SPREAD = 0.15

MORE_IMAGES = f"""## More images for what is open

Share of studies with a false *better* or *worse* if inconclusive contrasts are run again with more \
images, each time by the rule of a single study; sd {SPREAD} dB."""

IN_TURN = f"""## Several bests confirmed one after another

Share of false verdicts in the last confirmation on {HELD_OUT} images, of one declared contrast and the bests of a \
search that is continued: a number of times that was fixed beforehand, or until there is a verdict."""


def more_images(rounds: int, seed: int = 6) -> list[dict[str, object]]:
    """How often is a verdict false if what is open gets more images, each time as a study of its own?"""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for contrasts in (2, 8):
        values = differences(rng, rounds, np.zeros((1, contrasts)), GROWING[0][-1], spread=SPREAD)
        levels = Levels(contrasts)
        for sizes in GROWING:
            each = [decide(values[..., :n], levels.critical(n), 0.0) for n in sizes]
            rows.append(
                {
                    "contrasts": contrasts,
                    "images": ", ".join(map(str, sizes)),
                    "the first alone": _any(each[0]),
                    "going on": _any(np.max(np.abs(each), axis=0)),
                    "a race from the start": _any(raced(values, 0.0)[0]),
                }
            )
    return rows


def in_turn(rounds: int, seed: int = 7) -> list[dict[str, object]]:
    """How often is a verdict of the last confirmation false, with a new best each time?"""
    rng = np.random.default_rng(seed)
    values = differences(rng, rounds, np.zeros((1, 5)), HELD_OUT, spread=SPREAD)
    every = [_false(values[:, :, : turn + 1]) for turn in range(1, 5)]
    alone = [_false(values[:, :, [0, turn]]) for turn in range(1, 5)]
    return [
        {
            "bests in turn": most,
            "all counted, as planned": float(every[most - 1].mean()),
            "all counted, until a verdict": float(np.any(every[:most], axis=0).mean()),
            "the last alone, until a verdict": float(np.any(alone[:most], axis=0).mean()),
        }
        for most in range(1, 5)
    ]


def _false(values: np.ndarray) -> np.ndarray:
    return np.isin(ours(values, 0.0), (BETTER, WORSE)).any(axis=(1, 2))


def _any(verdicts: np.ndarray) -> float:
    return float(np.isin(verdicts, (BETTER, WORSE)).any(axis=(1, 2)).mean())
