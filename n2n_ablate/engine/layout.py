"""The form of a chain of convolutions that the compiled kernel and its stand-in can run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

_MOST_CHANNELS = 4


@dataclass(frozen=True)
class Layout:
    """The form of a chain that the kernel can run.

    A 3x3 convolution from `channels` to `width`, `inner` more from `width` to `width`, each followed
    by a LeakyReLU of one `slope`, and a 1x1 convolution back to `channels`; zero padding.
    """

    channels: int
    width: int
    inner: int
    slope: float

    @classmethod
    def of(cls, layers: Sequence[nn.Module]) -> Layout | None:
        """Return the layout of these layers, None if the kernel cannot run them."""
        convolutions, activations = layers[0::2], layers[1::2]
        if len(layers) < 3 or len(convolutions) != len(activations) + 1:
            return None
        slopes = {_slope(layer) for layer in activations}
        slope = slopes.pop()
        if slopes or slope is None or slope < 0:
            return None
        first, last = convolutions[0], convolutions[-1]
        if not isinstance(first, nn.Conv2d) or not isinstance(last, nn.Conv2d):
            return None
        channels, width = first.in_channels, first.out_channels
        if channels > _MOST_CHANNELS:
            return None
        wanted = [(channels, width, 3), *[(width, width, 3)] * (len(convolutions) - 2)]
        wanted.append((width, channels, 1))
        alike = all(map(_is, convolutions, wanted))
        return cls(channels, width, len(convolutions) - 2, slope) if alike else None


def _slope(layer: nn.Module) -> float | None:
    if isinstance(layer, nn.LeakyReLU):
        return float(layer.negative_slope)
    return 0.0 if isinstance(layer, nn.ReLU) else None


def _is(layer: nn.Module, wanted: tuple[int, int, int]) -> bool:
    before, after, side = wanted
    return (
        isinstance(layer, nn.Conv2d)
        and (layer.in_channels, layer.out_channels) == (before, after)
        and layer.kernel_size == (side, side)
        and layer.padding == (side // 2, side // 2)
        and layer.padding_mode == "zeros"
        and (layer.groups, layer.stride, layer.dilation) == (1, (1, 1), (1, 1))
        and layer.bias is not None
    )
