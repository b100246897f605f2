"""Ways to convolve a stack, every image with the weights of its network, and which one suits a card.

All compute the same. Which is fastest depends on the card and its libraries: grouped convolutions in
channels-last order are suspected to take a slow path, and products of matrices want memory. So the
ways are timed on the card, once, and the choice is kept in the user's cache.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, leaky_relu, mse_loss, pad, unfold

Convolve: TypeAlias = Callable[[nn.Conv2d, Tensor, Tensor | None, Tensor], Tensor]
"""From a layer, its weights (b, o, i, k, k) and biases (b, o) in b networks, and images (n, b * i, h, w)
to images (n, b * o, h', w')."""

DEFAULT = "channels-first"
"""Where no card is at hand to time the ways on."""

_AGREE = 2e-2  # relative, in norm: tf32 and bf16 round
_STACK, _SIDE, _WIDTH = 32, 96, 48  # of the trial
_ROUNDS = 5


def grouped(layer: nn.Conv2d, weight: Tensor, bias: Tensor | None, x: Tensor) -> Tensor:
    """Convolve with one group per network, in the order of memory that the images have."""
    x, padding = _padded(layer, x)
    bias = None if bias is None else bias.flatten()
    return conv2d(
        x, weight.flatten(0, 1), bias, layer.stride, padding, layer.dilation, groups=len(weight)
    )


def products(layer: nn.Conv2d, weight: Tensor, bias: Tensor | None, x: Tensor) -> Tensor:
    """Convolve as a sum of products of matrices, one for every offset in the kernel.

    Rows of an image lie behind one another, so a shifted image is the same memory from another address
    on: nothing is copied but the border. What runs over the end of a row is cut off.
    """
    if not _is_plain(layer):
        return grouped(layer, weight, bias, x)
    b, o, i, rows, columns = weight.shape
    top, left = int(layer.padding[0]), int(layer.padding[1])
    n, _, h, w = x.shape
    if rows * columns > 1 or top or left:  # one row more: the last shifts run over the end
        x = pad(x, (left, left, top, top + 1))
    wide, high = w + 2 * left, h + 2 * top - rows + 1
    flat = x.reshape(n, b, i, -1).flatten(0, 1)  # (n * b, i, pixels)
    each = weight.expand(n, *weight.shape).flatten(0, 1)
    length = high * wide
    out = flat.new_zeros(()) if bias is None else bias.expand(n, b, o).reshape(n * b, o, 1)
    out = out.to(flat.dtype)
    for row in range(rows):
        for column in range(columns):
            start = row * wide + column
            shifted = flat[..., start : start + length]
            out = torch.baddbmm(out, each[..., row, column], shifted)
    return out.reshape(n, b * o, high, wide)[..., : wide - columns + 1]


def patches(layer: nn.Conv2d, weight: Tensor, bias: Tensor | None, x: Tensor) -> Tensor:
    """Convolve as one product of matrices over the patches of the images, which are laid out before."""
    if not _is_plain(layer):
        return grouped(layer, weight, bias, x)
    b, o, i, rows, columns = weight.shape
    top, left = int(layer.padding[0]), int(layer.padding[1])
    n, _, h, w = x.shape
    images = x.reshape(n * b, i, h, w)
    laid = unfold(images, (rows, columns), padding=(top, left))  # (n * b, i * k * k, pixels)
    each = weight.flatten(2).expand(n, b, o, -1).flatten(0, 1)
    out = (
        each @ laid
        if bias is None
        else torch.baddbmm(bias.expand(n, b, o).reshape(n * b, o, 1).to(laid.dtype), each, laid)
    )
    return out.reshape(n, b * o, h + 2 * top - rows + 1, w + 2 * left - columns + 1)


WAYS: Mapping[str, tuple[Convolve, torch.memory_format]] = {
    "channels-first": (grouped, torch.contiguous_format),
    "channels-last": (grouped, torch.channels_last),
    "products": (products, torch.contiguous_format),
    "patches": (patches, torch.contiguous_format),
}
"""By name: how to convolve, and in which order of memory."""


def of(way: str) -> tuple[Convolve, torch.memory_format]:
    """Return what a way of a machine means for networks that are no chain: some ways are of chains only."""
    return WAYS.get(way, WAYS[DEFAULT])


def timed_ways(device: str) -> dict[str, float]:
    """Return the seconds of a pass forward and backward through a stack of chains, by way.

    In turns, the median counts. A way that runs out of memory, or does not agree with the plain
    convolution, is left out.
    """
    rng = torch.Generator().manual_seed(0)
    layers = [nn.Conv2d(3, _WIDTH, 3, padding=1), nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1)]
    layers.append(nn.Conv2d(_WIDTH, 3, 1))
    weights = [
        (torch.randn(_STACK, *layer.weight.shape, generator=rng) / layer.weight[0].numel() ** 0.5)
        .to(device)
        .requires_grad_()
        for layer in layers
    ]
    images = torch.rand(1, _STACK * 3, _SIDE, _SIDE, generator=rng).to(device)
    times: dict[str, list[float]] = {name: [] for name in WAYS}
    expected: Tensor | None = None
    for turn in range(_ROUNDS + 2):  # the first turns choose and build kernels
        for name, (convolve, layout) in WAYS.items():
            if name not in times:
                continue
            try:
                took, gradient = _pass(convolve, layers, weights, images, layout)
            except RuntimeError:  # memory, or a library that has no kernel for it
                del times[name]
                continue
            expected = gradient if expected is None else expected
            if not (gradient - expected).norm() <= _AGREE * expected.norm():
                del times[name]
            elif turn > 1:
                times[name].append(took)
    return {name: statistics.median(each) for name, each in times.items()}


def chosen(device: str, card: str) -> dict[str, str]:
    """Return what suits a card, from the user's cache or by a trial that is kept there.

    Returns:
        `way`, one of `WAYS`; and `precision` if `benchmarks/gpu.py` has compared precisions on it.
    """
    known = _cached().get(_key(card))
    if isinstance(known, dict) and known.get("way") in WAYS:
        return known
    with contextlib.suppress(
        RuntimeError, ValueError
    ):  # no way runs: then the default one says why
        times = timed_ways(device)
        return keep(card, way=min(times, key=lambda name: times[name]))
    return {"way": DEFAULT}


def keep(card: str, **choice: str) -> dict[str, str]:
    """Remember a choice for a card, beside what is known of it; return all of it."""
    cache = _cached()
    known = cache.get(_key(card))
    both = {**(known if isinstance(known, dict) else {}), **choice}
    path = _cache_path()
    with contextlib.suppress(OSError):  # without a cache the next process times again
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps({**cache, _key(card): both}, indent=2), encoding="utf-8")
        fresh.replace(path)
    return both


def _pass(
    convolve: Convolve,
    layers: list[nn.Conv2d],
    weights: list[Tensor],
    images: Tensor,
    layout: torch.memory_format,
) -> tuple[float, Tensor]:
    x = images.contiguous(memory_format=layout)
    _wait(images.device)
    start = time.perf_counter()
    out = x
    for layer, weight in zip(layers, weights, strict=True):
        out = convolve(layer, weight, None, out)
        out = out if layer is layers[-1] else leaky_relu(out, 0.2)
    gradients = torch.autograd.grad(mse_loss(out.float(), x), weights)
    _wait(images.device)
    return time.perf_counter() - start, torch.cat([each.flatten() for each in gradients])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _padded(layer: nn.Conv2d, x: Tensor) -> tuple[Tensor, str | tuple[int, ...]]:
    if layer.padding_mode == "zeros":
        return x, layer.padding
    return pad(x, layer._reversed_padding_repeated_twice, mode=layer.padding_mode), (0, 0)


def _is_plain(layer: nn.Conv2d) -> bool:
    simple = layer.stride == (1, 1) and layer.dilation == (1, 1) and layer.groups == 1
    return simple and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)


def _key(card: str) -> str:
    return f"{card}, torch {torch.__version__}"


def _cache_path() -> Path:
    folder = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(folder) / "n2n-ablate" / "gpu.json"


def _cached() -> dict[str, object]:
    try:
        timings = json.loads(_cache_path().read_text(encoding="utf-8"))
    except (OSError, ValueError, RuntimeError):  # a machine need not have a home
        return {}
    return timings if isinstance(timings, dict) else {}
