"""Cuts a noisy image before anything is trained, and looks at what comes out."""

from __future__ import annotations

import torch
from torch import Tensor

from n2n_ablate.components import Sampler, at_step, declares, pairs_of, probe_steps
from n2n_ablate.engine.faults import steps_of
from n2n_ablate.engine.fit import Fit
from n2n_ablate.engine.train import prepared


def validate_split(fit: Fit) -> str:
    """Draw splits for the noisy image of a fit and cut it; say what is wrong, empty if nothing is.

    One split, or for a schedule those of a few steps from its first to its last.

    Raises:
        Exception: Whatever the sampler raises.
    """
    noisy = fit.noisy.clone()
    sampler = prepared(fit, noisy)
    steps = steps_of(fit.training)
    for step in probe_steps(steps) if declares(sampler, "at") else (0,):
        if wrong := _wrong_cut(at_step(sampler, step, steps), sampler, noisy, fit):
            return f"{wrong} (at step {step} of {steps})" if step else wrong
    return ""


def _wrong_cut(now: Sampler, sampler: Sampler, noisy: Tensor, fit: Fit) -> str:
    split = now.draw(noisy, fit.rng())
    if not callable(split):
        return f"must return a function from image to views from draw, got {split!r:.80}"
    views: object = split(noisy)
    if not torch.equal(noisy, fit.noisy):
        return "writes into the image that it is given; it must copy"
    if not isinstance(views, tuple | list) or not all(isinstance(view, Tensor) for view in views):
        return f"must cut into a tuple of views, got {views!r:.80}"
    for i, j in pairs_of(sampler):
        if not (0 <= i < len(views) and 0 <= j < len(views)):
            return f"declares a pair of the views {i} and {j}, but its split returns {len(views)}"
        if wrong := _wrong_pair(views[i], views[j]):
            return wrong
    return ""


def _wrong_pair(first: Tensor, second: Tensor) -> str:
    if first.shape != second.shape or not first.numel():
        shapes = f"{tuple(first.shape)} and {tuple(second.shape)}"
        return f"cuts into views that cannot train each other, of shapes {shapes}"
    for view in (first, second):
        if not bool(view.isfinite().all()):
            lost = int((~view.isfinite()).sum())
            return f"cuts into a view with {lost} of {view.numel()} values NaN or infinite"
    return ""
