"""Where images come from: folders, files, and the pictures that ship with scikit-image."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from n2n_ablate.errors import ImageError, nearest, no_file, reasoned
from n2n_ablate.images.decode import decode
from n2n_ablate.images.image import Image, Samples, ValueRange
from n2n_ablate.images.named_sets import named_set
from n2n_ablate.images.pairs import READ_SUFFIXES, is_image_file, looks_paired
from n2n_ablate.images.pixels import range_of_type, robust_range, scaled, to_pixels

BUILTIN = "builtin"
_LONGEST_NAME = 100

COLOUR = ("astronaut", "chelsea", "coffee", "motorcycle", "rocket", "tissue", "retina", "hubble")
"""The built-in set: photographs, then pictures from two microscopes and a telescope. No two show one scene."""
GREY = ("camera", "coins", "moon", "cell", "brick", "grass", "gravel", "clock")
"""Of one channel, 300 x 300 pixels and larger: for confirmations, beside the built-in set."""
_IN_SKIMAGE = {
    "motorcycle": "stereo_motorcycle",
    "tissue": "immunohistochemistry",
    "hubble": "hubble_deep_field",
}
"""What scikit-image calls them, where it is something else."""

_NO_BUILTIN = """the built-in images come with scikit-image, which is not installed. \
Use your own with --images FOLDER, or: pip install scikit-image"""


@dataclass(frozen=True)
class Reading:
    """How files are read where they do not say it themselves."""

    white: float = 0.0  # the sample that is white; 0 for that of the file's type
    # which channels to take where they are no colours, counted from 1
    channels: tuple[int, ...] = ()


AS_TYPED = Reading()
"""Files are read as their types say."""


def builtin_names() -> list[str]:
    """Return the names of the images that make the built-in set, all in colour."""
    return list(COLOUR)


def builtin(names: Sequence[str] = ()) -> list[Image]:
    """Return built-in images by name: the colour ones if no name is given, the others by `grey`."""
    try:
        with warnings.catch_warnings():  # of its downloader, about widgets that a notebook lacks
            warnings.simplefilter("ignore")
            from skimage import data
    except ModuleNotFoundError as error:
        raise ImageError(_NO_BUILTIN) from error
    known = (*COLOUR, *GREY)
    images = []
    for name in GREY if list(names) == ["grey"] else names or COLOUR:
        if name not in known:
            msg = f"no built-in image is called '{name}'. {nearest(name, [*known, 'grey'])}"
            raise ImageError(msg)
        array = getattr(data, _IN_SKIMAGE.get(name, name))()
        images.append(Image(name, to_pixels(array[0] if isinstance(array, tuple) else array, name)))
    return images


def collect(sources: Iterable[str], reading: Reading = AS_TYPED) -> list[Image]:
    """Return the images of folders, files, `builtin`, `builtin:NAME`, `kodak24:`, ..., in order."""
    images = [image for source in sources for image in images_of(source, reading)]
    if not images:
        msg = f"no images given. Name a folder, files or '{BUILTIN}'."
        raise ImageError(msg)
    digests: dict[str, str] = {}
    for image in images:
        if digests.setdefault(image.name, image.digest) != image.digest:
            msg = f"two images are called '{image.name}'. Rename one: results are distinguished by name."
            raise ImageError(msg)
    return images


def images_of(source: str, reading: Reading = AS_TYPED) -> Iterator[Image]:
    """Yield the images of one source, one file at a time."""
    kind, _, name = source.partition(":")
    if kind == BUILTIN and name.isprintable():
        yield from builtin([name] if ":" in source else [])
        return
    known = named_set(source)
    if known is None:
        for file in files_of(Path(source)):
            yield from pages(file, reading)
        return
    if known.kind == "measured":
        msg = f"the set '{known.name}' is measured noise: use it with --pairs {known.name}:"
        raise ImageError(msg)
    files = files_of(known.require())
    names = {file.stem: file for file in files}
    if name and name not in names:
        msg = f"the set '{known.name}' has no image '{name}'. {nearest(name, names)}"
        raise ImageError(msg)
    for file in [names[name]] if name else files:
        yield from pages(file, reading)


def files_of(path: Path) -> list[Path]:
    """Return a file, or the image files of a folder in the order of their names.

    Hidden files are no images: some disks put one beside every picture.
    """
    with reasoned(ImageError, f"'{path}' cannot be read"):
        if path.is_file():
            return [path]
        if not path.is_dir():
            msg = f"'{path}' {no_file(path)}. Name a folder, a file or '{BUILTIN}'."
            raise ImageError(msg)
        files = sorted(file for file in path.iterdir() if is_image_file(file))
    if looks_paired(path):
        msg = (
            f"'{path}' holds noisy shots with references, not clean images: use --pairs {path}. To use "
            "files of it as clean images, name each of them"
        )
        raise ImageError(msg)
    if not files:
        msg = f"no images in '{path}'. Known endings: {', '.join(READ_SUFFIXES)}."
        raise ImageError(msg)
    return files


def read(path: Path, reading: Reading = AS_TYPED) -> Image:
    """Read a file with one image over the range of its type; transparency is dropped."""
    page_images = pages(path, reading, strict=False)
    if len(page_images) > 1:
        msg = f"'{path}' holds {len(page_images)} pages; save the one that you want as a file of its own"
        raise ImageError(msg)
    return page_images[0]


def pages(path: Path, reading: Reading = AS_TYPED, *, strict: bool = True) -> list[Image]:
    """Read every image of a file. Those of a file with several are called `name-p1`...

    `path`: the file; `reading`: what the file does not say itself; `strict`: refuse integers that use less
    than an eighth of their range without `white`.
    """
    name = checked_name(path)
    samples = decode(path, reading.channels)
    groups: dict[str, ValueRange] = {}
    for kind in dict.fromkeys(page.array.dtype.name for page in samples):
        same = [page for page in samples if page.array.dtype.name == kind]
        groups[kind] = range_of_type(same, str(path), white=reading.white, strict=strict)
    return named(samples, name, str(path), groups)


def open_stack(path: Path, channels: Sequence[int] = ()) -> list[Image]:
    """Read the noisy images of a file over a robust range, which they share."""
    checked_name(path)
    return stack(decode(path, channels), str(path))


def stack(samples: Sequence[Samples], name: str) -> list[Image]:
    """Return the images of one file over a robust range, which they share."""
    kinds = {page.array.dtype.name for page in samples}
    if len(kinds) > 1:
        msg = f"'{name}' holds images of different types ({', '.join(sorted(kinds))}); split it"
        raise ImageError(msg)
    return named(samples, Path(name).stem, name, {kinds.pop(): robust_range(samples, name)})


def named(
    samples: Sequence[Samples], name: str, file: str, ranges: dict[str, ValueRange]
) -> list[Image]:
    """Return images with distinct names; `ranges` are by type of the samples."""
    return [
        Image(
            f"{name}-{page.label}" if page.label else name,
            scaled(
                page,
                ranges[page.array.dtype.name],
                f"{file}, page {page.label.removeprefix('p')}" if page.label else file,
            ),
            ranges[page.array.dtype.name],
            page.metadata,
        )
        for page in samples
    ]


def checked_name(path: Path) -> str:
    """Return the name of the image in a file."""
    name = path.stem
    if not name.isprintable() or not name.strip(". ") or len(name) > _LONGEST_NAME:
        msg = (
            f"'{path}': results are named after images; rename it to something short and printable"
        )
        raise ImageError(msg)
    return name
