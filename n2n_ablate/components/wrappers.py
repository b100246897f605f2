"""Samplers around other samplers: they declare, prepare and follow the steps as what is inside does."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from n2n_ablate.components import (
    Noise,
    Pairs,
    Sampler,
    Split,
    UndeclaredError,
    Views,
    at_step,
    declared,
    declares,
    is_drawn_once,
    is_fixed,
    mask_of,
    pairs_of,
    prepare_sampler,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class SamplerWrapper:
    """Base of a sampler around another: a frozen dataclass with the field `sampler`.

    Whatever the inner sampler declares, `fixed`, `drawn_once`, `leaks`, `supports_consistency`,
    `preserves_mean`, `required_noise`, `replaces_input` and `pairs`, this one declares too, and it has `prepare` and `at` if the inner one has. A class that
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
    def drawn_once(self) -> bool:
        """See `n2n_ablate.Sampler`."""
        return all(map(is_drawn_once, self.inner))

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
    def replaces_input(self) -> bool:
        """See `n2n_ablate.Sampler`."""
        return any(self._declared("replaces_input", False))

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
        return _Shown(self.sampler.draw(self.shown(image), rng), self.shown)

    def _declared(self, name: str, default: Any) -> tuple[Any, ...]:
        return tuple(declared(sampler, name, default) for sampler in self.inner)

    def _require(self, name: str) -> None:
        if not any(declares(sampler, name) for sampler in self.inner):
            msg = f"'{type(self).__name__}' has no '{name}': no sampler inside has"
            raise UndeclaredError(msg)


@dataclass(frozen=True, eq=False)
class _Shown:
    """The inner split of what is shown of an image; what it hides stays hidden."""

    split: Split
    shown: Callable[[Tensor], Tensor]

    @property
    def mask(self) -> Tensor | None:
        return mask_of(self.split)

    def __call__(self, image: Tensor) -> Views:
        return self.split(self.shown(image))
