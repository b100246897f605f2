"""The hot loop: trains the networks of one stack at once. No host synchronisation inside a step."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from n2n_ablate.components import Sampler, Split, Views, declared, declares, prepare_sampler
from n2n_ablate.components.randomness import StackRandom, arguments_for
from n2n_ablate.engine.build import build
from n2n_ablate.engine.checkpoints import CHOSEN_STEP, KeptCheckpoints
from n2n_ablate.engine.curves import POINTS, Curves
from n2n_ablate.engine.device import Machine
from n2n_ablate.engine.draws import Draws
from n2n_ablate.engine.faults import (
    AVERAGING_WEIGHT,
    BACKBONE,
    ESTIMATE,
    LOSS,
    SAMPLER,
    SELECTOR,
    require_images,
    require_shares,
    steps_of,
)
from n2n_ablate.engine.fit import Fit
from n2n_ablate.engine.loss_context import StackLossContext, same_shape
from n2n_ablate.engine.networks import Forward, Networks
from n2n_ablate.engine.replay import CudaRecorder, Recorder, Replay, python_state
from n2n_ablate.engine.tiles import in_tiles
from n2n_ablate.engine.weights import Optimizers
from n2n_ablate.engine.window import Windows, window_of
from n2n_ablate.errors import PluginError
from n2n_ablate.records import FitResult
from n2n_ablate.records.fit import Listener


class Cancelled(Exception):
    """The training was asked to stop before its end."""


def train(
    fits: Sequence[Fit],
    machine: Machine,
    listener: Listener | None = None,
    stopped: Callable[[], bool] = lambda: False,
    *,
    points: int = POINTS,
    note: Callable[[str], None] = lambda _: None,
) -> list[FitResult]:
    """Train one stack: fits of equal `stack_key` and equal shapes, with `points` points on every curve.

    A fit that diverges is reported with the step; the others are not touched by it. On a GPU `note`
    hears why steps are called one by one, if they are.
    """
    start = time.perf_counter()
    stack = _Stack(fits, machine)
    curves = Curves(fits, points, stack.clean, stack.noisy, listener)
    try:
        for step in range(stack.steps):
            if stopped():
                raise Cancelled
            loss = stack.step(step)
            stack.look(step + 1)
            if step + 1 in curves.at:
                curves.add(step + 1, loss, stack.estimate(exact=step + 1 == stack.steps))
                if curves.all_diverged():
                    break
        if stack.unrecorded:
            note(f"steps are called one by one on the GPU, which is slower: {stack.unrecorded}")
    finally:
        stack.close()
    return curves.results(time.perf_counter() - start, stack.chosen)


def first_step(fit: Fit, machine: Machine) -> None:
    """Do one step of a fit, look once and denoise, so that a component at fault is known before."""
    stack = _Stack([fit], machine)
    try:
        stack.step(0)
        stack.look(1, first=True)
        stack.estimate(exact=True)
    finally:
        stack.close()


class _Stack:
    """The state of one training."""

    def __init__(self, fits: Sequence[Fit], machine: Machine) -> None:
        first, device = fits[0], torch.device(machine.device)
        self.fits = fits
        self.steps = steps_of(first.training)
        noisy = torch.cat([fit.noisy for fit in fits]).to(device)
        self.noisy = noisy.contiguous(memory_format=machine.layout)
        self.clean = _stack_clean(fits, device)
        channels = self.noisy.shape[1]
        modules = [build(fit, device) for fit in fits]
        self._networks = Networks(
            modules,
            channels,
            machine.precision,
            first.backbone,
            machine.way,
        )
        self._kept = self._networks.weights.detach().clone() if _averages(fits) else None
        self._watching = KeptCheckpoints.of(first.estimator, self.steps, self._networks.weights)
        self._windows = Windows(fits, self.noisy)
        rngs = [fit.rng("sampler") for fit in fits]
        self._dropout = [fit.rng("dropout") for fit in fits]
        with SAMPLER:
            samplers = [prepared(fit, self.noisy[i : i + 1]) for i, fit in enumerate(fits)]
            self._draws = Draws(samplers, self._windows.first(), rngs, self.steps)
            self._context = StackLossContext(self._draws, self._networks, samplers[0], fits)
        trainings = [fit.training for fit in fits]
        self._optimizers = Optimizers(
            trainings,
            self._networks.weights,
            self._networks.packing,
            on_device=device.type == "cuda",
        )
        self._replay: Replay | None = None
        self._changing = self._why_changing()
        if device.type == "cuda" and not self._changing:
            self._replay = self.replay_with(CudaRecorder(device))

    def replay_with(self, recorder: Recorder) -> Replay:
        """Return what records the steps of this stack."""
        loss = self.fits[0].loss
        return Replay(
            self._update,
            lambda: self._optimizers.tensors,
            recorder,
            lambda: python_state([loss, self._optimizers.settings]),
        )

    def _why_changing(self) -> str:
        """Return why not every step does the same to the same tensors, as far as is known before."""
        if not self._draws.fixed:
            return "the sampler cuts in other places at every step"
        if self._windows.moving:
            return "every step trains on another crop"
        if self._networks.drops:
            return "the network drops other values at every step"
        if not self._optimizers.recordable:
            return "the optimiser keeps its state outside of the GPU"
        return ""

    @property
    def unrecorded(self) -> str:
        """Why steps are called one by one on a GPU; empty if they are replayed, and on a CPU."""
        if self.noisy.device.type != "cuda":
            return ""
        return self._changing or (self._replay.failure if self._replay is not None else "")

    def step(self, step: int) -> Tensor:
        """Do one step and return the losses (b,) before it."""
        self._optimizers.set_rates(step)
        if self._windows.moving:
            self._draws.look_at(self._windows.next())
        with SAMPLER:
            self._draws.advance(step)
        self._context.done = step / self.steps
        if self._replay is not None and self._context.varies:
            self._replay = None
            self._changing = "the loss changes with the progress of the training"
        loss = self._replay() if self._replay is not None else self._update()
        if self._draws.mask is not None and not self._context.heeds_mask:
            problem = (
                "does not ask for the mask of this sampler, which hides pixels: the network would "
                "learn to copy the others; use the loss 'masked'"
            )
            raise LOSS.fault(problem)
        self._blend(step)
        return loss

    @torch.no_grad()
    def look(self, step: int, *, first: bool = False) -> None:
        """Let the estimator's checkpoint selector look at the images after `step`, counted from 1, if due.

        Raises:
            ComponentError: `first`, and it does not keep the weights: those before training would stay.
        """
        if self._watching is None or not (first or self._watching.due(step, self.steps)):
            return
        weights = self._present()
        self._watching.look(step, lambda: self._denoised(weights, exact=False), weights)
        if first and not bool(self._watching.steps.all()):
            problem = (
                "has a checkpoint selector whose first look does not keep the weights of all fits"
            )
            raise SELECTOR.fault(problem)

    @property
    def chosen(self) -> dict[str, Tensor]:
        """What to record of the selector's choice, by name: one number per fit."""
        return {} if self._watching is None else {CHOSEN_STEP: self._watching.steps}

    def close(self) -> None:
        """Let go of the recording: it and the stack hold each other, and with them the memory."""
        self._replay = None

    def _update(self) -> Tensor:
        self._optimizers.zero()
        with LOSS, self._networks.dropping_out(self._dropout):
            loss = self.fits[0].loss(self._context)
        _require_losses(loss, len(self.fits))
        loss.sum().backward()
        self._optimizers.step()
        return loss

    @torch.no_grad()
    def _blend(self, step: int) -> None:
        if self._kept is None:
            return
        shares = _shares(self.fits, step, self.steps)
        weights = self._networks.weights.detach()
        if len(set(shares)) == 1:
            self._kept.lerp_(weights, shares[0])
        else:
            each = torch.tensor(shares, device=weights.device, dtype=weights.dtype)
            self._kept.lerp_(weights, each[:, None])

    @torch.no_grad()
    def estimate(self, *, exact: bool) -> Tensor:
        """Denoise the noisy images with the weights as they are now, or at the end as chosen.

        Only the result has to be exact; a point on the way may cost no more than a step.
        """
        chosen = self._watching if exact else None
        return self._denoised(self._present() if chosen is None else chosen.weights, exact=exact)

    def _present(self) -> Tensor:
        return self._networks.weights.detach() if self._kept is None else self._kept

    def _denoised(self, weights: Tensor, *, exact: bool) -> Tensor:
        forward = self._networks.forward(weights, "fp32" if exact else self._networks.precision)
        first = self.fits[0]
        rngs = [fit.rng("estimator") for fit in self.fits]
        with ESTIMATE:
            denoise, estimator = _split(in_tiles(forward, first.backbone)), first.estimator
            noisy = self._draws.input if self._draws.replaces_input else self.noisy
            more = arguments_for(
                estimator.estimate,
                draw=lambda images: self._draws.draw(images, rngs),
                rng=StackRandom(rngs, noisy.device),
            )
            drops = declared(estimator, "dropout", False)
            with self._networks.dropping_out(rngs if drops else None):
                estimated = estimator.estimate(denoise, noisy, **more)
        what = f"must return images of the shape {tuple(self.noisy.shape)} from estimate, got"
        return require_images(estimated, self.noisy, ESTIMATE, what)


def _split(forward: Forward) -> Split:
    def denoise(*images: Tensor) -> Views:
        with BACKBONE:
            denoised = tuple(forward(image) for image in images)
        return tuple(same_shape(*each) for each in zip(denoised, images, strict=True))

    return denoise


def _require_losses(loss: object, fits: int) -> None:
    if not isinstance(loss, Tensor) or loss.shape != (fits,):
        problem = f"must return one value per fit, shape ({fits},), got {loss!r:.80}"
        raise LOSS.fault(problem)
    if not loss.requires_grad:
        problem = "returns values that do not depend on the weights, as far as torch can tell"
        raise LOSS.fault(problem)


def _stack_clean(fits: Sequence[Fit], device: torch.device) -> Tensor | None:
    images = [fit.clean for fit in fits if fit.clean is not None]
    return torch.cat(images).to(device) if len(images) == len(fits) else None


def prepared(fit: Fit, noisy: Tensor) -> Sampler:
    """Return the fit's sampler, ready for its noisy image, (1, c, h, w) on any device."""
    whole = declares(fit.sampler, "prepare") or declared(fit.sampler, "replaces_input", False)
    if whole and window_of(fit) != tuple(noisy.shape[-2:]):
        msg = "this sampler prepares itself for one whole image and cannot train on crops; use training.crop=0"
        raise PluginError(msg)
    return prepare_sampler(fit.sampler, noisy, fit.noise)


def _averages(fits: Sequence[Fit]) -> bool:
    steps = steps_of(fits[0].training)
    return any(share != 1 for step in {0, steps - 1} for share in _shares(fits, step, steps))


def _shares(fits: Sequence[Fit], step: int, steps: int) -> list[float]:
    with AVERAGING_WEIGHT:
        shares = [fit.estimator.averaging_weight(step, steps) for fit in fits]
    require_shares(shares)
    return shares
