"""What all trials of a study share, whether it runs or was opened again; and the commands that ran them."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, replace

from n2n_ablate.study import Plan


@dataclass(frozen=True)
class ImageRef:
    """What identifies an image of a study, whether its file is still there or not.

    Attributes:
        name: Unique in the study.
        digest: Of shape and pixels after the crop, see `Image.digest`.
        shape: Channels, height and width after the crop.
        cluster: Name of the scene that it is a crop, a shot or an overlap of: such images are one
            independent unit. Empty for a scene by itself.
        condition: Label of the condition whose measured noise it is the reference of; empty for every
            condition with a noise model.
        white: The sample of its file that is white.
    """

    name: str
    digest: str
    shape: tuple[int, int, int]
    cluster: str = ""
    condition: str = ""
    white: float = 255.0


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
        interim_sizes: Images at each interim analysis of a race; empty without one.
        earlier: Of a confirmation: names of studies, one per earlier confirmation in this output folder
            that used some of the same images.
        confirmed: The header of the confirmation, None if there is none or it has not begun.
    """

    plan: Plan
    images: tuple[ImageRef, ...]
    steps: int
    device: str
    precision: str
    folder: str = ""
    interim_sizes: tuple[int, ...] = ()
    earlier: tuple[str, ...] = ()
    confirmed: Header | None = None

    def places(self, images: int | None = None) -> list[tuple[str, ImageRef, int]]:
        """Return condition, image and seed of every fit of a trial, in order.

        Args:
            images: On the first so many images; None for all.
        """
        return [
            (condition.label, image, seed)
            for condition in self.plan.conditions
            for image in self.images[:images]
            if image.condition == (condition.label if condition.pairs else "")
            for seed in self.plan.profile.seeds
        ]

    def with_confirmed(self, confirmed: Header | None) -> Header:
        """Return this header with that of its confirmation."""
        return replace(self, confirmed=confirmed)


@dataclass(frozen=True)
class Invocation:
    """One run of the command.

    Attributes:
        id: Unique.
        command: As the user typed it.
        device: See `Machine.name`.
        precision: See `Machine`.
        versions: Of Python, torch and the plugins, by name.
        commit: Of the git repository that the working folder belongs to, empty if none.
    """

    id: str
    command: str
    device: str
    precision: str
    versions: dict[str, str]
    commit: str = ""


def commit() -> str:
    """Return the commit of the repository that the working folder belongs to, empty if none."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
