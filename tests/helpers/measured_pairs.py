"""Tiny measured pairs on disk, and a study on them."""

import numpy as np
from PIL import Image as Pillow
from typer.testing import CliRunner

from n2n_ablate.cli import app

SIDE = 40
STUDY = """
name = "measured"
question = "Which sampler survives?"
design = "one-at-a-time"
baseline = { sampler = "diagonal", backbone = "zs-n2n", loss = "residual-consistency", training = "adam" }
conditions = [CONDITIONS]
factors = { sampler = [{ name = "stripe", axis = "rows" }] }
profiles = { quick = { PROFILE set = { "training.steps" = 3 } } }
"""


def scene(number):
    """A clean picture with structure, unlike those of other numbers."""
    rng = np.random.default_rng(number)
    coarse = rng.uniform(60, 200, (6, 6))
    return np.kron(coarse, np.ones((7, 7)))[:SIDE, :SIDE] + rng.uniform(-4, 4, (SIDE, SIDE))


def save(path, array, dtype=np.uint8):
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(np.rint(array).clip(0, np.iinfo(dtype).max).astype(dtype)).save(path)


def shot(number, seed):
    return scene(number) + np.random.default_rng(100 * number + seed).normal(0, 12, (SIDE, SIDE))


def pairs(folder, form="{n}_mean.png", noisy="{n}_real.png", scenes=(1, 2, 3), shots=1):
    for n in scenes:
        save(folder / form.format(n=n), scene(n))
        for k in range(1, shots + 1):
            save(folder / noisy.format(n=n, k=k), shot(n, k))
    return folder


def study(folder, conditions, profile=""):
    path = folder / "measured.toml"
    path.write_text(
        STUDY.replace("CONDITIONS", conditions).replace("PROFILE", profile), encoding="utf-8"
    )
    return str(path)


def run(*words):
    found = CliRunner().invoke(app, list(words))
    assert found.exit_code == 0, found.output
    return found.output
