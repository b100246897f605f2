"""Noise2Noise proper: one shot of a scene predicts another. An upper bound for cutting one image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from n2n_ablate import MeasuredNoise, ParameterError, hookimpl

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from n2n_ablate import Noise, Register, Split


@dataclass(frozen=True)
class TwoShots:
    """One shot of the scene predicts the others, one of them at each step (Lehtinen et al., 2018).

    It needs measured noise with at least two shots per scene. It sees more than one noisy image, so
    it is no competitor of the other samplers: it bounds what they can reach.
    """

    supports_consistency: ClassVar[bool] = False
    preserves_mean: ClassVar[bool] = False  # the other shot has noise of its own
    needs_shots: ClassVar[bool] = True

    def prepare(self, noisy: Tensor, noise: Noise | MeasuredNoise | None) -> Beside:
        """Return the sampler with the scene's other shots.

        Raises:
            ParameterError: The scene has no other shot.
        """
        if not isinstance(noise, MeasuredNoise):
            given = "one noisy image" if noise is None else repr(noise)
            msg = (
                f"sampler 'two-shots' needs measured noise with at least two shots per scene, got {given}. "
                "Use --pairs with a set of several shots"
            )
            raise ParameterError(msg)
        h, w = noisy.shape[-2:]  # a corner of the image is tried first
        return Beside(tuple(shot[..., :h, :w].to(noisy) for shot in noise.shots))

    def draw(self, image: Tensor, rng: torch.Generator) -> Split:
        """Refuse: without `prepare` there is no other shot."""
        return self.prepare(image, None).draw(image, rng)


@dataclass(frozen=True, eq=False)
class Beside:
    """A noisy image beside one of the other shots of its scene.

    Attributes:
        shots: The other shots, (1, c, h, w) each.
    """

    shots: tuple[Tensor, ...] = field(repr=False)

    supports_consistency: ClassVar[bool] = False
    preserves_mean: ClassVar[bool] = False

    def draw(self, image: Tensor, rng: torch.Generator) -> Split:
        """Draw one of the other shots; see `Sampler.draw`."""
        import torch

        other = self.shots[int(torch.randint(len(self.shots), (), generator=rng))]
        return lambda image: (image, other.to(image).expand_as(image))


@hookimpl
def register_samplers(register: Register) -> None:
    """Register the sampler of this file."""
    register("two-shots", TwoShots)
