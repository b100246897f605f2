"""What all trials of a study share, whether it runs or was opened again: plan, images, steps, machine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from n2n_ablate.engine.paired_data import Bench
from n2n_ablate.images import Image
from n2n_ablate.study import Plan


@dataclass(frozen=True)
class Mark:
    """What identifies an image of a study, whether its file is still there or not.

    Attributes:
        name: Unique in the study.
        digest: Of shape and pixels after the crop, see `Image.digest`.
        shape: Channels, height and width after the crop.
    """

    name: str
    digest: str
    shape: tuple[int, int, int]


@dataclass(frozen=True)
class Header:
    """What all trials of a study share.

    Attributes:
        plan: What was asked, readable without any plugin. `plan.study.text` is the study file and
            `plan.profile.images` are the sources of the images as they were given.
        images: In the order of the fits.
        steps: Of the baseline's training.
        device: Type of the device, `cpu` or `cuda`.
        precision: See `Machine`.
        folder: Working folder of the command, which relative sources of images start from.
        looks: Images at each look, if the contrasts are looked at while the study runs.
        confirmed: The header of the confirmation, None if there is none or it has not begun.
    """

    plan: Plan
    images: tuple[Mark, ...]
    steps: int
    device: str
    precision: str
    folder: str = ""
    looks: tuple[int, ...] = ()
    confirmed: Header | None = None

    def with_confirmed(self, confirmed: Header | None) -> Header:
        """Return this header with that of its confirmation."""
        return replace(self, confirmed=confirmed)


def header_of(bench: Bench, looks: tuple[int, ...] = ()) -> Header:
    """Return what the trials on a bench share; `looks` as in `Header`."""
    return Header(
        plan=bench.plan,
        images=tuple(map(_mark, bench.images)),
        steps=bench.steps(bench.plan.baseline.recipe),
        device=bench.machine.type,
        precision=bench.machine.precision,
        folder=str(Path.cwd()),
        looks=looks,
    )


def _mark(image: Image) -> Mark:
    """Return what identifies an image."""
    c, h, w = image.pixels.shape[1:]
    return Mark(image.name, image.digest, (c, h, w))
