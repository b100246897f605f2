"""What every backbone promises. Subclass `BackboneContract`, set `backbone`, run pytest."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn

from n2n_ablate.testing.samplers import picture


class BackboneContract:
    """The promises of a backbone, as tests.

    Attributes:
        backbone: The backbone under test.
        smallest: Images with both sides at least this long must work, odd sides included.
    """

    backbone: ClassVar[Any]
    smallest: ClassVar[int] = 8

    def build(self, channels: int, seed: int = 0) -> nn.Module:
        """Build the network as the engine does, from a seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network: nn.Module = self.backbone.build(channels)
        return network

    def test_output_has_the_shape_of_the_input(self) -> None:
        """Gray and colour, odd and unequal sides, one image or several: same shape out as in."""
        for channels in (1, 3):
            network = self.build(channels)
            for more in ((0, 0), (1, 0), (0, 5), (3, 7)):
                image = picture(2, channels, self.smallest + more[0], self.smallest + more[1])
                assert network(image).shape == image.shape

    def test_same_seed_same_weights(self) -> None:
        """Trials share initial weights: they depend on the seed of the global generator alone."""
        first, second = self.build(3), self.build(3)
        for one, other in zip(first.parameters(), second.parameters(), strict=True):
            assert torch.equal(one, other)

    def test_same_image_same_output(self) -> None:
        """A network is a function of its image: no randomness, no memory of other images."""
        network, image = self.build(3), picture(1, 3, 16, 16)
        expected = network(image)
        network(picture(1, 3, 16, 16, seed=1))
        assert torch.equal(network(image), expected)

    def test_gradients_reach_every_weight(self) -> None:
        """No weight is left untrained."""
        network = self.build(3)
        network(picture(1, 3, 16, 16)).square().sum().backward()
        for weight in network.parameters():
            assert weight.grad is not None
            assert weight.grad.any()

    def test_halo_is_true(self) -> None:
        """Who declares `halo` uses no pixel farther away: tiles then have no seam."""
        halo = getattr(self.backbone, "halo", None)
        if halo is not None:
            side = 2 * halo + 9
            middle = side // 2
            image = picture(1, 3, side, side).requires_grad_()
            self.build(3)(image)[..., middle, middle].sum().backward()
            assert image.grad is not None
            near = slice(middle - halo, middle + halo + 1)
            image.grad[..., near, near] = 0
            assert not image.grad.any()
