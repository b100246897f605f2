"""The compiled kernel computes what torch computes: losses, gradients, whole fits, any size and width."""

import dataclasses
import subprocess
import sys

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import mse_loss

from n2n_ablate import DenoisingChain, engine
from n2n_ablate.engine import compiled
from n2n_ablate.engine.compiled import CompiledChain, kernel
from n2n_ablate.engine.layout import Layout
from n2n_ablate.engine.networks import Networks
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.engine.weights import Packing
from n2n_ablate.engine.winograd import WinogradChain
from n2n_ablate.study import plan, read

COMPILED = engine.Machine("cpu", "fp32", 2, 1, "test", "kernel")

built = pytest.mark.skipif(
    not kernel().instructions, reason=f"the kernel is not here: {kernel().reason}"
)


def chain(channels, width, inner, slope=0.2, *, residual=True):
    layers = [nn.Conv2d(channels, width, 3, padding=1), nn.LeakyReLU(slope)]
    for _ in range(inner):
        layers += [nn.Conv2d(width, width, 3, padding=1), nn.LeakyReLU(slope)]
    return DenoisingChain(nn.Sequential(*layers, nn.Conv2d(width, channels, 1)), residual=residual)


WAYS = [pytest.param("compiled", marks=built), "torch"]


def made(way, module):
    layout, packing = Layout.of(list(module.net)), Packing(module)
    if way == "torch":
        return WinogradChain(layout, packing, residual=module.residual)
    return CompiledChain(layout, packing, kernel().library, residual=module.residual)


def both(way, module, images):
    """Return results and gradients of the weights and images, in a way of ours and by the module."""
    packing = Packing(module)
    weights = packing.pack([module]).requires_grad_()
    run = made(way, module)
    targets = [torch.rand(image.shape) for image in images]

    def loss(results):
        return sum(mse_loss(*each) for each in zip(results, targets, strict=True))

    mine = [image.clone().requires_grad_() for image in images]
    results = run(weights, mine)
    loss(results).backward()
    theirs = [image.clone().requires_grad_() for image in images]
    expected = [module(image) for image in theirs]
    loss(expected).backward()
    gradients = [(weights.grad, packing.pack([_gradients(module)]))]
    gradients += [(a.grad, b.grad) for a, b in zip(mine, theirs, strict=True)]
    return list(zip(results, expected, strict=True)), gradients


def _gradients(module):
    for weight in module.parameters():
        weight.data = weight.grad
    return module


@torch.no_grad()
def nearest_to_kink(module, images):
    """Return the smallest sum before an activation, relative to the mean of its layer."""
    nearest = []
    for image in images:
        hidden = image
        for layer in module.net:
            if not isinstance(layer, nn.Conv2d):
                nearest.append(float(hidden.abs().min() / hidden.abs().mean()))
            hidden = layer(hidden)
    return min(nearest)


def far(pairs):
    pairs = [(a.detach(), b.detach()) for a, b in pairs]
    return max(float((a - b).norm() / b.norm().clamp(min=1e-12)) for a, b in pairs)


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(
    channels=st.integers(1, 4),
    width=st.sampled_from([1, 5, 8, 13, 16, 24, 40, 48, 56, 64, 72]),
    inner=st.integers(0, 3),
    residual=st.booleans(),
    slope=st.sampled_from([0.0, 0.2, 1.0]),
    sizes=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=3),
    seed=st.integers(0, 99),
)
def test_results_and_gradients_are_those_of_torch(
    way, channels, width, inner, residual, slope, sizes, seed
):
    torch.manual_seed(seed)
    module = chain(channels, width, inner, slope, residual=residual)
    images = [torch.rand(2, channels, *size) for size in sizes]
    # Where a sum is almost zero, rounding decides on which side of the kink it lies.
    assume(slope == 1 or nearest_to_kink(module, images) > 3e-6)
    results, gradients = both(way, module, images)
    assert far(results) < 1e-4
    assert far(gradients) < 1e-4


@pytest.mark.parametrize("way", WAYS)
def test_images_may_lie_in_memory_in_any_order(way):
    torch.manual_seed(0)
    image = torch.rand(1, 3, 24, 30)
    last = image.contiguous(memory_format=torch.channels_last)
    cut = torch.rand(1, 3, 50, 60)[..., ::2, ::2]
    results, gradients = both(way, chain(3, 48, 1), [last, cut, image.mT])
    assert far(results) < 1e-5
    assert far(gradients) < 1e-5


@built
def test_large_images_are_shared_out_among_threads_and_no_bit_depends_on_their_number():
    torch.manual_seed(0)
    module = chain(3, 24, 2, slope=1.0)
    packing = Packing(module)
    image = torch.rand(1, 3, 203, 190)
    layout = Layout.of(list(module.net))
    before, outcomes = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            run = CompiledChain(layout, packing, kernel().library, residual=True)
            assert run.bands(203, 190) > 3
            weights = packing.pack([module]).requires_grad_()
            (out,) = run(weights, [image])
            out.square().mean().backward()
            outcomes.append((out.detach(), weights.grad))
    finally:
        torch.set_num_threads(before)
    assert all(
        torch.equal(a, b) for other in outcomes[1:] for a, b in zip(outcomes[0], other, strict=True)
    )
    results, gradients = both("compiled", module, [image])
    assert far(results) < 1e-5
    assert far(gradients) < 1e-4


@built
def test_buffers_that_are_used_again_leave_nothing_behind():
    torch.manual_seed(0)
    module = chain(3, 16, 1)
    packing = Packing(module)
    weights = packing.pack([module]).requires_grad_()
    run = CompiledChain(Layout.of(list(module.net)), packing, kernel().library, residual=True)
    image, other = torch.rand(1, 3, 11, 14), 100 * torch.rand(2, 3, 11, 14)

    def gradient():
        weights.grad = None
        run(weights, [image])[0].square().mean().backward()
        return weights.grad.clone()

    first = gradient()
    run(weights, [other, image])[0].sum().backward()
    with torch.no_grad():
        run(2 * weights.detach(), [other])
    assert torch.equal(gradient(), first)


@built
def test_several_calls_before_one_backward_pass_keep_apart():
    torch.manual_seed(0)
    module = chain(2, 8, 1)
    packing = Packing(module)
    weights = packing.pack([module]).requires_grad_()
    run = CompiledChain(Layout.of(list(module.net)), packing, kernel().library, residual=True)
    image = torch.rand(1, 2, 9, 9)
    twice = run(2 * weights, run(weights, [image]))[0]
    twice.square().mean().backward()
    state = dict(module.named_parameters())
    double = {name: 2 * weight for name, weight in state.items()}
    expected = torch.func.functional_call(module, double, (module(image),))
    expected.square().mean().backward()
    assert far([(twice, expected)]) < 1e-5
    assert far([(weights.grad, packing.pack([_gradients(module)]))]) < 1e-5


@built
def test_not_a_number_stays_one():
    module = chain(1, 8, 1)
    image = torch.rand(1, 1, 8, 8)
    image[0, 0, 4, 4] = torch.nan
    networks = Networks([module], 1, "fp32", way="kernel")
    assert torch.isnan(networks(image)[0][0, 0, 4, 4])


@pytest.mark.parametrize(
    "net",
    [
        nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 3, padding=1)),
        nn.Sequential(nn.Conv2d(5, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 5, 1)),
        nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 3, 1)),
        nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.ReLU(), nn.Conv2d(8, 3, 1)),
        nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, 3, 1)),
        nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.LeakyReLU(-0.1), nn.Conv2d(8, 3, 1)),
        nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect"), nn.ReLU(), nn.Conv2d(8, 3, 1)
        ),
        nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1),
            nn.LeakyReLU(0.2), nn.Conv2d(8, 3, 1),
        ),
        nn.Sequential(nn.Conv2d(3, 3, 1)),
        nn.Sequential(),
    ],
)  # fmt: skip
def test_other_networks_are_left_to_torch(net):
    assert Layout.of(list(net)) is None


def test_the_switch_turns_the_kernel_off_and_the_identity_of_fits_says_so():
    code = (
        "from n2n_ablate import engine; from n2n_ablate.engine.compiled import kernel;"
        "machine = engine.machine('cpu', 'fp32'); print(kernel().reason, machine.computation)"
    )
    env = {"N2N_ABLATE_KERNEL": "off", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    said, _, way = done.stdout.strip().rpartition(" ")
    assert said == "switched off by N2N_ABLATE_KERNEL cpu fp32"
    assert way in ("winograd", "channels-first")


def test_a_kernel_that_computes_something_else_is_not_used(monkeypatch):
    monkeypatch.delenv("N2N_ABLATE_KERNEL", raising=False)
    monkeypatch.setattr(compiled, "_self_check", lambda library: float("nan"))
    monkeypatch.setattr(compiled.ctypes, "CDLL", lambda path: path)
    monkeypatch.setattr(compiled, "_declare", lambda library: library)
    monkeypatch.setattr(compiled.Path, "exists", lambda path: True)
    other = kernel.__wrapped__()
    assert other.library is None
    assert "disagrees with torch" in other.reason


@pytest.fixture
def bench(tiny, registry):
    planned = plan(read(tiny), registry, profile="other", settings=["training.steps=12"])
    return PairedData(planned, registry, COMPILED)


@built
def test_the_same_fit_twice_gives_the_same_bits_alone_and_beside_others(bench):
    fits = bench.fits(bench.plan.baseline.recipe)
    alone = [result for fit in fits for result in engine.fit_all([fit], COMPILED)]
    beside = {result.key: result for result in engine.fit_all(fits[::-1], COMPILED)}
    assert len(alone) == len(beside) > 1
    for result in alone:
        assert result.figures == beside[result.key].figures
        assert (result.denoised == beside[result.key].denoised).all()


@built
def test_a_training_by_the_kernel_is_one_by_torch_up_to_rounding(bench):
    fits = bench.fits(bench.plan.baseline.recipe)
    torch_only = dataclasses.replace(COMPILED, way="winograd")
    mine, theirs = (
        {result.key: result for result in engine.fit_all(fits, machine)}
        for machine in (COMPILED, torch_only)
    )
    for key, result in mine.items():
        assert result.curves["loss"] == pytest.approx(theirs[key].curves["loss"], rel=1e-4)
        assert result.figures["psnr"] == pytest.approx(theirs[key].figures["psnr"], abs=1e-3)
