"""Finished fits on disk: one small file each, named by content, written whole or not at all."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from n2n_ablate.errors import StoreError, reasoned
from n2n_ablate.files import make_folders, write_whole
from n2n_ablate.records import FitResult
from n2n_ablate.records.fit import from_arrays, to_arrays
from n2n_ablate.storage.output import Output

_IMAGE = "denoised"  # an array, and its checksum
_FIT, _REST = "fit", "rest"  # the result as JSON; the checksum of it and the other arrays
_NAMED = 3  # files that a message names; it counts the others


class FitStore:
    """Results of fits by key.

    Args:
        reading: Only look at it: no file is renamed, and a fit whose image alone is damaged is
            still good for its figures.

    Attributes:
        damaged: Files that did not hold what was written.
        imageless: Files whose image was asked for and is damaged; only filled when reading.
    """

    def __init__(self, output: Output, *, reading: bool = False) -> None:
        self._root = output.root / "fits"
        self._reading = reading
        self.damaged: list[Path] = []
        self.imageless: list[Path] = []

    def reader(self) -> FitStore:
        """Return the same store, to look at from another thread."""
        other = copy.copy(self)
        other._reading, other.damaged, other.imageless = True, [], []
        return other

    def path(self, key: str) -> Path:
        """Return where the result of a fit is, or would be."""
        return self._root / key[:2] / f"{key}.safetensors"

    def __contains__(self, key: object) -> bool:
        """Say whether there is a file of a fit."""
        path = self.path(str(key))
        try:
            return stat.S_ISREG(path.stat().st_mode)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _unreadable(path, error) from error

    def save(self, result: FitResult) -> None:
        """Write a result; a crash at any moment leaves either the whole file or none."""
        about, arrays = to_arrays(result)
        text = json.dumps(about)
        rest, image = _sums(text, arrays)
        notes = {_FIT: text, _REST: rest, _IMAGE: image}
        path = self.path(result.key)
        with reasoned(StoreError, f"the result of a fit cannot be written to '{path.parent}'"):
            make_folders(path.parent)
            write_whole(path, save(arrays, notes))

    def load(self, key: str, *, with_image: bool = False) -> FitResult | None:
        """Return a stored result, or None if the fit has to be run.

        A damaged file is renamed to end in `.damaged`, listed in `damaged`, and counts as missing.
        What is not asked for is not read and not checked: the image is most of the file.
        """
        path = self.path(key)
        try:
            if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would take for ever
                self._set_aside(path)
                return None
            with safe_open(path, "numpy") as file:
                notes = file.metadata()
                wanted = [name for name in file.keys() if with_image or name != _IMAGE]  # noqa: SIM118
                arrays = {name: file.get_tensor(name) for name in wanted}
            result, image_is_whole = _checked(key, notes, arrays)
        except FileNotFoundError:
            return None
        except (SafetensorError, ValueError, LookupError, TypeError, AttributeError):
            result, image_is_whole = None, False
        except OSError as error:  # too many open files, a failing disk: the file may be healthy
            raise _unreadable(path, error) from error
        blind = with_image and (result is None or not image_is_whole)
        if blind and self._reading:
            self.imageless.append(path)
        if result is None or (blind and not self._reading):
            self._set_aside(path)
            return None
        return replace(result, denoised=None) if blind else result

    def imageless_told(self) -> list[str]:
        """Return what to say of `imageless`: one sentence, or nothing."""
        if not self.imageless:
            return []
        paths = list(dict.fromkeys(self.imageless))
        names = ", ".join(f"'{path}'" for path in paths[:_NAMED])
        rest = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
        what = f"stored images that are damaged and left out: {names}{rest}"
        return [f"{what}. Delete the files, and running the study again trains these fits."]

    def _set_aside(self, path: Path) -> None:
        if not self._reading:
            with contextlib.suppress(OSError):
                path.rename(path.with_suffix(".damaged"))
        self.damaged.append(path)


def _unreadable(path: Path, error: OSError) -> StoreError:
    return StoreError(f"the stored fit '{path}' cannot be read: {error.strerror or error}")


def _checked(
    key: str, notes: Mapping[str, str], arrays: Mapping[str, np.ndarray]
) -> tuple[FitResult | None, bool]:
    """Return the result in a file, None if it is not what was written, and if the image is whole."""
    about = json.loads(notes[_FIT])
    sums, written = _sums(notes[_FIT], arrays), (notes[_REST], notes[_IMAGE])
    whole = about["key"] == key and sums[0] == written[0]
    return (from_arrays(about, arrays) if whole else None), sums[1] == written[1]


def _sums(text: str, arrays: Mapping[str, np.ndarray]) -> tuple[str, str]:
    """Return a checksum of everything but the image, and one of the image, empty without one."""
    rest = {name: array for name, array in arrays.items() if name != _IMAGE}
    image = {name: array for name, array in arrays.items() if name == _IMAGE}
    return _checksum(text, rest), _checksum("{}", image) if image else ""


def _checksum(text: str, arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(text.encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:32]
