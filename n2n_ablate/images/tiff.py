"""TIFF files: an allow-list of forms. What is not on it is named in one line, never guessed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from n2n_ablate.errors import ImageError
from n2n_ablate.images.image import Samples, check_size, pick_channels
from n2n_ablate.images.tiff_metadata import metadata

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_MOST_PAGES = 10_000
_STACK_AXES = frozenset("ZTIQRPAM")
"""Axes whose steps are separate images: depth, time, position, angle, whatever counts pages."""
_DIALECTS = frozenset(
    ("imagej", "ome", "shaped", "stk", "lsm", "fluoview", "scanimage", "mmstack", "nih", "sis")
)
"""Programs whose notes on axes tifffile understands."""
_SLIDES = frozenset(("svs", "scn", "ndpi", "bif", "philips", "avs", "qpi"))
_COMPRESSIONS = frozenset((1, 2, 3, 4, 5, 7, 8, 32773, 32946, 34712, 34925, 50000, 50001))
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_REFUSED = {
    4: "a transparency mask, not an image",
    5: "inks (CMYK), not colours; save it as RGB",
    6: "luma and chroma (YCbCr) without JPEG compression; save it as RGB",
    8: "CIE L*a*b* colours; save it as RGB",
    9: "ICC L*a*b* colours; save it as RGB",
    10: "ITU L*a*b* colours; save it as RGB",
    32803: "raw samples of a colour filter array; develop it to RGB or save one channel",
    34892: "linear raw camera data; develop it to RGB",
    51177: "a depth map, not an image",
}
_MULTIPLIED = 1
_TRANSPARENCY = (_MULTIPLIED, 2)  # extra samples: alpha that is multiplied in, and that is not
_DNG, _ORIENTATION = 50706, 274


def read(path: Path, channels: Sequence[int] = ()) -> list[Samples]:
    """Return the images of a TIFF file: its pages, or the planes of its stacks.

    Reduced copies (thumbnails, pyramids) and masks are no images.

    `path`: the file; `channels`: counted from 1: which to take where they are no colours, each as an image.
    """
    import tifffile

    with tifffile.TiffFile(path, _multifile=False) as file:
        count = len(file.pages)
        if not count or count > _MOST_PAGES:
            msg = f"'{path}' has {count} pages; between 1 and {_MOST_PAGES} can be read"
            raise ImageError(msg)
        _check_program(file, path)
        every: list[Any] = list(file.pages)
        pages = [page for page in every if not _is_copy(page)]
        if not pages:
            msg = f"'{path}' holds nothing but thumbnails or masks; export the image itself"
            raise ImageError(msg)
        check_size(sum(math.prod(page.keyframe.shape) for page in pages), str(path))
        planes = [list(plane) for plane in _images(file, pages, path, channels)]
        about = metadata(file, pages[0], _STACK_AXES)
    images = []
    for number, plane in enumerate(planes, 1):
        for samples in plane:
            label = "-".join(filter(None, (f"p{number}" if len(planes) > 1 else "", samples.label)))
            images.append(replace(samples, label=label, metadata=about))
    return images


def _check_program(file: Any, path: Path) -> None:
    if slides := file.flags & _SLIDES:
        msg = (
            f"'{path}' is a whole-slide scan ({min(slides)}); export a region of it as TIFF or PNG"
        )
        raise ImageError(msg)
    if _DNG in file.pages[0].tags:
        msg = f"'{path}' is a raw camera file (DNG); develop it to RGB first"
        raise ImageError(msg)


def _is_copy(page: Any) -> bool:
    kind = int(page.keyframe.subfiletype)
    return bool(kind & 1) or bool(kind & 4)


def _images(
    file: Any, pages: Sequence[Any], path: Path, channels: Sequence[int]
) -> Iterator[Iterator[Samples]]:
    """Yield the images of each plane: of the pages where these are the planes, else of the series."""
    series = [one_series for one_series in file.series if not _is_copy(one_series.keyframe)]
    notes = file.flags & _DIALECTS
    if notes and not any(one_series.kind in notes for one_series in file.series):
        what = f"its {min(notes)} notes describe other data than it holds (it ends early?)"
        msg = f"'{path}' cannot be read as an image: {what}"
        raise ImageError(msg)
    planes, mixed = 0, False
    for one_series in series:
        sizes = list(zip(one_series.axes, one_series.shape, strict=True))
        for axis, size in sizes:
            if size > 1 and axis not in _STACK_AXES | frozenset("CYXS"):
                msg = f"'{path}' has an axis '{axis}' of {size} steps, which is no stack of images"
                raise ImageError(msg)
        planes += math.prod(size for axis, size in sizes if axis not in "YXS")
        mixed = mixed or any(axis == "C" and size > 1 for axis, size in sizes)
    if planes == len(pages) and not mixed:
        for page in pages:
            _check_form(page, path)
            _check_stored(page, path)
            yield _pictures(np.asarray(page.asarray()), page.axes, page.keyframe, path, channels)
        return
    if not file.flags & _DIALECTS:
        msg = f"'{path}' lists {len(pages)} pages and describes {planes} planes; save it again"
        raise ImageError(msg)
    for one_series in series:
        yield from _of_series(one_series, path, channels)


def _of_series(series: Any, path: Path, channels: Sequence[int]) -> Iterator[Iterator[Samples]]:
    check_size(math.prod(series.shape), str(path))
    frame = series.keyframe
    if any(page is None for page in series.pages):
        msg = f"'{path}' describes planes that are not in it (in other files?); save it as one file"
        raise ImageError(msg)
    _check_form(frame, path)
    if series.dataoffset is not None:
        _check_end(series.dataoffset + series.nbytes, path)
    else:
        for page in series.pages:
            _check_stored(page, path)
    array, axes = np.asarray(series.asarray()), series.axes
    order = [at for at, axis in enumerate(axes) if axis not in "CYXS"]
    inner = [axes.index(axis) for axis in "YX"] + [axes.index(a) for a in "CS" if a in axes]
    array = array.transpose(*order, *inner)
    array = array.reshape(-1, *array.shape[len(order) :])
    for plane in array:
        yield _pictures_of(plane, axes, frame, path, channels)


def _pictures_of(
    plane: np.ndarray, axes: str, frame: Any, path: Path, channels: Sequence[int]
) -> Iterator[Samples]:
    """Yield the images of one step of a stack, shape (h, w), (h, w, c), (h, w, s) or (h, w, c, s)."""
    if plane.ndim == 4:
        if plane.shape[2] > 1:
            msg = f"'{path}' has several channels of several samples each; save one as RGB"
            raise ImageError(msg)
        plane, axes = plane[:, :, 0], axes.replace("C", "")
    if "C" not in axes:
        yield from _pictures(plane, "YXS"[: plane.ndim], frame, path, channels)
        return
    for label, image in pick_channels(plane, channels, str(path)):
        for samples in _pictures(image, "YX", frame, path, ()):
            yield replace(samples, label=label)


def _check_form(page: Any, path: Path) -> None:
    """Check colours, compression and type of samples against what is known to be read right."""
    frame = page.keyframe
    kind, packing = int(frame.photometric), int(frame.compression)
    decoded = kind == _YCBCR and packing == 7  # the JPEG decoder turns it into RGB
    if kind not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE) and not decoded:
        what = _REFUSED.get(kind, f"colours of a kind that is not known (photometric {kind})")
        msg = f"'{path}' holds {what}"
        raise ImageError(msg)
    if packing not in _COMPRESSIONS:
        name = getattr(frame.compression, "name", packing)
        msg = f"'{path}' has the compression {name}, which cannot be read; save it with LZW or none"
        raise ImageError(msg)
    if frame.imagedepth > 1:
        msg = f"'{path}' holds volumes in single pages; save it as a stack of pages"
        raise ImageError(msg)
    if frame.dtype is None or frame.dtype.kind not in "buif":
        msg = f"'{path}' holds samples of a type that is no real number"
        raise ImageError(msg)


def _pictures(
    array: np.ndarray, axes: str, frame: Any, path: Path, channels: Sequence[int]
) -> Iterator[Samples]:
    """Yield the image of one plane, upright, or one for each channel that was asked for."""
    if array.ndim == 3 and axes.startswith("S"):
        array = np.moveaxis(array, 0, -1)  # planes one after the other
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    array = _upright(array, int(frame.tags.valueof(_ORIENTATION, default=1)))
    kind = int(frame.photometric)
    if kind == _PALETTE:
        yield _looked_up(array, frame, path)
        return
    colours = 1 if kind in (_WHITE_IS_ZERO, _BLACK_IS_ZERO) else 3
    extra = tuple(map(int, frame.extrasamples))
    has_alpha = len(extra) == 1 and extra[0] in _TRANSPARENCY
    if array.ndim == 3 and array.shape[-1] == colours + 1 and has_alpha:
        array = _opaque(array, frame, path)
    elif array.ndim == 3 and array.shape[-1] != colours:
        for label, image in pick_channels(array, channels, str(path)):
            yield Samples(image, _white(frame), label)
        return
    if kind == _WHITE_IS_ZERO and array.dtype.kind not in "bu":
        msg = f"'{path}' has white at zero in samples of type {array.dtype}; save it with black at zero"
        raise ImageError(msg)
    if kind == _WHITE_IS_ZERO:
        top = 2 ** int(frame.bitspersample) - 1
        array = ~array if array.dtype == bool else np.asarray(top, array.dtype) - array
    yield Samples(array, _white(frame))


def _opaque(array: np.ndarray, frame: Any, path: Path) -> np.ndarray:
    """Return colours without transparency, unless it changed them."""
    alpha = array[..., -1]
    top = np.iinfo(alpha.dtype).max if alpha.dtype.kind in "iu" else 1
    if int(frame.extrasamples[0]) == _MULTIPLIED and bool((alpha != top).any()):
        msg = f"'{path}' has transparency multiplied into its colours; save it without"
        raise ImageError(msg)
    return array[..., 0] if array.shape[-1] == 2 else array[..., :-1]


def _looked_up(array: np.ndarray, frame: Any, path: Path) -> Samples:
    table = frame.colormap
    if table is None or array.ndim != 2 or array.dtype.kind != "u":
        msg = f"'{path}' has a palette that cannot be used; save it as RGB"
        raise ImageError(msg)
    table = np.asarray(table)
    colours = np.moveaxis(table[:, array], 0, -1)
    if not (table % 257).any():  # 8 bits, written as 16
        return Samples((colours // 257).astype(np.uint8))
    if table.max() < 256:  # 8 bits, as some programs write them against the rule
        return Samples(colours.astype(np.uint8))
    return Samples(colours)


def _white(frame: Any) -> float | None:
    """Return white where samples are packed in fewer bits than their type has."""
    kind = frame.dtype
    packed = kind.kind == "u" and int(frame.bitspersample) < kind.itemsize * 8
    return 2.0 ** int(frame.bitspersample) - 1 if packed else None


def _upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Return rows from the top and columns from the left, see the tag 274 of TIFF."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array


def _check_stored(page: Any, path: Path) -> None:
    """Check that the file is as long as it says; the decoder would fill what is missing with black."""
    counts, offsets = page.databytecounts, page.dataoffsets
    if not offsets or len(offsets) != len(counts) or len(counts) < math.prod(page.chunked):
        msg = f"'{path}' cannot be read as an image: it lists less data than its size needs"
        raise ImageError(msg)
    if not all(counts):
        msg = f"'{path}' has empty tiles, which would be read as black"
        raise ImageError(msg)
    _check_end(max(a + b for a, b in zip(offsets, counts, strict=True)), path)


def _check_end(end: int, path: Path) -> None:
    if end > path.stat().st_size:
        msg = f"'{path}' cannot be read as an image: the file ends early"
        raise ImageError(msg)
