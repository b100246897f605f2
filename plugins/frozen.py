"""A sampler that keeps its first draw: whether randomness helps, all else being equal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from n2n_ablate import Component, Register, Sampler, SamplerWrapper, hookimpl
from n2n_ablate_plugins.pooling import AvgStochasticPool


@dataclass(frozen=True)
class Frozen(SamplerWrapper):
    """Another sampler with the draw of the first step at every step (this project).

    The draw is still random, another for each image and seed, but it does not change during a fit. The
    difference to the inner sampler is what fresh draws are worth, and nothing else. Fresh draws for
    the consistency loss (`consistency_draw = "fresh"`) are the first one too.

    Args:
        sampler: A random sampler. In a study file a name or a table.
    """

    sampler: Annotated[Sampler, Component("sampler")] = AvgStochasticPool()  # noqa: RUF009

    @property
    def drawn_once(self) -> bool:
        """True."""
        return True


@hookimpl
def register_samplers(register: Register) -> None:
    """Register the sampler of this file."""
    register("frozen", Frozen)
