"""What a TIFF file says beside its samples: resolution, colour profile, axes and their scales."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from n2n_ablate.images.image import Metadata


def metadata(file: Any, page: Any, stack_axes: Collection[str]) -> Metadata:
    """Return what the file says beside its samples; nothing of it decides how they are read.

    `file`: a `tifffile.TiffFile`; `stack_axes`: letters of the axes whose steps are images.
    """
    tags = page.keyframe.tags
    icc = tags.valueof(34675)
    per_inch = {2: 1.0, 3: 2.54}.get(int(tags.valueof(296, default=2)))
    resolution = None
    if per_inch and tags.valueof(282) and tags.valueof(283):
        x, y = (_ratio(tags.valueof(code)) * per_inch for code in (282, 283))
        resolution = (x, y) if x > 0 and y > 0 and (x, y) != (1.0, 1.0) else None
    about: dict[str, object] = {}
    dialect = "imagej" if file.is_imagej else "ome" if file.is_ome else ""
    if dialect == "imagej":
        known = ("spacing", "unit", "finterval", "fps", "min", "max")
        about = {key: value for key, value in (file.imagej_metadata or {}).items() if key in known}
    elif dialect == "ome":
        about = _ome_sizes(file)
    series = file.series[0]
    stack = [
        (axis, int(size))
        for axis, size in zip(series.axes, series.shape, strict=True)
        if axis in stack_axes
    ]
    axes, steps = "".join(axis for axis, _ in stack), tuple(size for _, size in stack)
    return Metadata(resolution, bytes(icc or b""), axes, steps, dialect, about)


def _ome_sizes(file: Any) -> dict[str, object]:
    import tifffile

    image = tifffile.xml2dict(file.ome_metadata).get("OME", {}).get("Image", {})
    pixels = (image[0] if isinstance(image, list) else image).get("Pixels", {})
    return {key: value for key, value in pixels.items() if key.startswith("PhysicalSize")}


def _ratio(value: Any) -> float:
    above, below = value if isinstance(value, tuple) else (value, 1)
    return float(above) / float(below) if below else 0.0
