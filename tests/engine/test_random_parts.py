"""Randomness of a fit comes from its seed alone: of losses and estimators, of dropout, of frozen draws."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from n2n_ablate import StackRandom, engine, mask_of
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.engine.pool import fit_all
from n2n_ablate.engine.train import train
from n2n_ablate.errors import ParameterError, PluginError
from n2n_ablate.study import plan, read
from n2n_ablate_plugins.blind_spot import BernoulliMask, Masked, Noise2Self, Noise2Void
from n2n_ablate_plugins.deep_image_prior import DeepImagePrior
from n2n_ablate_plugins.ensembles import DropoutEnsemble, MaskedEnsemble
from n2n_ablate_plugins.estimators import Flips, Last, WindowedVariance
from n2n_ablate_plugins.frozen import Frozen
from n2n_ablate_plugins.loss_wrappers import TotalVariation
from n2n_ablate_plugins.networks import UNet
from n2n_ablate_plugins.noises import Gaussian, Poisson
from n2n_ablate_plugins.pooling import AvgStochasticPool
from n2n_ablate_plugins.schedule import Schedule
from n2n_ablate_plugins.stripe import Stripe
from n2n_ablate_plugins.sure import Sure
from n2n_ablate_plugins.zs_n2n import Diagonal, Residual, ResidualConsistency

EXACT = engine.Machine("cpu", "fp32", 2, 1, "test")
STACKED = dataclasses.replace(EXACT, stack=8)


@pytest.fixture
def fits(tiny, registry):
    """Return fits of seeds 0 and 1, with some of their parts replaced."""
    settings = ["backbone.width=6", "training.steps=8"]
    planned = plan(read(tiny), registry, profile="other", settings=settings)
    made = PairedData(planned, registry, EXACT).fits(planned.baseline.recipe)
    return lambda **parts: [dataclasses.replace(one, **parts) for one in made]


def bits(results):
    return {
        one.key: (
            one.denoised.tobytes(),
            *(one.curves[name].tobytes() for name in sorted(one.curves)),
        )
        for one in results
    }


SELF2SELF = {
    "sampler": BernoulliMask(),
    "backbone": UNet(width=4, residual=False, dropout=0.3),
    "loss": Masked(),
    "estimator": MaskedEnsemble(passes=3),
}


@pytest.mark.parametrize(
    "parts",
    [
        SELF2SELF,
        {"backbone": UNet(width=4, dropout=0.3), "estimator": DropoutEnsemble(passes=3)},
    ],
    ids=["self2self", "dropout"],
)
def test_a_dropout_ensemble_is_the_same_bit_for_bit(fits, parts):
    """Again, alone, in a stack, in another order, beside others, whatever the global generator is."""
    pair = fits(**parts)
    expected = bits(train(pair[:1], EXACT) + train(pair[1:], EXACT))
    torch.manual_seed(5)
    assert bits(train(pair, EXACT)) == expected, "in a stack"
    assert bits(train(pair[::-1], EXACT)) == expected, "in the other order"
    assert bits(fit_all(pair, EXACT)) == expected, "two at a time"
    assert bits(fit_all(pair, STACKED)) == expected
    few = train(pair[:1], EXACT, points=2)[0]
    assert few.denoised.tobytes() == expected[pair[0].key][0], "however often curves are looked at"


def test_dropout_is_on_in_training_and_off_for_the_result_unless_asked_for(fits):
    images = {}
    for rate in (0.0, 0.5):
        for estimator in (Last(), DropoutEnsemble(passes=1)):
            backbone = UNet(width=4, dropout=rate)
            (one,) = train(fits(backbone=backbone, estimator=estimator)[:1], EXACT)
            images[rate, type(estimator)] = one.denoised
    assert np.array_equal(images[0.0, Last], images[0.0, DropoutEnsemble])
    assert not np.array_equal(images[0.5, Last], images[0.0, Last])
    assert not np.array_equal(images[0.5, Last], images[0.5, DropoutEnsemble])


def network(forward):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)
            self.rng = torch.Generator().manual_seed(0)

    Net.forward = forward

    class Backbone:
        def build(self, channels):
            return Net()

    return Backbone()


@pytest.mark.parametrize(
    "forward",
    [
        lambda self, x: functional.dropout(self.conv(x), 0.3),
        lambda self, x: self.conv(x) + 0.1 * torch.randn_like(x),
        lambda self, x: self.conv(x) * torch.rand(1, generator=self.rng),
    ],
    ids=["functional", "global", "of its own"],
)
def test_other_randomness_of_a_network_is_refused(fits, forward):
    with pytest.raises(PluginError, match=r"denoises one image in two ways.*nn.Dropout2d can be"):
        train(fits(backbone=network(forward))[:1], EXACT)


def test_one_dropout_layer_in_two_places_is_one():
    from n2n_ablate.components.randomness import SeededDropout, dropouts_of, seed_dropout

    shared = nn.Dropout2d(0.5)
    module = nn.Sequential(shared, nn.Conv2d(3, 3, 1), shared, nn.Dropout(0.1).eval())
    seed_dropout(module)
    (layer,) = dropouts_of(module)
    assert module[0] is module[2] is layer
    assert layer.whole_maps
    assert not isinstance(module[3], SeededDropout), "switched off by its author"
    layer.rng = torch.Generator().manual_seed(0)
    out = layer(torch.ones(4, 64, 5, 5))
    assert set(out.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(out.amin((2, 3)), out.amax((2, 3))), "whole maps"


@pytest.mark.parametrize("sampler", [Noise2Void(box=4), Noise2Self(), BernoulliMask()])
@pytest.mark.parametrize("estimator", [Last(), Flips(MaskedEnsemble(passes=1, pixels="hidden"))])
def test_hiding_fits_do_not_depend_on_stack_mates(fits, sampler, estimator):
    pair = fits(sampler=sampler, loss=TotalVariation(Masked()), estimator=estimator)
    stacked = train(pair, EXACT)
    for one, beside in zip(pair, stacked, strict=True):
        (alone,) = train([one], EXACT)
        assert beside.curves["loss"] == pytest.approx(alone.curves["loss"], rel=1e-4)
        assert np.abs(beside.denoised.astype(int) - alone.denoised).max() <= 2


def test_a_loss_that_draws_gives_each_fit_its_own_numbers(fits):
    drawn = []

    class Draws(Residual):
        def __call__(self, context):
            drawn.append((context.rng.rand(2, 3), context.rng.randn(4)))
            return super().__call__(context)

    pair = fits(loss=Draws())
    train(pair, EXACT)
    together, drawn[:] = list(drawn), []
    for index, one in enumerate(pair):
        train([one], EXACT)
        for alone, both in zip(drawn, together, strict=True):
            assert all(torch.equal(a[0], b[index]) for a, b in zip(alone, both, strict=True))
        drawn.clear()
    first, second = together[0][0], together[1][0]
    assert first.shape == (2, 2, 3)
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first, second)


def test_what_a_loss_draws_does_not_move_the_sampler(fits):
    seen = []

    class Looks(Residual):
        def __call__(self, context):
            seen.append(context.views(context.noisy)[0].clone())
            return super().__call__(context)

    class Draws(Looks):
        def __call__(self, context):
            context.rng.rand(5)
            return super().__call__(context)

    for loss in (Looks(), Draws()):
        train(fits(sampler=AvgStochasticPool(), loss=loss)[:1], EXACT)
    half = len(seen) // 2
    assert all(map(torch.equal, seen[:half], seen[half:]))


def test_a_mask_that_a_loss_does_not_heed_is_refused(fits):
    with pytest.raises(PluginError, match=r"does not ask for the mask.*use the loss 'masked'"):
        train(fits(sampler=Noise2Void(), loss=ResidualConsistency())[:1], EXACT)
    for loss, estimator in ((Masked(), Last()), (Residual(), MaskedEnsemble())):
        with pytest.raises(ParameterError, match="needs a sampler that hides pixels"):
            train(fits(sampler=Diagonal(), loss=loss, estimator=estimator)[:1], EXACT)


def test_sure_takes_the_level_of_each_fit(fits):
    """In one stack, from the noise model; in one line where there is none."""
    one, other = fits(sampler=Diagonal(), loss=Sure())
    other = dataclasses.replace(other, noise=Gaussian(sigma=50.0))
    together = train([one, other], EXACT)
    for fit, beside in zip((one, other), together, strict=True):
        given = dataclasses.replace(fit, noise=None, loss=Sure(sigma=fit.noise.sigma))
        (alone,) = train([given], EXACT)
        assert beside.curves["loss"] == pytest.approx(alone.curves["loss"], rel=1e-3, abs=1e-6)
    for noise, word in ((None, "a real image"), (Poisson(), "Poisson")):
        with pytest.raises(ParameterError, match=f"{word}.*Give its parameter sigma.*estimated"):
            train([dataclasses.replace(one, noise=noise)], EXACT)
    train([dataclasses.replace(one, noise=None, loss=Sure(level="estimated"))], EXACT)


def test_sure_estimates_the_error_against_the_clean_image():
    """At any weights: mean over probes, for noise of the level that it is told."""
    rng = torch.Generator().manual_seed(0)
    clean = torch.rand(1, 1, 200, 200, generator=rng)
    given = Gaussian(sigma=25.5, clip=False).apply(clean, rng)
    numbers = StackRandom([rng], torch.device("cpu"))
    blur = torch.full((1, 1, 3, 3), 1 / 9)

    class Context:
        noises = (Gaussian(sigma=25.5, clip=False),)
        noisy = given
        rng = numbers

        def denoise(self, *images):
            return tuple(functional.conv2d(image, blur, padding=1) for image in images)

    context = Context()
    risk = (context.denoise(context.noisy)[0] - clean).square().mean()
    assert Sure()(context).item() == pytest.approx(risk.item(), rel=0.03)


def test_frozen_keeps_the_first_draw(fits):
    seen = []

    class Looks(Residual):
        def __call__(self, context):
            seen.append(context.views(context.noisy)[1].clone())
            assert torch.equal(context.resample()(context.noisy)[1], seen[-1]) is frozen
            return super().__call__(context)

    firsts = []
    for sampler, frozen in ((AvgStochasticPool(), False), (Frozen(AvgStochasticPool()), True)):
        train(fits(sampler=sampler, loss=Looks()), EXACT)
        firsts.append(seen[0])
        assert all(torch.equal(seen[0], view) for view in seen) is frozen
        seen.clear()
    assert torch.equal(*firsts), "the same first draw"
    frozen = True
    turns = Frozen(Schedule((AvgStochasticPool(), Stripe())))
    train(fits(sampler=turns, loss=Looks())[:1], EXACT)
    half = len(seen) // 2
    assert all(torch.equal(seen[0], view) for view in seen[:half])
    assert all(torch.equal(seen[half], view) for view in seen[half:])


DIP = {
    "sampler": DeepImagePrior(),
    "backbone": UNet(width=8, residual=False, scales=3),
    "loss": Residual(),
}


def test_a_deep_image_prior_never_gets_the_image(fits):
    given = []

    class Records(UNet):
        def build(self, channels):
            module = super().build(channels)
            module.register_forward_pre_hook(lambda _, args: given.append(args[0].detach().clone()))
            return module

    pair = fits(
        **DIP | {"backbone": Records(width=4, residual=False), "loss": TotalVariation(Residual())}
    )
    (result,) = train(pair[:1], EXACT)
    codes = [image for image in given[2:] if image.shape[0] == 1]  # the first two are a trial
    assert len(codes) > 8
    assert all(torch.equal(codes[0], code) for code in codes)
    assert 0 <= codes[0].min() < codes[0].max() < 0.1
    both = train(pair, EXACT)
    assert np.abs(both[0].denoised.astype(int) - result.denoised).max() <= 2
    crop = dataclasses.replace(pair[0].training, crop=16)
    with pytest.raises(PluginError, match="one whole image and cannot train on crops"):
        train([dataclasses.replace(pair[0], training=crop)], EXACT)


def test_a_deep_image_prior_is_stopped_without_a_clean_image(fits):
    """Windowed variance (ES-WMV) chooses from the outputs; the clean image changes no choice."""
    estimator = WindowedVariance(window=20, patience=30, interval=5)
    steps = dataclasses.replace(fits()[0].training, steps=80, lr=0.01, decay=1.0)
    parts = DIP | {"estimator": estimator, "training": steps}
    chosen = []
    for clean in (fits()[0].clean, torch.zeros_like(fits()[0].clean)):
        (result,) = train(fits(**parts, clean=clean)[:1], EXACT)
        chosen.append((result.figures["chosen_step"], result.denoised.tobytes()))
    assert chosen[0] == chosen[1]
    assert 20 <= chosen[0][0] < 80


def test_wrappers_keep_the_mask():
    from n2n_ablate import SamplerWrapper

    @dataclasses.dataclass(frozen=True)
    class Around(SamplerWrapper):
        sampler: object = dataclasses.field(default_factory=Noise2Self)

    split = Around().draw(torch.rand(1, 3, 16, 16), torch.Generator().manual_seed(0))
    assert mask_of(split).sum() == 16
    assert mask_of(Diagonal().draw(torch.rand(1, 3, 4, 4), torch.Generator())) is None
