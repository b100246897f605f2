"""The pixel bank of Pixel2Pixel: every pixel against one that looks alike. Nothing else lives here.

Ma et al., "Pixel2Pixel: A Pixelwise Approach for Zero-Shot Single Image Denoising", TPAMI 2025.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from n2n_ablate import Noise, PixelSplit, Range, Register, Split, hookimpl, require_cell


@dataclass(frozen=True)
class PixelBank:
    """Two random members of every pixel's bank of look-alikes (Pixel2Pixel: Ma et al., 2025).

    The bank of a pixel holds the pixels nearby whose surroundings differ least from its own in the
    noisy image, itself among them. Each draw makes two views of full size: at every place two
    different members of its bank; all channels share them. At one place the views are independent,
    but a pixel may stand in one view here and in the other view there, so the sampler leaks a
    little. The bank is searched once per fit, in time that grows with the square of the window.

    Args:
        members: Pixels in a bank, itself included. The authors keep 16 and use the best 2, 4 or 8,
            more for stronger noise; 4 is theirs for Gaussian noise of sigma 25.
        window: Side of the square that is searched, in pixels.
        patch: Side of the surroundings that are compared, in pixels; an even one counts as one
            more.

    Raises:
        ImageError: The image is smaller than 4x4 pixels.
    """

    members: Annotated[int, Range(2, 16)] = 4
    window: Annotated[int, Range(8, 64)] = 40
    patch: Annotated[int, Range(1, 15)] = 7

    leaks: ClassVar[bool] = True

    def prepare(self, noisy: Tensor, noise: Noise | None) -> FilledBank:
        """See `n2n_ablate.Sampler`. The noise model does not matter."""
        require_cell(noisy, 4, "pixel-bank")
        return FilledBank(_bank(noisy, self.members, self.window, self.patch))

    def draw(self, image: Tensor, rng: torch.Generator) -> Split:
        """See `n2n_ablate.Sampler.draw`. Searches the bank first, so `prepare` saves work."""
        return self.prepare(image, None).draw(image, rng)


@dataclass(frozen=True, eq=False)
class FilledBank:
    """The pixel bank of one image.

    Attributes:
        numbers: Number `row * w + column` of every member, (members, h, w), on the CPU.
    """

    numbers: Tensor = field(repr=False)

    leaks: ClassVar[bool] = True

    def draw(self, image: Tensor, rng: torch.Generator) -> Split:
        """See `n2n_ablate.Sampler.draw`."""
        members, h, w = self.numbers.shape
        first = torch.randint(members, (1, h, w), generator=rng)
        second = (first + torch.randint(1, members, (1, h, w), generator=rng)) % members
        return PixelSplit.of(image, self.numbers.gather(0, first), self.numbers.gather(0, second))


@torch.no_grad()
def _bank(noisy: Tensor, members: int, window: int, patch: int) -> Tensor:
    """Return the numbers of the most similar pixels, (members, h, w), the pixel itself first.

    One row of the window at a time: all its shifts at once, merged into the best so far.
    """
    image = noisy[0].float()
    h, w = image.shape[-2:]
    before, side = window // 2, patch // 2
    offsets = torch.arange(window, device=image.device) - before
    frame = pad(image[None], (before,) * 4, mode="replicate")[0]
    rows = torch.arange(h, device=image.device)[:, None]
    columns = torch.arange(w, device=image.device)
    shifted = columns + offsets[:, None, None]  # column of the candidate, (window, 1, w)
    best = torch.full((members, h, w), torch.inf, device=image.device)
    numbers = torch.zeros((members, h, w), dtype=torch.long, device=image.device)
    for down in range(max(-before, 1 - h), min(window - before, h)):
        band = frame[:, down + before : down + before + h].unfold(
            2, w, 1
        )  # (c, h, w + 2 before - w + 1, w)
        band = band[:, :, :window].permute(2, 0, 1, 3)
        error = (band - image).square().mean(dim=1, keepdim=True)
        error = avg_pool2d(error, 2 * side + 1, 1, side, count_include_pad=False)[:, 0]
        inside = (shifted >= 0) & (shifted < w) & (rows + down >= 0) & (rows + down < h)
        error = torch.where(inside, error, torch.inf)
        if down == 0:
            error[before] = -1  # itself, before any equal one
        number = ((rows + down) * w + shifted).expand(window, h, w)
        best, place = torch.cat([best, error]).topk(members, dim=0, largest=False)
        numbers = torch.cat([numbers, number]).gather(0, place)
    return numbers.cpu()


@hookimpl
def register_samplers(register: Register) -> None:
    """Register the sampler of this file."""
    register("pixel-bank", PixelBank)
