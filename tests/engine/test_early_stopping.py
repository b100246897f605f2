"""Early stopping in a stack: every fit keeps the weights its checkpoint selector chose, and stays in step."""

import dataclasses

import pytest
import torch

from n2n_ablate import engine, hookimpl
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.engine.train import train
from n2n_ablate.errors import PluginError
from n2n_ablate.images import Image
from n2n_ablate.registry import Registry
from n2n_ablate.runner.denoising import OFFICIAL, _without_truth, denoise_all
from n2n_ablate.study import plan, read
from n2n_ablate_plugins.metrics import Ssim
from n2n_ablate_plugins.truth_free import ResidualWhiteness

EXACT = engine.Machine("cpu", "fp32", 2, 1, "test")


class Chosen:
    """Keeps the weights of a step of its own for each fit of the stack."""

    interval = 1

    def __init__(self, *steps):
        self.steps = torch.tensor(steps)

    def update(self, step, denoised):
        return (self.steps == step) | torch.tensor(step == 1)


@dataclasses.dataclass(frozen=True)
class Stops:
    """An estimator that stops fits where it is told."""

    steps: tuple = ()

    def averaging_weight(self, step, steps):
        return 1.0

    def estimate(self, denoise, noisy):
        return denoise(noisy)[0]

    def checkpoint_selector(self, steps):
        return Chosen(*self.steps)


@pytest.fixture
def fits(tiny, registry):
    """Two fits, seeds 0 and 1."""
    settings = ["backbone.width=6", "training.steps=12", "training.decay=1.0"]
    planned = plan(read(tiny), registry, profile="other", settings=settings)
    bench = PairedData(planned, registry, EXACT)
    return bench.fits(planned.baseline.recipe)


def stopping(fits, *steps):
    return [dataclasses.replace(one, estimator=Stops(steps)) for one in fits]


def shorter(one, steps):
    """The same fit with fewer steps; the learning rate is constant, so they are the first ones."""
    return dataclasses.replace(one, training=dataclasses.replace(one.training, steps=steps))


def test_each_fit_of_a_stack_ends_with_the_weights_of_its_own_step(fits):
    first, second = train(stopping(fits, 5, 9), EXACT)
    assert (first.figures["chosen_step"], second.figures["chosen_step"]) == (5, 9)
    for found, one, steps in ((first, fits[0], 5), (second, fits[1], 9)):
        (alone,) = train([shorter(one, steps)], EXACT)
        assert abs(found.denoised.astype(int) - alone.denoised).max() <= 1
        assert found.figures["psnr"] == pytest.approx(alone.figures["psnr"], abs=1e-3)


def test_training_and_curves_are_those_of_the_whole_training_but_for_the_end(fits):
    stopped, plain = train(stopping(fits, 5, 9), EXACT), train(fits, EXACT)
    for found, other in zip(stopped, plain, strict=True):
        assert found.curves["loss"].tolist() == other.curves["loss"].tolist()
        assert found.curves["psnr"][:-1].tolist() == other.curves["psnr"][:-1].tolist()
        assert found.curves["psnr"][-1] == found.figures["psnr"] != other.figures["psnr"]
        assert "chosen_step" not in other.figures
        assert "chosen_step" not in found.curves


def test_a_selector_that_does_not_answer_for_each_fit_is_named(fits):
    with pytest.raises(PluginError, match="one truth value per fit"):
        train(stopping(fits, 5, 9, 11), EXACT)


def test_windowed_variance_trains_in_a_study(tiny, registry):
    settings = [
        'estimator={ name = "windowed-variance", window = 4, interval = 2 }',
        "backbone.width=6",
        "training.steps=12",
    ]
    planned = plan(read(tiny), registry, profile="other", settings=settings)
    results = train(PairedData(planned, registry, EXACT).fits(planned.baseline.recipe), EXACT)
    assert all(2 <= result.figures["chosen_step"] <= 12 for result in results)


class Plugin:
    """A metric that works, one that does not."""

    @hookimpl
    def register_metrics(self, register):
        register("whiteness", ResidualWhiteness)
        register("broken", Broken)
        register("ssim", Ssim)


class Broken:
    """Fails."""

    full_reference = False

    def measure(self, denoised, clean, noisy):
        msg = "no"
        raise ValueError(msg)


def test_an_image_without_a_clean_one_gets_the_metrics_that_need_none(registry):
    noisy = Image("noisy", torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)), 8)
    recipe = OFFICIAL.replace("training.steps", 3).replace("backbone.width", 4).resolved(registry)
    (found,) = denoise_all([noisy], recipe, registry, EXACT)
    assert set(found.figures) == {"loss", "whiteness", "signal-left", "level-error", "level-ratio"}
    expected = ResidualWhiteness().measure(found.image, noisy.pixels, noisy.pixels)
    assert found.figures["whiteness"] == pytest.approx(expected.item())
    assert found.failed == {}


def test_a_metric_that_fails_costs_itself_and_is_named():
    image = torch.rand(1, 1, 8, 8)
    figures, failed = _without_truth(Registry(Plugin(), installed=False), image, image.sqrt())
    assert list(figures) == ["whiteness"]
    assert list(failed) == ["broken"]
    assert failed["broken"].startswith("metric 'broken' fails: ValueError: no (")
