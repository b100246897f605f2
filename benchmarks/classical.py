"""Classical denoisers on the published crops: `python benchmarks/classical.py FOLDER_OF_KODAK24`.

Centre crops of 256x256, Gaussian noise, clipped, one draw: the protocol of Mansour and Heckel (2023),
whose table has BM3D on it. Prints a Markdown table, mean PSNR in dB.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from n2n_ablate.engine.classical import non_local_means, sliding_dct
from n2n_ablate.engine.identity import generator
from n2n_ablate.images import gather
from n2n_ablate.images.noise_level import noise_level
from n2n_ablate_plugins.noises import Gaussian

METHODS = {"non-local means": non_local_means, "sliding DCT": sliding_dct}


def main(folder: str, sigmas: tuple[int, ...] = (10, 25, 50)) -> None:
    """Print the table."""
    images = gather([folder], 256).images
    print(f"| method, {len(images)} images | level | {' | '.join(map(str, sigmas))} |")
    print(f"|---|---|{'---|' * len(sigmas)}")
    means: dict[tuple[str, str], list[float]] = {}
    for sigma in sigmas:
        values: dict[tuple[str, str], list[float]] = {}
        for image in images:
            noisy = Gaussian(float(sigma)).apply(image.pixels, generator("noise", image.digest, 0))
            level = noise_level(noisy[0].permute(1, 2, 0).double().numpy())
            for name, method in METHODS.items():
                for how, used in (("known", sigma / 255), ("estimated", level)):
                    error = method(noisy, used).clamp(0, 1) - image.pixels
                    psnr = -10 * float(error.square().mean().log10())
                    values.setdefault((name, how), []).append(psnr)
        for key, each in values.items():
            means.setdefault(key, []).append(sum(each) / len(each))
    for (name, how), row in means.items():
        print(f"| {name} | {how} | {' | '.join(f'{value:.2f}' for value in row)} |")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(str(Path(sys.argv[1])))
