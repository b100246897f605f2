"""Builds the network of a fit, so that its weights and its randomness follow from the fit's seed alone."""

from __future__ import annotations

from threading import Lock

import torch
from torch import Tensor, nn

from n2n_ablate.components.randomness import seed_dropout
from n2n_ablate.engine.faults import BACKBONE
from n2n_ablate.engine.fit import Fit
from n2n_ablate.errors import AblateError

_building = Lock()
_CORNER = 64  # side in pixels of what a new network is tried on


def build(fit: Fit, device: torch.device) -> nn.Module:
    """Return a fit's network with its initial weights.

    Raises:
        ComponentError: It is none that can be trained, or it is random beyond dropout.
    """
    # Torch's layers draw their weights from the one global generator, so: one build at a time.
    with _building, torch.random.fork_rng(devices=[]):
        torch.manual_seed(fit.init_seed)
        with BACKBONE:
            module: object = fit.backbone.build(fit.noisy.shape[1])
        if isinstance(module, nn.Module):
            seed_dropout(module)
            _require_repeatable(module, fit.noisy)
    if not isinstance(module, nn.Module):
        problem = f"must return a torch.nn.Module from build, got {module!r:.80}"
        raise BACKBONE.fault(problem)
    if not any(weight.requires_grad for weight in module.parameters()):
        problem = "builds a network without weights to train"
        raise BACKBONE.fault(problem)
    return module.to(device=device)


@torch.no_grad()
def _require_repeatable(module: nn.Module, noisy: Tensor) -> None:
    corner = noisy[..., :_CORNER, :_CORNER]
    try:
        with BACKBONE:
            first, second = module(corner.clone()), module(corner.clone())
            same = torch.equal(first.nan_to_num(), second.nan_to_num())
    except (AblateError, torch.OutOfMemoryError) as error:
        # It ended the process or never ends; the first step names the rest, which may suit a whole image.
        if not isinstance(error.__cause__ or error, Exception):
            raise
        return
    if not same:
        problem = (
            "builds a network that denoises one image in two ways: it draws random numbers that "
            "cannot be seeded for each fit, or remembers images; nn.Dropout and nn.Dropout2d can be seeded"
        )
        raise BACKBONE.fault(problem)
