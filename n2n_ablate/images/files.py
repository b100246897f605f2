"""Which files of a folder count as images, by their names alone."""

from __future__ import annotations

from pathlib import Path

from n2n_ablate.images.write import SUFFIXES

READ_SUFFIXES = (*SUFFIXES, ".npy", ".npz", ".gif", ".pgm", ".ppm", ".pnm")
"""Endings of the files of a folder that count as images."""


def is_image_file(path: Path) -> bool:
    """Say whether a file of a folder counts as an image, by its name alone."""
    hidden = path.name.startswith(".") and not path.name.startswith("..")
    return path.suffix.lower() in READ_SUFFIXES and not hidden
