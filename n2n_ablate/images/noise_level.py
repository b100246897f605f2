"""How noisy an image looks: white noise against detail, separated by the flattest parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from n2n_ablate.images.image import Image

_BLOCK = 16  # side of a part, in pairs of pixels
_FLATTEST = 0.05  # share of the parts that are looked at
# share, fewest parts, and noise that a part has to show
_FLAT, _ENOUGH, _LEAST = 0.1, 20, 0.3 / 255
_NOISY = 4.5  # of 255; clean pictures stay below, unless they are textured from edge to edge


def noise_level(array: np.ndarray) -> float:
    """Estimate the standard deviation of white noise in an image (h, w, c).

    The median of the finest diagonal Haar details, which hold little but noise (Donoho and
    Johnstone, 1994).
    """
    return float(np.median(np.abs(_details(array))) / 0.6745)


def flattest_level(array: np.ndarray) -> float:
    """Estimate the noise in the flattest parts of an image (h, w, c), where detail does not count.

    Texture is nowhere flat in the noisy image of a scene, but hardly a scene is textured everywhere.
    """
    details = np.abs(_details(array))
    h, w = (side - side % _BLOCK for side in details.shape[:2])
    if not h or not w:
        return 0.0
    parts = details[:h, :w].reshape(h // _BLOCK, _BLOCK, w // _BLOCK, _BLOCK, -1)
    levels = np.median(parts.transpose(0, 2, 1, 3, 4).reshape(h * w // _BLOCK**2, -1), axis=1)
    return float(np.quantile(levels, _FLATTEST) / 0.6745)


def noisy_notes(images: Sequence[Image]) -> list[str]:
    """Return one line if images that are given as clean look noisy even where they are flat."""
    levels = {
        image.name: 255 * flattest_level(image.pixels[0].permute(1, 2, 0).double().numpy())
        for image in images
    }
    noisy = {name: level for name, level in levels.items() if level > _NOISY}
    if not noisy:
        return []
    name = max(noisy, key=lambda image_name: noisy[image_name])
    line = (
        f"{len(noisy)} of {len(images)} images look noisy ('{name}': standard deviation "
        f"{noisy[name]:.1f} of 255 even where it is flattest) or are textured all over; they are "
        "used as clean images. For noisy shots with references use --pairs"
    )
    return [line]


def _details(array: np.ndarray) -> np.ndarray:
    h, w = (side - side % 2 for side in array.shape[:2])
    even = array[:h, :w]
    rows = even[0::2] - even[1::2]
    return (rows[:, 0::2] - rows[:, 1::2]) / 2


def flat_correlation(array: np.ndarray) -> tuple[float, float]:
    """Estimate how far the noise of an image (h, w, c) is shared by the pixel below and the one beside.

    The correlation of neighbours in the flattest parts, after a plane is taken off each: 0 for white
    noise, 0.6 and more for the noise of developed photographs. (0, 0) where nothing is flat enough.
    """
    grey = array.mean(axis=2)
    h, w = (side - side % _BLOCK for side in grey.shape)
    if h < 4 * _BLOCK or w < 4 * _BLOCK:
        return 0.0, 0.0
    parts = grey[:h, :w].reshape(h // _BLOCK, _BLOCK, w // _BLOCK, _BLOCK).swapaxes(1, 2)
    parts = parts.reshape(-1, _BLOCK, _BLOCK)
    ramp = np.arange(_BLOCK) - (_BLOCK - 1) / 2
    parts = parts - parts.mean(axis=(1, 2), keepdims=True)
    for slope in (ramp[:, None], ramp[None, :]):
        plane = np.broadcast_to(slope, (_BLOCK, _BLOCK))
        share = (parts * plane).sum(axis=(1, 2)) / (plane**2).sum()
        parts = parts - share[:, None, None] * plane
    power = (parts**2).mean(axis=(1, 2))
    visible = power > _LEAST**2
    if visible.sum() < _ENOUGH:
        return 0.0, 0.0
    flat = parts[visible & (power <= np.quantile(power[visible], _FLAT))]
    total = (flat**2).mean()
    down = (flat[:, 1:] * flat[:, :-1]).mean() / total
    beside = (flat[:, :, 1:] * flat[:, :, :-1]).mean() / total
    return float(down), float(beside)
