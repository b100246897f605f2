"""Which pixels feed which view. It asks the views' gradients, so any plugin's sampler will do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from n2n_ablate.components import (
    MeasuredNoise,
    Noise,
    Sampler,
    at_step,
    declared,
    declares,
    is_fixed,
    mask_of,
    pairs_of,
    prepare_sampler,
)

SIDES = (12, 24)
"""Sides of the probe image in pixels; the second for samplers that need more than 12."""

_STEPS = 1000  # of the training that a schedule is asked about

Box = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Where the two views of a pair come from."""

    side: int  # of the probe image, in pixels
    names: tuple[str, str]  # of the two views
    total: np.ndarray  # weight of every pixel in all of a view, shape (2, side, side)
    cell: np.ndarray  # weight of every pixel in one pixel of a view, near the middle; same shape
    alike: bool  # whether a second draw cut in the same way
    declared: bool  # whether the sampler says that every draw does
    scheduled: bool = False  # whether it changes over the training; then this is step 0
    hidden: np.ndarray | None = None  # of a sampler that masks: which pixels, shape (side, side)


def anatomy(sampler: Sampler, noise: Noise | None = None) -> Anatomy:
    """Find out which pixels feed which view, by gradients on an image of random grays.

    Raises:
        Exception: Whatever the sampler raises on images of both sizes in `SIDES`.
    """
    for side in SIDES:
        try:
            return _anatomy(sampler, side, noise)
        except Exception:  # a larger image may suit it
            if side == SIDES[-1]:
                raise
    raise AssertionError


def _anatomy(sampler: Sampler, side: int, noise: Noise | None) -> Anatomy:
    rng = torch.Generator().manual_seed(0)
    image = torch.rand(1, 1, side, side, generator=rng)
    scheduled = declares(sampler, "at")
    known: Noise | MeasuredNoise | None = noise
    if noise is None and declared(sampler, "needs_shots", False):
        known = MeasuredNoise((torch.rand(image.shape, generator=rng),))
    sampler = prepare_sampler(at_step(sampler, 0, _STEPS), image, known)
    split, other = (sampler.draw(image, rng) for _ in range(2))
    again = other(image)
    with torch.enable_grad():
        image = image.requires_grad_()
        views = split(image)
        pair = pairs_of(sampler)[0]
        chosen = [views[place] for place in pair]
        total = [_weights(view.sum(), image) for view in chosen]
        cell = [
            _weights(view[0, 0, view.shape[2] // 2, view.shape[3] // 2], image) for view in chosen
        ]
    many = f" of {len(views)}" if len(views) > 2 else ""
    names = [
        f"view {place + 1}{many} ({view.shape[3]}x{view.shape[2]})"
        for place, view in zip(pair, chosen, strict=True)
    ]
    alike = all(map(torch.equal, views, again))
    mask = mask_of(split)
    return Anatomy(
        side,
        (names[0], names[1]),
        np.stack(total),
        np.stack(cell),
        alike,
        is_fixed(sampler),
        scheduled,
        None if mask is None else mask[0, 0].bool().numpy(),
    )


def _weights(value: Tensor, image: Tensor) -> np.ndarray:
    if not value.requires_grad:  # a view that is made of something else than this image
        return np.zeros(image.shape[-2:], np.float32)
    (gradient,) = torch.autograd.grad(value, image, retain_graph=True, allow_unused=True)
    return np.zeros(image.shape[-2:], np.float32) if gradient is None else gradient[0, 0].numpy()


def box_of(cell: np.ndarray) -> Box:
    """Return the smallest square around all weights, as (top, left, bottom, right)."""
    rows, columns = np.nonzero(cell.any(axis=0))
    if not len(rows):
        return 0, 0, 1, 1
    side = max(np.ptp(rows), np.ptp(columns)) + 1
    top, left = (min(int(at.min()), cell.shape[-1] - side) for at in (rows, columns))
    return top, left, top + side, left + side
