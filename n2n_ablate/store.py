"""Finished fits on disk: one small file each, named by content, written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from n2n_ablate.errors import StoreError
from n2n_ablate.fit.job import FitResult
from n2n_ablate.fit.parcel import apart, together
from n2n_ablate.output import Output

_IMAGE, _NONE = "denoised", ""


class FitStore:
    """Results of fits by key."""

    def __init__(self, output: Output) -> None:
        self._root = output.root / "fits"
        self.damaged: list[Path] = []

    def path(self, key: str) -> Path:
        """Return where the result of a fit is, or would be."""
        return self._root / key[:2] / f"{key}.safetensors"

    def save(self, result: FitResult) -> None:
        """Write a result; a crash at any moment leaves either the whole file or none.

        Raises:
            StoreError: The file cannot be written, for instance because the disk is full.
        """
        about, tensors = apart(result)
        about["sums"] = _sums(tensors, result.figures)
        path = self.path(result.key)
        try:
            path.parent.mkdir(exist_ok=True)
            write_whole(path, save(tensors, {"fit": json.dumps(about)}))
        except OSError as error:
            msg = f"the result of a fit cannot be written to '{path.parent}': {error.strerror}"
            raise StoreError(msg) from error

    def load(self, key: str, *, with_image: bool = False) -> FitResult | None:
        """Return a stored result, or None if the fit has to be run.

        A damaged file is renamed to end in `.damaged`, listed in `damaged`, and counts as missing.
        What is not asked for is not read and not checked: the image is most of the file.
        """
        path = self.path(key)
        try:
            with safe_open(path, "numpy") as file:
                about = json.loads(file.metadata()["fit"])
                wanted = [name for name in file.keys() if with_image or name != _IMAGE]  # noqa: SIM118
                tensors = {name: file.get_tensor(name) for name in wanted}
            sums = about["sums"] if with_image else about["sums"] | {_IMAGE: _NONE}
            whole = about["key"] == key and sums == _sums(tensors, about["figures"])
        except FileNotFoundError:
            return None
        except (SafetensorError, ValueError, KeyError, TypeError):
            whole = False
        except OSError as error:  # too many open files, a failing disk: the file may be healthy
            msg = f"the stored fit '{path}' cannot be read: {error.strerror or error}"
            raise StoreError(msg) from error
        if not whole:
            self._set_aside(path)
            return None
        return together(about, tensors)

    def _set_aside(self, path: Path) -> None:
        with contextlib.suppress(OSError):
            path.rename(path.with_suffix(".damaged"))
        self.damaged.append(path)


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file in one step, so that no reader and no crash ever sees half of it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def _sums(tensors: Mapping[str, np.ndarray], figures: Mapping[str, float]) -> dict[str, str]:
    """Return one checksum for the image and one for everything else."""
    rest = {name: array for name, array in tensors.items() if name != _IMAGE}
    image = {name: array for name, array in tensors.items() if name == _IMAGE}
    return {"rest": _checksum(rest, figures), _IMAGE: _checksum(image, {}) if image else _NONE}


def _checksum(tensors: Mapping[str, np.ndarray], figures: Mapping[str, float]) -> str:
    digest = hashlib.sha256(json.dumps(figures, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensors[name]).tobytes())
    return digest.hexdigest()[:32]
