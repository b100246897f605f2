"""The hot loop: trains the networks of one stack at once. No host synchronisation inside a step."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from threading import Lock

import torch
from torch import Tensor, nn

from n2n_ablate.components import Sampler, Split, Views, pairs_of
from n2n_ablate.errors import PluginError
from n2n_ablate.fit.curves import POINTS, Curves
from n2n_ablate.fit.device import Machine
from n2n_ablate.fit.draws import Draws
from n2n_ablate.fit.job import Fit, FitResult, Listener
from n2n_ablate.fit.networks import Forward, Networks
from n2n_ablate.fit.replay import Replay
from n2n_ablate.fit.tiles import in_tiles
from n2n_ablate.fit.watching import CHOSEN_STEP, Watching
from n2n_ablate.fit.weights import Optimizers
from n2n_ablate.fit.window import Windows, window_of

_building = Lock()


class Cancelled(Exception):
    """The training was asked to stop before its end."""


class StackScene:
    """See `n2n_ablate.Scene`.

    Attributes:
        varies: True once a loss has asked for something that is another in the next step.
    """

    def __init__(self, draws: Draws, denoise: Networks, sampler: Sampler) -> None:
        self.pairs = pairs_of(sampler)
        self.consistent = bool(getattr(sampler, "consistent", True))
        self.varies = False
        self.done = 0.0
        self.views = draws.views
        self._denoise = denoise
        self._draws = draws

    @property
    def noisy(self) -> Tensor:
        """See `n2n_ablate.Scene.noisy`."""
        return self._draws.noisy

    @property
    def progress(self) -> float:
        """See `n2n_ablate.Scene.progress`."""
        self.varies = True
        return self.done

    def denoise(self, *images: Tensor) -> Views:
        """See `n2n_ablate.Scene.denoise`."""
        return self._denoise(*images)

    def redraw(self) -> Split:
        """See `n2n_ablate.Scene.redraw`."""
        self.varies = self.varies or not self._draws.fixed
        return self._draws.redraw()


def train(
    fits: Sequence[Fit],
    machine: Machine,
    listener: Listener | None = None,
    stopped: Callable[[], bool] = lambda: False,
    *,
    points: int = POINTS,
) -> list[FitResult]:
    """Train one stack: fits of equal `kin` and equal shapes, with `points` points on every curve.

    A fit that diverges is reported with the step; the others are not touched by it.

    Raises:
        Cancelled: `stopped` returned True.
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
                if curves.hopeless():
                    break
    finally:
        stack.close()
    return curves.results(time.perf_counter() - start, stack.chosen)


class _Stack:
    """The state of one training."""

    def __init__(self, fits: Sequence[Fit], machine: Machine) -> None:
        first, device = fits[0], torch.device(machine.device)
        self.fits = fits
        self.steps = first.training.steps
        self.noisy = _to_device(torch.cat([fit.noisy for fit in fits]), device)
        self.clean = _stack_clean(fits, device)
        channels = self.noisy.shape[1]
        modules = [_build(fit, device) for fit in fits]
        self._networks = Networks(modules, channels, machine.precision, first.backbone)
        self._kept = self._networks.weights.detach().clone() if _averages(fits) else None
        self._watching = Watching.of(first.estimator, self.steps, self._networks.weights)
        self._windows = Windows(fits, self.noisy)
        samplers = [prepared(fit, self.noisy[i : i + 1]) for i, fit in enumerate(fits)]
        rngs = [fit.rng() for fit in fits]
        self._draws = Draws(samplers, self._windows.first(), rngs, self.steps)
        self._scene = StackScene(self._draws, self._networks, samplers[0])
        trainings = [fit.training for fit in fits]
        self._optimizers = Optimizers(
            trainings,
            self._networks.weights,
            self._networks.packing,
            on_device=device.type == "cuda",
        )
        self._replay = Replay(self._update, device) if self._recordable else None

    @property
    def _recordable(self) -> bool:
        """Whether every step does the same to the same tensors, as far as can be known before."""
        on_gpu = self.noisy.device.type == "cuda"
        still = self._draws.fixed and not self._windows.moving
        return on_gpu and still and self._optimizers.recordable

    def step(self, step: int) -> Tensor:
        """Do one step and return the losses (b,) before it."""
        self._optimizers.set_rates(step)
        if self._windows.moving:
            self._draws.look_at(self._windows.next())
        self._draws.advance(step)
        self._scene.done = step / self.steps
        if self._replay is not None and self._scene.varies:
            self._replay = None
        loss = self._replay() if self._replay is not None else self._update()
        if step == 0 and getattr(loss, "shape", None) != (len(self.fits),):
            raise _wrong_shape(loss, len(self.fits))
        self._blend(step)
        return loss

    @torch.no_grad()
    def look(self, step: int) -> None:
        """Let the estimator's watch look at the images after `step`, counted from 1, if it is due."""
        if self._watching is not None and self._watching.due(step, self.steps):
            weights = self._present()
            self._watching.look(step, lambda: self._denoised(weights, exact=False), weights)

    @property
    def chosen(self) -> dict[str, Tensor]:
        """What to record of the watch's choice, by name: one number per fit."""
        return {} if self._watching is None else {CHOSEN_STEP: self._watching.steps}

    def close(self) -> None:
        """Let go of the recording: it and the stack hold each other, and with them the memory."""
        self._replay = None

    def _update(self) -> Tensor:
        self._optimizers.zero()
        loss = self.fits[0].loss(self._scene)
        loss.sum().backward()
        self._optimizers.step()
        return loss

    @torch.no_grad()
    def _blend(self, step: int) -> None:
        if self._kept is None:
            return
        shares = [fit.estimator.blend(step, self.steps) for fit in self.fits]
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
        return first.estimator.estimate(_split(in_tiles(forward, first.backbone)), self.noisy)


def _split(forward: Forward) -> Split:
    def denoise(*images: Tensor) -> Views:
        return tuple(forward(image) for image in images)

    return denoise


def _wrong_shape(loss: object, fits: int) -> PluginError:
    msg = f"the loss must return one value per fit, shape ({fits},), got {loss!r:.80}"
    return PluginError(msg)


def _to_device(image: Tensor, device: torch.device) -> Tensor:
    return image.to(device).contiguous(memory_format=torch.channels_last)


def _stack_clean(fits: Sequence[Fit], device: torch.device) -> Tensor | None:
    images = [fit.clean for fit in fits if fit.clean is not None]
    return torch.cat(images).to(device) if len(images) == len(fits) else None


def _build(fit: Fit, device: torch.device) -> nn.Module:
    # Torch's layers draw their weights from the one global generator, so: one build at a time.
    with _building, torch.random.fork_rng(devices=[]):
        torch.manual_seed(fit.init_seed)
        module = fit.backbone.build(fit.noisy.shape[1])
    return module.to(device=device)


def prepared(fit: Fit, noisy: Tensor) -> Sampler:
    """Return the fit's sampler, ready for its noisy image, (1, c, h, w) on any device.

    Raises:
        PluginError: The sampler needs the whole image, and the training wants crops.
    """
    prepare = getattr(fit.sampler, "prepare", None)
    if prepare is None:
        return fit.sampler
    if window_of(fit) != tuple(noisy.shape[-2:]):
        msg = "this sampler prepares itself for one whole image and cannot train on crops; use training.crop=0"
        raise PluginError(msg)
    return prepare(noisy, fit.noise)


def _averages(fits: Sequence[Fit]) -> bool:
    steps = fits[0].training.steps
    return any(fit.estimator.blend(step, steps) != 1 for fit in fits for step in {0, steps - 1})
