"""One chain of convolutions in bf16 on a CPU by torch, with as little as possible around them.

Channels last, with the arithmetic of the module under autocast. What is saved are passes over the
activations (the activation is applied in-place, and its backward pass needs only its result), autograd
nodes (all images of a step share one) and conversions (weights are rounded once a step): on small
images those cost a quarter of a step. See docs/explanation/engine.md for the measurement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, leaky_relu_, pad

from n2n_ablate.engine.weights import Packing

_ONE = [1, 1]
_backward = torch.ops.aten.convolution_backward.default
_activation_backward = torch.ops.aten.leaky_relu_backward.default

_LARGE = 160_000
"""Pixels from which the gradient of the weights is computed in strips, measured: at 512x512 pixels
that takes 0.6 of the time, at 256x256 nothing is gained."""
_STRIP = 32  # rows


@dataclass(frozen=True)
class Layer:
    """A convolution of the chain: how far it pads, and the slope of the LeakyReLU after it."""

    padding: int
    slope: float | None


def layers_of(module: nn.Module) -> tuple[Layer, ...] | None:
    """Return the layers of a chain that this file can run, None if there is anything else in it."""
    net = list(getattr(module, "net", ()))
    layers: list[Layer] = []
    for index, layer in enumerate(net):
        if isinstance(layer, nn.LeakyReLU):
            if index == 0 or not isinstance(net[index - 1], nn.Conv2d):
                return None
            layers[-1] = Layer(layers[-1].padding, layer.negative_slope)
        elif isinstance(layer, nn.Conv2d) and _is_plain(layer):
            layers.append(Layer(int(layer.padding[0]), None))
        else:
            return None
    # The backward pass takes activations from the inputs of the layers after them.
    return tuple(layers) if layers and layers[-1].slope is None else None


def _is_plain(layer: nn.Conv2d) -> bool:
    square = layer.padding[0] == layer.padding[1] if isinstance(layer.padding, tuple) else False
    simple = layer.groups == 1 and layer.stride == (1, 1) and layer.dilation == (1, 1)
    return square and simple and layer.bias is not None and layer.padding_mode == "zeros"


@dataclass(frozen=True, eq=False)
class Chain:
    """The forward pass of one network."""

    layers: tuple[Layer, ...]  # see `layers_of`
    packing: Packing  # where their weights lie
    residual: bool  # whether the network's output is subtracted from its input

    def __call__(self, weights: Tensor, images: Sequence[Tensor]) -> list[Tensor]:
        """Denoise float32 images (n, c, h, w) of any shapes with the weights (1, n)."""
        return list(_Pass.apply(weights, self, *images))  # type: ignore[no-untyped-call]


class _Pass(torch.autograd.Function):
    """All images of a call as one node of the graph."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, chain: Chain, *images: Tensor) -> tuple[Tensor, ...]:
        low = chain.packing.views(weights[0].to(torch.bfloat16))
        inputs: list[Tensor] = []
        results = []
        for image in images:
            out = image.to(torch.bfloat16)
            for index, layer in enumerate(chain.layers):
                inputs.append(out)
                out = conv2d(out, low[2 * index], low[2 * index + 1], padding=layer.padding)
                if layer.slope is not None:
                    leaky_relu_(out, layer.slope)
            results.append(image - out if chain.residual else out.float())
        ctx.chain = chain
        ctx.save_for_backward(*inputs, *low[::2])
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        chain: Chain = ctx.chain
        depth, count = len(chain.layers), len(gradients)
        weights = ctx.saved_tensors[depth * count :]
        total = torch.zeros(1, sum(chain.packing.sizes))
        into = chain.packing.views(total[0])
        of_images = []
        for index, gradient in enumerate(gradients):
            inputs = ctx.saved_tensors[depth * index : depth * (index + 1)]
            wanted = ctx.needs_input_grad[2 + index]
            back = (gradient.neg() if chain.residual else gradient).to(weights[0].dtype)
            through = _down(back, inputs, weights, chain.layers, into, wanted=wanted)
            of_images.append(_whole(through, gradient, chain) if through is not None else None)
        return (total, None, *of_images)


def _whole(through: Tensor, gradient: Tensor, chain: Chain) -> Tensor:
    return gradient + through if chain.residual else through.float()


def _down(
    back: Tensor,
    inputs: Sequence[Tensor],
    weights: Sequence[Tensor],
    layers: Sequence[Layer],
    into: Sequence[Tensor],
    *,
    wanted: bool,
) -> Tensor | None:
    """Take a gradient down the chain, adding that of the weights to `into` on the way."""
    for depth in reversed(range(len(layers))):
        x, weight, padding = inputs[depth], weights[depth], layers[depth].padding
        more = depth > 0 or wanted
        into[2 * depth + 1].add_(back.sum((0, 2, 3)))
        before = _convolution_backward(back, x, weight, padding, into[2 * depth], wanted=more)
        slope = layers[depth - 1].slope if depth else None
        if before is not None and slope is not None:
            # The input of this layer is the activation's result; its sign is that of what went in.
            before = _activation_backward(before, x, slope, True)
        if before is None:
            return None
        back = before
    return back


def _convolution_backward(
    back: Tensor, x: Tensor, weight: Tensor, padding: int, into: Tensor, *, wanted: bool
) -> Tensor | None:
    large = padding and x.shape[-2] * x.shape[-1] >= _LARGE
    point = weight.shape[-2:] == (1, 1) and not padding
    mask = [wanted, not (large or point), False]
    around = [padding, padding]
    of_x = of_weight = None
    if any(mask):
        of_x, of_weight, _ = _backward(
            back, x, weight, None, _ONE, around, _ONE, False, [0, 0], 1, mask
        )
    if of_weight is not None:
        into.add_(of_weight)
    elif point:
        into.add_((_rows(back).T @ _rows(x)).view_as(into))
    else:
        _add_in_strips(back, x, weight, padding, into)
    return of_x


def _rows(image: Tensor) -> Tensor:
    return image.permute(0, 2, 3, 1).reshape(-1, image.shape[1])


def _add_in_strips(back: Tensor, x: Tensor, weight: Tensor, padding: int, into: Tensor) -> None:
    """Add the gradient of the weights strip by strip: a strip of both images fits into the caches."""
    last = torch.channels_last
    higher = pad(x, (0, 0, padding, padding)).contiguous(memory_format=last)
    for image in range(len(x)):
        for top in range(0, back.shape[-2], _STRIP):
            rows = back[image : image + 1, :, top : top + _STRIP]
            end = top + rows.shape[-2] + weight.shape[-2] - 1
            of_weight = _backward(
                rows, higher[image : image + 1, :, top:end], weight, None, _ONE, [0, padding],
                _ONE, False, [0, 0], 1, [False, True, False],
            )[1]  # fmt: skip
            into.add_(of_weight)
