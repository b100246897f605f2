"""Several networks of one architecture as one: the weights stay apart, the arithmetic is shared.

Every fit keeps its own module and its own leaf parameters, so any torch optimiser works on it and
no gradient can leak. Only the forward pass is stacked.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.functional import conv2d, pad

from n2n_ablate.fit.chain import chained, layers_of

Forward: TypeAlias = Callable[[Tensor], Tensor]
"""From (n * b, c, h, w) to the same shape: n images in a row for each of b networks."""

_POINTWISE = (
    nn.LeakyReLU,
    nn.ReLU,
    nn.GELU,
    nn.SELU,
    nn.ELU,
    nn.SiLU,
    nn.Tanh,
    nn.Sigmoid,
    nn.Identity,
)


def stacked(modules: Sequence[nn.Module], channels: int, precision: str) -> Forward:
    """Return the fastest forward pass that gives what the modules give.

    One module is called as it is, unless it is a chain that `chain` can run in bf16. A chain of plain convolutions (an attribute `net`, with or
    without a `residual` connection around it) becomes one grouped convolution per layer, after a
    trial that it computes the same. Anything else goes through `torch.func.vmap`.
    """
    if len(modules) == 1:
        return _single(modules[0], channels, precision)
    general = vmapped(modules)
    if not all(_is_chain(module) for module in modules):
        return general
    fast = grouped(modules)
    return fast if _agree(modules, channels) else general


def _single(module: nn.Module, channels: int, precision: str) -> Forward:
    on_cpu = next(module.parameters()).device.type == "cpu"
    layers = layers_of(module) if on_cpu and precision == "bf16" and _is_chain(module) else None
    return chained(module, layers) if layers and _agree([module], channels) else module


def _agree(modules: Sequence[nn.Module], channels: int) -> bool:
    """Try whether modules that look like chains compute what their chains compute.

    On copies with random weights, so that a layer that starts at zero hides nothing, and with a
    generator of its own: the global one belongs to whoever is building a network just now.
    """
    rng = torch.Generator().manual_seed(0)
    copies = [copy.deepcopy(module).cpu().float() for module in modules[:2]]
    with torch.no_grad():
        for weight in (weight for module in copies for weight in module.parameters()):
            weight.copy_(0.3 * torch.randn(weight.shape, generator=rng))
        probe = torch.rand(len(copies), channels, 9, 9, generator=rng)
        slow = torch.cat([module(probe[i : i + 1]) for i, module in enumerate(copies)])
        return torch.allclose(grouped(copies)(probe), slow, rtol=1e-3, atol=1e-3)


def vmapped(modules: Sequence[nn.Module]) -> Forward:
    """Stack any modules of one architecture: their weights become a batch dimension."""

    def one(state: dict[str, Tensor], images: Tensor) -> Tensor:
        out = functional_call(modules[0], state, (images,))
        return out if isinstance(out, Tensor) else out[0]

    run = vmap(one, in_dims=(0, 1), out_dims=1, randomness="different")

    def forward(x: Tensor) -> Tensor:
        each = [dict((*module.named_parameters(), *module.named_buffers())) for module in modules]
        state = {name: torch.stack([own[name] for own in each]) for name in each[0]}
        return run(state, x.unflatten(0, (-1, len(modules)))).flatten(0, 1)

    return forward


def grouped(modules: Sequence[nn.Module]) -> Forward:
    """Stack chains of convolutions: one convolution per layer, with one group per network."""
    b = len(modules)
    chains = [list(module.net) for module in modules]  # type: ignore[arg-type]
    residual = bool(getattr(modules[0], "residual", False))

    def forward(x: Tensor) -> Tensor:
        flat = x.unflatten(0, (-1, b)).flatten(1, 2)  # (n, b * c, h, w)
        out = flat
        for layers in zip(*chains, strict=True):
            first = layers[0]
            out = _grouped_conv(layers, out, b) if isinstance(first, nn.Conv2d) else first(out)
        out = flat - out if residual else out
        return out.unflatten(1, (b, -1)).flatten(0, 1)

    return forward


def _grouped_conv(layers: Sequence[nn.Conv2d], x: Tensor, b: int) -> Tensor:
    first = layers[0]
    weight = torch.cat([layer.weight for layer in layers])
    bias = None if first.bias is None else torch.cat([layer.bias for layer in layers])  # type: ignore[misc]
    padding = first.padding
    if first.padding_mode != "zeros":
        x = pad(x, first._reversed_padding_repeated_twice, mode=first.padding_mode)
        padding = (0, 0)
    return conv2d(x, weight, bias, first.stride, padding, first.dilation, groups=b)


def _is_chain(module: nn.Module) -> bool:
    net = getattr(module, "net", None)
    if not isinstance(net, nn.Sequential):
        return False
    plain = all(
        isinstance(layer, _POINTWISE) or (isinstance(layer, nn.Conv2d) and layer.groups == 1)
        for layer in net
    )
    return plain and len(list(module.parameters())) == len(list(net.parameters()))
