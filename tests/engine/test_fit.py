"""The engine: equal to the plain formula, deterministic, and blind to stack mates."""

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, leaky_relu, mse_loss

from n2n_ablate import engine
from n2n_ablate.engine import chain as chain_module
from n2n_ablate.engine import networks
from n2n_ablate.engine import pool as pool_module
from n2n_ablate.engine import train as train_module
from n2n_ablate.engine.curves import points_of
from n2n_ablate.engine.networks import Networks
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.engine.pool import fit_all, stacks_of
from n2n_ablate.engine.tiles import in_tiles
from n2n_ablate.engine.train import train
from n2n_ablate.engine.weights import Packing
from n2n_ablate.errors import DeviceError
from n2n_ablate.study import plan, read

EXACT = engine.Machine("cpu", "fp32", 2, 1, "test")
STACKED = dataclasses.replace(EXACT, stack=8)


@pytest.fixture
def bench(tiny, registry):
    planned = plan(read(tiny), registry, profile="other", settings=["backbone.width=6"])
    return PairedData(planned, registry, EXACT)


def run(fits, machine):
    return {result.key: result for result in fit_all(fits, machine)}


def recipe(bench, **changes):
    found = bench.plan.baseline.recipe
    for key, value in changes.items():
        found = found.replace(key.replace("__", "."), value)
    return found


def plain_loss(net, y):
    """The published loss, written from its formulas."""
    cross = torch.tensor([[0, 0.5, 0], [0.5, 0.01, 0.5], [0, 0.5, 0]], dtype=y.dtype) / 2.01
    ex = torch.tensor([[0.5, 0, 0.5], [0, 0.01, 0], [0.5, 0, 0.5]], dtype=y.dtype) / 2.01

    def cut(x, kernel):
        return conv2d(x, kernel.expand(3, 1, 3, 3), stride=3, groups=3)

    y1, y2 = cut(y, cross), cut(y, ex)
    x1, x2 = y1 - plain_noise(net, y1), y2 - plain_noise(net, y2)
    residual = (mse_loss(x1, y2) + mse_loss(x2, y1)) / 2
    x = y - plain_noise(net, y)
    return residual + (mse_loss(x1, cut(x, cross)) + mse_loss(x2, cut(x, ex))) / 2


def plain_noise(net, x):
    first, _, second, _, third = net.net
    return third(leaky_relu(second(leaky_relu(first(x), 0.2)), 0.2))


def plain_loop(fit):
    """The published loop: one network, one image, no tricks."""
    torch.manual_seed(fit.init_seed)
    net = fit.backbone.build(3)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.StepLR(
        optimizer, step_size=fit.training.steps // 3 or 1, gamma=0.5
    )
    losses = []
    for _ in range(fit.training.steps):
        loss = plain_loss(net, fit.noisy)
        optimizer.zero_grad()
        loss.backward()
        losses.append(loss.item())
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        return losses, fit.noisy - plain_noise(net, fit.noisy)


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


def in_float64(fit):
    """Loss and gradients of the published formula at the initial weights, in double precision."""
    torch.manual_seed(fit.init_seed)
    net = fit.backbone.build(3).double()
    loss = plain_loss(net, fit.noisy.double())
    loss.backward()
    return loss.item(), [weight.grad for weight in net.parameters()]


def test_loss_and_gradients_are_those_of_the_formula(bench):
    fits = bench.fits(recipe(bench))
    stack = train_module._Stack(fits, EXACT)
    stack._draws.advance(0)
    loss = fits[0].loss(stack._context)
    loss.sum().backward()
    for place, one in enumerate(fits):
        expected, gradients = in_float64(one)
        assert loss[place].item() == pytest.approx(expected, rel=1e-5)
        own = stack._networks.packing.views(stack._networks.weights.grad[place])
        for gradient, wanted in zip(own, gradients, strict=True):
            error = (gradient.double() - wanted).norm() / wanted.norm()
            assert error < 1e-5


@pytest.mark.parametrize("way", ["grouped", "vmapped"])
def test_stacked_networks_compute_what_each_computes_alone(way, registry):
    backbone = registry.build("backbone", "zs-n2n", {"width": 5, "padding": "reflect"})
    modules = [backbone.build(3) for _ in range(3)]
    packing = Packing(modules[0])
    weights = packing.pack(modules).requires_grad_()
    ways = {
        "grouped": networks.stacked(modules[0], packing),
        "vmapped": networks.vmapped(modules, packing),
    }
    x = torch.rand(6, 3, 11, 8)
    out = ways[way](weights, x)
    for place, module in enumerate(modules):
        torch.testing.assert_close(out[place::3], module(x[place::3]), rtol=1e-5, atol=1e-6)
    loss = out.square().mean(dim=(1, 2, 3)).unflatten(0, (2, 3)).sum(0)
    loss[1].backward()
    assert weights.grad.abs().sum(dim=1).bool().tolist() == [False, True, False]


def chain(channels=1, width=4):
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(width, channels, 1)
    )


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("count", [1, 2])
def test_a_network_that_only_looks_like_a_chain_is_not_taken_for_one(count, precision):
    class Damped(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = chain()
            nn.init.zeros_(self.net[2].weight)  # at the start it cannot be told from its chain
            nn.init.zeros_(self.net[2].bias)
            self.residual = True

        def forward(self, x):
            return x - 0.9 * self.net(x)

    modules = [Damped() for _ in range(count)]
    found = Networks(modules, 1, precision)
    with torch.no_grad():
        for module in modules:
            nn.init.ones_(module.net[2].weight)
        found.weights.copy_(found.packing.pack(modules))
        x = torch.rand(count, 1, 9, 9)
        out = found(x)[0]
        expected = torch.cat([module(x[i : i + 1]) for i, module in enumerate(modules)])
    close = {"fp32": 1e-5, "bf16": 2e-2}[precision]
    torch.testing.assert_close(out, expected, rtol=close, atol=close)


def test_the_chain_is_the_module_under_autocast(registry, monkeypatch):
    module = registry.build("backbone", "zs-n2n", {"width": 6}).build(3)
    images = [torch.rand(1, 3, *size, requires_grad=True) for size in ((17, 12), (40, 8), (17, 12))]
    monkeypatch.setattr(chain_module, "_LARGE", 300)  # so that one of the images goes in strips
    fast = Networks([module], 3, "bf16")
    assert fast._chain is not None

    def gradients(denoise, weights):
        out = [each.float() for each in denoise(*images)]
        sum(each.square().mean() * (1 + place) for place, each in enumerate(out)).backward()
        found = [*(each.detach() for each in out), *(image.grad.clone() for image in images)]
        found += [weight.grad.clone() for weight in weights]
        for image in images:
            image.grad = None
        return found

    def plainly(*each):
        with torch.autocast("cpu", torch.bfloat16):
            return [module(image) for image in each]

    expected = gradients(plainly, list(module.parameters()))
    found = gradients(fast, [fast.weights])
    found[-1:] = fast.packing.views(found[-1][0])
    for one, other in zip(found, expected, strict=True):
        assert (one - other).norm() < 1e-2 * other.norm()


def test_choosing_a_forward_pass_does_not_disturb_who_builds_a_network(registry):
    module = registry.build("backbone", "zs-n2n", {"width": 6}).build(3)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    Networks([module], 3, "bf16")
    Networks([module, module], 3, "fp32")
    assert torch.equal(before, torch.random.get_rng_state())


class Shifted(nn.Module):
    """A network with a buffer and a weight that is not trained."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Conv2d(1, 1, 1)
        self.frozen = nn.Parameter(torch.rand(1), requires_grad=False)
        self.register_buffer("shift", torch.rand(1))

    def forward(self, x):
        return self.mix(x) + self.shift + self.frozen


@pytest.mark.parametrize("count", [1, 3])
def test_networks_keep_their_buffers_and_what_is_not_trained(count):
    modules = [Shifted() for _ in range(count)]
    found = Networks(modules, 1, "fp32")
    x = torch.rand(count, 1, 5, 5)
    assert found.weights.shape == (count, 2)
    for place, module in enumerate(modules):
        torch.testing.assert_close(found(x)[0][place], module(x[place : place + 1])[0])


class Averaged:
    """A training whose optimiser looks at all weights of a fit: it clips the norm of the gradient."""

    steps = 6

    def optimizer(self, weights):
        weights = list(weights)
        self.shapes = [tuple(weight.shape) for weight in weights]

        class Clipped(torch.optim.SGD):
            def step(self, closure=None):
                nn.utils.clip_grad_norm_(weights, 0.01)
                return super().step(closure)

        return Clipped(weights, lr=0.1)

    def learning_rate(self, step):
        return 0.1


def test_an_optimizer_that_mixes_weights_sees_one_fit_in_its_own_shapes(bench):
    own = Averaged()
    fits = [dataclasses.replace(each, training=own) for each in bench.fits(recipe(bench))]
    alone, together = run(fits, EXACT), run(fits, STACKED)
    assert own.shapes == [tuple(weight.shape) for weight in fits[0].backbone.build(3).parameters()]
    for key, result in alone.items():
        assert not result.failure
        assert result.curves["loss"] == pytest.approx(together[key].curves["loss"], rel=1e-4)
        assert result.curves["loss"][-1] < result.curves["loss"][0]


def test_training_on_crops_sees_one_window_a_step_and_denoises_the_whole(bench):
    seen = []

    class Watching:
        def __init__(self, inner):
            self.inner = inner

        def __call__(self, context):
            seen.append(context.noisy.clone())
            return self.inner(context)

    fits = bench.fits(recipe(bench, training__steps=8, training__crop=20))
    one = dataclasses.replace(fits[0], loss=Watching(fits[0].loss))
    (result,) = train([one], EXACT)
    assert {tuple(image.shape) for image in seen} == {(1, 3, 20, 20)}
    assert len({float(image.sum()) for image in seen}) > 4
    whole = one.noisy.unfold(2, 20, 1).unfold(3, 20, 1).permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
    assert all((whole == image).flatten(1).all(dim=1).any() for image in seen)
    assert result.denoised.shape == one.noisy.shape[1:]
    (again,) = train([one], EXACT)
    assert np.array_equal(result.denoised, again.denoised)
    wide = bench.fits(recipe(bench, training__steps=8, training__crop=4000))[0]
    usual = bench.fits(recipe(bench, training__steps=8))[0]
    assert np.array_equal(train([wide], EXACT)[0].denoised, train([usual], EXACT)[0].denoised)


def test_crops_and_whole_images_do_not_share_a_stack(bench):
    cropped = bench.fits(recipe(bench, training__crop=20))[0]
    assert len(list(stacks_of([bench.fits(recipe(bench))[0], cropped], 8))) == 2


def test_a_loss_of_the_wrong_shape_is_named(bench):
    class Scalar:
        def __call__(self, context):
            return context.denoise(context.noisy)[0].mean()

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
    again = bench.measure(denoised, bench.samples[0])
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


def test_networks_of_all_arms_begin_with_the_same_bits(bench):
    arms = [
        recipe(bench),
        recipe(bench, sampler="diagonal"),
        recipe(bench, sampler="random-neighbor"),  # draws numbers of its own
        recipe(bench, sampler__center=0.3, training__lr=0.01, estimator="weight-ema"),
    ]
    stacks = [train_module._Stack(bench.fits(arm), EXACT) for arm in arms]
    for stack in stacks:  # whatever a sampler draws has been drawn once
        stack._draws.advance(0)
    again = train_module._Stack(bench.fits(arms[0])[::-1], EXACT)
    weights = [stack._networks.weights.detach() for stack in stacks]
    for each in weights[1:]:
        assert torch.equal(each, weights[0])
    assert torch.equal(again._networks.weights.detach().flip(0), weights[0])
    one = bench.fits(arms[0])[0]
    torch.manual_seed(one.init_seed)
    module = one.backbone.build(3)
    assert torch.equal(Packing(module).pack([module])[0], weights[0][0])
    assert not torch.equal(weights[0][0], weights[0][1])


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


def test_ctrl_c_between_the_first_fit_and_the_second_stops_the_training(bench, monkeypatch):
    class Interrupted(ThreadPoolExecutor):
        def submit(self, *given):
            super().submit(*given)
            raise KeyboardInterrupt

    monkeypatch.setattr(pool_module, "ThreadPoolExecutor", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(bench.fits(recipe(bench, training__steps=100_000)), EXACT)
    assert not [one for one in threading.enumerate() if one.name.startswith("fit")]


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
        engine.machine(device, precision)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_cuda_without_a_gpu_says_what_to_use():
    with pytest.raises(DeviceError, match="Use --device cpu"):
        engine.machine("cuda")


def test_a_stack_too_large_for_the_memory_is_halved_once_and_for_all(bench, monkeypatch):
    sizes, notes = [], []
    real = train_module.train

    def small(stack, *rest, **options):
        sizes.append(len(stack))
        if len(stack) > 2:
            msg = "CUDA out of memory. Tried to allocate 20.00 MiB."
            raise torch.OutOfMemoryError(msg)
        return real(stack, *rest, **options)

    monkeypatch.setattr(pool_module, "train", small)
    base = bench.fits(recipe(bench, training__steps=2))
    fits = [dataclasses.replace(base[0], key=str(place)) for place in range(8)]
    machine = dataclasses.replace(EXACT, stack=4, workers=1)
    found = list(fit_all(fits, machine, note=notes.append))
    assert sorted(result.key for result in found) == sorted(one.key for one in fits)
    assert not any(result.failure for result in found)
    assert sizes == [4, 2, 2, 2, 2]
    assert notes == ["4 fits at once do not fit into the memory of test; going on with 2"]
