"""What hooks hand over beside results: noisy images, and pictures and tables that are made on request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # so that a finished study can be opened without torch
    from torch import Tensor

    from n2n_ablate.images import Image
    from n2n_ablate.study import Condition


@dataclass(frozen=True, eq=False)
class NoisySample:
    """One noisy image: a clean image under one condition with one seed.

    Attributes:
        condition: The noise.
        image: The clean image, or the reference of measured noise.
        seed: Chooses the noise: its random numbers, or which shot of measured noise it is.
        noisy: The noisy image, (1, c, h, w).
        shots: All shots of the scene, of measured noise; else empty.
    """

    condition: Condition
    image: Image
    seed: int
    noisy: Tensor
    shots: tuple[Tensor, ...] = ()

    @cached_property
    def digest(self) -> str:
        """Hash of the noisy pixels, see `Image.digest`."""
        from n2n_ablate.images.image import digest_of

        return digest_of(self.noisy)


class TrialFiles(Protocol):
    """The pictures and tables of one trial."""

    def diagnostics(self) -> Mapping[str, Mapping[str, float]]:
        """Return what is measured of the trial's sampler, by condition and name: `leak`, `gap`, ...

        Empty where it cannot be measured: its plugin or the images are gone. Takes 0.1 to 0.2 s.
        """
        ...

    def write(self, folder: Path) -> None:
        """Write pictures, curves, tables and the recipe into an existing folder.

        Denoised images are read from the store, where they are not in the result.
        """
        ...


class StudyFiles(Protocol):
    """The tables of a study, with the diagnostics of those trials that were asked for them."""

    def markdown(self) -> str:
        """Return question, answer and tables."""
        ...

    def write(self, folder: Path) -> None:
        """Write a table per condition, the study file and the diagnostics into an existing folder."""
        ...
