"""A sampler around another declares, prepares and schedules what is inside, and keeps every promise."""

from dataclasses import dataclass
from typing import Annotated

import pytest
import torch

from n2n_ablate import Component, Sampler, SamplerWrapper
from n2n_ablate.components import at_step, is_fixed, pairs_of
from n2n_ablate.testing import broken_promises, picture, rng
from n2n_ablate_plugins.noises import Gaussian
from n2n_ablate_plugins.pixel2pixel import PixelBank
from n2n_ablate_plugins.quad import Quad
from n2n_ablate_plugins.recorruption import Recorruption
from n2n_ablate_plugins.schedule import NoteSchedule, Schedule
from n2n_ablate_plugins.stripe import Stripe
from n2n_ablate_plugins.zs_n2n import Diagonal, EdgeWeighted


@dataclass(frozen=True)
class Mirrored(SamplerWrapper):
    """Another sampler, applied to the image from right to left."""

    sampler: Annotated[Sampler, Component("sampler")] = Diagonal()  # noqa: RUF009  it is frozen

    def shown(self, image):
        return image.flip(-1)


INNER = [
    Diagonal(),
    Quad("ring"),
    PixelBank(window=8),
    Recorruption(),
    EdgeWeighted(divisor="text"),
    Schedule((Diagonal(), EdgeWeighted())),
    NoteSchedule(),
]


@pytest.mark.parametrize("inner", INNER, ids=lambda inner: type(inner).__name__)
def test_it_keeps_every_promise_around_any_sampler(inner):
    assert [item.promise.name for item in broken_promises("sampler", Mirrored(inner))] == []


def test_it_declares_what_is_inside():
    assert is_fixed(Mirrored(Quad()))
    assert not is_fixed(Mirrored(PixelBank()))
    assert pairs_of(Mirrored(Quad("ring"))) == Quad("ring").pairs
    assert pairs_of(Mirrored(Stripe())) == ((0, 1), (1, 0))
    assert Mirrored(EdgeWeighted()).leaks
    assert not Mirrored(Stripe()).leaks
    assert not Mirrored(EdgeWeighted(divisor="text")).preserves_mean
    assert not Mirrored(Recorruption()).supports_consistency
    assert Mirrored(Recorruption(sigma=10.0)).required_noise == Gaussian(sigma=10.0, clip=False)
    assert Mirrored(Stripe()).required_noise is None


def test_it_prepares_and_changes_only_if_what_is_inside_does():
    assert not hasattr(Mirrored(Stripe()), "prepare")
    assert not hasattr(Mirrored(Stripe()), "at")
    assert Mirrored(NoteSchedule()).at(999, 3000) == Mirrored(Stripe(axis="rows"))
    noisy = picture(1, 1, 8, 8)
    assert Mirrored(Recorruption()).prepare(noisy, Gaussian()).sampler.sigma == 25.0
    with pytest.raises(AttributeError, match="'Mirrored' has no 'prepare'"):
        Mirrored(Stripe()).prepare  # noqa: B018


def test_what_fails_inside_is_not_taken_for_missing():
    class Misspelt(Stripe):
        @property
        def pairs(self):
            return self._piars

        @property
        def at(self):
            return self._att

    for sampler in (Misspelt(), Mirrored(Misspelt()), Mirrored(Mirrored(Misspelt()))):
        with pytest.raises(AttributeError, match="_piars"):
            pairs_of(sampler)
        with pytest.raises(AttributeError, match="_att"):
            at_step(sampler, 0, 3)
    nested = Mirrored(Mirrored(Stripe()))
    assert pairs_of(nested) == ((0, 1), (1, 0))
    assert at_step(nested, 0, 3) is nested


def test_the_inner_sampler_is_prepared_for_what_it_sees():
    noisy = picture(1, 1, 16, 16)
    bank = PixelBank(window=8)
    found = Mirrored(bank).prepare(noisy, None).draw(noisy, rng())(noisy)
    expected = bank.prepare(noisy.flip(-1), None).draw(noisy, rng())(noisy.flip(-1))
    assert all(map(torch.equal, found, expected))
