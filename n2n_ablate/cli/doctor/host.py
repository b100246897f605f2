"""The program and what it runs on: Python, packages, device, plugins."""

from __future__ import annotations

import importlib.util
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from n2n_ablate.cli.doctor import BROKEN, NOTE, OK, WARNING, Finding
from n2n_ablate.errors import AblateError
from n2n_ablate.version import __version__

if TYPE_CHECKING:
    from n2n_ablate.registry import Registry

_NEEDED = {
    **{name: name for name in ("torch", "numpy", "scipy", "pluggy", "filelock", "safetensors")},
    "PIL": "pillow",
}
_OPTIONAL = {
    "optuna": ("optuna", "searches; studies of other designs run without it"),
    "mlflow": ("mlflow", "tracking; until then use --tracking none, and n2n-ablate sync later"),
    "skimage": ("scikit-image", "the built-in images; until then use --images FOLDER"),
    "matplotlib": ("matplotlib", "curves as pictures in MLflow"),
    "tifffile": ("tifffile", "TIFF files"),
    "imagecodecs": ("imagecodecs", "compressed TIFF files"),
    "png": ("pypng", "16-bit colour PNG files"),
    "ray": ("ray", "--executor ray"),
}


def python() -> Iterator[Finding]:
    """Look at the program and the Python that runs it."""
    yield Finding("n2n-ablate", OK, __version__)
    yield Finding("python", OK, f"{platform.python_version()} ({sys.executable})")


def packages() -> Iterator[Finding]:
    """Look which packages are there; what is missing stops all studies, or some."""
    for module, package in _NEEDED.items():
        if importlib.util.find_spec(module) is None:
            yield Finding("packages", BROKEN, f"{package} is missing", f"pip install {package}")
    found = []
    for module, (package, what) in _OPTIONAL.items():
        if importlib.util.find_spec(module) is None:
            advice = f"pip install {package}, for {what}"
            yield Finding("packages", NOTE, f"{package} is not installed", advice)
        else:
            found.append(f"{package} {_version(package)}")
    needed = [f"{package} {_version(package)}" for package in _NEEDED.values()]
    yield Finding("packages", OK, ", ".join([*needed, *found]))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(version unknown)"


def device() -> Iterator[Finding]:
    """Compute something on the device that a study would use."""
    import torch

    from n2n_ablate import engine
    from n2n_ablate.engine.device import arithmetic

    try:
        machine = engine.machine()
        with arithmetic(machine):
            image = torch.ones(1, 1, 8, 8, device=machine.device)
            mean = torch.nn.functional.conv2d(image, image[..., :3, :3] / 9).mean()
        if not torch.isclose(mean.cpu(), torch.tensor(1.0), atol=0.01):
            advice = "use --device cpu, and restart the machine"
            yield Finding("device", BROKEN, f"{machine.name} computes wrong numbers", advice)
            return
    except (RuntimeError, AblateError) as error:
        advice = (
            "use --device cpu, or install a torch that suits the driver: see docs/how-to/gpu.md"
        )
        yield Finding("device", BROKEN, f"the device does not compute: {error}", advice)
        return
    yield Finding("device", OK, f"{machine.name}, precision {machine.precision}")
    if machine.type == "cuda":
        free, whole = torch.cuda.mem_get_info()
        yield Finding("device", OK, f"{free / 2**30:.1f} of {whole / 2**30:.1f} GB are free")
        yield Finding("device", OK, f"stacks are convolved {machine.way}, timed on this card")
    elif torch.version.cuda and not torch.cuda.is_available():
        yield Finding("device", NOTE, "torch is built for CUDA but sees no GPU", "see nvidia-smi")
    if machine.type == "cpu":
        yield _kernel()


def _kernel() -> Finding:
    from n2n_ablate.engine.compiled import kernel

    built = kernel()
    if built.instructions:
        return Finding("kernel", OK, f"compiled for {built.instructions}, agrees with torch")
    advice = "install a C compiler (GCC or Clang), then n2n-ablate again"
    slower = (
        f"the compiled kernel is not used: {built.reason}. Fits take two to three times as long"
    )
    return Finding("kernel", NOTE, slower, advice)


def plugins(folder: Path | None) -> Iterator[Finding]:
    """Load every plugin, and build the default recipe of their components."""
    from n2n_ablate.registry import Registry

    try:
        registry = Registry(plugins_dir=folder)
    except AblateError as error:
        yield Finding("plugins", BROKEN, str(error), "name another folder with --plugins-dir")
        return
    for item in registry.broken:
        advice = "mend or remove it; the rest works without"
        yield Finding("plugins", WARNING, f"not loaded: {item}", advice)
    for text in registry.contested:
        yield Finding("plugins", WARNING, text)
    count = sum(1 for _ in registry)
    yield Finding("plugins", OK, f"{count} components, {len(registry.listeners)} listeners")
    yield from _default_recipe(registry)


def _default_recipe(registry: Registry) -> Iterator[Finding]:
    """Build what a study needs at least: the default recipe, a noise and the metrics."""
    from n2n_ablate.components.spec import ComponentSpec
    from n2n_ablate.runner.denoising import OFFICIAL

    parts = [*OFFICIAL.specs.items(), ("noise", ComponentSpec("gaussian"))]
    parts += [("metric", ComponentSpec(name)) for name in ("psnr", "ssim")]
    try:
        for kind, part in parts:
            registry.build(kind, part.name, part.parameters)
    except AblateError as error:
        yield Finding("recipe", BROKEN, f"the default recipe cannot be built: {error}", _ADVICE)
    else:
        yield Finding("recipe", OK, "the default recipe can be built")


_ADVICE = "remove the plugin that is named; if none is, install n2n-ablate again"
