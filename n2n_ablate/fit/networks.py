"""Several networks of one architecture as one: the weights stay apart, the arithmetic is shared.

Every fit keeps its own module and its own leaf parameters, so any torch optimiser works on it and
no gradient can leak. Only the forward pass is stacked.
"""

from __future__ import annotations

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
    return fast if _agree(fast, general, modules, channels) else general


def _single(module: nn.Module, channels: int, precision: str) -> Forward:
    on_cpu = next(module.parameters()).device.type == "cpu"
    layers = layers_of(module) if on_cpu and precision == "bf16" and _is_chain(module) else None
    if layers is None:
        return module
    fast: Forward = chained(module, layers)
    # Compared in float32 with a tolerance for bf16: what is to be caught is another structure.
    return fast if _agree(fast, module, [module], channels, tolerance=0.05) else module


def _agree(
    fast: Forward,
    slow: Forward,
    modules: Sequence[nn.Module],
    channels: int,
    *,
    tolerance: float = 1e-3,
) -> bool:
    weight = next(modules[0].parameters())
    probe = torch.rand(len(modules), channels, 9, 9, device=weight.device, dtype=weight.dtype)
    with torch.no_grad():
        return torch.allclose(fast(probe), slow(probe), rtol=tolerance, atol=tolerance)


def vmapped(modules: Sequence[nn.Module]) -> Forward:
    """Stack any modules of one architecture: their weights become a batch dimension."""
    names = [name for name, _ in modules[0].named_parameters()]
    buffers = dict(modules[0].named_buffers())

    def one(weights: dict[str, Tensor], images: Tensor) -> Tensor:
        out = functional_call(modules[0], (weights, buffers), (images,))
        return out if isinstance(out, Tensor) else out[0]

    run = vmap(one, in_dims=(0, 1), out_dims=1, randomness="different")

    def forward(x: Tensor) -> Tensor:
        each = [dict(module.named_parameters()) for module in modules]
        weights = {name: torch.stack([own[name] for own in each]) for name in names}
        return run(weights, x.unflatten(0, (-1, len(modules)))).flatten(0, 1)

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
