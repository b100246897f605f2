"""A study of seconds: a small network on one noise; each test says what is varied, and on which images."""

import torch

from n2n_ablate.images import write

TEXT = """
name = "{name}"
question = "Which centre?"
design = "{design}"

[baseline]
sampler = {{ name = "three-by-three", center = 0.01 }}
backbone = {{ name = "zs-n2n", width = {width} }}
loss = "residual-consistency"
training = "adam"

[[conditions]]
noise = {{ name = "gaussian", sigma = 25.0 }}
label = "sigma 25"

[factors]
{factors}

[profiles.quick]
images = ["photos"]
crop = {crop}
set = {{ "training.steps" = {steps} }}
"""


def small_study(name, *factors, design="one-at-a-time", steps=4, width=8, crop=20):
    """Return the text of the study; `factors` are lines of TOML."""
    lines = "\n".join(factors)
    return TEXT.format(name=name, design=design, factors=lines, steps=steps, width=width, crop=crop)


def write_photos(folder, *names):
    """Write its images, the one called `one` by default."""
    (folder / "photos").mkdir(parents=True)
    for seed, name in enumerate(names or ("one",), 1):
        pixels = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(seed))
        write(folder / "photos" / f"{name}.png", pixels)
