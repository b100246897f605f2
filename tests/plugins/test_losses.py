"""The losses against the formulas of the paper, written out without any of our helpers."""

import pytest
import torch

from n2n_ablate import ParameterError
from n2n_ablate.testing import picture, rng
from n2n_ablate_plugins.pooling import AvgStochasticPool
from n2n_ablate_plugins.zs_n2n import Diagonal, Residual, ResidualConsistency, ZsN2n

B = 2


class PlainLossContext:
    """A stack of real networks, one sampler, and a list of all that was denoised."""

    def __init__(
        self, sampler, *, residual=True, pairs=((0, 1), (1, 0)), supports_consistency=True
    ):
        torch.manual_seed(0)
        self.noisy = picture(B, 3, 12, 10)
        self.pairs = pairs
        self.supports_consistency = supports_consistency
        self.progress = 0.0
        self.networks = [ZsN2n(width=6, residual=residual).build(3) for _ in range(B)]
        self.denoised = []
        self.redraws = 0
        self._sampler = sampler
        self._rng = rng()
        self.splits = self._draw()

    def denoise(self, *images):
        self.denoised.append([tuple(image.shape[-2:]) for image in images])
        return tuple(self.apply(image) for image in images)

    def apply(self, image):
        return torch.cat([net(image[[k]]) for k, net in enumerate(self.networks)])

    def views(self, image):
        return self._cut(self.splits, image)

    def resample(self):
        self.redraws += 1
        fresh = self._draw()
        return lambda image: self._cut(fresh, image)

    def weights(self):
        return [weight for net in self.networks for weight in net.parameters()]

    def _draw(self):
        return [self._sampler.draw(self.noisy[[k]], self._rng) for k in range(B)]

    def _cut(self, splits, image):
        each = [split(image[[k]]) for k, split in enumerate(splits)]
        return tuple(torch.cat(views) for views in zip(*each, strict=True))


def square(x):
    return (x**2).sum() / x.numel()


def by_hand(context, k):
    """L_res and L_cons of fit k: method.md section 1, with f the network's noise estimate."""

    def f(image):
        return context.networks[k].net(image)

    def d1(image):
        return (image[..., 0:-1:2, 1::2] + image[..., 1::2, 0:-1:2]) / 2

    def d2(image):
        return (image[..., 0:-1:2, 0:-1:2] + image[..., 1::2, 1::2]) / 2

    y = context.noisy[[k]]
    y1, y2 = d1(y), d2(y)
    res = (square(y1 - f(y1) - y2) + square(y2 - f(y2) - y1)) / 2
    x = y - f(y)
    cons = (square(y1 - f(y1) - d1(x)) + square(y2 - f(y2) - d2(x))) / 2
    return res, cons


def check(context, value, expected):
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-7)
    got = torch.autograd.grad(value.sum(), context.weights(), retain_graph=True)
    want = torch.autograd.grad(expected.sum(), context.weights(), retain_graph=True)
    for one, other in zip(got, want, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("r", "c"), [(1.0, 1.0), (0.5, 2.0), (1.0, 0.0), (0.0, 1.0)])
def test_residual_consistency_is_the_formula_of_the_paper(r, c):
    context = PlainLossContext(Diagonal())
    value = ResidualConsistency(residual_weight=r, consistency_weight=c)(context)
    parts = [by_hand(context, k) for k in range(B)]
    check(context, value, torch.stack([r * res + c * cons for res, cons in parts]))


def test_residual_is_the_formula_of_the_paper():
    context = PlainLossContext(Diagonal())
    check(context, Residual()(context), torch.stack([by_hand(context, k)[0] for k in range(B)]))


def test_weight_1_and_0_is_residual_alone():
    loss = ResidualConsistency(consistency_weight=0.0)
    assert torch.equal(loss(PlainLossContext(Diagonal())), Residual()(PlainLossContext(Diagonal())))


def test_the_short_form_of_the_algebra_holds():
    # L = 1/2 [mse(f1, d) + mse(f2, -d)] + 1/2 [mse(f1, D1 f(y)) + mse(f2, D2 f(y))], d = D1 y - D2 y
    context = PlainLossContext(Diagonal())
    expected = []
    for k, net in enumerate(context.networks):
        y = context.noisy[[k]]
        y1, y2 = context.splits[k](y)
        f1, f2 = net.net(y1), net.net(y2)
        n1, n2 = context.splits[k](net.net(y))
        res = square(f1 - (y1 - y2)) + square(f2 + (y1 - y2))
        expected.append((res + square(f1 - n1) + square(f2 - n2)) / 2)
    check(context, ResidualConsistency()(context), torch.stack(expected))


@pytest.mark.parametrize("loss", [Residual, ResidualConsistency])
def test_one_way_keeps_the_first_pair(loss):
    context = PlainLossContext(Diagonal())
    y1, y2 = context.views(context.noisy)
    expected = torch.stack([square(one) for one in context.apply(y1) - y2])
    if loss is ResidualConsistency:
        expected = expected + torch.stack([by_hand(context, k)[1] for k in range(B)])
    check(context, loss(symmetric=False)(context), expected)


def test_other_pairs_are_averaged():
    context = PlainLossContext(Diagonal(), pairs=((0, 1), (0, 0), (1, 0)))
    y1, y2 = context.views(context.noisy)
    x1, x2 = context.apply(y1), context.apply(y2)
    errors = (x1 - y2, x1 - y1, x2 - y1)
    expected = torch.stack([sum(square(e[k]) for e in errors) / 3 for k in range(B)])
    check(context, Residual()(context), expected)


def test_direct_networks_are_scored_on_what_they_return():
    context = PlainLossContext(Diagonal(), residual=False)
    y1, y2 = context.views(context.noisy)
    expected = [
        (square(net.net(y1[[k]]) - y2[k]) + square(net.net(y2[[k]]) - y1[k])) / 2
        for k, net in enumerate(context.networks)
    ]
    check(context, Residual()(context), torch.stack(expected))


def test_a_part_of_weight_0_is_not_computed():
    half, full = (6, 5), (12, 10)
    context = PlainLossContext(Diagonal())
    ResidualConsistency()(context)
    assert context.denoised == [[half, half, full]]
    context = PlainLossContext(Diagonal())
    ResidualConsistency(consistency_weight=0.0)(context)
    assert context.denoised == [[half, half]]
    context = PlainLossContext(Diagonal())
    Residual(symmetric=False)(context)
    assert context.denoised == [[half]]


def test_consistency_is_left_out_where_it_has_no_meaning():
    context = PlainLossContext(Diagonal(), supports_consistency=False)
    assert torch.equal(ResidualConsistency()(context), Residual()(PlainLossContext(Diagonal())))
    assert context.denoised == [[(6, 5), (6, 5)]]


def test_same_cuts_in_the_same_places_and_fresh_draws_once_more():
    sampler = AvgStochasticPool(pick="spatial")
    for draw, redraws in (("same", 0), ("fresh", 1)):
        context, twin = PlainLossContext(sampler), PlainLossContext(sampler)
        loss = ResidualConsistency(residual_weight=0.0, consistency_draw=draw)
        value = loss(context)
        assert context.redraws == redraws
        cut = twin.resample() if redraws else twin.views  # the twin has the same random numbers
        full = cut(twin.apply(twin.noisy))
        halves = [twin.apply(view) for view in twin.views(twin.noisy)]
        expected = [sum(square(x[k] - z[k]) for x, z in zip(halves, full)) / 2 for k in range(B)]  # noqa: B905
        torch.testing.assert_close(value, torch.stack(expected), rtol=1e-5, atol=1e-7)


def test_nothing_to_train_on_is_an_error():
    with pytest.raises(ParameterError, match="both 0"):
        ResidualConsistency(residual_weight=0.0, consistency_weight=0.0)
    loss = ResidualConsistency(residual_weight=0.0)
    with pytest.raises(ParameterError, match="residual_weight a value above 0"):
        loss(PlainLossContext(Diagonal(), supports_consistency=False))
