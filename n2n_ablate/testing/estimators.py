"""What every estimator promises. Subclass `EstimatorContract`, set `estimator`, run pytest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from n2n_ablate.components import Split, Views, declared
from n2n_ablate.components.randomness import StackRandom, arguments_for
from n2n_ablate.testing.contract import Contract
from n2n_ablate.testing.gpu import on_gpu
from n2n_ablate.testing.promise import alike, farthest, picture, require, rng, shape_of


class EstimatorContract(Contract):
    """The promises of an estimator, as tests.

    Attributes:
        estimator: The estimator under test.
    """

    kind = "estimator"
    estimator: ClassVar[Any]

    def estimate(self, denoise: Split, noisy: Tensor) -> Tensor:
        """Estimate as the engine does; splits drawn on the way hide pixels by name, but show them all."""
        rngs = [rng(seed) for seed in range(len(noisy))]
        random = StackRandom(rngs, noisy.device)
        more = arguments_for(
            self.estimator.estimate,
            draw=lambda images: _Open(random.rand(1, *images.shape[2:]) < 0.5),
            rng=random,
        )
        estimated: Tensor = self.estimator.estimate(denoise, noisy, **more)
        return estimated

    def test_weights_move_by_a_share(self) -> None:
        """At every step the kept weights move to the present ones by a share above 0, at most 1."""
        for steps in (1, 7, 300):
            for step in range(steps):
                share = self.estimator.averaging_weight(step, steps)
                require(0 < share <= 1, f"a share of {share} at step {step} of {steps}")

    def test_initial_weights_never_count(self) -> None:
        """After the last step nothing is left of the weights before the first one."""
        for steps in (1, 7, 300):
            left = 1.0
            for step in range(steps):
                left *= 1 - self.estimator.averaging_weight(step, steps)
            require(left == 0, f"a share of {left:.3g} is left after {steps} steps")

    def test_a_perfect_denoiser_stays_perfect(self) -> None:
        """If denoising changes nothing, the estimate is the noisy image: any size, any channels."""
        for shape in ((2, 3, 8, 8), (1, 1, 7, 9), (1, 4, 5, 8)):
            noisy = picture(*shape)
            estimated = self.estimate(_same, noisy.clone())
            problem = f"images of {shape_of(noisy)} became {shape_of(estimated)}"
            require(estimated.shape == noisy.shape, problem)
            far = farthest(estimated, noisy)
            require(far < 1e-5, f"the estimate differs by up to {far:.3g}")

    def test_same_image_same_estimate(self) -> None:
        """An estimate is a function of denoiser and image: no randomness, no memory of other fits."""
        self.require_function(
            "shares and estimate change", self._estimated, lambda: self._estimated(seed=1, steps=7)
        )

    def test_what_all_share_is_left_alone(self) -> None:
        """Estimating changes nothing that all share: no global generator, no setting of torch."""
        self.require_harmless(self._estimated)

    def test_images_do_not_see_each_other(self) -> None:
        """An image of a stack is estimated as it is alone."""
        noisy = picture(2, 3, 8, 8)
        together = self.estimate(_shifted, noisy.clone())[:1]
        alone = self.estimate(_shifted, noisy[:1].clone())
        far = farthest(together, alone)
        require(far < 1e-5, f"beside another its estimate differs by up to {far:.3g}")

    def test_noisy_image_is_left_alone(self) -> None:
        """Estimating changes neither the noisy image nor what the denoiser returned."""
        noisy, denoised = picture(1, 3, 8, 8), picture(1, 3, 8, 8, seed=1)
        before = noisy.clone(), denoised.clone()
        self.estimate(lambda *images: tuple(denoised for _ in images), noisy)
        require(alike(noisy, before[0]), "the noisy image changed")
        require(alike(denoised, before[1]), "what the denoiser returned was written into")

    def test_it_runs_on_a_gpu(self) -> None:
        """Images on a GPU are estimated there."""
        on_gpu(lambda device: self.estimate(_same, torch.full((1, 3, 8, 8), 0.5, device=device)))

    def test_a_selector_judges_every_fit_by_its_own_images(self) -> None:
        """A checkpoint selector, if there is one, keeps all at its first look, and chooses for each fit alone."""
        if self._selector() is None:
            return
        fits = [picture(1, 3, 8, 8, seed=seed) for seed in (1, 2)]
        moves = [
            [picture(1, 3, 8, 8, seed=10 * fit + look) for look in range(40)] for fit in (1, 2)
        ]
        shown = [
            [image + 0.2 * (fit + 1) * move for move in moves_of_fit]
            for fit, (image, moves_of_fit) in enumerate(zip(fits, moves, strict=True))
        ]
        together, first, second = self._selector(), self._selector(), self._selector()
        for look, (one, two) in enumerate(zip(*shown, strict=True), 1):
            step = look * together.interval
            both = torch.cat([one, two])
            before = both.clone()
            keep = together.update(step, both)
            alone = torch.cat([first.update(step, one), second.update(step, two)])
            require(keep.dtype == torch.bool, f"it answers with values of type {keep.dtype}")
            require(
                keep.tolist() == alone.tolist(),
                f"at look {look} it keeps {keep.tolist()} of two fits, but {alone.tolist()} alone",
            )
            require(alike(both, before), "it writes into the images that it looks at")
            require(look > 1 or bool(keep.all()), "the first look does not keep all fits")

    def _estimated(self, seed: int = 0, steps: int = 5) -> tuple[object, ...]:
        shares = [self.estimator.averaging_weight(step, steps) for step in range(steps)]
        return *shares, self.estimate(_shifted, picture(1, 3, 8, 8, seed=seed))

    def _selector(self) -> Any:
        make = declared(self.estimator, "checkpoint_selector")
        return make(1000) if make is not None else None


@dataclass(frozen=True, eq=False)
class _Open:
    mask: Tensor

    def __call__(self, image: Tensor) -> Views:
        return image, image


def _same(*images: Tensor) -> Views:
    return images


def _shifted(*images: Tensor) -> Views:
    return tuple(image.square() for image in images)
