"""What `plan` and `study` say of time: measured by parts, shared by kinds of recipe, corrected on the way."""

import dataclasses
import time

import pytest

from n2n_ablate import engine
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.engine.pool import fit_all
from n2n_ablate.engine.timing import Cost, cost_of
from n2n_ablate.errors import PluginError
from n2n_ablate.runner import estimate as estimate_module
from n2n_ablate.runner.estimate import Estimate, Forecast, PlanTimer, peak_memory
from n2n_ablate.storage.fit_store import FitStore
from n2n_ablate.storage.output import Output
from n2n_ablate.study import plan, read, shipped

MACHINE = engine.Machine("cpu", "fp32", 1, 1, "test")


@pytest.fixture
def bench(tiny, registry):
    return PairedData(plan(read(tiny), registry, profile="other"), registry, MACHINE)


def timer(tmp_path, **options):
    return PlanTimer(FitStore(Output(tmp_path)), 1, **options)


def test_a_fit_costs_its_parts(bench):
    fit = bench.fits(bench.plan.baseline.recipe)[0]
    long = dataclasses.replace(fit.training, steps=500)
    cost = Cost(start=1.0, step=0.01, point=0.1, end=2.0)
    assert cost.of(dataclasses.replace(fit, training=long)) == pytest.approx(1 + 5 + 2.9 + 2)


def test_a_part_that_was_measured_as_nothing_does_not_blow_up_the_others():
    small = Cost(start=1.0, step=0.01, point=0.0, end=0.0)
    large = Cost(start=1.0, step=0.04, point=0.2, end=0.3)
    other = Cost(start=1.0, step=0.02, point=0.001, end=0.1)
    assert other.scaled(small, large) == Cost(start=1.0, step=0.08, point=0.004, end=0.4)


def test_the_cost_of_a_fit_is_about_what_it_takes(bench):
    fit = bench.fits(bench.plan.baseline.recipe)[0]
    fit = dataclasses.replace(fit, training=dataclasses.replace(fit.training, steps=60))
    list(fit_all([fit], MACHINE))
    foretold = cost_of([fit], MACHINE).of(fit)
    began = time.perf_counter()
    list(fit_all([fit], MACHINE))
    assert 0.3 < foretold / (time.perf_counter() - began) < 3  # other work may run beside it


def test_an_optimiser_and_a_crop_are_those_of_the_training(bench, monkeypatch):
    fit = bench.fits(bench.plan.baseline.recipe)[0]
    fit = dataclasses.replace(fit, training=dataclasses.replace(fit.training, crop=16))
    seen = []

    def trained(fits, *_args, **_options):
        seen.extend(one.training for one in fits)
        for step in range(fits[0].training.steps):
            fits[0].training.learning_rate(step)

    monkeypatch.setattr("n2n_ablate.engine.timing.train", trained)
    cost_of([fit], MACHINE)
    assert (seen[0].crop, seen[0].elementwise) == (16, True)


def test_numbers_of_a_sampler_are_one_kind_and_another_loss_is_not(bench):
    recipe = bench.plan.baseline.recipe
    kind = estimate_module._kind
    assert kind(recipe) == kind(recipe.replace("sampler.center", 0.3))
    assert kind(recipe) != kind(recipe.replace("loss.consistency_weight", 0.0))
    assert kind(recipe) != kind(recipe.replace("training.crop", 16))


def test_every_kind_is_measured_once_and_stored_fits_cost_nothing(bench, tmp_path, monkeypatch):
    calls = []

    def measured(fits, _machine):
        calls.append(len(fits))
        return Cost(0.0, 0.01, 0.0, 0.0)

    monkeypatch.setattr(estimate_module, "cost_of", measured)
    own = timer(tmp_path)
    first = own.estimate(bench.plan, bench)
    assert first.stored == 0
    count = len(calls)
    assert own.estimate(bench.plan, bench) == first
    assert len(calls) == count
    name = bench.plan.baseline.name
    assert first.by_trial[name] > 0
    for result in fit_all(bench.fits(bench.plan.baseline.recipe), MACHINE):
        own.store.save(result)
    again = own.estimate(bench.plan, bench)
    assert again.stored == len(bench.samples)
    assert again.by_trial[name] == 0
    assert again.seconds < first.seconds
    assert timer(tmp_path, refit=True).estimate(bench.plan, bench).seconds == pytest.approx(
        first.seconds
    )


def test_large_images_are_compared_on_a_corner_and_whole_where_that_is_too_small(
    bench, tmp_path, monkeypatch
):
    sides = []

    def measured(fits, _machine):
        side = fits[0].noisy.shape[-1]
        sides.append(side)
        if side < 24 and fits[0].loss.consistency_weight == 0:
            msg = "too small"
            raise ValueError(msg)
        return Cost(0.0, side / 1000, 0.0, 0.0)

    monkeypatch.setattr(estimate_module, "cost_of", measured)
    monkeypatch.setattr(estimate_module, "_CORNER", 12)
    own, recipe = timer(tmp_path), bench.plan.baseline.recipe
    whole = bench.samples[0].noisy.shape[-1]
    assert own._cost(recipe.replace("sampler", "diagonal"), bench).step == pytest.approx(
        whole / 1000
    )
    assert sides == [12, 12, 12, whole]
    sides.clear()
    own._cost(recipe.replace("loss.consistency_weight", 0.0), bench)
    assert sides == [12, whole]


def test_a_component_that_fails_is_told(bench, tmp_path, monkeypatch):
    def broken(_fits, _machine):
        msg = "no"
        raise ValueError(msg)

    monkeypatch.setattr(estimate_module, "cost_of", broken)
    with pytest.raises(PluginError, match="a component fails in training: ValueError: no"):
        timer(tmp_path).estimate(bench.plan, bench)


def test_the_rest_follows_the_clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    study = Estimate(4, 8, 0, 40.0, {"a": 10.0, "b": 10.0}, 10.0)
    later = Estimate(1, 2, 0, 20.0, {"a": 20.0}, 0.0)
    forecast = Forecast(study, later)
    assert forecast.seconds == 60
    now[0] += 20.0  # twice as long as was said
    assert 50 < forecast.finished("a") < 100
    for trial, took in (("b", 20.0), ("c", 20.0), ("d", 20.0)):
        now[0] += took
        left = forecast.finished(trial)
    assert 34 < left < 40
    now[0] += 40.0
    assert forecast.finished("a", confirmed=True) == 0


def test_workers_that_wait_draw_a_batch_out(tmp_path):
    many = PlanTimer(FitStore(Output(tmp_path)), 16)
    assert many._idle(6) == pytest.approx(32 / 18)
    assert many._idle(16) == 1
    assert timer(tmp_path)._idle(5) == 1


def test_memory_is_that_of_the_fits_side_by_side(bench):
    two = PairedData(bench.plan, bench._registry, dataclasses.replace(MACHINE, workers=2))
    assert peak_memory(two) == pytest.approx(2 * peak_memory(bench), rel=0.1)


@pytest.mark.parametrize("name", sorted(shipped()))
def test_every_study_that_ships_has_a_demonstration(name, registry):
    planned = plan(read(shipped()[name]), registry, profile="demo")
    assert not planned.profile.decides
    measured = all(condition.pairs for condition in planned.conditions)
    assert len(planned.profile.images) == (0 if measured else 2)
    images = 15 if measured else 2
    fits = (len(planned.fixed) + planned.searched) * images * len(planned.conditions)
    assert fits * int(planned.profile.changes["training.steps"]) <= 4000
    assert all(one.decides for label, one in planned.study.profiles.items() if label != "demo")
