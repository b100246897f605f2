"""The losses of the field against their formulas, on a scene whose denoiser is known exactly."""

import math

import pytest
import torch

from n2n_ablate.testing import picture
from n2n_ablate_plugins.loss_wrappers import ConsistencyRamp, TotalVariation
from n2n_ablate_plugins.neighbor2neighbor import Neighbor2Neighbor
from n2n_ablate_plugins.robust import Absolute, Charbonnier, Huber
from n2n_ablate_plugins.zs_acl import AlphaConditional
from n2n_ablate_plugins.zs_n2n import Residual, ResidualConsistency

Y1, Y2 = torch.tensor([0.2, 0.4]), torch.tensor([0.8, 0.1])


class LossContext:
    """One image of four pixels in a row, cut into its left and right half; denoising is x -> x^2.

    With y = (.2, .4, .8, .1): x1 = (.04, .16), x2 = (.64, .01), and D1 x = x1, D2 x = x2 exactly,
    unless `shift` makes the denoiser look at the size of its image.
    """

    pairs = ((0, 1), (1, 0))

    def __init__(self, *, shift=0.0, supports_consistency=True, progress=0.0):
        self.noisy = torch.cat([Y1, Y2]).view(1, 1, 1, 4)
        self.supports_consistency = supports_consistency
        self.progress = progress
        self.shift = torch.tensor(shift, requires_grad=True)
        self.full = 0

    def denoise(self, *images):
        self.full += sum(image.shape[-1] == 4 for image in images)
        return tuple(image**2 + (self.shift if image.shape[-1] == 4 else 0) for image in images)

    def views(self, image):
        return image[..., :2], image[..., 2:]

    def resample(self):
        return self.views


def mean(*values):
    return sum(values) / len(values)


# x1 - y2 = (-.76, .06), x2 - y1 = (.44, -.39); with a shift s both x - D x are -s.
FIRST, SECOND = (-0.76, 0.06), (0.44, -0.39)


def by_hand(rho, shift):
    residual = (mean(*map(rho, FIRST)) + mean(*map(rho, SECOND))) / 2
    return residual, rho(shift)


@pytest.mark.parametrize(
    ("kind", "rho"),
    [
        (Absolute, abs),
        (Huber, lambda e: e * e / 2 if abs(e) < 0.1 else 0.1 * (abs(e) - 0.05)),
        (Charbonnier, lambda e: math.sqrt(e * e + 1e-10)),
    ],
)
def test_robust_losses_worked_by_hand(kind, rho):
    residual, consistency = by_hand(rho, 0.3)
    assert kind()(LossContext(shift=0.3)).item() == pytest.approx(residual + consistency, rel=1e-4)
    half = kind(consistency_weight=0.5)(LossContext(shift=0.3))
    assert half.item() == pytest.approx(residual + 0.5 * consistency, rel=1e-4)
    context = LossContext(shift=0.3, supports_consistency=False)
    assert kind()(context).item() == pytest.approx(residual, rel=1e-4)
    assert context.full == 0
    one_way = kind(symmetric=False, consistency_weight=0.0)(LossContext())
    assert one_way.item() == pytest.approx(mean(*map(rho, FIRST)), rel=1e-4)


def test_a_wide_huber_is_half_the_squared_loss():
    half = ResidualConsistency()(LossContext(shift=0.3)) / 2
    torch.testing.assert_close(Huber(delta=1.0)(LossContext(shift=0.3)), half)


def test_alpha_conditional_worked_by_hand():
    r1, r2 = mean(0.76**2, 0.06**2), mean(0.44**2, 0.39**2)
    expected = (0.8 * r2 + 0.2 * r1) / 2 + 0.3**2 / 2
    assert r2 < r1
    assert AlphaConditional()(LossContext(shift=0.3)).item() == pytest.approx(expected, rel=1e-5)


def test_alpha_conditional_at_a_half_is_half_the_published_loss():
    expected = ResidualConsistency()(LossContext(shift=0.3)) / 2
    torch.testing.assert_close(AlphaConditional(alpha=0.5)(LossContext(shift=0.3)), expected)


def test_neighbor2neighbor_worked_by_hand():
    residual = mean(0.76**2, 0.06**2)
    # x1 - y2 - (D1 x - D2 x) = (-.76, .06) - ((.04, .16) - (.64, .01)) = (-.16, -.09)
    regulariser = mean(0.16**2, 0.09**2)
    for progress in (0.0, 0.5):
        value = Neighbor2Neighbor()(LossContext(progress=progress))
        assert value.item() == pytest.approx(residual + 2 * progress * regulariser, rel=1e-4)
    value = Neighbor2Neighbor(weight=1.0, ramp=False)(LossContext())
    assert value.item() == pytest.approx(residual + regulariser, rel=1e-4)
    assert Neighbor2Neighbor(ramp=False)(
        LossContext(supports_consistency=False)
    ).item() == pytest.approx(residual)


def test_neighbor2neighbor_takes_the_denoised_image_as_constant():
    context = LossContext(shift=0.3, progress=0.5)
    assert not Neighbor2Neighbor()(context).requires_grad


@pytest.mark.parametrize(
    ("shape", "weights"),
    [
        ("linear", {0.0: 1, 0.25: 1.5, 0.5: 2, 0.75: 2.5}),
        ("cosine", {0.0: 1, 0.25: 2 - math.sqrt(0.5), 0.5: 2, 0.75: 2 + math.sqrt(0.5)}),
        ("step", {0.0: 1, 0.25: 1, 0.5: 3, 0.75: 3}),
    ],
)
def test_the_weight_goes_from_start_to_end(shape, weights):
    ramp = ConsistencyRamp(start=1.0, end=3.0, shape=shape)
    for progress, weight in weights.items():
        assert ramp.weight(progress) == pytest.approx(weight)
        expected = ResidualConsistency(consistency_weight=weight)(LossContext(shift=0.3))
        torch.testing.assert_close(ramp(LossContext(shift=0.3, progress=progress)), expected)


def test_no_weight_costs_no_pass():
    context = LossContext(shift=0.3)
    torch.testing.assert_close(ConsistencyRamp()(context), Residual()(LossContext()))
    assert context.full == 0


def test_total_variation_worked_by_hand_with_one_pass():
    context = LossContext(shift=0.3)
    # x = (.04, .16, .64, .01) + .3: differences .12, .48, .63; one row has none downwards.
    context.noisy = context.noisy.repeat(1, 1, 2, 1)
    added = mean(0.12, 0.48, 0.63)
    value = TotalVariation(weight=0.5)(context)
    expected = ResidualConsistency()(LossContext(shift=0.3)).item() + 0.5 * added
    assert value.item() == pytest.approx(expected, rel=1e-4)
    assert context.full == 1


def test_total_variation_takes_any_loss_and_trains_after_one_that_does_not():
    for loss in (Residual(), Neighbor2Neighbor(ramp=False)):
        context = LossContext(shift=0.3)
        context.noisy = picture(1, 1, 3, 4)
        value = TotalVariation(loss=loss)(context)
        assert value.requires_grad
