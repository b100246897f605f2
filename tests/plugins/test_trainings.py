"""The official preset step by step, and the mean of weights that the estimators keep."""

import pytest
import torch

from n2n_ablate.testing import picture
from n2n_ablate_plugins.estimators import Last, WeightEma
from n2n_ablate_plugins.trainings import Adam


def test_the_default_is_the_official_preset():
    training = Adam()
    weight = torch.nn.Parameter(torch.zeros(1))
    reference = torch.optim.Adam([weight], lr=1e-3)
    schedule = torch.optim.lr_scheduler.StepLR(reference, step_size=1000, gamma=0.5)
    assert training.steps == 3000
    for step in range(3000):
        assert training.learning_rate(step) == pytest.approx(reference.param_groups[0]["lr"])
        reference.step()
        schedule.step()


@pytest.mark.parametrize(
    ("training", "step", "rate"),
    [
        (Adam(), 999, 1e-3),
        (Adam(), 1000, 5e-4),
        (Adam(), 2999, 2.5e-4),
        (Adam(steps=500), 166, 1e-3),  # a third of 500 is 166.7: the first stage has 167 steps
        (Adam(steps=500), 167, 5e-4),
        (Adam(steps=500), 499, 2.5e-4),
        (Adam(steps=2, period=0.01), 1, 5e-4),  # a stage has at least one step
        (Adam(steps=10, period=1.0), 9, 1e-3),
        (Adam(lr=0.01, steps=10, period=0.5, decay=0.1), 5, 1e-3),
        (Adam(decay=1.0), 2999, 1e-3),
    ],
)
def test_rate_worked_by_hand(training, step, rate):
    assert training.learning_rate(step) == pytest.approx(rate)


def test_optimizer_is_adam_over_the_given_weights():
    weights = [torch.nn.Parameter(torch.ones(2))]
    optimizer = Adam(lr=0.01).optimizer(iter(weights))
    assert isinstance(optimizer, torch.optim.Adam)
    (weights[0] * torch.tensor([1.0, -3.0])).sum().backward()
    optimizer.step()
    # The first step of Adam goes one learning rate against the sign of the gradient.
    torch.testing.assert_close(weights[0].detach(), torch.tensor([0.99, 1.01]))


@pytest.mark.parametrize("decay", [0.0, 0.9, 0.9999])
def test_weight_ema_forgets_the_start_and_turns_into_an_exponential_mean(decay):
    estimator, kept = WeightEma(decay=decay), 1e6  # initial weights that must not count
    for step in range(30):
        kept += estimator.averaging_weight(step, 30) * (step - kept)
    seen = torch.arange(30.0)
    if decay == 0.9:
        # Even mean of the first ten, then exponential.
        expected = seen[:10].mean()
        for value in seen[10:]:
            expected = 0.9 * expected + 0.1 * value
    else:
        expected = seen.mean() if decay else seen[-1]
    assert kept == pytest.approx(float(expected))


def test_last_keeps_nothing():
    assert all(Last().averaging_weight(step, 10) == 1 for step in range(10))


@pytest.mark.parametrize("estimator", [Last(), WeightEma()])
def test_estimate_is_the_denoised_image(estimator):
    noisy = picture(2, 3, 4, 4)
    assert torch.equal(estimator.estimate(lambda *images: (images[0] / 2,), noisy), noisy / 2)
