"""All ways to convolve a stack compute the same; the choice among them is kept, and never in the way."""

import json

import pytest
import torch
from torch import nn

from n2n_ablate import engine
from n2n_ablate.engine import stacking
from n2n_ablate.engine.networks import Networks
from n2n_ablate.engine.stacking import WAYS


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "n2n-ablate" / "gpu.json"


class Chain(nn.Module):
    def __init__(self, *layers, residual=False):
        super().__init__()
        self.net = nn.Sequential(*layers)
        self.residual = residual

    def forward(self, x):
        return x - self.net(x) if self.residual else self.net(x)


CHAINS = {
    "zs-n2n": lambda: Chain(
        nn.Conv2d(3, 8, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(8, 3, 1), residual=True
    ),
    "one channel, five wide": lambda: Chain(
        nn.Conv2d(1, 4, 5, padding=2), nn.Conv2d(4, 1, 3, padding=1)
    ),
    "rectangular": lambda: Chain(nn.Conv2d(2, 2, (3, 1), padding=(1, 0)), nn.Tanh()),
    "no bias": lambda: Chain(nn.Conv2d(3, 3, 3, padding=1, bias=False)),
    "dilated": lambda: Chain(nn.Conv2d(3, 3, 3, padding=2, dilation=2)),
    "reflecting": lambda: Chain(nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect")),
    "same": lambda: Chain(nn.Conv2d(3, 3, 3, padding="same")),
}


@pytest.mark.parametrize("images", [1, 2])
@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("way", WAYS)
def test_a_stack_gives_what_its_networks_give(way, chain, images):
    torch.manual_seed(1)
    modules = [CHAINS[chain]() for _ in range(3)]
    channels = modules[0].net[0].in_channels
    x = torch.rand(images * 3, channels, 7, 10)
    stack = Networks(modules, channels, "fp32", way=way)
    (out,) = stack(x.contiguous(memory_format=WAYS[way][1]))
    expected = torch.cat([modules[i % 3](x[i : i + 1]) for i in range(len(x))])
    assert torch.allclose(out, expected, atol=1e-5)
    out.square().mean().backward()
    expected.square().mean().backward()
    gradients = stack.packing.unpack(stack.weights.grad)
    for name, gradient in gradients.items():
        each = torch.stack([dict(module.named_parameters())[name].grad for module in modules])
        assert torch.allclose(gradient, each, atol=1e-5)


@pytest.mark.parametrize("way", WAYS)
def test_bf16_keeps_a_way_near_the_exact_one(way):
    torch.manual_seed(1)
    modules = [CHAINS["zs-n2n"]() for _ in range(2)]
    x = torch.rand(2, 3, 8, 8)
    (low,) = Networks(modules, 3, "bf16", way=way)(x)
    (exact,) = Networks(modules, 3, "fp32", way=way)(x)
    assert 0 < float((low - exact).detach().abs().max()) < 0.03


def test_ways_are_timed_and_those_that_fail_or_differ_are_left_out(monkeypatch):
    def broken(*_):
        msg = "no memory"
        raise torch.OutOfMemoryError(msg)

    def wrong(layer, weight, bias, x):
        return stacking.grouped(layer, 2 * weight, bias, x)

    ways = {
        **WAYS,
        "broken": (broken, torch.contiguous_format),
        "wrong": (wrong, torch.contiguous_format),
    }
    monkeypatch.setattr(stacking, "WAYS", ways)
    for name, small in (("_STACK", 2), ("_SIDE", 12), ("_ROUNDS", 1)):
        monkeypatch.setattr(stacking, name, small)
    times = stacking.timed_ways("cpu")
    assert set(times) == set(WAYS)
    assert all(seconds > 0 for seconds in times.values())


def test_the_choice_is_timed_once_and_kept(cache, monkeypatch):
    calls = []

    def timed(device):
        calls.append(device)
        return {"products": 1.0, "channels-first": 2.0}

    monkeypatch.setattr(stacking, "timed_ways", timed)
    for _ in range(2):
        assert stacking.chosen("cuda:1", "a card") == {"way": "products"}
    assert calls == ["cuda:1"]
    assert stacking.keep("a card", precision="bf16") == {"way": "products", "precision": "bf16"}
    assert stacking.chosen("cuda:1", "a card")["precision"] == "bf16"
    stacking.chosen("cuda:1", "another card")
    assert len(calls) == 2
    assert len(json.loads(cache.read_text())) == 2


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a card, torch": 3}', "\x00"])
def test_a_broken_cache_is_written_again(cache, monkeypatch, text):
    monkeypatch.setattr(stacking, "timed_ways", lambda _: {"patches": 1.0})
    cache.parent.mkdir(parents=True)
    cache.write_text(text)
    assert stacking.chosen("cuda", "a card") == {"way": "patches"}
    assert stacking.chosen("cuda", "a card") == {"way": "patches"}


def test_a_card_on_which_nothing_runs_gets_the_default(cache, monkeypatch):
    monkeypatch.setattr(stacking, "timed_ways", lambda _: {})
    assert stacking.chosen("cuda", "a card") == {"way": stacking.DEFAULT}
    assert not cache.exists()


def test_the_way_is_part_of_what_a_fit_is():
    here = engine.Machine("cuda", "tf32", 1, 64, "a card", way="products")
    assert here.computation == "cuda tf32 products"
    assert here.layout is torch.contiguous_format
    there = engine.Machine("cuda", "tf32", 1, 64, "a card", way="channels-last")
    assert there.computation != here.computation
    assert there.layout is torch.channels_last
