"""Denoises large images tile by tile. With the backbone's halo the seams are exact."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from n2n_ablate.components import Backbone, declared
from n2n_ablate.engine.networks import Forward

TILE = 512


def in_tiles(forward: Forward, backbone: Backbone, tile: int = TILE) -> Forward:
    """Return a forward pass whose memory does not grow with the image.

    `forward`: from images (n, c, h, w) to the same shape; `backbone`: its `halo` is the radius of the
    network's receptive field in pixels; without one images are denoised in one piece, since nobody knows how
    far a pixel reaches; `tile`: side of a tile in pixels, without its halo.
    """
    halo = declared(backbone, "halo")
    if halo is None:
        return forward

    def tiled(noisy: Tensor) -> Tensor:
        h, w = noisy.shape[-2:]
        if h <= tile and w <= tile:
            return forward(noisy)
        out = torch.empty_like(noisy)
        for top, left in _corners(h, w, tile):
            bottom, right = min(top + tile, h), min(left + tile, w)
            above, before = max(0, top - halo), max(0, left - halo)
            piece = forward(noisy[..., above : bottom + halo, before : right + halo])
            rows = slice(top - above, bottom - above)
            columns = slice(left - before, right - before)
            out[..., top:bottom, left:right] = piece[..., rows, columns]
        return out

    return tiled


def _corners(h: int, w: int, tile: int) -> Iterator[tuple[int, int]]:
    for top in range(0, h, tile):
        for left in range(0, w, tile):
            yield top, left
