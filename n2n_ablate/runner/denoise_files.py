"""What `denoise` reads and writes: files, folders, patterns, stacks and standard input."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from n2n_ablate.components.recipe import Recipe
from n2n_ablate.components.spec import ComponentSpec
from n2n_ablate.diagnostics import Probe
from n2n_ablate.diagnostics.measure import diagnose
from n2n_ablate.errors import AblateError, ImageError
from n2n_ablate.images import Image, check_writable, files_of, open_stack, stack
from n2n_ablate.images.decode import from_bytes
from n2n_ablate.images.noise_level import flat_correlation, noise_level
from n2n_ablate.registry import Registry
from n2n_ablate.registry.entry import component_context
from n2n_ablate.study.settings import read_part

STDIN = "-"
_CORRELATED = 0.5  # of neighbours in flat parts: textures reach it only where there is little noise
_LEAKS = 0.3  # share of the noise that a recipe then leaves in the image
_ALTERNATIVES = ("stripe(axis=rows)", "stripe(axis=columns)", "pixel-shuffle")


@dataclass(frozen=True, eq=False)
class Job:
    """One file to denoise."""

    source: str  # as the user named it
    images: tuple[Image, ...]  # its images, over one range
    target: Path  # where the result goes


def jobs(
    sources: Sequence[str],
    *,
    out: Path | None,
    out_dir: Path | None,
    channels: Sequence[int] = (),
    overwrite: bool = False,
) -> list[Job]:
    """Read what is to be denoised and check where it goes, before anything is trained.

    `sources`: files, folders, patterns such as `cells/*.tif`, or `-` for an `.npy` array on standard input;
    `out`: the file for the result of one source; `out_dir`: the folder for results under the names of their
    sources; `channels`: which channels to take where they are no colours; `overwrite`: replace files that are
    there.

    Raises:
        ImageError: A source cannot be read, or a result could not be written.
    """
    if (out is None) == (out_dir is None):
        msg = "give -o FILE for one image, or --out-dir FOLDER"
        raise ImageError(msg)
    paths = [path for source in sources for path in _expanded(source)]
    if out is not None and len(paths) != 1:
        msg = f"-o is for one image, and there are {len(paths)} to denoise. Use --out-dir FOLDER"
        raise ImageError(msg)
    every: dict[Path, Job] = {}
    for path in paths:
        images = _read(path, channels)
        target = out if out is not None else _target(path, images, out_dir or Path())
        check_writable(target, images[0].range.dtype, count=len(images), overwrite=overwrite)
        if target in every:
            msg = f"two results would be written to '{target}'; denoise their folders one by one"
            raise ImageError(msg)
        every[target] = Job(path, tuple(images), target)
    return list(every.values())


def _expanded(source: str) -> list[str]:
    if source == STDIN or Path(source).exists():
        return [source] if not Path(source).is_dir() else [str(p) for p in files_of(Path(source))]
    if any(sign in source for sign in "*?["):
        pattern = Path(source)
        root = Path(pattern.anchor)
        matches = root.glob(str(pattern.relative_to(root)))
        if files := sorted(str(path) for path in matches if path.is_file()):
            return files
        msg = f"no file matches '{source}'"
        raise ImageError(msg)
    return [source]


def _read(path: str, channels: Sequence[int]) -> list[Image]:
    if path != STDIN:
        return open_stack(Path(path), channels)
    content = sys.stdin.buffer.read()
    return stack(from_bytes(content, "standard input", channels), "standard input")


def _target(path: str, images: Sequence[Image], folder: Path) -> Path:
    """Return the name of the source in another folder, with an ending that can hold the result."""
    name = Path("stdin.npy") if path == STDIN else Path(Path(path).name)
    for suffix in (name.suffix, ".png", ".tif"):
        target = folder / name.with_suffix(suffix)
        try:
            check_writable(target, images[0].range.dtype, count=len(images))
        except ImageError:
            continue
        return target
    return folder / name.with_suffix(".tif")


def noise_of(image: Image) -> float:
    """Return the standard deviation of an image's noise, in units of its file's samples."""
    array = image.pixels[0].permute(1, 2, 0).double().numpy()
    return noise_level(array) * image.range.scale


class _Shared:
    """Gaussian noise that neighbours share, as an image's flat parts show it."""

    def __init__(self, down: float, beside: float) -> None:
        self._shares = (min(max(down, 0.0), 0.95), min(max(beside, 0.0), 0.95))

    def apply(self, clean: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """Return a noisy copy; along each axis noise decays by its share from pixel to pixel."""
        from scipy.signal import lfilter

        noise = torch.randn(clean.shape, generator=rng).numpy()
        for axis, share in zip((2, 3), self._shares, strict=True):
            noise = lfilter([(1 - share**2) ** 0.5], [1, -share], noise, axis=axis)
        return clean + 0.1 * torch.from_numpy(noise).to(clean)


def correlation_warning(image: Image, recipe: Recipe, registry: Registry) -> str:
    """Return a line if neighbours share the noise and the recipe's sampler needs it independent.

    The share of the noise that a sampler leaves in the image is measured, on noise with the correlation
    that the image's flat parts show; the sampler with the smallest is named.
    """
    down, beside = flat_correlation(image.pixels[0].permute(1, 2, 0).double().numpy())
    if max(down, beside) < _CORRELATED:
        return ""
    spec = recipe.specs["sampler"]
    leaks = {}
    for tried in (spec, *map(read_part, _ALTERNATIVES)):
        leak = _leak(tried, registry, _Shared(down, beside))
        if leak is not None:
            leaks[str(tried)] = leak
    present = leaks.get(str(spec))
    best = min(leaks, key=lambda name: leaks[name], default="")
    if present is None or present < _LEAKS or not best or leaks[best] > present / 2:
        return ""
    return (
        f"neighbouring pixels share their noise (correlation {down:.2f} down, {beside:.2f} across in "
        f"flat parts): sampler '{spec}' passes {present:.0%} of it from one view to the other and will leave "
        f"much of it in the image; {best} passes {leaks[best]:.0%}. Try --set 'sampler={best}'"
    )


def _leak(spec: ComponentSpec, registry: Registry, noise: _Shared) -> float | None:
    flat = Probe("flat", torch.full((1, 1, 96, 96), 0.5))
    try:
        sampler = registry.build("sampler", spec.name, spec.parameters)
        with component_context(registry.get("sampler", spec.name), "cannot be measured", "draw"):
            total = diagnose(sampler, noise, [flat], pairs=4).total
    except AblateError:  # it needs more than one image, or noise of another kind
        return None
    return max(abs(total.leak.value), abs(total.back.value))


def against(reference: Path, jobs: Sequence[Job]) -> list[Image]:
    """Return the clean image of each job's images, over their range."""
    from n2n_ablate.images.decode import decode
    from n2n_ablate.images.pixels import scaled

    clean = decode(reference)
    images = [image for job in jobs for image in job.images]
    if len(clean) not in (1, len(images)):
        msg = f"'{reference}' holds {len(clean)} images for {len(images)} to compare with"
        raise ImageError(msg)
    references = []
    for image, page in zip(images, clean * (len(images) if len(clean) == 1 else 1), strict=True):
        pixels = scaled(page, image.range, str(reference))
        if pixels.shape != image.pixels.shape:
            shapes = f"{tuple(pixels.shape[1:])} and {tuple(image.pixels.shape[1:])}"
            msg = f"'{reference}' and '{image.name}' have different shapes: {shapes}"
            raise ImageError(msg)
        references.append(replace(image, pixels=pixels))
    return references


def scores(noisy: Image, pixels: torch.Tensor, clean: Image) -> tuple[float, float]:
    """Return PSNR in dB and SSIM of an image against a clean one.

    White is that of integers of 8 bits, or the largest sample of the clean image for other types.
    """
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    first, second = (
        image.range.to_samples(each[0].permute(1, 2, 0).numpy()).astype(float)
        for image, each in ((noisy, pixels), (clean, clean.pixels))
    )
    white = 255.0 if noisy.range.dtype == "uint8" else float(second.max() - second.min()) or 1.0
    side = min(7, *first.shape[:2])
    ssim = structural_similarity(
        second, first, data_range=white, channel_axis=-1, win_size=side - 1 + side % 2
    )
    return float(peak_signal_noise_ratio(second, first, data_range=white)), float(ssim)
