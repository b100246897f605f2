"""The kits of the other kinds: every promise, broken on purpose, is caught by its own test alone."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from n2n_ablate.testing import CONTRACTS, NotTried, broken_promises, promises_of

# Each table: what breaks it, and the promise. `Good` ones differ from them in one thing.


class GoodNoise:
    unbiased = True

    def apply(self, clean, rng):
        return clean + 0.1 * torch.randn(clean.shape, generator=rng)


class GrayOnly(GoodNoise):
    def apply(self, clean, rng):
        return super().apply(clean, rng)[:, :3]


class LogOfBlack(GoodNoise):
    def apply(self, clean, rng):
        return super().apply(clean, rng) + 0 * clean.log()


class Unseeded(GoodNoise):
    def apply(self, clean, rng):
        return clean + 0.1 * torch.randn(clean.shape)


class Counts(GoodNoise):
    calls = 0

    def apply(self, clean, rng):
        self.calls += 1
        return clean + (super().apply(clean, rng) - clean) * (1 + self.calls % 2)


class KeepsItsFirst(GoodNoise):
    """One noise for all seeds, kept by the class: the same from call to call. Gray images are right."""

    kept = {}  # noqa: RUF012  that is what is wrong

    def apply(self, clean, rng):
        noisy = super().apply(clean, rng)
        return (
            noisy
            if clean.shape[1] == 1
            else clean + self.kept.setdefault(clean.shape, noisy - clean)
        )


class UnbiasedAfterAll(GoodNoise):
    unbiased = False


class SeedsNumpy(GoodNoise):
    def apply(self, clean, rng):
        np.random.seed(0)  # noqa: NPY002
        return super().apply(clean, rng)


class AddsInPlace(GoodNoise):
    def apply(self, clean, rng):
        noise = super().apply(clean, rng) - clean
        clean += 1e-3
        return clean - 1e-3 + noise


class Brighter(GoodNoise):
    def apply(self, clean, rng):
        return super().apply(clean, rng) + 0.01


class Network(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.layer = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, image):
        return self.layer(image)


class GoodBackbone:
    halo = 1
    network = Network

    def build(self, channels):
        return self.network(channels)


class EvenSides(GoodBackbone):
    class network(Network):
        def forward(self, image):
            return self.layer(image)[..., : image.shape[-2] // 2 * 2, :]


class UnseededWeights(GoodBackbone):
    def build(self, channels):
        network = super().build(channels)
        weights = np.random.default_rng().normal(size=network.layer.bias.shape)
        network.layer.bias.data = torch.tensor(weights, dtype=torch.float32)
        return network


class OneForAll(GoodBackbone):
    def __init__(self):
        self.built = {}

    def build(self, channels):
        key = channels, torch.get_default_device()
        return self.built.setdefault(key, super().build(channels))


class BuildSeedsNumpy(GoodBackbone):
    def build(self, channels):
        np.random.seed(0)  # noqa: NPY002
        return super().build(channels)


class BuildSeedsTorch(GoodBackbone):
    def build(self, channels):
        torch.manual_seed(0)
        return super().build(channels)


class PassSeedsTorch(GoodBackbone):
    class network(Network):
        def forward(self, image):
            torch.manual_seed(0)
            return self.layer(image)


class Dropout(GoodBackbone):
    class network(Network):
        calls = 0

        def forward(self, image):
            self.calls += 1
            # One more than the first call: seen by a second pass, and no other promise has two.
            return self.layer(image) * (2 if self.calls == 3 else 1)


class MeanOfBatch(GoodBackbone):
    class network(Network):
        def forward(self, image):
            return self.layer(image) - image.mean(dim=0, keepdim=True)


class WritesImage(GoodBackbone):
    class network(Network):
        def forward(self, image):
            out = self.layer(image.clone())
            image.detach().mul_(0.5)
            return out


class Unused(GoodBackbone):
    class network(Network):
        def __init__(self, channels):
            super().__init__(channels)
            self.unused = nn.Parameter(torch.ones(1))


class Looks(GoodBackbone):
    class network(Network):
        def forward(self, image):
            return self.layer(image) if image.sum() > -1e9 else image


class FalseHalo(GoodBackbone):
    halo = 0


class MaskOnCpu(GoodBackbone):
    class network(Network):
        def forward(self, image):
            return self.layer(image) * torch.ones(image.shape[-1], device="cpu")


class GoodLoss:
    def __call__(self, context):
        views = context.views(context.noisy)
        denoised = context.denoise(*views)
        errors = [self.error(denoised[i] - views[j]) for i, j in context.pairs]
        return self.changed(torch.stack(errors).mean(dim=0), context)

    def error(self, difference):
        return difference.square().mean(dim=(1, 2, 3))

    def changed(self, values, context):
        return values


class OneChannel(GoodLoss):
    def error(self, difference):
        return super().error(difference) / float(difference.shape[1] != 4)


class TwoViews(GoodLoss):
    def changed(self, values, context):
        return values / float(len(context.pairs) == 2) if len(context.pairs) != 2 else values


class HalfWay(GoodLoss):
    def changed(self, values, context):
        return values * (math.nan if context.progress == 0.5 else 1.0)


class RandomWeight(GoodLoss):
    def changed(self, values, context):
        return values * (1 + 1e-3 * torch.rand(()))


class CountedWeight(GoodLoss):
    calls = 0

    def changed(self, values, context):
        self.calls += 1
        return values * (1 + 1e-3 / self.calls)


class OfFirstContext(GoodLoss):
    """Divides by a mean that it keeps from the first context."""

    scale = None

    def changed(self, values, context):
        if self.scale is None:
            self.scale = float(context.noisy.mean()) if context.noisy.device.type == "cpu" else 1.0
        return values / self.scale


class LossSeedsTorch(GoodLoss):
    def changed(self, values, context):
        torch.manual_seed(0)
        return values


class AlwaysCuts(GoodLoss):
    def changed(self, values, context):
        (whole,) = context.denoise(context.noisy)
        first, second = context.views(whole)[:2]
        return values + 0 * (first.mean() + second.mean())


class Frozen(GoodLoss):
    """On black images the first kernels multiply zeros only."""

    def __call__(self, context):
        (found,) = context.denoise(torch.zeros_like(context.noisy))
        return self.error(found - 0.3)


class Mixed(GoodLoss):
    def changed(self, values, context):
        return values + 0.1 * values.mean()


class Scalar(GoodLoss):
    def changed(self, values, context):
        return values[None]


class Climbs(GoodLoss):
    def changed(self, values, context):
        return values + 2 * (values.detach() - values)


class Whitens(GoodLoss):
    def __call__(self, context):
        context.noisy += 1e-3
        return super().__call__(context)


class TableOnCpu(GoodLoss):
    def changed(self, values, context):
        return values * torch.ones(len(values), device="cpu")


class GoodTraining:
    steps = 10

    def optimizer(self, weights):
        return torch.optim.SGD(weights, lr=1e-2)

    def learning_rate(self, step):
        return 1e-2


class NoSteps(GoodTraining):
    steps = 0


class NegativeCrop(GoodTraining):
    crop = -7


class TrainingSeedsTorch(GoodTraining):
    def optimizer(self, weights):
        torch.manual_seed(0)
        return super().optimizer(weights)


class SlowsDown(GoodTraining):
    """The second fit learns more slowly than the first."""

    fits = 0

    def optimizer(self, weights):
        self.fits += 1
        return super().optimizer(weights)

    def learning_rate(self, step):
        return 1e-2 / max(1, self.fits)


class ScalesOnCpu(GoodTraining):
    def optimizer(self, weights):
        class Scaled(torch.optim.SGD):
            @torch.no_grad()
            def step(self, closure=None):
                for weight in self.param_groups[0]["params"]:
                    weight.grad.mul_(torch.ones(weight.shape, device="cpu"))
                super().step()

        return Scaled(weights, lr=1e-2)


class EndsAtZero(GoodTraining):
    def learning_rate(self, step):
        return 1e-2 * (9 - step)


class LeavesSome(GoodTraining):
    def optimizer(self, weights):
        weights = list(weights)
        wide = weights[0].numel() > 9
        return super().optimizer(weights[:1] if wide else weights)


class Shared(GoodTraining):
    def __init__(self):
        self.own = None

    def optimizer(self, weights):
        weights = list(weights)
        if self.own is None or weights[0].numel() > 1:
            self.own = super().optimizer(weights)
        else:
            self.own.add_param_group({"params": weights})
        return self.own


class Clips(GoodTraining):
    elementwise = True

    def optimizer(self, weights):
        weights = list(weights)

        class Clipped(torch.optim.SGD):
            def step(self, closure=None):
                torch.nn.utils.clip_grad_norm_(weights, 0.1)
                super().step()

        return Clipped(weights, lr=1e-2)


class GoodEstimator:
    def averaging_weight(self, step, steps):
        return 1.0

    def estimate(self, denoise, noisy):
        return denoise(noisy)[0].clone()


class GoesTooFar(GoodEstimator):
    def averaging_weight(self, step, steps):
        return 1.5 if step + 2 == steps else 1.0


class Remembers(GoodEstimator):
    def averaging_weight(self, step, steps):
        return 0.5


class Dims(GoodEstimator):
    def estimate(self, denoise, noisy):
        return 0.9 * denoise(noisy)[0]


class Noisy(GoodEstimator):
    def estimate(self, denoise, noisy):
        return super().estimate(denoise, noisy) + 1e-6 * torch.rand(())


class SeedsAndDraws(GoodEstimator):
    def estimate(self, denoise, noisy):
        torch.manual_seed(0)
        return super().estimate(denoise, noisy) + 1e-6 * torch.rand(())


class Averages(GoodEstimator):
    def estimate(self, denoise, noisy):
        out = denoise(noisy)[0].clone()
        extra = out - noisy
        return out + extra.mean(dim=0, keepdim=True)


class ClampsInPlace(GoodEstimator):
    def estimate(self, denoise, noisy):
        out = denoise(noisy)[0]
        return out.sub_(1e-3).add(1e-3)


class WeightsOnCpu(GoodEstimator):
    def estimate(self, denoise, noisy):
        return denoise(noisy)[0] * torch.ones(noisy.shape[-1], device="cpu")


class KeepsBest:
    """Looks for the darkest image of the whole stack, not of each fit."""

    interval = 10

    def __init__(self):
        self.darkest = None

    def update(self, step, denoised):
        level = denoised.mean().expand(len(denoised))
        if self.darkest is None:
            self.darkest = level
            return torch.ones(len(denoised), dtype=torch.bool)
        keep = level < self.darkest
        self.darkest = torch.minimum(level, self.darkest)
        return keep


class SelectsForTheStack(GoodEstimator):
    def checkpoint_selector(self, steps):
        return KeepsBest()


class GoodMetric:
    higher_is_better = False

    def measure(self, denoised, clean, noisy):
        return (denoised - clean).abs().mean(dim=(1, 2, 3))


class ThreeChannels(GoodMetric):
    def measure(self, denoised, clean, noisy):
        return super().measure(denoised, clean, noisy) / float(denoised.shape[1] != 4)


class WrongWay(GoodMetric):
    higher_is_better = True


class SaysBlind(GoodMetric):
    full_reference = False


class Estimated(GoodMetric):
    def measure(self, denoised, clean, noisy):
        return super().measure(denoised, clean, noisy) + 1e-6 * torch.rand(())


class MetricSeedsTorch(GoodMetric):
    def measure(self, denoised, clean, noisy):
        torch.manual_seed(0)
        return super().measure(denoised, clean, noisy)


class OfTheStack(GoodMetric):
    def measure(self, denoised, clean, noisy):
        own = super().measure(denoised, clean, noisy)
        return own + 0.1 * own.mean()


class Clamps(GoodMetric):
    def measure(self, denoised, clean, noisy):
        value = super().measure(denoised, clean, noisy)
        denoised.clamp_(0.2, 0.8)
        return value


class WindowOnCpu(GoodMetric):
    def measure(self, denoised, clean, noisy):
        window = torch.ones(denoised.shape[-1], device="cpu")
        return super().measure(denoised * window, clean, noisy)


CASES = {
    "noise": [
        (GrayOnly, "test_shape_and_type_are_kept"),
        (LogOfBlack, "test_it_is_finite_everywhere"),
        (Unseeded, "test_same_seed_same_noise"),
        (Counts, "test_same_seed_same_noise"),
        (KeepsItsFirst, "test_same_seed_same_noise"),
        (UnbiasedAfterAll, "test_a_declared_bias_is_real"),
        (SeedsNumpy, "test_what_all_share_is_left_alone"),
        (AddsInPlace, "test_clean_image_is_left_alone"),
        (Brighter, "test_clean_image_is_the_mean"),
    ],
    "backbone": [
        (EvenSides, "test_output_has_the_shape_of_the_input"),
        (UnseededWeights, "test_same_seed_same_weights"),
        (OneForAll, "test_networks_share_no_weight"),
        (BuildSeedsNumpy, "test_what_all_share_is_left_alone"),
        (BuildSeedsTorch, "test_what_all_share_is_left_alone"),
        (PassSeedsTorch, "test_what_all_share_is_left_alone"),
        (Dropout, "test_same_image_same_output"),
        (MeanOfBatch, "test_images_do_not_see_each_other"),
        (WritesImage, "test_image_is_left_alone"),
        (Unused, "test_gradients_reach_every_weight"),
        (Looks, "test_networks_can_be_stacked"),
        (FalseHalo, "test_halo_is_true"),
        (MaskOnCpu, "test_it_runs_on_a_gpu"),
    ],
    "loss": [
        (Scalar, "test_one_finite_value_per_fit"),
        (OneChannel, "test_any_image_can_be_scored"),
        (TwoViews, "test_any_number_of_views_can_be_scored"),
        (HalfWay, "test_every_moment_can_be_scored"),
        (RandomWeight, "test_same_context_same_value"),
        (CountedWeight, "test_same_context_same_value"),
        (OfFirstContext, "test_same_context_same_value"),
        (LossSeedsTorch, "test_what_all_share_is_left_alone"),
        (AlwaysCuts, "test_consistent_is_heeded"),
        (Frozen, "test_gradients_reach_every_kernel"),
        (Mixed, "test_fits_do_not_see_each_other"),
        (Climbs, "test_training_lowers_it"),
        (Whitens, "test_noisy_image_is_left_alone"),
        (TableOnCpu, "test_it_scores_on_a_gpu"),
    ],
    "training": [
        (NoSteps, "test_it_has_at_least_one_step"),
        (NegativeCrop, "test_crop_is_a_side"),
        (TrainingSeedsTorch, "test_what_all_share_is_left_alone"),
        (SlowsDown, "test_same_gradients_same_steps"),
        (ScalesOnCpu, "test_it_runs_on_a_gpu"),
        (EndsAtZero, "test_every_rate_is_positive_and_finite"),
        (LeavesSome, "test_the_optimiser_moves_every_weight"),
        (Shared, "test_optimisers_are_independent"),
        (Clips, "test_elementwise_is_true"),
    ],
    "estimator": [
        (GoesTooFar, "test_weights_move_by_a_share"),
        (Remembers, "test_initial_weights_never_count"),
        (Dims, "test_a_perfect_denoiser_stays_perfect"),
        (Noisy, "test_same_image_same_estimate"),
        (SeedsAndDraws, "test_what_all_share_is_left_alone"),
        (Averages, "test_images_do_not_see_each_other"),
        (ClampsInPlace, "test_noisy_image_is_left_alone"),
        (WeightsOnCpu, "test_it_runs_on_a_gpu"),
        (SelectsForTheStack, "test_a_selector_judges_every_fit_by_its_own_images"),
    ],
    "metric": [
        (ThreeChannels, "test_one_finite_value_per_image"),
        (WrongWay, "test_clean_image_is_the_best"),
        (SaysBlind, "test_who_needs_no_reference_has_none"),
        (Estimated, "test_same_images_same_value"),
        (MetricSeedsTorch, "test_what_all_share_is_left_alone"),
        (OfTheStack, "test_images_do_not_see_each_other"),
        (Clamps, "test_images_are_left_alone"),
        (WindowOnCpu, "test_it_measures_on_a_gpu"),
    ],
}
GOOD = {
    "noise": GoodNoise,
    "backbone": GoodBackbone,
    "loss": GoodLoss,
    "training": GoodTraining,
    "estimator": GoodEstimator,
    "metric": GoodMetric,
}


def broken(kind, component):
    return [item.promise.name for item in broken_promises(kind, component())]


@pytest.mark.parametrize("kind", GOOD)
def test_a_good_component_passes(kind):
    assert broken(kind, GOOD[kind]) == []


@pytest.mark.parametrize(
    ("kind", "component", "promise"),
    [(kind, *case) for kind, cases in CASES.items() for case in cases],
)
def test_each_broken_promise_fails_its_own_test_alone(kind, component, promise):
    assert broken(kind, component) == [promise]


@pytest.mark.parametrize("kind", CASES)
def test_every_promise_has_a_component_that_breaks_it(kind):
    names = {promise.name for promise in promises_of(CONTRACTS[kind])}
    assert {promise for _, promise in CASES[kind]} == names


def test_a_component_that_counts_is_told_from_one_that_draws_elsewhere():
    (counts,) = broken_promises("noise", Counts())
    assert "it remembers earlier calls" in counts.problem
    (unseeded,) = broken_promises("noise", Unseeded())
    assert unseeded.problem == "the noise changes with the global generator of torch"


def test_what_takes_values_cannot_be_tried_without_a_gpu():
    class Reads(GoodMetric):
        def measure(self, denoised, clean, noisy):
            return super().measure(denoised, clean, noisy) + 0 * float(denoised.max())

    class Case(CONTRACTS["metric"]):
        metric = Reads()

    if torch.cuda.is_available():
        Case().test_it_measures_on_a_gpu()
    else:
        with pytest.raises(NotTried, match=r"there is no GPU.*meta"):
            Case().test_it_measures_on_a_gpu()
    assert broken("metric", Reads) == []
