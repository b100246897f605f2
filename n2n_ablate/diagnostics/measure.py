"""Measures what a sampler does to noise and to the scene, by Monte Carlo. Trains nothing.

Every figure is a mean over *pairs of noisy images* of one clean image: their difference holds noise
alone, whatever the noise does to the mean (clipping shifts it in dark places). So any sampler can
be measured, and any noise, also one that depends on the scene or is correlated over pixels. The
standard errors come from leaving pairs out, not from counting pixels, which need not be independent.

The noise of a view is D(y) - D(x), the same split of the noisy and of the clean image. A
sampler with `supports_consistency = False` cannot cut the clean one: then a view's noise is all that
changes from one noisy image to the next, what the sampler adds by itself included, and the gap
is what the views differ by on average. Schedules (`at`) are measured at steps spread over the
training. Of a sampler that hides pixels the hidden ones are measured; it and one that replaces the
input have no bias, gap or gain, since what they show is no image.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from n2n_ablate.components import (
    MeasuredNoise,
    Noise,
    Sampler,
    Views,
    at_step,
    declared,
    declares,
    mask_of,
    pairs_of,
    prepare_sampler,
    watchdog,
)
from n2n_ablate.diagnostics.model import GREY, Diagnosis, Estimate, Figures, Probe

LARGEST = 512
"""Longest side that is looked at, in pixels: the centre of larger images."""

_PAIRS = 8  # of noisy images, over all images together, for a standard error to be worth its name
_VALUES = 1_000_000  # pixels and channels to be drawn twice; puts a leak's error at about 0.003
_MOST_PAIRS = 16
_BRIGHTER = 0.1


def diagnose(
    sampler: Sampler,
    noise: Noise | None,
    probes: Sequence[Probe] = (),
    *,
    pairs: int = 0,
    seed: int = 0,
    steps: int = 1000,
) -> Diagnosis:
    """Measure a sampler under a noise model on images.

    `noise`: the noise model. None if there is only the noisy image of each probe: then the noise is noisy
    minus clean, and noise whose mean depends on the scene looks like a leak. `probes`: the images; without
    any, three flat ones (grey 0.25, 0.5, 0.75), which have no gap; `pairs`: pairs of noisy images for each
    clean one; 0 takes as many as give a leak's error of about 0.003 on small images, at least 2; `seed`: of
    all random numbers. The noise of a probe depends on its name, not on the sampler. `steps`: length of the
    training, for schedules.

    Raises:
        ImageError: An image is too small for the sampler; or whatever else it or the noise model raises.
        ValueError: There is neither a noise model nor a noisy image.
    """
    probes = [_centre(probe) for probe in probes or flat_probes()]
    if noise is None and not all(probe.noisy for probe in probes):
        msg = "without a noise model every image needs a noisy version"
        raise ValueError(msg)
    count = _count(sampler, noise, probes, pairs)
    with torch.no_grad():
        rows = [[*_rows(sampler, noise, probe, count, seed, steps)] for probe in probes]
    moments, trained = np.array(rows, dtype=np.float64), pairs_of(at_step(sampler, 0, steps))
    return Diagnosis(
        total=_figures(moments),
        images={
            probe.name: _figures(each[None]) for probe, each in zip(probes, moments, strict=True)
        },
        declared=bool(declared(sampler, "leaks", False)),
        both_ways=any((second, first) in trained for first, second in trained),
        supports_consistency=_is_consistent(sampler),
        draws=2 * count if noise is not None or len(probes[0].noisy) > 1 else 1,
    )


def flat_probes(side: int = 96, channels: int = 3) -> list[Probe]:
    """Return three flat images: dark, middle and bright grey."""
    return [
        Probe(f"flat-{grey}", torch.full((1, channels, side, side), grey))
        for grey in (0.25, 0.5, 0.75)
    ]


def _count(sampler: Sampler, noise: Noise | None, probes: Sequence[Probe], wanted: int) -> int:
    """Return how many pairs of noisy images to measure on; of noise that is only measured, those there are."""
    if noise is None:
        return max(1, min(len(probe.noisy) for probe in probes) // 2)
    if wanted:
        return wanted
    values = sum(probe.clean.numel() for probe in probes)
    wanted = max(math.ceil(_PAIRS / len(probes)), math.ceil(_VALUES / values))
    if declares(sampler, "at"):
        wanted *= 4  # a schedule is sampled at one step per pair
    return max(2, min(wanted, _MOST_PAIRS))


def _rows(
    sampler: Sampler, noise: Noise | None, probe: Probe, count: int, seed: int, steps: int
) -> Iterator[list[float]]:
    """Yield the moments of each pair of noisy images of one clean image."""
    for pair in range(count):
        # One random step of every slice: steps at equal distances would miss half of `step % 2`.
        chance = float(torch.rand((), generator=_rng(seed, "step", pair)))
        now = at_step(sampler, min(steps - 1, int((pair + chance) / count * steps)), steps)
        cuts: list[_Cut] = []
        for draw in (2 * pair, 2 * pair + 1):
            noisy = _noisy(noise, probe, draw, seed)
            if noisy is None:
                break
            # What hides pixels hides the same ones in both images: these alone train.
            same = bool(cuts) and cuts[0].mask is not None
            rng = _rng(seed, f"draw/{probe.name}", 2 * pair if same else draw)
            cuts.append(_cut(now, noise, probe, noisy, rng))
        moments = _moments([*_hidden(cuts)], pairs_of(now))
        if cuts[0].mask is not None or declared(now, "replaces_input", False):
            moments[4:] = [math.nan] * 4  # an input that is no image has no bias, gap or gain
        yield moments


@dataclass(frozen=True, eq=False)
class _Cut:
    error: Tensor  # noisy minus clean
    views: Views  # of the noisy image
    clean: Views  # of the clean image, () if it cannot be cut
    brighter: Views  # of a brighter clean image, likewise
    mask: Tensor | None  # where pixels are hidden


def _cut(
    sampler: Sampler, noise: Noise | None, probe: Probe, noisy: Tensor, rng: torch.Generator
) -> _Cut:
    # Copies, because a sampler that writes into its input must not change what others share.
    watchdog.alive()
    others = tuple(shot for shot in probe.noisy if shot is not noisy)
    known = MeasuredNoise(others) if noise is None and others else noise
    ready = prepare_sampler(sampler, noisy.clone(), known)
    split = ready.draw(noisy.clone(), rng)
    error, mask = noisy - probe.clean, mask_of(split)
    if not _is_consistent(ready):
        return _Cut(error, split(noisy.clone()), (), (), mask)
    views = split(noisy.clone())
    clean = split(probe.clean.clone())
    return _Cut(error, views, clean, split(probe.clean + _BRIGHTER), mask)


def _hidden(cuts: Sequence[_Cut]) -> Iterator[_Cut]:
    """Yield the cuts with the pixels that all of them hide, flattened; as they are if none hides any."""
    masks = [cut.mask for cut in cuts if cut.mask is not None]
    mask = torch.stack(masks).all(dim=0) if masks else None
    for cut in cuts:
        views = (cut.views, cut.clean, cut.brighter)
        if mask is not None:
            views = tuple(tuple(view[mask.expand_as(view)] for view in each) for each in views)  # type: ignore[assignment]
        yield _Cut(cut.error, *views, mask)


def _moments(cuts: Sequence[_Cut], trained: Sequence[tuple[int, int]]) -> list[float]:
    """Return var(e); then, means over the trained pairs of views: var, var, cov, bias, gap², gains."""
    ways = list(dict.fromkeys(tuple(way) for way in trained))
    ways = [way for n, way in enumerate(ways) if way[::-1] not in ways[:n]]  # each pair once
    pairs = [_of_pair(cuts, first, second) for first, second in ways]
    return [_mean_product(cuts, lambda cut: cut.error), *np.mean(pairs, axis=0)]


def _of_pair(cuts: Sequence[_Cut], i: int, j: int) -> list[float]:
    def noise_of(view: int) -> Callable[[_Cut], Tensor]:
        return lambda cut: cut.views[view] - (cut.clean[view] if cut.clean else 0)

    apart = [cut.views[i] - cut.views[j] for cut in cuts]
    gains = [math.nan, math.nan]
    if all(cut.clean for cut in cuts):
        gap = float(np.mean([_mean((cut.clean[i] - cut.clean[j]).square()) for cut in cuts]))
        gains = [
            float(np.mean([_mean(cut.brighter[k] - cut.clean[k]) for cut in cuts])) / _BRIGHTER
            for k in (i, j)
        ]
    else:  # two draws have only the scene in common, so their product holds nothing else
        gap = _mean(apart[0] * apart[-1]) if len(cuts) > 1 else math.nan
    return [
        _mean_product(cuts, noise_of(i)),
        _mean_product(cuts, noise_of(j)),
        _mean_product(cuts, noise_of(i), noise_of(j)),
        float(np.mean([_mean(cross) for cross in apart])),
        gap,
        *gains,
    ]


def _mean_product(
    cuts: Sequence[_Cut],
    first: Callable[[_Cut], Tensor],
    second: Callable[[_Cut], Tensor] | None = None,
) -> float:
    """Return the covariance of two values at the same pixel, given the clean image."""
    if len(cuts) == 1:
        a = first(cuts[0])
        b = a if second is None else second(cuts[0])
        return _mean((a - a.mean()) * (b - b.mean()))
    a = first(cuts[0]) - first(cuts[1])
    b = a if second is None else second(cuts[0]) - second(cuts[1])
    return _mean(a * b) / 2


def _figures(moments: np.ndarray) -> Figures:
    """Turn moments (images, pairs, moments) into figures; every image has the same weight."""

    def estimate(of: Callable[[np.ndarray], np.ndarray]) -> Estimate:
        return _jackknife(moments, of)

    with np.errstate(divide="ignore", invalid="ignore"):
        whole = moments.mean(axis=(0, 1))
        return Figures(
            sigma=GREY * math.sqrt(whole[0]),
            gain=(float(whole[6]), float(whole[7])),
            bias=estimate(lambda m: GREY * m[..., 4]),
            noise=(
                estimate(lambda m: np.sqrt(m[..., 1] / m[..., 0])),
                estimate(lambda m: np.sqrt(m[..., 2] / m[..., 0])),
            ),
            leak=estimate(lambda m: m[..., 3] / m[..., 1]),
            back=estimate(lambda m: m[..., 3] / m[..., 2]),
            gap=estimate(lambda m: GREY * np.sqrt(np.maximum(m[..., 5], 0))),
        )


def _jackknife(moments: np.ndarray, of: Callable[[np.ndarray], np.ndarray]) -> Estimate:
    """Estimate a figure and its error by leaving out one pair after the other, image by image."""
    images, pairs, size = moments.shape
    value = float(of(moments.mean(axis=(0, 1))))
    if pairs == 1:  # nothing to leave out within an image: leave out images
        moments = moments.reshape(1, images, size)
        images, pairs = 1, images
    if pairs == 1:
        return Estimate(value)
    mean = moments.mean(axis=1, keepdims=True)
    without = (mean - moments) / (pairs - 1) / images  # what leaving it out adds to the mean
    left = of(moments.mean(axis=(0, 1)) + without)  # (images, pairs)
    spread = ((left - left.mean(axis=1, keepdims=True)) ** 2).sum() * (pairs - 1) / pairs
    return Estimate(value, math.sqrt(spread), images * (pairs - 1))


def _noisy(noise: Noise | None, probe: Probe, index: int, seed: int) -> Tensor | None:
    if index < len(probe.noisy):
        return probe.noisy[index]
    if noise is None:
        return None
    return noise.apply(probe.clean, _rng(seed, f"noise/{probe.name}", index))


def _centre(probe: Probe) -> Probe:
    h, w = probe.clean.shape[-2:]
    top, left = max(0, h - LARGEST) // 2, max(0, w - LARGEST) // 2
    here = (..., slice(top, top + LARGEST), slice(left, left + LARGEST))
    return Probe(probe.name, probe.clean[here], tuple(noisy[here] for noisy in probe.noisy))


def _is_consistent(sampler: Sampler) -> bool:
    return bool(declared(sampler, "supports_consistency", True))


def _mean(values: Tensor) -> float:
    return float(values.double().mean())


def _rng(seed: int, purpose: str, index: int) -> torch.Generator:
    digest = hashlib.sha256(f"{seed}/{purpose}/{index}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
