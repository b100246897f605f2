"""Classical denoisers, which learn nothing: the scale on which trained ones are read."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, pad

_HARD, _WIENER = 8, 16  # sides of the patches of the two passes, in pixels
_THRESHOLD = 2.7  # of a coefficient, in standard deviations of the noise
_VALUES = 4_000_000  # coefficients at a time, so that memory does not grow with the image


def non_local_means(noisy: Tensor, sigma: float) -> Tensor:
    """Denoise (1, c, h, w) with non-local means (Buades et al., 2005)."""
    from skimage.restoration import denoise_nl_means

    array = np.ascontiguousarray(noisy[0].permute(1, 2, 0).double().numpy())
    out = denoise_nl_means(
        array,
        patch_size=5,
        patch_distance=6,
        h=0.8 * sigma or 1e-6,
        sigma=sigma,
        fast_mode=True,
        channel_axis=-1,
    )
    out = out.reshape(array.shape)  # a single channel comes back without its axis
    return torch.from_numpy(np.ascontiguousarray(out.transpose(2, 0, 1))).float()[None]


def sliding_dct(noisy: Tensor, sigma: float) -> Tensor:
    """Denoise (1, c, h, w) by shrinking the cosine transform of every patch.

    Channels are decorrelated, coefficients of all 8x8 patches cut off (Yu and Sapiro, 2011), and the
    result steers a Wiener filter of all 16x16 patches, whose results are averaged with weights, as in
    the two steps of BM3D (Dabov et al., 2007), here without its grouping of similar patches.
    """
    colours = _cosines(noisy.shape[1])
    y = torch.einsum("kc,bchw->bkhw", colours, noisy)
    pilot = _shrunk(y, None, sigma, _HARD)
    return torch.einsum("kc,bkhw->bchw", colours, _shrunk(y, pilot, sigma, _WIENER))


def _shrunk(y: Tensor, pilot: Tensor | None, sigma: float, side: int) -> Tensor:
    """Shrink every patch of each channel: by a threshold, or by the pilot's coefficients."""
    h, w = y.shape[-2:]
    edge = side - 1
    mode = "reflect" if min(h, w) > edge else "replicate"
    framed = [
        pad(each, (edge,) * 4, mode=mode) for each in (y, *([] if pilot is None else [pilot]))
    ]
    height, width = framed[0].shape[-2:]
    basis, ones = _cosines(side), torch.ones(1, 1, side, side)
    total, weights = torch.zeros_like(framed[0]), torch.zeros_like(framed[0])
    rows = max(1, _VALUES // (side * side * width))
    for channel in range(y.shape[1]):
        for top in range(0, height - edge, rows):
            band = (slice(None), slice(channel, channel + 1), slice(top, top + rows + edge))
            values, *guide = (_transformed(each[band], basis) for each in framed)
            if guide:
                power = guide[0].square()
                kept = power / (power + sigma**2).clamp(min=1e-12)
            else:
                kept = (values.abs() > _THRESHOLD * sigma).float()
            kept[0, 0] = 1  # the mean of a patch
            weight = 1 / kept.square().sum(dim=(0, 1), keepdim=True)
            total[band] += _summed(kept * values * weight, basis)
            weights[band] += conv_transpose2d(weight, ones)
    inner = (..., slice(edge, edge + h), slice(edge, edge + w))
    return total[inner] / weights[inner]


def _transformed(image: Tensor, basis: Tensor) -> Tensor:
    """Return the coefficients of every patch of (1, 1, h, w), by frequency down, across, and place."""
    down = conv2d(image, basis[:, None, :, None])
    return conv2d(down.transpose(0, 1), basis[:, None, None, :])


def _summed(coefficients: Tensor, basis: Tensor) -> Tensor:
    """Return the sum of all patches with these coefficients, each in its place."""
    across = conv_transpose2d(coefficients, basis[:, None, None, :])
    return conv_transpose2d(across.transpose(0, 1), basis[:, None, :, None])


def _cosines(size: int) -> Tensor:
    """Return the orthonormal cosine transform, one basis vector per row."""
    frequency, index = torch.arange(size)[:, None], torch.arange(size)
    rows = torch.cos(math.pi * (2 * index + 1) * frequency / (2 * size)) * math.sqrt(2 / size)
    rows[0] /= math.sqrt(2)
    return rows
