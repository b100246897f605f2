"""Applies a recipe to an array in memory, and returns one of the same shape, type and range."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from n2n_ablate import engine
from n2n_ablate.images import arrays
from n2n_ablate.images.sources import stack
from n2n_ablate.registry import Registry
from n2n_ablate.runner.denoising import choose_recipe, denoise


def denoise_array(
    image: np.ndarray,
    *,
    output: Path,
    from_study: str = "",
    trial: str = "",
    settings: Sequence[str] = (),
    device: str = "auto",
    precision: str = "auto",
    seed: int = 0,
    plugins: Sequence[object] = (),
) -> np.ndarray:
    """Return a noisy image denoised; see `api.denoise`.

    Raises:
        AblateError: The image, the recipe or the device cannot be used, or training diverged.
    """
    given = np.asarray(image)
    noisy = stack(arrays.split(given, "the array"), "the array")
    registry = Registry(*plugins)
    _, recipe = choose_recipe(
        registry, output=output, from_study=from_study, trial=trial, settings=settings
    )
    machine = engine.machine(device, precision)
    found = []
    for one in noisy:
        pixels = denoise(one, recipe, registry, machine, seed=seed).image[0]
        found.append(one.range.to_samples(pixels.permute(1, 2, 0).numpy()))
    return np.stack(found).reshape(given.shape)
