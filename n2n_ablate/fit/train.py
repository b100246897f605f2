"""The hot loop: trains the networks of one stack at once. No host synchronisation inside a step."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable, Sequence
from threading import Lock

import numpy as np
import torch
from torch import Tensor, nn

from n2n_ablate.components import Sampler, Split, Views, pairs_of
from n2n_ablate.errors import PluginError
from n2n_ablate.fit.device import Machine
from n2n_ablate.fit.draws import Draws
from n2n_ablate.fit.job import Fit, FitResult, Listener, Point
from n2n_ablate.fit.networks import Forward, stacked
from n2n_ablate.fit.tiles import in_tiles

POINTS = 30
"""Points of every curve, evenly spaced; the last is the end of the training."""

_EXPLODED = 1e4  # images lie around [0, 1], so a loss of 1e4 never comes back


_building = Lock()


class Cancelled(Exception):
    """The training was asked to stop before its end."""


class StackScene:
    """See `n2n_ablate.Scene`."""

    def __init__(self, noisy: Tensor, draws: Draws, denoise: Split, sampler: Sampler) -> None:
        self.noisy = noisy
        self.pairs = pairs_of(sampler)
        self.consistent = bool(getattr(sampler, "consistent", True))
        self.progress = 0.0
        self.views = draws.views
        self.redraw = draws.redraw
        self._denoise = denoise

    def denoise(self, *images: Tensor) -> Views:
        """See `n2n_ablate.Scene.denoise`."""
        return self._denoise(*images)


def points_of(steps: int, points: int = POINTS) -> list[int]:
    """Return the steps, counted from 1, at which curves have a point."""
    count = min(points, steps)
    return [round(steps * (place + 1) / count) for place in range(count)]


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
    first, device = fits[0], torch.device(machine.device)
    noisy = _to_device(torch.cat([fit.noisy for fit in fits]), device)
    clean = _stack_clean(fits, device)
    modules = [_build(fit, device) for fit in fits]
    kept = _kept_weights(fits, modules)
    optimizers = [
        fit.training.optimizer(m.parameters()) for fit, m in zip(fits, modules, strict=True)
    ]
    steps = first.training.steps
    samplers = [prepared(fit, noisy[place : place + 1]) for place, fit in enumerate(fits)]
    draws = Draws(samplers, noisy, [fit.rng() for fit in fits], steps)
    channels = noisy.shape[1]
    denoise = _denoiser(stacked(modules, channels, machine.precision), machine.precision)
    estimate, glance = (
        _denoiser(in_tiles(stacked(kept or modules, channels, way), first.backbone), way)
        for way in ("fp32", machine.precision)
    )
    scene = StackScene(noisy, draws, denoise, samplers[0])
    record = _Record(fits, points_of(steps, points), clean, noisy, listener)
    for step in range(steps):
        if stopped():
            raise Cancelled
        for fit, optimizer in zip(fits, optimizers, strict=True):
            _set_rate(optimizer, fit.training.rate(step))
        draws.advance(step)
        scene.progress = step / steps
        loss = first.loss(scene)
        if step == 0 and getattr(loss, "shape", None) != (len(fits),):
            msg = f"the loss must return one value per fit, shape ({len(fits)},), got {loss!r:.80}"
            raise PluginError(msg)
        loss.sum().backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        _blend(fits, modules, kept, step, steps)
        if step + 1 in record.at:
            with torch.no_grad():
                # Only the result has to be exact; a point on the way may cost no more than a step.
                way = estimate if step + 1 == steps else glance
                record.add(step + 1, loss.detach(), first.estimator.estimate(way, noisy))
            if record.hopeless():
                break
    return record.results(time.perf_counter() - start)


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
    return module.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def prepared(fit: Fit, noisy: Tensor) -> Sampler:
    """Return the fit's sampler, ready for its noisy image, (1, c, h, w) on any device."""
    prepare = getattr(fit.sampler, "prepare", None)
    return prepare(noisy, fit.noise) if prepare else fit.sampler


def _kept_weights(fits: Sequence[Fit], modules: Sequence[nn.Module]) -> list[nn.Module]:
    steps = fits[0].training.steps
    if all(fit.estimator.blend(step, steps) == 1 for fit in fits for step in {0, steps - 1}):
        return []
    return [copy.deepcopy(module).requires_grad_(False) for module in modules]


@torch.no_grad()
def _blend(
    fits: Sequence[Fit],
    modules: Sequence[nn.Module],
    kept: Sequence[nn.Module],
    step: int,
    steps: int,
) -> None:
    for fit, module, keep in zip(fits, modules, kept, strict=False):
        share = fit.estimator.blend(step, steps)
        for target, source in zip(keep.parameters(), module.parameters(), strict=True):
            target.lerp_(source, share)


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def _denoiser(forward: Forward, precision: str) -> Split:
    """Wrap a stacked forward pass: images (b, c, h, w) of one shape share a pass."""

    def denoise(*images: Tensor) -> Views:
        if len({image.shape for image in images}) > 1:
            return tuple(denoise(image)[0] for image in images)
        kind = images[0].device.type
        low = (
            torch.autocast(kind, torch.bfloat16)
            if precision == "bf16"
            else contextlib.nullcontext()
        )
        with low:
            out = forward(images[0] if len(images) == 1 else torch.cat(images))
        return out.float().chunk(len(images))

    return denoise


class _Record:
    """The curves of a stack, kept on the device until the end."""

    def __init__(
        self,
        fits: Sequence[Fit],
        at: Sequence[int],
        clean: Tensor | None,
        noisy: Tensor,
        listener: Listener | None,
    ) -> None:
        self.at = frozenset(at)
        self._fits = fits
        self._clean = clean
        self._noisy = noisy
        self._listener = listener
        self._steps: list[int] = []
        self._values: dict[str, list[Tensor]] = {"loss": []}
        self._denoised: Tensor | None = None

    def add(self, step: int, loss: Tensor, denoised: Tensor) -> None:
        self._steps.append(step)
        self._denoised = denoised
        self._values["loss"].append(loss)
        if self._clean is not None:
            for name, metric in self._fits[0].metrics.items():
                value = metric.measure(denoised, self._clean, self._noisy)
                self._values.setdefault(name, []).append(value)
        if self._listener is not None:
            steps = self._fits[0].training.steps
            latest = {name: values[-1].tolist() for name, values in self._values.items()}
            for place, fit in enumerate(self._fits):
                own = {name: values[place] for name, values in latest.items()}
                self._listener(Point(fit.key, step, steps, own))

    def hopeless(self) -> bool:
        """Say whether every fit has diverged. Looks only at stacks of one: that costs no wait."""
        if len(self._fits) > 1 or self._values["loss"][-1].device.type != "cpu":
            return False
        return bool(_bad(self._values["loss"][-1]).all())

    def results(self, seconds: float) -> list[FitResult]:
        curves = {
            name: torch.stack(values).float().cpu().numpy() for name, values in self._values.items()
        }
        bad = _bad(torch.stack(self._values["loss"])).cpu().numpy()
        assert self._denoised is not None, "the end of the training is a point"
        images = self._denoised.float().cpu()
        found = []
        for place, fit in enumerate(self._fits):
            failure = ""
            if bad[:, place].any() or not bool(torch.isfinite(images[place]).all()):
                worst = int(bad[:, place].argmax()) if bad[:, place].any() else -1
                failure = f"diverged by step {self._steps[worst]}"
            own = {name: values[:, place] for name, values in curves.items()}
            found.append(
                FitResult(
                    key=fit.key,
                    figures={name: float(values[-1]) for name, values in own.items()},
                    steps=np.array(self._steps, dtype=np.int32),
                    curves=own,
                    denoised=None if failure else _to_uint16(images[place]),
                    seconds=seconds / len(self._fits),
                    failure=failure,
                )
            )
        return found


def _bad(loss: Tensor) -> Tensor:
    return ~torch.isfinite(loss) | (loss.abs() > _EXPLODED)


def _to_uint16(image: Tensor) -> np.ndarray:
    return np.rint(image.clamp(0, 1).double().numpy() * 65535).astype(np.uint16)
