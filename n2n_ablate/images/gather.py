"""The images of a study: read, counted by scene, cropped, and looked at for noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from n2n_ablate.errors import ImageError
from n2n_ablate.images.clusters import Fingerprint, fingerprint, first_shared, with_clusters
from n2n_ablate.images.image import Image
from n2n_ablate.images.noise_level import noisy_notes
from n2n_ablate.images.sources import AS_TYPED, BUILTIN, Reading, collect


@dataclass(frozen=True, eq=False)
class Gathered:
    """The images of a study."""

    images: tuple[Image, ...]  # cropped, each of them once, with their clusters
    # lines for the user: what was left out, what counts as one, what looks noisy
    notes: tuple[str, ...] = ()
    # what the whole images are known by, scenes of measured noise too; empty if all ship
    known: tuple[Fingerprint, ...] = ()
    # the whole images, if all of them ship: no two of them show one scene
    shipped: tuple[Image, ...] = ()

    @cached_property
    def prints(self) -> tuple[Fingerprint, ...]:
        """What the whole images are known by."""
        return self.known or tuple(map(fingerprint, self.shipped))


def gather(sources: Sequence[str], crop: int = 0, reading: Reading = AS_TYPED) -> Gathered:
    """Read the images of a study.

    `sources`: see `collect`; `crop`: side of the centre crop in pixels; 0 keeps all; `reading`: what the
    files do not say themselves.
    """
    whole = list({image.name: image for image in collect(sources, reading)}.values())
    if all(source.partition(":")[0] == BUILTIN for source in sources):
        return Gathered(tuple(image.cropped(crop) for image in whole), shipped=tuple(whole))
    prints = tuple(map(fingerprint, whole))
    images, notes = with_clusters(whole, prints)
    cropped = tuple(image.cropped(crop) for image in images)
    return Gathered(cropped, (*notes, *noisy_notes(images)), known=prints)


def require_apart(searched: Gathered, held_out: Gathered) -> None:
    """Check that no held-out image shows a scene of the images that the trials see."""
    if not searched.known and not held_out.known:
        searched_names = {image.name for image in searched.shipped}
        shared = next(
            ((i.name, i.name) for i in held_out.shipped if i.name in searched_names), None
        )
    else:
        shared = first_shared(searched.prints, held_out.prints)
    if shared:
        msg = (
            f"the confirmation's image '{shared[0]}' shows the same picture as '{shared[1]}' among "
            "the images of the trials. Confirm on images that no trial saw."
        )
        raise ImageError(msg)
