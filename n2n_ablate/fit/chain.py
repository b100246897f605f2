"""One chain of convolutions in bf16 on a CPU, with as little as possible around the convolutions.

Same arithmetic as the module under autocast. What is saved are passes over the activations (the
activation is applied in place, and its backward pass needs only its result) and autograd nodes: on
small images those cost a quarter of a step. See docs/explanation for the measurement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, leaky_relu_

_LOW = torch.bfloat16
_ONE = [1, 1]


@dataclass(frozen=True)
class Layer:
    """A convolution of the chain: how far it pads, and the slope of the LeakyReLU after it."""

    padding: int
    slope: float | None


def layers_of(module: nn.Module) -> tuple[Layer, ...] | None:
    """Return the layers of a chain that this file can run, None if there is anything else in it."""
    net = list(getattr(module, "net", ()))
    found: list[Layer] = []
    for place, layer in enumerate(net):
        if isinstance(layer, nn.LeakyReLU):
            if place == 0 or not isinstance(net[place - 1], nn.Conv2d):
                return None
            found[-1] = Layer(found[-1].padding, layer.negative_slope)
        elif isinstance(layer, nn.Conv2d) and _is_plain(layer):
            found.append(Layer(int(layer.padding[0]), None))
        else:
            return None
    return tuple(found) or None


def chained(module: nn.Module, layers: tuple[Layer, ...]) -> Any:
    """Return the forward pass of a chain, (n, c, h, w) to the same shape, float32 outside."""
    convolutions = [layer for layer in module.net if isinstance(layer, nn.Conv2d)]  # type: ignore[union-attr]
    residual = bool(getattr(module, "residual", False))

    def forward(x: Tensor) -> Tensor:
        weights = [part for layer in convolutions for part in (layer.weight, layer.bias)]
        out: Tensor = _Chain.apply(x, layers, *weights)  # type: ignore[no-untyped-call]
        return x - out if residual else out

    return forward


def _is_plain(layer: nn.Conv2d) -> bool:
    square = layer.padding[0] == layer.padding[1] if isinstance(layer.padding, tuple) else False
    simple = layer.groups == 1 and layer.stride == (1, 1) and layer.dilation == (1, 1)
    return square and simple and layer.bias is not None and layer.padding_mode == "zeros"


class _Chain(torch.autograd.Function):
    """Convolutions, each with an optional LeakyReLU, as one node of the graph."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layers: tuple[Layer, ...], *weights: Tensor) -> Tensor:
        inputs: list[Tensor] = []
        low = [weight.to(_LOW) for weight in weights]
        out = x.to(_LOW)
        for place, layer in enumerate(layers):
            inputs.append(out)
            out = conv2d(out, low[2 * place], low[2 * place + 1], padding=layer.padding)
            if layer.slope is not None:
                leaky_relu_(out, layer.slope)
        ctx.layers = layers
        ctx.save_for_backward(*inputs, *low[::2])
        return out.float()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        layers: tuple[Layer, ...] = ctx.layers
        inputs, weights = ctx.saved_tensors[: len(layers)], ctx.saved_tensors[len(layers) :]
        found: list[Tensor | None] = []
        back = gradient.to(_LOW)
        for place in reversed(range(len(layers))):
            layer, wanted = layers[place], place > 0 or ctx.needs_input_grad[0]
            weight = weights[place]
            before, of_weight, of_bias = torch.ops.aten.convolution_backward(
                back, inputs[place], weight, [len(weight)], _ONE, [layer.padding] * 2, _ONE,
                False, [0, 0], 1, [wanted, True, True],
            )  # fmt: skip
            found += [of_bias.float(), of_weight.float()]
            if wanted:
                back = _through_activation(before, inputs, layers, place)
        return (back.float() if ctx.needs_input_grad[0] else None, None, *reversed(found))


def _through_activation(
    gradient: Tensor, inputs: Sequence[Tensor], layers: Sequence[Layer], place: int
) -> Tensor:
    """Take a gradient from the input of layer `place` to the convolution before it."""
    slope = layers[place - 1].slope if place else None
    if place and slope is not None:
        # The input of this layer is the activation's result; its sign is that of what went in.
        return torch.ops.aten.leaky_relu_backward(gradient, inputs[place], slope, True)
    return gradient
