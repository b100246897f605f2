"""A component that is broken is named with file, line and method before anything is trained."""

import dataclasses
import sys
import textwrap

import pytest
import torch

from n2n_ablate import engine
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.engine.reference_methods import reference_methods
from n2n_ablate.errors import PluginError
from n2n_ablate.registry import Registry
from n2n_ablate.study import plan, read

EXACT = engine.Machine("cpu", "fp32", 1, 1, "test")
PLUGIN = '''\
import torch
from torch import nn
from n2n_ablate import hookimpl


class Mine:
    """A component of a test."""

{body}


@hookimpl
def register_{kind}(register):
    register("mine", Mine)
'''
TRAINING = """\
{declares}
steps = {steps}
def optimizer(self, weights):
    return {optimizer}
def learning_rate(self, step):
    return {rate}
"""
ESTIMATOR = """\
def averaging_weight(self, step, steps):
    return {averaging_weight}
def estimate(self, denoise, noisy):
    return {estimate}
def checkpoint_selector(self, steps):
    return {checkpoint_selector}
"""
SELECTOR = (
    "type('CheckpointSelector', (), dict(interval=1, update=lambda self, step, images: {}))()"
)


def backbone(built):
    return f"def build(self, channels):\n    return {built}"


def loss(value):
    return (
        "def __call__(self, context):\n    views = context.views(context.noisy)\n"
        f"    return {value.replace('MSE', '((context.denoise(views[0])[0] - views[1]) ** 2)')}"
    )


def training(declares="", **changed):
    given = {"steps": "3", "optimizer": "torch.optim.Adam(weights, lr=0.001)", "rate": "0.001"}
    return TRAINING.format(**{**given, **changed}, declares=declares)


def estimator(**changed):
    given = {
        "averaging_weight": "1.0",
        "estimate": "denoise(noisy)[0]",
        "checkpoint_selector": "None",
    }
    return ESTIMATOR.format(**{**given, **changed})


def metric(value):
    return f"def measure(self, denoised, clean, noisy):\n    return {value}"


def noise(value):
    return f"def apply(self, clean, rng):\n    return {value}"


def sampler(declares):
    return (
        f"{declares}\ndef draw(self, image, rng):\n"
        "    return lambda image: (image[..., 0:-1:2, :], image[..., 1::2, :])"
    )


READ = "@property\ndef {0}(self):\n    return {1}"
BROKEN = [
    ("backbone", backbone("nn.Conv2d(channels, 5, 3, padding=1)"), 9, "turns images of the shape (1, 3, 8, 8) into (1, 5, 8, 8)"),
    ("backbone", backbone("nn.Conv2d(channels, channels, 3)"), 9, "into (1, 3, 6, 6)"),
    ("backbone", backbone("None"), 9, "must return a torch.nn.Module from build, got None"),
    ("backbone", backbone("nn.Identity()"), 9, "without weights to train"),
    ("backbone", backbone("1 / 0"), 10, "raises ZeroDivisionError: division by zero"),
    ("loss", loss("MSE.mean()"), 9, "must return one value per fit, shape (1,), got tensor("),
    ("loss", loss("MSE.mean((2, 3))"), 9, "one value per fit"),
    ("loss", loss("1.0"), 9, "one value per fit, shape (1,), got 1.0"),
    ("loss", loss("MSE.mean((1, 2, 3)).detach()"), 9, "do not depend on the weights"),
    ("loss", loss("context.clean"), 11, "has no attribute 'clean'"),
    ("training", training(steps="0"), 6, "has steps = 0, not a whole number above 0"),
    ("training", training(steps="2.5"), 6, "has steps = 2.5"),
    ("training", training("crop = 'a'"), 6, "has crop = 'a', not a whole number of pixels"),
    ("training", training(optimizer="None"), 11, "must return a torch.optim.Optimizer from optimizer, got None"),
    ("training", training(optimizer="torch.optim.LBFGS(weights)"), 11, "closure"),
    ("training", training(rate="float('nan')"), 13, "must return a finite number from learning_rate, got nan at step 0"),
    ("estimator", estimator(estimate="None"), 11, "images of the shape (1, 3, 24, 24) from estimate, got None"),
    ("estimator", estimator(estimate="denoise(noisy)"), 11, "from estimate, got (tensor("),
    ("estimator", estimator(estimate="denoise(noisy)[0][..., 1:]"), 11, "got (1, 3, 24, 23)"),
    ("estimator", estimator(averaging_weight="'a'"), 9, "a share from 0 to 1 from averaging_weight, got 'a'"),
    ("estimator", estimator(averaging_weight="3.0"), 9, "from averaging_weight, got 3.0"),
    ("estimator", estimator(checkpoint_selector="3"), 13, "a selector with `interval` and `update` from checkpoint_selector, or None, got 3"),
    ("estimator", estimator(checkpoint_selector=SELECTOR.format("torch.ones(len(images))")), 13, "one truth value per fit"),
    ("estimator", estimator(checkpoint_selector=SELECTOR.format("torch.zeros(len(images)) > 0")), 13, "first look does not keep"),
    ("metric", metric("1 / 0"), 10, "raises ZeroDivisionError: division by zero"),
    ("metric", metric("'good'"), 9, "must return a float tensor from measure, one value per image, shape (1,), got 'good'"),
    ("metric", metric("[0.5]"), 9, "got [0.5]"),
    ("metric", metric("1.0"), 9, "got 1.0"),
    ("metric", metric("denoised.mean()"), 9, "got tensor("),
    ("metric", metric("denoised.mean((1, 2, 3)) * float('nan')"), 9, "must give a finite number for images of finite values, got nan"),
    ("metric", metric("denoised.mean((1, 2, 3)) + 0j"), 9, "must return a float tensor"),
    ("noise", noise("1 / 0"), 10, "fails on image 'astronaut': ZeroDivisionError: division by zero"),
    ("noise", noise("clean * float('nan')"), 9, "1728 of 1728 values NaN or infinite"),
    ("noise", noise("None"), 9, "must return an image of the clean one's shape (1, 3, 24, 24), got None"),
    ("noise", noise("clean[..., 1:]"), 9, "got (1, 3, 24, 23)"),
    ("noise", noise("clean.mul_(0.5)"), 9, "writes into the clean image"),
    ("sampler", sampler(READ.format("fixed", "1 / 0")), 11, "has 'fixed', but reading it fails: ZeroDivisionError: "),
    ("sampler", sampler(READ.format("pairs", "self._piars")), 11, "has 'pairs', but reading it fails: AttributeError: "),
    ("sampler", sampler(READ.format("leaks", "self.nothing")), 11, "has 'leaks'"),
    ("sampler", sampler(READ.format("at", "self._att")), 11, "has 'at'"),
]  # fmt: skip
KINDS = {"loss": "losses", "noise": "noises"}


@pytest.fixture
def bench(tiny, tmp_path, monkeypatch):
    """A function that makes the bench of a tiny study with a component as it is in a file."""
    monkeypatch.chdir(tmp_path)

    def make(kind, body):
        (tmp_path / "plugins").mkdir(exist_ok=True)
        text = PLUGIN.format(kind=KINDS.get(kind, f"{kind}s"), body=textwrap.indent(body, "    "))
        (tmp_path / "plugins" / "mine.py").write_text(text)
        registry = Registry()
        asked = read(tiny)
        settings = ["training.steps=3"] if kind != "training" else []
        if kind == "metric":
            asked = dataclasses.replace(asked, metrics={**asked.metrics, "mine": part("mine")})
        elif kind == "sampler":
            asked = dataclasses.replace(asked, contrasts=(), factors=(), design="grid")
        if kind == "training":
            quick = dataclasses.replace(asked.profiles["quick"], changes={})
            asked = dataclasses.replace(asked, profiles={"quick": quick})
        if kind != "metric":
            settings.append(f"{kind}=mine")
        return PairedData(plan(asked, registry, settings=settings), registry, EXACT)

    return make


def part(name):
    from n2n_ablate.components.spec import ComponentSpec

    return ComponentSpec(name)


def checked(bench, kind, body):
    made = bench(kind, body)
    made.check(made.plan.baseline.recipe)
    return made


@pytest.mark.parametrize(("kind", "body", "line", "seen"), BROKEN)
def test_what_cannot_be_trained_is_named_before_anything_is(kind, body, line, seen, bench):
    with pytest.raises(PluginError) as caught:
        checked(bench, kind, body)
    told = str(caught.value)
    assert told.startswith(f"{kind} 'mine' ")
    assert seen in told
    assert told.endswith(f"(plugins/mine.py:{line})")


def test_a_noise_that_wants_a_gradient_is_measured_like_any_other(bench):
    made = bench("noise", noise("(clean.clone().requires_grad_() * 1).double()"))
    assert {sample.noisy.requires_grad for sample in made.samples} == {False}
    assert {sample.noisy.dtype for sample in made.samples} == {torch.float32}
    assert reference_methods(made)


def test_a_component_that_fails_later_is_named_in_the_result(bench):
    late = loss("(MSE if context.progress < 0.5 else 1 / 0).mean((1, 2, 3))")
    made = checked(bench, "loss", late)
    (result,) = engine.fit_all(made.fits(made.plan.baseline.recipe)[:1], EXACT)
    assert result.failure.startswith("stopped: loss 'mine' raises ZeroDivisionError")
    assert result.failure.endswith("plugins/mine.py:11)")


def test_trying_changes_no_result(bench):
    """Nor does it touch the global generator."""
    body = backbone(
        "nn.Sequential(nn.Conv2d(channels, 4, 3, padding=1), nn.Dropout(0.1), nn.Conv2d(4, channels, 1))"
    )
    made = bench("backbone", body)
    recipe = made.plan.baseline.recipe

    def trained():
        torch.manual_seed(7)
        return next(engine.fit_all(made.fits(recipe)[:1], EXACT)).figures

    before, state = trained(), torch.get_rng_state()
    made.check(recipe)
    assert torch.equal(torch.get_rng_state(), state)
    assert trained() == before


def test_what_needs_more_than_a_corner_is_tried_on_the_whole_image(bench, monkeypatch):
    monkeypatch.setattr(sys.modules["n2n_ablate.engine.dry_run"], "CORNER", 8)
    body = backbone("nn.Conv2d(channels, channels, 9, padding=4, padding_mode='reflect')")
    checked(bench, "backbone", body)  # views of 4 x 4 pixels have nothing to reflect
