"""What every backbone promises. Subclass `BackboneContract`, set `backbone`, run pytest."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from n2n_ablate.components import declared
from n2n_ablate.components.randomness import dropping_out, seed_dropout
from n2n_ablate.testing.contract import Contract
from n2n_ablate.testing.gpu import on_gpu
from n2n_ablate.testing.hidden_state import changed_for_all, hidden_cause
from n2n_ablate.testing.promise import alike, farthest, picture, require, rng, shape_of


class BackboneContract(Contract):
    """The promises of a backbone, as tests.

    Attributes:
        backbone: The backbone under test.
        smallest: Images with both sides at least this long must work, odd sides included.
    """

    kind = "backbone"
    backbone: ClassVar[Any]
    smallest: ClassVar[int] = 8

    def build(self, channels: int, seed: int = 0) -> nn.Module:
        """Build the network as the engine does, from a seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network: nn.Module = self.backbone.build(channels)
        seed_dropout(network)
        return network

    def test_output_has_the_shape_of_the_input(self) -> None:
        """One, three or four channels, odd and unequal sides, one image or several: same shape out as in."""
        for channels in (1, 3, 4):
            network = self.build(channels)
            for more in ((0, 0), (1, 0), (0, 5), (3, 7)):
                image = picture(2, channels, self.smallest + more[0], self.smallest + more[1])
                denoised = network(image.clone())
                problem = f"images of {shape_of(image)} became {shape_of(denoised)}"
                require(denoised.shape == image.shape, problem)

    def test_same_seed_same_weights(self) -> None:
        """Trials share initial weights: they depend on the seed of the global generator alone."""
        cause = hidden_cause(lambda: _weights(self.build(3)))
        require(not cause, f"the weights change {cause}")

    def test_networks_share_no_weight(self) -> None:
        """Every fit has another network: two builds have no tensor in common."""
        first, second = self.build(3), self.build(3, seed=1)
        known = {weight.untyped_storage().data_ptr() for weight in _weights(first)}
        for name, weight in second.state_dict().items():
            shared = weight.numel() and weight.untyped_storage().data_ptr() in known
            require(not shared, f"'{name}' of one network is that of another")

    def test_what_all_share_is_left_alone(self) -> None:
        """Building draws from torch's global generator and seeds none; nothing else that all share is changed."""
        changed = changed_for_all(lambda: _weights(self.build(3)))
        require(not changed, f"building changes {changed}")
        ends = []
        for seed in range(2):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                network = self.backbone.build(3)
                ends.append(torch.get_rng_state())
        require(not alike(*ends), "building seeds the global generator of torch")
        changed = changed_for_all(lambda: network(picture(1, 3, 16, 16)).detach())
        require(not changed, f"denoising changes {changed}")

    def test_same_image_same_output(self) -> None:
        """A network is a function of its image: no memory of others, no randomness but torch's dropout layers."""
        network, image = self.build(3), picture(1, 3, 16, 16)
        for seed in (None, 0):
            passes = []
            for _ in range(2):
                with dropping_out([network], [None if seed is None else rng(seed)]):
                    passes.append(network(image.clone()))
                network(picture(1, 3, 16, 16, seed=1))
            require(alike(*passes), "a second pass gave another output")

    def test_images_do_not_see_each_other(self) -> None:
        """An image is denoised alike alone and among others: no normalisation over the batch."""
        network = self.build(3)
        images = torch.cat([picture(1, 3, 16, 16, seed=seed) for seed in range(3)])
        together, alone = network(images.clone())[:1], network(images[:1].clone())
        far = farthest(together, alone)
        problem = f"beside two others its output differs by up to {far:.3g}"
        require(torch.allclose(together, alone, atol=1e-5), problem)

    def test_image_is_left_alone(self) -> None:
        """A network does not write into the image that it denoises."""
        image = picture(1, 3, 16, 16)
        before = image.clone()
        self.build(3)(image)
        require(alike(image, before), "the image changed while it was denoised")

    def test_gradients_reach_every_weight(self) -> None:
        """No weight is left untrained."""
        network = self.build(3)
        network(picture(1, 3, 16, 16)).square().sum().backward()
        for name, weight in network.named_parameters():
            require(weight.grad is not None, f"'{name}' has no gradient")
            require(weight.grad is not None and weight.grad.any(), f"the gradient of '{name}' is 0")

    def test_networks_can_be_stacked(self) -> None:
        """Many networks run as one (`torch.func.vmap`): no step depends on values of the image."""
        networks = [self.build(3, seed) for seed in range(2)]
        images = torch.stack([picture(1, 3, 16, 16, seed=seed) for seed in range(2)])
        weights, buffers = stack_module_state(networks)

        def one(weights: Any, buffers: Any, image: Tensor) -> Tensor:
            return functional_call(networks[0], (weights, buffers), (image,))

        together = vmap(one)(weights, buffers, images.clone())
        alone = torch.stack([net(image) for net, image in zip(networks, images, strict=True)])
        far = farthest(together, alone)
        problem = f"as one stack the outputs differ by up to {far:.3g}"
        require(torch.allclose(together, alone, atol=1e-4), problem)

    def test_halo_is_true(self) -> None:
        """Who declares `halo` uses no pixel farther away: tiles then have no seam."""
        halo = declared(self.backbone, "halo")
        if halo is not None:
            side = 2 * halo + 9
            middle = side // 2
            image = picture(1, 3, side, side).requires_grad_()
            self.build(3)(image * 1)[..., middle, middle].sum().backward()
            assert image.grad is not None
            rows, columns = image.grad.abs().sum(dim=(0, 1)).nonzero().T
            reach = int(max((rows - middle).abs().max(), (columns - middle).abs().max()))
            require(reach <= halo, f"halo = {halo}, but a pixel {reach} away is used")

    def test_it_runs_on_a_gpu(self) -> None:
        """A network whose weights are on a GPU makes no tensor on the CPU."""

        def work(device: torch.device) -> None:
            with device:
                network = self.build(3)
            network(torch.full((1, 3, 16, 16), 0.5, device=device))

        on_gpu(work)


def _weights(network: nn.Module) -> tuple[Tensor, ...]:
    return tuple(network.state_dict().values())
