"""Stacks and results on the way to workers and back: JSON and bytes, never pickled objects.

Images travel by the hash of their content, plugins as source, components as recipes. The worker makes
the same fits from them, and refuses where it could not.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import platform
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import safetensors.numpy
import torch
from torch import Tensor

from n2n_ablate.engine import Fit, FitSpec, Machine, StackSizeCache, fit_all
from n2n_ablate.engine.device import require_kernel
from n2n_ablate.engine.identity import ENGINE, Fingerprints, torch_version
from n2n_ablate.errors import AblateError, DeviceError, ExecutorError
from n2n_ablate.execute import bundle
from n2n_ablate.records import FitResult
from n2n_ablate.records.fit import from_arrays, to_arrays
from n2n_ablate.registry import Registry
from n2n_ablate.version import __version__


def versions() -> dict[str, str]:
    """Return what must be equal on every machine, by name."""
    return {"n2n-ablate": __version__, "its engine": str(ENGINE), "torch": torch_version()}


def digest(image: Tensor) -> str:
    """Return the name that an image travels under: the hash of its bytes."""
    return hashlib.sha256(content(image)).hexdigest()


def written(stack: Sequence[Fit], machine: Machine, prints: Fingerprints) -> bytes:
    """Return a stack as JSON; its images are named by `digest`."""
    fits = []
    for fit in stack:
        if fit.spec is None or fit.clean is None:
            msg = "only fits of a study can be trained by other processes"
            raise ExecutorError(msg)
        fits.append(
            {
                "key": fit.key,
                "spec": fit.spec.to_json(),
                "code": [[*component, code] for component, code in fit.spec.code(prints).items()],
                "shape": list(fit.noisy.shape),
                "noisy": digest(fit.noisy),
                "clean": digest(fit.clean),
                "shots": [digest(shot) for shot in fit.shots],
            }
        )
    return json.dumps({"versions": versions(), "machine": asdict(machine), "fits": fits}).encode()


def train(task: bytes, plugins: bytes, *images: bytes) -> dict[str, Any]:
    """Train a stack: what a worker does.

    `task`: see `written`; `plugins`: see `bundle.packed`; `images`: in any order, float32 in the byte order
    of this machine.

    Returns:
        `results`, a list of pairs (see `packed`), `notes`, a list of lines, and `stack`, how many
        such fits fit into memory at once if that had to be learned, else None; or `refused`, a
        sentence, if the fits would not be the same here.
    """
    job = json.loads(task)
    try:
        _compare(job["versions"])
        registry, prints = _loaded(plugins)
        by_name = {hashlib.sha256(image).hexdigest(): image for image in images}
        if lost := {name for fit in job["fits"] for name in _names(fit)} - set(by_name):
            msg = f"image {min(lost)[:16]} did not arrive whole"
            raise ExecutorError(msg)
        machine = Machine(**job["machine"])
        require_kernel(machine)
        fits = [_fit(fit, machine, registry, prints, by_name) for fit in job["fits"]]
    except AblateError as error:
        return {"refused": f"a worker on '{platform.node()}' refuses: {error}"}
    notes: list[str] = []
    sizes = StackSizeCache()
    try:
        results = [packed(one) for one in fit_all(fits, machine, note=notes.append, sizes=sizes)]
    except DeviceError as error:
        return {"refused": f"a worker on '{platform.node()}' stopped: {error}"}
    learned = min(sizes.limit(fit) for fit in fits)
    return {
        "results": results,
        "notes": notes,
        "stack": None if math.isinf(learned) else int(learned),
    }


def packed(result: FitResult) -> tuple[str, bytes]:
    """Return a result as JSON and the content of a safetensors file."""
    about, arrays = to_arrays(result)
    return json.dumps(about), safetensors.numpy.save(arrays)


def unpacked(about: str, content: bytes) -> FitResult:
    """Return what `packed` was given."""
    return from_arrays(json.loads(about), safetensors.numpy.load(content))


_loaded = functools.lru_cache(maxsize=2)(bundle.unpacked)
"""A worker serves many tasks of one study; its plugins are loaded once."""


def _compare(theirs: dict[str, str]) -> None:
    for name, version in versions().items():
        if theirs.get(name) != version:
            msg = (
                f"{name} is {version} there and {theirs.get(name)} here. "
                "Install the same versions on every machine."
            )
            raise ExecutorError(msg)


def _fit(
    data: dict[str, Any],
    machine: Machine,
    registry: Registry,
    prints: Fingerprints,
    images: dict[str, bytes],
) -> Fit:
    spec = FitSpec.from_json(data["spec"])
    for kind, name, theirs in data["code"]:
        plugin, ours = registry.get(kind, name).origin.plugin, prints.code_of(kind, name)
        if ours != theirs:
            msg = (
                f"the source of plugin '{plugin}' ({kind} '{name}') has the hash {ours} there and "
                f"{theirs} here. Install the same version on every machine."
            )
            raise ExecutorError(msg)
    key = spec.key(prints, machine.computation)
    if key != data["key"]:  # whatever the comparisons above do not know
        msg = f"it would train another fit ({key} instead of {data['key']})"
        raise ExecutorError(msg)
    noisy, clean, *shots = (
        torch.frombuffer(bytearray(images[name]), dtype=torch.float32).reshape(*data["shape"])
        for name in _names(data)
    )
    return spec.fit(key, noisy, clean, spec.components(registry), shots)


def _names(fit: dict[str, Any]) -> list[str]:
    return [fit["noisy"], fit["clean"], *fit["shots"]]


def content(image: Tensor) -> bytes:
    """Return the bytes of an image, float32 in C order."""
    return np.ascontiguousarray(image.float().numpy()).tobytes()
