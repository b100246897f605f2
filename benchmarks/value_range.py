"""What the robust range of `denoise` costs on 8-bit images, and what 10 and 12 bits in 16 change.

    python benchmarks/value_range.py kodak24/ --crop 128 --steps 300

Every version of an image is denoised with the same initial weights and the same random numbers.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from n2n_ablate import engine
from n2n_ablate.images import Image, collect, stack, to_pixels
from n2n_ablate.images.image import Samples
from n2n_ablate.registry import Registry
from n2n_ablate.runner.denoising import choose_recipe, denoise_all

VERSIONS = {"8 bits": 8, "10 bits in 16": 10, "12 bits in 16": 12, "16 bits": 16}


def psnr(
    image: Image, registry: Registry, recipe: object, machine: engine.Machine, clean: np.ndarray
) -> float:
    """Return the PSNR of an image denoised, over the range of its type."""
    (result,) = denoise_all([image], recipe, registry, machine)
    pixels = result.image[0].permute(1, 2, 0).numpy()
    found = image.range.to_samples(pixels).astype(float) / top_of(image)
    return float(-10 * np.log10(np.square(found.clip(0, 1) - clean).mean()))


def top_of(image: Image) -> float:
    """Return the sample that is white: the name of an image says how many bits it uses."""
    return float(2 ** VERSIONS[image.name] - 1)


def main() -> None:
    """Print a row per image: PSNR over the type's range, and its change by the robust range."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", nargs="+")
    parser.add_argument("--crop", type=int, default=128)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--sigma", type=float, default=25)
    given = parser.parse_args()
    registry, machine = Registry(), engine.machine("cpu", "auto")
    _, recipe = choose_recipe(
        registry, output=Path("mlruns"), settings=[f"training.steps={given.steps}"]
    )
    print("image | full range (dB) |", " | ".join(f"robust range, {name}" for name in VERSIONS))
    changes = []
    for number, whole in enumerate(collect(given.images)):
        clean = whole.cropped(given.crop).pixels[0].permute(1, 2, 0).double().numpy()
        noise = np.random.default_rng(number).normal(0, given.sigma / 255, clean.shape)
        noisy = (clean + noise).clip(0, 1)
        plain = np.rint(noisy * 255).astype(np.uint8)
        full = psnr(Image("8 bits", to_pixels(plain, whole.name)), registry, recipe, machine, clean)
        row = []
        for name, bits in VERSIONS.items():
            kind = np.uint8 if bits == 8 else np.uint16
            samples = Samples(np.rint(noisy * (2**bits - 1)).astype(kind))
            (one,) = stack([samples], name)
            row.append(psnr(one, registry, recipe, machine, clean) - full)
        changes.append(row)
        print(
            whole.name,
            "|",
            f"{full:.2f}",
            "|",
            " | ".join(f"{each:+.3f}" for each in row),
            flush=True,
        )
    print("mean | |", " | ".join(f"{each:+.3f}" for each in np.mean(changes, axis=0)))


if __name__ == "__main__":
    main()
