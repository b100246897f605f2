"""A stack is cut at once as its fits are cut alone, by every sampler that is installed."""

import pytest
import torch

from n2n_ablate.components import MeasuredNoise, at_step, declared, prepare_sampler
from n2n_ablate.components.splits import KernelSplit, PixelSplit
from n2n_ablate.engine.draws import together
from n2n_ablate.registry import Registry
from n2n_ablate.testing.drawing import other_shot
from n2n_ablate_plugins.pooling import PoolSplit

REGISTRY = Registry()
SAMPLERS = [entry.name for entry in REGISTRY if entry.kind == "sampler"]
AT_ONCE = {
    "random-neighbor": PixelSplit,
    "random-partition": PixelSplit,
    "s3pool": PixelSplit,
    "avg-stochastic-pool": PoolSplit,
    "max-stochastic-pool": PoolSplit,
    "diagonal": KernelSplit,
}
GIVEN = {"poisson-thinning": {"lam": 30.0}, "recorruption": {"sigma": 25.0}}
CPU = torch.device("cpu")


def drawn(sampler, images):
    """Return a split per image, each of a stream of its own."""
    splits = []
    for index in range(len(images)):
        one = images[index : index + 1]
        noise = None
        if declared(sampler, "needs_shots", False):
            noise = MeasuredNoise(tuple(other_shot(one, 10 * index + seed) for seed in range(3)))
        ready = at_step(prepare_sampler(sampler, one, noise), 0, 10)
        splits.append(ready.draw(one, torch.Generator().manual_seed(index)))
    return splits


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_stack_is_cut_as_its_images_are(name):
    sampler = REGISTRY.build("sampler", name, GIVEN.get(name, {}))
    images = torch.rand(3, 2, 33, 30, generator=torch.Generator().manual_seed(0))
    splits = drawn(sampler, images)
    other = torch.rand(3, 2, 33, 30, generator=torch.Generator().manual_seed(9)).requires_grad_()
    joint = together(splits, CPU)(other)
    alone = [split(other[index : index + 1]) for index, split in enumerate(splits)]
    for view, parts in zip(joint, zip(*alone, strict=True), strict=True):
        assert torch.allclose(view, torch.cat(parts), atol=1e-6)
    if declared(sampler, "needs_shots", False):  # the second view is another shot: no gradients
        assert not joint[1].requires_grad
        assert len({split(other)[1].sum().item() for split in splits}) == len(splits)
    total = sum(view.square().sum() for view in joint)
    expected = sum(view.square().sum() for parts in alone for view in parts)
    (one,) = torch.autograd.grad(total, other)
    (each,) = torch.autograd.grad(expected, other)
    assert torch.allclose(one, each, atol=1e-5)


@pytest.mark.parametrize("name", AT_ONCE)
def test_our_random_samplers_are_cut_at_once(name, monkeypatch):
    sampler = REGISTRY.build("sampler", name, {})
    images = torch.rand(3, 2, 32, 32)
    splits = drawn(sampler, images)
    assert {type(split) for split in splits} == {AT_ONCE[name]}
    joint = together(splits, CPU)
    monkeypatch.setattr(
        AT_ONCE[name], "__call__", None if AT_ONCE[name] is not PoolSplit else PoolSplit.__call__
    )
    assert len(joint(images)[0]) == 3


def test_splits_that_differ_are_cut_one_by_one():
    images = torch.rand(2, 1, 12, 12)
    first = PixelSplit.of(images, torch.arange(6).view(2, 3), torch.arange(6).view(2, 3))
    other = KernelSplit(torch.ones(2, 2, 2), 2)
    wide = PixelSplit.of(images, torch.arange(8).view(2, 4), torch.arange(6).view(2, 3))
    assert PixelSplit.stacked([first, wide]) is None
    assert KernelSplit.stacked([other, KernelSplit(torch.ones(2, 3, 3), 3)]) is None
    with pytest.raises(RuntimeError):  # views of other shapes are no stack
        together([first, other], CPU)(images)


def test_a_lone_split_stays_itself_on_a_cpu():
    split = KernelSplit(torch.ones(2, 2, 2), 2)
    assert together([split], CPU) is split
    assert together([split], torch.device("cuda")) is not split
