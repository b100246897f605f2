"""Samplers around other samplers: they declare, prepare and follow the steps as what is inside does."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from n2n_ablate.components import (
    Noise,
    Pairs,
    Sampler,
    Split,
    UndeclaredError,
    at_step,
    declared,
    declares,
    is_fixed,
    pairs_of,
    prepare_sampler,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class SamplerWrapper:
    """Base of a sampler around another: a frozen dataclass with the field `sampler`.

    Whatever the inner sampler declares, `fixed`, `leaks`, `supports_consistency`, `preserves_mean`, `required_noise` and
    `pairs`, this one declares too, and it has `prepare` and `at` if the inner one has. A class that
    cuts in another way overrides what is no longer true.

    As it stands it shows the inner sampler the image that `shown` makes, and cuts what that one cuts.
    """

    sampler: Sampler

    @property
    def inner(self) -> tuple[Sampler, ...]:
        """The samplers inside. Of several one that leaks is enough to leak, and so on."""
        return (self.sampler,)

    def shown(self, image: Tensor) -> Tensor:
        """Return what the inner sampler gets to see of an image (b, c, h, w); by default all."""
        return image

    def around(self, *inner: Sampler) -> Sampler:
        """Return this sampler around others."""
        made: Sampler = dataclasses.replace(self, sampler=inner[0])  # type: ignore[type-var]
        return made

    @property
    def fixed(self) -> bool:
        """See `n2n_ablate.Sampler`."""
        return all(map(is_fixed, self.inner))

    @property
    def leaks(self) -> bool:
        """See `n2n_ablate.Sampler`."""
        return any(self._declared("leaks", False))

    @property
    def supports_consistency(self) -> bool:
        """See `n2n_ablate.Sampler`."""
        return all(self._declared("supports_consistency", True))

    @property
    def preserves_mean(self) -> bool:
        """See `n2n_ablate.Sampler`."""
        return all(self._declared("preserves_mean", True))

    @property
    def required_noise(self) -> Noise | None:
        """See `n2n_ablate.Sampler`: the noise of the first that is made for one."""
        noises = self._declared("required_noise", None)
        return next((noise for noise in noises if noise is not None), None)

    @property
    def pairs(self) -> Pairs:
        """See `n2n_ablate.Sampler`."""
        return pairs_of(self.inner[0])

    @property
    def prepare(self) -> Callable[[Tensor, Noise | None], Sampler]:
        """See `n2n_ablate.Sampler`. There, as far as `hasattr` can tell, only if it is inside."""
        self._require("prepare")

        def prepare(noisy: Tensor, noise: Noise | None) -> Sampler:
            image = self.shown(noisy)
            return self.around(*(prepare_sampler(sampler, image, noise) for sampler in self.inner))

        return prepare

    @property
    def at(self) -> Callable[[int, int], Sampler]:
        """See `n2n_ablate.Sampler`. There, as far as `hasattr` can tell, only if it is inside."""
        self._require("at")
        return lambda step, steps: self.around(
            *(at_step(sampler, step, steps) for sampler in self.inner)
        )

    def draw(self, image: Tensor, rng: torch.Generator) -> Split:
        """See `n2n_ablate.Sampler.draw`."""
        split = self.sampler.draw(self.shown(image), rng)
        return lambda image: split(self.shown(image))

    def _declared(self, name: str, default: Any) -> tuple[Any, ...]:
        return tuple(declared(sampler, name, default) for sampler in self.inner)

    def _require(self, name: str) -> None:
        if not any(declares(sampler, name) for sampler in self.inner):
            msg = f"'{type(self).__name__}' has no '{name}': no sampler inside has"
            raise UndeclaredError(msg)
