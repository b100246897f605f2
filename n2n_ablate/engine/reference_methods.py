"""What doing nothing and classical denoisers give on paired data: the scale of the table."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import numpy as np
from torch import Tensor

from n2n_ablate.engine.classical import non_local_means, sliding_dct
from n2n_ablate.engine.paired_data import PairedData, one_thread
from n2n_ablate.images.noise_level import noise_level
from n2n_ablate.records import NoisySample, ReferenceMethods


def reference_methods(paired_data: PairedData) -> ReferenceMethods:
    """Return the figures of each method. Without scikit-image there are no non-local means.

    The noise level is estimated from each image; a second row has it from the clean image.
    """
    results: dict[str, dict[tuple[str, str], dict[str, float]]] = {}
    with one_thread():
        for name, denoiser in _denoisers().items():
            by_image: dict[tuple[str, str], list[dict[str, float]]] = {}
            for sample in paired_data.samples:
                figures = paired_data.measure(denoiser(sample), sample)
                by_image.setdefault((sample.condition.label, sample.image.name), []).append(figures)
            results[name] = {
                key: {
                    metric: float(np.mean([each[metric] for each in seeds])) for metric in seeds[0]
                }
                for key, seeds in by_image.items()
            }
    return results


def are_whole(stored: ReferenceMethods, paired_data: PairedData) -> bool:
    """Say whether figures are those of every method there is here, on all of this data."""
    places = {(sample.condition.label, sample.image.name) for sample in paired_data.samples}
    return stored.keys() == _denoisers().keys() and all(
        each.keys() == places for each in stored.values()
    )


def _denoisers() -> dict[str, Callable[[NoisySample], Tensor]]:
    denoisers: dict[str, Callable[[NoisySample], Tensor]] = {"noisy": lambda sample: sample.noisy}
    if importlib.util.find_spec("skimage") is not None:
        denoisers["nl-means"] = lambda sample: non_local_means(sample.noisy, _estimated(sample))
    denoisers["dct"] = lambda sample: sliding_dct(sample.noisy, _estimated(sample))
    denoisers["dct, known level"] = lambda sample: sliding_dct(sample.noisy, _known(sample))
    return denoisers


def _estimated(sample: NoisySample) -> float:
    return noise_level(sample.noisy[0].permute(1, 2, 0).double().numpy())


def _known(sample: NoisySample) -> float:
    return float((sample.noisy - sample.image.pixels).square().mean().sqrt())
