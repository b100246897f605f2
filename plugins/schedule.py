"""Schedules: another sampler at other steps of the training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch
from torch import Tensor

from n2n_ablate import (
    Component,
    Pairs,
    ParameterError,
    Range,
    Register,
    Sampler,
    SamplerWrapper,
    Split,
    hookimpl,
)
from n2n_ablate_plugins.pooling import AvgStochasticPool
from n2n_ablate_plugins.stripe import Stripe
from n2n_ablate_plugins.three_by_three import ThreeByThree
from n2n_ablate_plugins.zs_n2n import EdgeWeighted

_BOTH_WAYS: Pairs = ((0, 1), (1, 0))


@dataclass(frozen=True)
class Schedule(SamplerWrapper):
    """Several samplers, one after the other or by turns (after the N2N reproduction note).

    All must train the same pairs of views, since the loss asks for them once. Their views may
    differ in size: the network takes any.

    Args:
        samplers: Which, in order. In a study file a list of names and tables, for instance
            `samplers = ["diagonal", { name = "stripe", axis = "rows" }]`.
        order: `phases` trains with the first to the end of its share, then with the second, and so
            on; `turns` takes the next one at every step and begins again after the last.
        shares: How long each phase lasts, in any unit: `[1, 2]` gives the second twice as many
            steps as the first. Empty: equal shares. Only for phases.

    Raises:
        ParameterError: No sampler, different pairs, or shares that do not fit.
    """

    samplers: Annotated[tuple[Sampler, ...], Component("sampler")] = (
        Stripe(),
        Stripe(axis="rows"),
    )
    order: Literal["phases", "turns"] = "phases"
    shares: Annotated[tuple[float, ...], Range(0, 1e6)] = ()

    def __post_init__(self) -> None:
        if not self.samplers:
            msg = "a schedule needs at least one sampler, e.g. samplers = ['diagonal', 'stripe']"
            raise ParameterError(msg)
        if len({_pairs(sampler) for sampler in self.samplers}) > 1:
            msg = "the samplers of a schedule must train the same pairs of views; these do not"
            raise ParameterError(msg)
        if self.shares and (self.order == "turns" or len(self.shares) != len(self.samplers)):
            msg = (
                f"shares {list(self.shares)} need order = 'phases' and one number per sampler, "
                f"here {len(self.samplers)}"
            )
            raise ParameterError(msg)
        if self.shares and not sum(self.shares):
            msg = "shares are all 0. Give at least one phase a length."
            raise ParameterError(msg)

    @property
    def inner(self) -> tuple[Sampler, ...]:
        """See `n2n_ablate.SamplerWrapper`."""
        return self.samplers

    @property
    def fixed(self) -> bool:
        """False: another step may have another sampler."""
        return False

    def around(self, *inner: Sampler) -> Schedule:
        """See `n2n_ablate.SamplerWrapper`."""
        return replace(self, samplers=inner)

    def at(self, step: int, steps: int) -> Sampler:
        """See `n2n_ablate.Sampler`."""
        if self.order == "turns":
            return _now(self.samplers[step % len(self.samplers)], step, steps)
        shares = self.shares or (1.0,) * len(self.samplers)
        end = 0.0
        for sampler, share in zip(self.samplers, shares, strict=True):
            end += share
            # In whole steps, so that a rounding error moves no border.
            if step < round(steps * end / sum(shares)):
                return _now(sampler, step, steps)
        return _now(self.samplers[-1], step, steps)

    def draw(self, image: Tensor, rng: torch.Generator) -> Split:
        """See `n2n_ablate.Sampler.draw`: draws with the sampler of the first step."""
        return self.at(0, 1).draw(image, rng)


@dataclass(frozen=True)
class NoteSchedule:
    """Six samplers chosen by the number of the step (N2N reproduction note).

    Until `switch` of the training is done, the number of the step, counted from 0, decides; the
    last line that fits wins::

        any step                   mean against one random pixel of 2x2 (by rows and columns)
        a multiple of 2            stripe columns
        a multiple of 3            stripe rows
        a multiple of 5            edge-weighted +0.1
        a multiple of 10           edge-weighted -0.1
        a multiple of 20           three-by-three

    After that: stripe rows at every step. The note switches at step 1000 of 3000 on a single image
    and at step 500 in its runs over sets.

    Args:
        switch: Share of the training after which only stripe rows are left.
    """

    switch: Annotated[float, Range(0, 1)] = 1 / 3

    @property
    def leaks(self) -> bool:
        """True while the pooling and edge-weighted samplers take part."""
        return self.switch > 0

    def at(self, step: int, steps: int) -> Sampler:
        """See `n2n_ablate.Sampler`."""
        rows = Stripe(axis="rows")
        if step >= round(self.switch * steps):
            return rows
        chosen: Sampler = AvgStochasticPool(pick="spatial")
        for every, sampler in (
            (2, Stripe(axis="columns")),
            (3, rows),
            (5, EdgeWeighted(weight=0.1)),
            (10, EdgeWeighted(weight=-0.1)),
            (20, ThreeByThree()),
        ):
            chosen = sampler if step % every == 0 else chosen
        return chosen

    def draw(self, image: Tensor, rng: torch.Generator) -> Split:
        """See `n2n_ablate.Sampler.draw`: draws with the sampler of the first step."""
        return self.at(0, 3000).draw(image, rng)


def _pairs(sampler: Sampler) -> Pairs:
    return tuple((int(i), int(j)) for i, j in getattr(sampler, "pairs", _BOTH_WAYS))


def _now(sampler: Sampler, step: int, steps: int) -> Sampler:
    return sampler.at(step, steps) if hasattr(sampler, "at") else sampler


@hookimpl
def register_samplers(register: Register) -> None:
    """Register the samplers of this file."""
    register("schedule", Schedule)
    register("note-schedule", NoteSchedule)
