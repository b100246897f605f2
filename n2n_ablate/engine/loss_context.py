"""What a loss sees of one step of a stack; names the sampler and the backbone where they are at fault."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from torch import Tensor

from n2n_ablate.components import Sampler, Split, Views, declared, mask_of, pairs_of
from n2n_ablate.components.randomness import StackRandom
from n2n_ablate.engine.draws import Cut, Draws
from n2n_ablate.engine.faults import BACKBONE, SAMPLER, require_images
from n2n_ablate.engine.fit import Fit
from n2n_ablate.engine.networks import Networks


class StackLossContext:
    """See `n2n_ablate.LossContext`.

    Attributes:
        varies: True once a loss has asked for something that is another in the next step.
        heeds_mask: True once a loss has asked for the mask.
    """

    def __init__(
        self, draws: Draws, denoise: Networks, sampler: Sampler, fits: Sequence[Fit]
    ) -> None:
        self.pairs = pairs_of(sampler)
        self.supports_consistency = bool(declared(sampler, "supports_consistency", True))
        self.noises = tuple(fit.noise for fit in fits)
        self.varies = self.heeds_mask = False
        self.done = 0.0
        self._denoise = denoise
        self._draws = draws
        self._rng = StackRandom([fit.rng("loss") for fit in fits], draws.noisy.device)

    @property
    def noisy(self) -> Tensor:
        """See `n2n_ablate.LossContext.noisy`."""
        return self._draws.noisy

    @property
    def mask(self) -> Tensor | None:
        """See `n2n_ablate.LossContext.mask`."""
        self.heeds_mask = True
        return self._draws.mask

    @property
    def rng(self) -> StackRandom:
        """See `n2n_ablate.LossContext.rng`."""
        self.varies = True
        return self._rng

    @property
    def progress(self) -> float:
        """See `n2n_ablate.LossContext.progress`."""
        self.varies = True
        return self.done

    def denoise(self, *images: Tensor) -> Views:
        """See `n2n_ablate.LossContext.denoise`."""
        given = [self._draws.input if image is self._draws.noisy else image for image in images]
        with BACKBONE:
            denoised = self._denoise(*given)
        return tuple(same_shape(*each) for each in zip(denoised, images, strict=True))

    def views(self, image: Tensor) -> Views:
        """See `n2n_ablate.LossContext.views`."""
        return _cut(self._draws.views, image)

    def resample(self) -> Split:
        """See `n2n_ablate.LossContext.resample`."""
        self.varies = self.varies or not self._draws.fixed
        with SAMPLER:
            split = self._draws.resample()
        return Cut(functools.partial(_cut, split), mask_of(split))


def _cut(split: Split, image: Tensor) -> Views:
    """Return the views of images (n, c, h, w)."""
    shape = image.shape
    with SAMPLER:
        views = split(image)
    if image.shape != shape:  # else the loss, which goes on with the image, would be blamed
        problem = f"turns the image that it is given, {tuple(shape)}, into one of the shape {tuple(image.shape)}; it must copy"
        raise SAMPLER.fault(problem)
    return views


def same_shape(denoised: Tensor, image: Tensor) -> Tensor:
    """Return what a network made of images (n, c, h, w), if it has kept their shape."""
    what = f"builds a network that turns images of the shape {tuple(image.shape)} into"
    return require_images(denoised, image, BACKBONE, what)
