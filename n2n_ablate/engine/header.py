"""What the trials on the same data share, as a record."""

from __future__ import annotations

from pathlib import Path

from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.images import Image
from n2n_ablate.records import Header, ImageRef


def header_of(
    paired_data: PairedData, interim_sizes: tuple[int, ...] = (), earlier: tuple[str, ...] = ()
) -> Header:
    """Return what the trials on the same data share; further arguments as in `Header`."""
    return Header(
        plan=paired_data.plan,
        images=tuple(map(_reference, paired_data.images)),
        steps=paired_data.steps(paired_data.plan.baseline.recipe),
        device=paired_data.machine.type,
        precision=paired_data.machine.precision,
        folder=str(Path.cwd()),
        interim_sizes=interim_sizes,
        earlier=earlier,
    )


def _reference(image: Image) -> ImageRef:
    """Return what identifies an image."""
    c, h, w = image.pixels.shape[1:]
    white = image.range.offset + image.range.scale
    return ImageRef(image.name, image.digest, (c, h, w), image.cluster, image.condition, white)
