"""The losses against the formulas of the paper, written out without any of our helpers."""

import pytest
import torch

from n2n_ablate import ParameterError
from n2n_ablate.testing import picture, rng
from n2n_ablate_plugins.pooling import AvgStochasticPool
from n2n_ablate_plugins.zs_n2n import Diagonal, Residual, ResidualConsistency, ZsN2n

B = 2


class PlainScene:
    """A stack of real networks, one sampler, and a list of all that was denoised."""

    def __init__(self, sampler, *, residual=True, pairs=((0, 1), (1, 0)), consistent=True):
        torch.manual_seed(0)
        self.noisy = picture(B, 3, 12, 10)
        self.pairs = pairs
        self.consistent = consistent
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

    def redraw(self):
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


def by_hand(scene, k):
    """L_res and L_cons of fit k: method.md section 1, with f the network's noise estimate."""

    def f(image):
        return scene.networks[k].net(image)

    def d1(image):
        return (image[..., 0:-1:2, 1::2] + image[..., 1::2, 0:-1:2]) / 2

    def d2(image):
        return (image[..., 0:-1:2, 0:-1:2] + image[..., 1::2, 1::2]) / 2

    y = scene.noisy[[k]]
    y1, y2 = d1(y), d2(y)
    res = (square(y1 - f(y1) - y2) + square(y2 - f(y2) - y1)) / 2
    x = y - f(y)
    cons = (square(y1 - f(y1) - d1(x)) + square(y2 - f(y2) - d2(x))) / 2
    return res, cons


def check(scene, value, expected):
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-7)
    got = torch.autograd.grad(value.sum(), scene.weights(), retain_graph=True)
    want = torch.autograd.grad(expected.sum(), scene.weights(), retain_graph=True)
    for one, other in zip(got, want, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("r", "c"), [(1.0, 1.0), (0.5, 2.0), (1.0, 0.0), (0.0, 1.0)])
def test_residual_consistency_is_the_formula_of_the_paper(r, c):
    scene = PlainScene(Diagonal())
    value = ResidualConsistency(residual_weight=r, consistency_weight=c)(scene)
    parts = [by_hand(scene, k) for k in range(B)]
    check(scene, value, torch.stack([r * res + c * cons for res, cons in parts]))


def test_residual_is_the_formula_of_the_paper():
    scene = PlainScene(Diagonal())
    check(scene, Residual()(scene), torch.stack([by_hand(scene, k)[0] for k in range(B)]))


def test_weight_1_and_0_is_residual_alone():
    loss = ResidualConsistency(consistency_weight=0.0)
    assert torch.equal(loss(PlainScene(Diagonal())), Residual()(PlainScene(Diagonal())))


def test_the_short_form_of_the_algebra_holds():
    # L = 1/2 [mse(f1, d) + mse(f2, -d)] + 1/2 [mse(f1, D1 f(y)) + mse(f2, D2 f(y))], d = D1 y - D2 y
    scene = PlainScene(Diagonal())
    expected = []
    for k, net in enumerate(scene.networks):
        y = scene.noisy[[k]]
        y1, y2 = scene.splits[k](y)
        f1, f2 = net.net(y1), net.net(y2)
        n1, n2 = scene.splits[k](net.net(y))
        res = square(f1 - (y1 - y2)) + square(f2 + (y1 - y2))
        expected.append((res + square(f1 - n1) + square(f2 - n2)) / 2)
    check(scene, ResidualConsistency()(scene), torch.stack(expected))


@pytest.mark.parametrize("loss", [Residual, ResidualConsistency])
def test_one_way_keeps_the_first_pair(loss):
    scene = PlainScene(Diagonal())
    y1, y2 = scene.views(scene.noisy)
    expected = torch.stack([square(one) for one in scene.apply(y1) - y2])
    if loss is ResidualConsistency:
        expected = expected + torch.stack([by_hand(scene, k)[1] for k in range(B)])
    check(scene, loss(symmetric=False)(scene), expected)


def test_other_pairs_are_averaged():
    scene = PlainScene(Diagonal(), pairs=((0, 1), (0, 0), (1, 0)))
    y1, y2 = scene.views(scene.noisy)
    x1, x2 = scene.apply(y1), scene.apply(y2)
    errors = (x1 - y2, x1 - y1, x2 - y1)
    expected = torch.stack([sum(square(e[k]) for e in errors) / 3 for k in range(B)])
    check(scene, Residual()(scene), expected)


def test_direct_networks_are_scored_on_what_they_return():
    scene = PlainScene(Diagonal(), residual=False)
    y1, y2 = scene.views(scene.noisy)
    expected = [
        (square(net.net(y1[[k]]) - y2[k]) + square(net.net(y2[[k]]) - y1[k])) / 2
        for k, net in enumerate(scene.networks)
    ]
    check(scene, Residual()(scene), torch.stack(expected))


def test_a_part_of_weight_0_is_not_computed():
    half, full = (6, 5), (12, 10)
    scene = PlainScene(Diagonal())
    ResidualConsistency()(scene)
    assert scene.denoised == [[half, half, full]]
    scene = PlainScene(Diagonal())
    ResidualConsistency(consistency_weight=0.0)(scene)
    assert scene.denoised == [[half, half]]
    scene = PlainScene(Diagonal())
    Residual(symmetric=False)(scene)
    assert scene.denoised == [[half]]


def test_consistency_is_left_out_where_it_has_no_meaning():
    scene = PlainScene(Diagonal(), consistent=False)
    assert torch.equal(ResidualConsistency()(scene), Residual()(PlainScene(Diagonal())))
    assert scene.denoised == [[(6, 5), (6, 5)]]


def test_same_cuts_in_the_same_places_and_fresh_draws_once_more():
    sampler = AvgStochasticPool(pick="spatial")
    for draw, redraws in (("same", 0), ("fresh", 1)):
        scene, twin = PlainScene(sampler), PlainScene(sampler)
        loss = ResidualConsistency(residual_weight=0.0, consistency_draw=draw)
        value = loss(scene)
        assert scene.redraws == redraws
        cut = twin.redraw() if redraws else twin.views  # the twin has the same random numbers
        full = cut(twin.apply(twin.noisy))
        halves = [twin.apply(view) for view in twin.views(twin.noisy)]
        expected = [sum(square(x[k] - z[k]) for x, z in zip(halves, full)) / 2 for k in range(B)]  # noqa: B905
        torch.testing.assert_close(value, torch.stack(expected), rtol=1e-5, atol=1e-7)


def test_nothing_to_train_on_is_an_error():
    with pytest.raises(ParameterError, match="both 0"):
        ResidualConsistency(residual_weight=0.0, consistency_weight=0.0)
    loss = ResidualConsistency(residual_weight=0.0)
    with pytest.raises(ParameterError, match="residual_weight a value above 0"):
        loss(PlainScene(Diagonal(), consistent=False))
