"""What doing nothing and a classical denoiser give on paired data: the scale of the table."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from n2n_ablate.engine.paired_data import PairedData, one_thread
from n2n_ablate.images.noise_level import noise_level
from n2n_ablate.records import ReferenceMethods


def reference_methods(paired_data: PairedData) -> ReferenceMethods:
    """Return the figures of each method. Without scikit-image there is no classical denoiser."""
    denoisers: dict[str, Callable[[Tensor], Tensor]] = {"noisy": lambda noisy: noisy}
    if importlib.util.find_spec("skimage") is not None:
        denoisers["nl-means"] = non_local_means
    results: dict[str, dict[tuple[str, str], dict[str, float]]] = {}
    with one_thread():
        for name, denoiser in denoisers.items():
            by_image: dict[tuple[str, str], list[dict[str, float]]] = {}
            for sample in paired_data.samples:
                figures = paired_data.measure(denoiser(sample.noisy), sample)
                by_image.setdefault((sample.condition.label, sample.image.name), []).append(figures)
            results[name] = {
                key: {
                    metric: float(np.mean([each[metric] for each in seeds])) for metric in seeds[0]
                }
                for key, seeds in by_image.items()
            }
    return results


def non_local_means(noisy: Tensor) -> Tensor:
    """Denoise with non-local means (Buades et al., 2005), the noise level estimated from the image."""
    from skimage.restoration import denoise_nl_means

    array = np.ascontiguousarray(noisy[0].permute(1, 2, 0).double().numpy())
    sigma = noise_level(array)
    out = denoise_nl_means(
        array,
        patch_size=5,
        patch_distance=6,
        h=0.8 * sigma or 1e-6,
        sigma=sigma,
        fast_mode=True,
        channel_axis=-1,
    )
    out = out.reshape(array.shape)  # a single channel comes back without its axis
    return torch.from_numpy(np.ascontiguousarray(out.transpose(2, 0, 1))).float()[None]
