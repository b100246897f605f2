"""What every estimator promises. Subclass `EstimatorContract`, set `estimator`, run pytest."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from n2n_ablate.components import Views
from n2n_ablate.testing.samplers import picture


class EstimatorContract:
    """The promises of an estimator, as tests.

    Attributes:
        estimator: The estimator under test.
    """

    estimator: ClassVar[Any]

    def test_weights_move_by_a_share(self) -> None:
        """At every step the kept weights move to the present ones by a share above 0, at most 1."""
        for steps in (1, 7, 300):
            assert all(0 < self.estimator.blend(step, steps) <= 1 for step in range(steps))

    def test_initial_weights_never_count(self) -> None:
        """After the last step nothing is left of the weights before the first one."""
        for steps in (1, 7, 300):
            left = 1.0
            for step in range(steps):
                left *= 1 - self.estimator.blend(step, steps)
            assert left == 0

    def test_a_perfect_denoiser_stays_perfect(self) -> None:
        """If denoising changes nothing, the estimate is the noisy image: any size, any channels."""
        for shape in ((2, 3, 8, 8), (1, 1, 7, 9)):
            noisy = picture(*shape)
            torch.testing.assert_close(self.estimator.estimate(_same, noisy), noisy)

    def test_noisy_image_is_left_alone(self) -> None:
        """Estimating changes neither the noisy image nor what the denoiser returned."""
        noisy, denoised = picture(1, 3, 8, 8), picture(1, 3, 8, 8, seed=1)
        before = noisy.clone(), denoised.clone()
        self.estimator.estimate(lambda *images: tuple(denoised for _ in images), noisy)
        assert torch.equal(noisy, before[0])
        assert torch.equal(denoised, before[1])

    def test_a_watch_judges_every_fit_by_its_own_images(self) -> None:
        """A watch, if there is one, keeps all at its first look, and chooses for each fit alone."""
        if self._watch() is None:
            return
        fits = [picture(1, 3, 8, 8, seed=seed) for seed in (1, 2)]
        moves = [
            [picture(1, 3, 8, 8, seed=10 * fit + look) for look in range(40)] for fit in (1, 2)
        ]
        shown = [
            [image + 0.2 * (fit + 1) * move for move in own]
            for fit, (image, own) in enumerate(zip(fits, moves, strict=True))
        ]
        together, first, second = self._watch(), self._watch(), self._watch()
        for look, (one, two) in enumerate(zip(*shown, strict=True), 1):
            step = look * together.every
            both = torch.cat([one, two])
            before = both.clone()
            keep = together.see(step, both)
            alone = torch.cat([first.see(step, one), second.see(step, two)])
            assert keep.dtype == torch.bool
            assert keep.tolist() == alone.tolist()
            assert torch.equal(both, before)
            assert look > 1 or keep.all()

    def _watch(self) -> Any:
        watch = getattr(self.estimator, "watch", None)
        return watch(1000) if watch is not None else None


def _same(*images: Tensor) -> Views:
    return images
