"""Schedules: the right sampler at every step, and views that change their size on the way."""

import dataclasses

import pytest

from n2n_ablate import ParameterError, engine
from n2n_ablate.components import pairs_of
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.engine.pool import fit_all, stacks_of
from n2n_ablate.study import plan, read
from n2n_ablate.testing import picture, rng
from n2n_ablate_plugins.noises import Gaussian
from n2n_ablate_plugins.pooling import AvgStochasticPool
from n2n_ablate_plugins.quad import Quad
from n2n_ablate_plugins.recorruption import Recorruption
from n2n_ablate_plugins.schedule import NoteSchedule, Schedule
from n2n_ablate_plugins.stripe import Stripe
from n2n_ablate_plugins.three_by_three import ThreeByThree
from n2n_ablate_plugins.zs_n2n import Diagonal, EdgeWeighted

ONE = engine.Machine("cpu", "fp32", 1, 1, "test")
TWO = Diagonal(), ThreeByThree()


def order(sampler, steps):
    return [type(sampler.at(step, steps)).__name__ for step in range(steps)]


def test_phases_share_the_training_evenly_or_as_told():
    d, t = "Diagonal", "ThreeByThree"
    assert order(Schedule(TWO), 4) == [d, d, t, t]
    assert order(Schedule(TWO, shares=(1.0, 3.0)), 4) == [d, t, t, t]
    assert order(Schedule(TWO, shares=(0.0, 2.0)), 2) == [t, t]
    assert order(Schedule(TWO, order="turns"), 3) == [d, t, d]


def test_schedules_nest():
    inner = Schedule(TWO, order="turns")
    outer = Schedule((Stripe(), inner))
    assert order(outer, 4) == ["Stripe", "Stripe", "Diagonal", "ThreeByThree"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"samplers": ()}, "at least one sampler"),
        ({"samplers": (Diagonal(), Quad())}, "the same pairs"),
        ({"samplers": TWO, "shares": (1.0,)}, "one number per sampler, here 2"),
        ({"samplers": TWO, "shares": (1.0, 1.0), "order": "turns"}, "order = 'phases'"),
        ({"samplers": TWO, "shares": (0.0, 0.0)}, "all 0"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_named(given, message):
    with pytest.raises(ParameterError, match=message):
        Schedule(**given)


def test_pairs_may_be_written_as_lists():
    class Listed(Stripe):
        pairs = [[0, 1], [1, 0]]  # noqa: RUF012  as a plugin may have it

    assert pairs_of(Schedule((Listed(), Stripe()))) == ((0, 1), (1, 0))


def test_a_schedule_declares_what_its_samplers_declare():
    assert Schedule((Diagonal(), EdgeWeighted())).leaks
    assert not Schedule((Diagonal(), Stripe())).leaks
    assert Schedule((Quad(), Quad())).pairs == Quad().pairs
    assert not Schedule((Recorruption(), Recorruption(alpha=0.5))).supports_consistency
    assert not Schedule((EdgeWeighted(divisor="text"),)).preserves_mean


def test_a_schedule_is_made_for_the_noise_that_its_samplers_part():
    noise = Gaussian(sigma=10.0, clip=False)
    assert (
        Schedule((Recorruption(sigma=10.0), Recorruption(0.5, sigma=10.0))).required_noise == noise
    )
    assert Schedule(TWO).required_noise is None
    assert not hasattr(Schedule(TWO), "prepare")  # so it can train on crops


def test_a_schedule_prepares_its_samplers():
    sampler = Schedule((Recorruption(), Recorruption(alpha=0.5)))
    noisy = picture(1, 1, 8, 8)
    prepared = sampler.prepare(noisy, Gaussian(sigma=10.0))
    assert [own.sigma for own in prepared.samplers] == [10.0, 10.0]
    assert len(prepared.draw(noisy, rng())(noisy)) == 2


def test_the_schedule_of_the_note_step_by_step():
    rows, columns = Stripe(axis="rows"), Stripe()
    expected = {
        0: ThreeByThree(),
        1: AvgStochasticPool(pick="spatial"),
        2: columns,
        3: rows,
        4: columns,
        5: EdgeWeighted(weight=0.1),
        6: rows,
        7: AvgStochasticPool(pick="spatial"),
        10: EdgeWeighted(weight=-0.1),
        15: EdgeWeighted(weight=0.1),
        20: ThreeByThree(),
        30: EdgeWeighted(weight=-0.1),
        999: rows,
        998: columns,
        1000: rows,
        2998: rows,
    }
    assert {step: NoteSchedule().at(step, 3000) for step in expected} == expected
    assert {str(NoteSchedule(switch=0.0).at(step, 50)) for step in range(50)} == {str(rows)}
    assert not NoteSchedule(switch=0.0).leaks


@pytest.mark.parametrize("stack", [1, 8])
@pytest.mark.parametrize("name", ["schedule", "note-schedule"])
def test_views_that_change_their_size_train(tiny, registry, name, stack):
    asked = read(tiny)
    sampler = {"schedule": '={name="schedule", samplers=["diagonal", "three-by-three"]}'}
    settings = [f"sampler{sampler.get(name, f'={name}')}", "backbone.width=4"]
    settings += ["training.steps=24"]
    factors = tuple(f for f in asked.factors if f.key != "sampler.center")
    asked = dataclasses.replace(asked, factors=factors, design="grid", contrasts=())
    bench = PairedData(plan(asked, registry, settings=settings), registry, ONE)
    fits = bench.fits(bench.plan.baseline.recipe)
    assert len(list(stacks_of(fits, 8))) == 1
    other = bench.plan.baseline.recipe.replace("sampler", "diagonal").resolved(registry)
    assert len(list(stacks_of([*fits, *bench.fits(other)], 8))) == 2
    machine = dataclasses.replace(ONE, stack=stack)
    alone = {result.key: result for result in fit_all(fits, ONE)}
    for result in fit_all(fits, machine):
        assert not result.failure
        expected = alone[result.key].figures["psnr"]
        assert result.figures["psnr"] == pytest.approx(expected, abs=0.02)
