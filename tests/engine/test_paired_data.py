"""The bench tries each sampler once, and measures what needs no training on one thread."""

import sys
from dataclasses import dataclass

import pytest
import torch

from n2n_ablate import engine, hookimpl
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.engine.reference_methods import reference_methods
from n2n_ablate.errors import PluginError
from n2n_ablate.registry import Registry
from n2n_ablate.study import plan, read

dry_run = sys.modules["n2n_ablate.engine.dry_run"]  # the package has a function of this name
MACHINE = engine.Machine("cpu", "fp32", 2, 1, "test")
THREADS = []


@dataclass(frozen=True)
class Told:
    """Rows."""

    wrong: bool = False
    gap: int = 0

    def draw(self, image, rng):
        if self.wrong:
            return None
        return lambda image: (image[..., 0:-1:2, :], image[..., 1::2, :])


@dataclass(frozen=True)
class Threads:
    """How many threads a metric is measured with."""

    higher_is_better = True
    unit = ""

    def measure(self, denoised, clean, noisy):
        THREADS.append(torch.get_num_threads())
        return torch.zeros(len(denoised))


class Lost:
    """A loss that fails."""

    def __call__(self, scene):
        return 1 / 0


class Unreadable(Told):
    """A sampler that says whether it prepares by failing."""

    @property
    def prepare(self):
        return 1 / 0


class Plugin:
    @hookimpl
    def register_losses(self, register):
        register("lost", Lost)

    @hookimpl
    def register_samplers(self, register):
        register("told", Told)
        register("unreadable", Unreadable)

    @hookimpl
    def register_metrics(self, register):
        register("threads", Threads)


@pytest.fixture
def bench(tiny):
    registry = Registry(Plugin())
    return PairedData(plan(read(tiny), registry), registry, MACHINE)


def recipe(bench, **parameters):
    found = bench.plan.baseline.recipe.replace("sampler", {"name": "told", **parameters})
    return found.resolved(bench._registry)


@pytest.fixture
def tried(monkeypatch):
    """What is tried of a fit, in order: `split` on the whole image, `step`."""
    seen = []
    for name, mark in (("validate_split", "split"), ("first_step", "step")):
        real = getattr(dry_run, name)
        monkeypatch.setattr(
            dry_run,
            name,
            lambda *given, real=real, mark=mark: seen.append(mark) or real(*given),
        )
    return seen


def test_what_recipes_share_is_tried_once(bench, tried):
    one = recipe(bench)
    bench.check(one)
    assert tried == ["split", "step"]
    bench.check(one)
    assert tried == ["split", "step"]
    bench.check(one.replace("backbone.width", 6))
    bench.with_plan(bench.plan).check(one.replace("training.steps", 7))
    assert tried == ["split", "step", "step", "step"]
    bench.check(one.replace("backbone.width", 6).replace("training.steps", 7))
    assert len(tried) == 4  # new together, each tried before
    bench.check(recipe(bench, gap=1))
    assert tried[4:] == ["split", "step"]


def test_a_recipe_whose_fits_are_stored_is_not_tried(bench, tried):
    one = recipe(bench)
    bench.check(one, {fit.key for fit in bench.fits(one)})
    assert tried == []
    bench.check(one.replace("backbone.width", 6), {fit.key for fit in bench.fits(one)})
    assert tried == ["split", "step"]


def test_every_declared_recipe_is_tried_not_only_the_baseline(bench):
    with pytest.raises(PluginError, match="loss 'lost' raises ZeroDivisionError"):
        bench.check(recipe(bench).replace("loss", "lost").resolved(bench._registry))


def test_what_cannot_be_read_is_named_before_fits_ask_for_it(bench):
    with pytest.raises(PluginError, match="sampler 'unreadable' has 'prepare', but reading it"):
        bench.check(recipe(bench).replace("sampler", "unreadable").resolved(bench._registry))


def test_a_sampler_that_is_refused_is_refused_again(bench):
    for width in (8, 6):
        with pytest.raises(PluginError, match="must return a function from image to views"):
            bench.check(recipe(bench, wrong=True).replace("backbone.width", width))


def test_what_other_trainings_allow_is_no_excuse(bench, tried):
    one = recipe(bench)  # the same sampler, but it trains on crops
    bench.check(one)
    bench.check(one.replace("training.crop", 16))
    assert tried == ["split", "step"] * 2


def test_reference_methods_are_measured_on_one_thread_and_leave_the_others(tiny):
    registry = Registry(Plugin())
    text = tiny.read_text().replace('design = "search"', 'design = "search"\nmetrics = ["threads"]')
    tiny.write_text(text)
    bench = PairedData(plan(read(tiny), registry), registry, MACHINE)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    THREADS.clear()
    try:
        reference_methods(bench)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert set(THREADS) == {1}
