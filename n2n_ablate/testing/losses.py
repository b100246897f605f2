"""What every loss promises. Subclass `LossContract`, set `loss`, run pytest."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from n2n_ablate.components import BOTH_WAYS, Noise, Pairs, Split, Views, declared
from n2n_ablate.components.randomness import StackRandom
from n2n_ablate.errors import ParameterError
from n2n_ablate.testing.contract import Contract
from n2n_ablate.testing.gpu import on_gpu
from n2n_ablate.testing.promise import alike, picture, require, rng, shape_of, values_of

_AROUND: Pairs = ((0, 1), (1, 2), (2, 3), (3, 0))


class ToyLossContext:
    """A context of b small networks, cut into even and odd columns (or, redrawn, the reverse).

    Args:
        noisy: The noisy images, (b, c, h, w).
        supports_consistency: See `n2n_ablate.LossContext`. If False, cutting anything but `noisy` is an error.
        progress: See `n2n_ablate.LossContext`.
        views: How many views; 2 train both ways, more in a ring.
        noise: See `n2n_ablate.LossContext.noises`; of all fits.
    """

    def __init__(
        self,
        noisy: Tensor,
        *,
        supports_consistency: bool = True,
        progress: float = 0.0,
        views: int = 2,
        noise: Noise | None = None,
    ) -> None:
        self.noisy = noisy
        self.supports_consistency = supports_consistency
        self.progress = progress
        self.pairs = BOTH_WAYS if views == 2 else (*_AROUND[: views - 1], (views - 1, 0))
        self.cut_denoised = False
        self._count = views
        self.noises = (noise,) * len(noisy)
        self.rng = StackRandom([rng(seed) for seed in range(len(noisy))], noisy.device)
        # As if some pixels were hidden: of no account to a loss that looks everywhere.
        self.mask = self.rng.rand(1, *self.views(noisy)[0].shape[2:]) < 0.5
        with torch.random.fork_rng(devices=[]), noisy.device:
            torch.manual_seed(0)
            self.networks = nn.ModuleList(_network(noisy.shape[1]) for _ in noisy)

    def denoise(self, *images: Tensor) -> Views:
        """See `n2n_ablate.LossContext.denoise`."""
        return tuple(self._denoise(image) for image in images)

    def views(self, image: Tensor) -> Views:
        """See `n2n_ablate.LossContext.views`."""
        self.cut_denoised = self.cut_denoised or image.requires_grad
        return tuple(image[..., index :: self._count] for index in range(self._count))

    def resample(self) -> Split:
        """See `n2n_ablate.LossContext.resample`."""
        return lambda image: self.views(image)[::-1]

    def _denoise(self, image: Tensor) -> Tensor:
        each = zip(self.networks, image.split(1), strict=True)
        return torch.cat([one - network(one) for network, one in each])


class LossContract(Contract):
    """The promises of a loss, as tests.

    Attributes:
        loss: The loss under test.
    """

    kind = "loss"
    loss: ClassVar[Any]

    def context(self, noisy: Tensor, **settings: Any) -> ToyLossContext:
        """Return a context with the noise that the loss requires, if it requires one."""
        return ToyLossContext(noisy, noise=declared(self.loss, "required_noise"), **settings)

    def test_one_finite_value_per_fit(self) -> None:
        """A stack of b fits gives b finite values."""
        values = self.loss(self.context(picture(3, 1, 8, 8)))
        problem = f"a stack of 3 fits gave {shape_of(values)}"
        require(isinstance(values, Tensor) and values.shape == (3,), problem)
        require(values.isfinite().all(), f"it gave {values_of(values)}")

    def test_any_image_can_be_scored(self) -> None:
        """One, three or four channels, odd and unequal sides work."""
        for shape in ((2, 1, 7, 8), (2, 3, 9, 12), (2, 4, 8, 16)):
            values = self.loss(self.context(picture(*shape)))
            require(values.isfinite().all(), f"images of {shape} gave {values_of(values)}")

    def test_any_number_of_views_can_be_scored(self) -> None:
        """Samplers may make more than two views: the loss follows the context's `pairs`."""
        for count in (3, 4):
            values = self.loss(self.context(picture(2, 1, 8, 24), views=count))
            problem = f"{count} views gave {values_of(values)}"
            require(values.isfinite().all(), problem)

    def test_every_moment_can_be_scored(self) -> None:
        """From the first step to the last, as the context's `progress` tells it, values are finite."""
        for progress in (0.0, 0.25, 0.5, 0.75, 0.999):
            values = self.loss(self.context(picture(2, 1, 8, 8), progress=progress))
            require(values.isfinite().all(), f"at {progress:.0%} it gave {values_of(values)}")

    def test_same_context_same_value(self) -> None:
        """A loss is a function of its context: no randomness, no memory of contexts before it."""
        self.require_function("the values change", self._score, lambda: self._score(seed=1))

    def test_what_all_share_is_left_alone(self) -> None:
        """Scoring changes nothing that all share: no global generator, no setting of torch."""
        self.require_harmless(self._score)

    def test_consistent_is_heeded(self) -> None:
        """Where the context says that it has no meaning (`supports_consistency`), no denoised image is cut."""
        context = self.context(picture(2, 1, 8, 8), supports_consistency=False)
        try:
            self.loss(context)
        except ParameterError:  # a loss of nothing but consistency may say so
            return
        require(
            not context.cut_denoised,
            "a denoised image was cut although supports_consistency is False",
        )

    def test_gradients_reach_every_kernel(self) -> None:
        """No kernel of any fit is left untrained. A bias may be: shifts can cancel out of a loss."""
        context = self.context(picture(2, 1, 8, 8))
        self.loss(context).sum().backward()
        for name, weight in context.networks.named_parameters():
            if weight.dim() > 1:
                reached = weight.grad is not None and weight.grad.any()
                require(bool(reached), f"the kernels of '{name}' have no gradient")

    def test_fits_do_not_see_each_other(self) -> None:
        """The value of one fit has no gradient in the weights of another."""
        context = self.context(picture(2, 1, 8, 8))
        self.loss(context).flatten()[0].backward()
        for weight in context.networks[1].parameters():
            alone = weight.grad is None or not weight.grad.any()
            require(alone, "the first value has a gradient in the second network")

    def test_training_lowers_it(self) -> None:
        """Fifty steps of Adam bring the loss of every fit down."""
        context = self.context(picture(2, 1, 8, 8))
        optimizer = torch.optim.Adam(context.networks.parameters(), lr=1e-2)
        before = self.loss(context).detach()
        for _ in range(50):
            optimizer.zero_grad()
            self.loss(context).sum().backward()
            optimizer.step()
        after = self.loss(context).detach()
        problem = f"from {before.tolist()} to {after.tolist()} after 50 steps"
        require((after < before).all(), problem)

    def test_noisy_image_is_left_alone(self) -> None:
        """Scoring does not write into the noisy image."""
        noisy = picture(2, 1, 8, 8)
        before = noisy.clone()
        self.loss(self.context(noisy))
        require(alike(noisy, before), "the noisy image changed while it was scored")

    def test_it_scores_on_a_gpu(self) -> None:
        """Images on a GPU are scored there."""

        def work(device: torch.device) -> None:
            self.loss(self.context(torch.full((2, 1, 8, 8), 0.5, device=device)))

        on_gpu(work)

    def _score(self, seed: int = 0) -> Tensor:
        values: Tensor = self.loss(self.context(picture(2, 1, 8, 8, seed=seed)))
        return values.detach()


def _network(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(4, channels, 1)
    )
