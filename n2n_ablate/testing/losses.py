"""What every loss promises. Subclass `LossContract`, set `loss`, run pytest."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from n2n_ablate.components import BOTH_WAYS, Pairs, Split, Views
from n2n_ablate.testing.samplers import picture


class ToyScene:
    """A scene of b small networks, cut into even and odd columns (or, redrawn, rows).

    Args:
        noisy: The noisy images, (b, c, h, w).
        consistent: See `n2n_ablate.Scene`.
    """

    pairs: Pairs = BOTH_WAYS
    progress: float = 0.0

    def __init__(self, noisy: Tensor, *, consistent: bool = True) -> None:
        self.noisy = noisy
        self.consistent = consistent
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.networks = nn.ModuleList(_network(noisy.shape[1]) for _ in noisy)

    def denoise(self, *images: Tensor) -> Views:
        """See `n2n_ablate.Scene.denoise`."""
        return tuple(self._denoise(image) for image in images)

    def views(self, image: Tensor) -> Views:
        """See `n2n_ablate.Scene.views`."""
        return image[..., 0::2], image[..., 1::2]

    def redraw(self) -> Split:
        """See `n2n_ablate.Scene.redraw`."""
        return lambda image: (image[..., 1::2], image[..., 0::2])

    def _denoise(self, image: Tensor) -> Tensor:
        each = zip(self.networks, image.split(1), strict=True)
        return torch.cat([one - network(one) for network, one in each])


class LossContract:
    """The promises of a loss, as tests.

    Attributes:
        loss: The loss under test.
        consistent: False tests it as samplers use it that cannot cut a denoised image.
    """

    loss: ClassVar[Any]
    consistent: ClassVar[bool] = True

    def scene(self, noisy: Tensor) -> ToyScene:
        """Return a scene to score."""
        return ToyScene(noisy, consistent=self.consistent)

    def test_one_finite_value_per_fit(self) -> None:
        """A stack of b fits gives b finite values."""
        values = self.loss(self.scene(picture(3, 1, 8, 8)))
        assert values.shape == (3,)
        assert values.isfinite().all()

    def test_gradients_reach_every_kernel(self) -> None:
        """No kernel of any fit is left untrained. A bias may be: shifts can cancel out of a loss."""
        scene = self.scene(picture(2, 1, 8, 8))
        self.loss(scene).sum().backward()
        for weight in scene.networks.parameters():
            if weight.dim() > 1:
                assert weight.grad is not None
                assert weight.grad.any()

    def test_fits_do_not_see_each_other(self) -> None:
        """The value of one fit has no gradient in the weights of another."""
        scene = self.scene(picture(2, 1, 8, 8))
        self.loss(scene)[0].backward()
        for weight in scene.networks[1].parameters():
            assert weight.grad is None or not weight.grad.any()

    def test_training_lowers_it(self) -> None:
        """Fifty steps of Adam bring the loss of every fit down."""
        scene = self.scene(picture(2, 1, 8, 8))
        optimizer = torch.optim.Adam(scene.networks.parameters(), lr=1e-2)
        before = self.loss(scene).detach()
        for _ in range(50):
            optimizer.zero_grad()
            self.loss(scene).sum().backward()
            optimizer.step()
        assert (self.loss(scene) < before).all()


def _network(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(4, channels, 1)
    )
