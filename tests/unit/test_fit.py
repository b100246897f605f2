"""The engine: equal to the plain formula, deterministic, and blind to stack mates."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, leaky_relu, mse_loss

from n2n_ablate import fit
from n2n_ablate.bench import Bench
from n2n_ablate.errors import DeviceError
from n2n_ablate.fit import networks
from n2n_ablate.fit.pool import fit_all, stacks_of
from n2n_ablate.fit.tiles import in_tiles
from n2n_ablate.fit.train import points_of, train
from n2n_ablate.study import plan, read

EXACT = fit.Machine("cpu", "fp32", 2, 1, "test")
STACKED = dataclasses.replace(EXACT, stack=8)


@pytest.fixture
def bench(tiny, registry):
    planned = plan(read(tiny), registry, profile="other", settings=["backbone.width=6"])
    return Bench(planned, registry, EXACT)


def run(fits, machine):
    return {result.key: result for result in fit_all(fits, machine)}


def recipe(bench, **changes):
    found = bench.plan.baseline.recipe
    for key, value in changes.items():
        found = found.replace(key.replace("__", "."), value)
    return found


def plain_loop(fit):
    """The published loop, written from its formulas: one network, one image, no tricks."""
    torch.manual_seed(fit.init_seed)
    net = fit.backbone.build(3)
    y = fit.noisy
    cross = torch.tensor([[0, 0.5, 0], [0.5, 0.01, 0.5], [0, 0.5, 0]]) / 2.01
    ex = torch.tensor([[0.5, 0, 0.5], [0, 0.01, 0], [0.5, 0, 0.5]]) / 2.01

    def cut(x, kernel):
        return conv2d(x, kernel.expand(3, 1, 3, 3), stride=3, groups=3)

    def f(x):
        first, _, second, _, third = net.net
        return third(leaky_relu(second(leaky_relu(first(x), 0.2)), 0.2))

    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.StepLR(
        optimizer, step_size=fit.training.steps // 3 or 1, gamma=0.5
    )
    losses = []
    for _ in range(fit.training.steps):
        y1, y2 = cut(y, cross), cut(y, ex)
        x1, x2 = y1 - f(y1), y2 - f(y2)
        residual = (mse_loss(x1, y2) + mse_loss(x2, y1)) / 2
        x = y - f(y)
        consistency = (mse_loss(x1, cut(x, cross)) + mse_loss(x2, cut(x, ex))) / 2
        loss = residual + consistency
        optimizer.zero_grad()
        loss.backward()
        losses.append(loss.item())
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        return losses, y - f(y)


def test_training_is_the_published_loop(bench):
    one = bench.fits(recipe(bench, training__steps=12))[0]
    (result,) = train([one], EXACT)
    losses, denoised = plain_loop(one)
    assert result.curves["loss"] == pytest.approx(losses, rel=1e-4)
    expected = denoised[0].clamp(0, 1).numpy()
    assert np.abs(result.denoised / 65535 - expected).max() < 1e-4


def test_the_same_fit_gives_the_same_bits_twice(bench):
    fits = bench.fits(recipe(bench))
    first, second = run(fits, EXACT), run(fits[::-1], EXACT)
    for key, result in first.items():
        assert np.array_equal(result.denoised, second[key].denoised)
        assert all(np.array_equal(result.curves[n], second[key].curves[n]) for n in result.curves)


@pytest.mark.parametrize("way", [networks.grouped, networks.vmapped])
def test_stacked_networks_compute_what_each_computes_alone(way, registry):
    backbone = registry.build("backbone", "zs-n2n", {"width": 5, "padding": "reflect"})
    modules = [backbone.build(3) for _ in range(3)]
    x = torch.rand(6, 3, 11, 8)
    out = way(modules)(x)
    for place, module in enumerate(modules):
        torch.testing.assert_close(out[place::3], module(x[place::3]), rtol=1e-5, atol=1e-6)
    loss = out.square().mean(dim=(1, 2, 3)).unflatten(0, (2, 3)).sum(0)
    loss[1].backward()
    touched = [
        any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in m.parameters())
        for m in modules
    ]
    assert touched == [False, True, False]


def test_a_network_that_only_looks_like_a_chain_is_not_taken_for_one():
    class Sly(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Conv2d(1, 1, 1))
            self.residual = True

        def forward(self, x):
            return 3 * self.net(x)

    modules = [Sly(), Sly()]
    x = torch.rand(2, 1, 9, 9)
    out = networks.stacked(modules, 1, "fp32")(x)
    torch.testing.assert_close(out[1:], modules[1](x[1:]))


def test_a_network_that_only_nearly_is_its_chain_is_called_as_it_is():
    class Damped(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(
                nn.Conv2d(1, 4, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 1)
            )
            nn.init.zeros_(self.net[2].weight)
            nn.init.zeros_(self.net[2].bias)
            self.residual = True

        def forward(self, x):
            return x - 0.9 * self.net(x)

    module = Damped()
    assert networks.stacked([module], 1, "bf16") is module
    out = networks.stacked([module, Damped()], 1, "fp32")
    nn.init.ones_(module.net[2].weight)
    x = torch.rand(2, 1, 9, 9)
    torch.testing.assert_close(out(x)[:1], module(x[:1]))


def test_the_chain_is_the_module_under_autocast_bit_for_bit(registry):
    module = registry.build("backbone", "zs-n2n", {"width": 6}).build(3)
    fast = networks.stacked([module], 3, "bf16")
    assert fast is not module
    x = torch.rand(2, 3, 17, 12)

    def gradients(forward):
        module.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            out = forward(x).float()
        out.square().mean().backward()
        return [out.detach(), *(weight.grad.clone() for weight in module.parameters())]

    for one, other in zip(gradients(fast), gradients(module), strict=True):
        torch.testing.assert_close(one, other, rtol=2e-2, atol=1e-3)


def test_choosing_a_forward_pass_does_not_disturb_who_builds_a_network(registry):
    module = registry.build("backbone", "zs-n2n", {"width": 6}).build(3)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    networks.stacked([module], 3, "bf16")
    networks.stacked([module, module], 3, "fp32")
    assert torch.equal(before, torch.random.get_rng_state())


def test_networks_with_buffers_of_their_own_can_be_stacked():
    class Shifted(nn.Module):
        def __init__(self):
            super().__init__()
            self.mix = nn.Conv2d(1, 1, 1)
            self.register_buffer("shift", torch.rand(1))

        def forward(self, x):
            return self.mix(x) + self.shift

    modules = [Shifted(), Shifted()]
    x = torch.rand(2, 1, 5, 5)
    torch.testing.assert_close(networks.vmapped(modules)(x)[1:], modules[1](x[1:]))


def test_a_loss_of_the_wrong_shape_is_named(bench):
    class Scalar:
        def __call__(self, scene):
            return scene.denoise(scene.noisy)[0].mean()

    one = dataclasses.replace(bench.fits(recipe(bench))[0], loss=Scalar())
    (result,) = fit_all([one], EXACT)
    assert "one value per fit" in result.failure
    assert result.passing


def test_a_stack_gives_each_fit_what_it_gets_alone(bench):
    other = recipe(bench, sampler__center=0.3, training__lr=0.002)
    fits = bench.fits(recipe(bench)) + bench.fits(other)
    alone, together = run(fits, EXACT), run(fits, STACKED)
    assert len(list(stacks_of(fits, 8))) == 1
    for key, result in alone.items():
        assert abs(result.figures["psnr"] - together[key].figures["psnr"]) < 0.02


@pytest.mark.parametrize("machine", [EXACT, STACKED], ids=["one by one", "stacked"])
def test_a_diverged_fit_is_reported_and_leaves_the_others_bit_for_bit(bench, machine):
    calm = bench.fits(recipe(bench))
    wild = bench.fits(recipe(bench, training__lr=0.1))[:1]
    poisoned = dataclasses.replace(wild[0], noisy=wild[0].noisy * float("nan"))
    healthy = dataclasses.replace(wild[0], key="healthy")
    with_nan = run([*calm, poisoned], machine)
    without = run([*calm, healthy], machine)
    assert with_nan[poisoned.key].failure.startswith("diverged by step ")
    assert with_nan[poisoned.key].denoised is None
    for one in calm:
        assert not with_nan[one.key].failure
        assert np.array_equal(with_nan[one.key].denoised, without[one.key].denoised)


def test_fits_of_other_shape_steps_or_network_do_not_share_a_stack(bench):
    base = bench.fits(recipe(bench))[0]
    others = [
        bench.fits(recipe(bench, training__steps=5))[0],
        bench.fits(recipe(bench, backbone__width=7))[0],
        bench.fits(recipe(bench, sampler="diagonal"))[0],
    ]
    assert len(list(stacks_of([base, *others], 8))) == 4


def test_curves_have_evenly_spaced_points_and_end_at_the_end():
    assert points_of(3000)[-1] == 3000
    assert len(points_of(500)) == 30
    assert points_of(7) == [1, 2, 3, 4, 5, 6, 7]


def test_the_last_point_of_a_curve_is_the_result(bench):
    one = bench.fits(recipe(bench))[0]
    (result,) = fit_all([one], EXACT)
    assert result.steps[-1] == one.training.steps
    denoised = torch.from_numpy(result.denoised.astype("float32") / 65535)[None]
    again = bench.measure(denoised, bench.subjects[0])
    assert result.figures["psnr"] == pytest.approx(again["psnr"], abs=0.002)
    assert result.figures["psnr"] == pytest.approx(result.curves["psnr"][-1])


def test_arms_share_noise_and_initial_weights(bench):
    first = bench.fits(recipe(bench))
    second = bench.fits(recipe(bench, sampler="diagonal"))
    for one, two in zip(first, second, strict=True):
        assert torch.equal(one.noisy, two.noisy)
        assert one.init_seed == two.init_seed
        assert one.key != two.key
    assert first[0].init_seed != first[1].init_seed


def test_training_leaves_the_global_generator_alone(bench):
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    run(bench.fits(recipe(bench, training__steps=2)), EXACT)
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_weight_average_keeps_weights_of_its_own(bench):
    one, other = bench.fits(recipe(bench))[0], bench.fits(recipe(bench, estimator="weight-ema"))[0]
    (last,), (kept,) = train([one], EXACT), train([other], EXACT)
    assert np.array_equal(last.curves["loss"], kept.curves["loss"])  # training is not touched
    assert not np.array_equal(last.denoised, kept.denoised)


@pytest.mark.parametrize("size", [(70, 33), (64, 64), (65, 1)])
def test_tiles_have_no_seams(size, registry):
    backbone = registry.build("backbone", "zs-n2n", {"width": 5})
    module = backbone.build(1)
    noisy = torch.rand(1, 1, *size)
    with torch.no_grad():
        whole, tiled = module(noisy), in_tiles(module, backbone, tile=32)(noisy)
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-6)


def test_closing_the_iterator_stops_the_training(bench):
    long = bench.fits(recipe(bench, training__steps=100_000))
    short = bench.fits(recipe(bench, training__steps=1))[:1]
    results = fit_all([*short, *long], EXACT)
    assert next(results).key == short[0].key
    results.close()  # would take minutes if the others went on


@pytest.mark.parametrize(
    ("device", "precision", "message"),
    [
        ("gpu", "auto", "no device is called 'gpu'"),
        ("cpu", "fp8", "no precision is called 'fp8'"),
        ("cpu", "tf32", "needs an NVIDIA GPU"),
    ],
)
def test_a_device_that_is_not_there_is_named(device, precision, message):
    with pytest.raises(DeviceError, match=message):
        fit.machine(device, precision)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_cuda_without_a_gpu_says_what_to_use():
    with pytest.raises(DeviceError, match="Use --device cpu"):
        fit.machine("cuda")
