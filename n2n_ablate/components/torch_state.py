"""What all of a process share, and no plugin may change: settings of torch, the working folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_UNKNOWN = object()
# Name in a message, how torch reads it, how torch writes it, and the value that it starts with.
_SETTINGS: tuple[tuple[str, str, str, object], ...] = (
    ("torch's default dtype", "get_default_dtype", "set_default_dtype", "float32"),
    ("torch's default device", "get_default_device", "set_default_device", None),
    ("whether torch records gradients", "is_grad_enabled", "set_grad_enabled", True),
    (
        *("the precision of torch's matrix products", "get_float32_matmul_precision"),
        *("set_float32_matmul_precision", "highest"),
    ),
    (
        *("whether torch is deterministic", "get_deterministic_debug_mode"),
        *("set_deterministic_debug_mode", 0),
    ),
    ("torch's number of threads", "get_num_threads", "set_num_threads", _UNKNOWN),
    ("cudnn.benchmark of torch", "benchmark", "", False),
    ("cudnn.deterministic of torch", "deterministic", "", False),
    ("cudnn.allow_tf32 of torch", "allow_tf32", "", True),
)


@contextmanager
def preserve_torch_state() -> Iterator[list[str]]:
    """Put everything back at the end; the list then holds the names of what was changed inside.

    Torch is not imported for it. If that happens inside, its settings are those it starts with.
    """
    changed: list[str] = []
    before = _state() if "torch" in sys.modules else None
    folder = _folder()
    try:
        yield changed
    finally:
        if "torch" in sys.modules:
            changed += _restore(_initial() if before is None else before)
        if folder and _folder() != folder:
            with suppress(OSError):  # it may be gone
                os.chdir(folder)
            changed.append("the working folder")


def reset() -> None:
    """Give torch the settings that it starts with, as far as they are the same everywhere."""
    if "torch" in sys.modules:
        _restore(_initial())


def changes(names: list[str]) -> str:
    """Return what was changed as the end of a sentence whose subject changed it."""
    return f"changes {' and '.join(names)}, which all components share"


def _state() -> list[object]:
    torch, found = sys.modules["torch"], []
    for _, read, write, _ in _SETTINGS:
        try:
            found.append(getattr(torch, read)() if write else getattr(torch.backends.cudnn, read))
        except Exception:  # noqa: BLE001  a device that this machine does not have, say
            found.append(_UNKNOWN)
    return found


def _initial() -> list[object]:
    torch: Any = sys.modules["torch"]
    values = [value for *_, value in _SETTINGS]
    return [torch.float32, torch.device("cpu"), *values[2:]]


def _restore(wanted: list[object]) -> list[str]:
    """Give torch these settings; return the names of those that were others."""
    torch: Any = sys.modules["torch"]
    changed = []
    for (name, read, write, _), value, now in zip(_SETTINGS, wanted, _state(), strict=True):
        if value is _UNKNOWN or value == now:
            continue
        changed.append(name)
        if write:
            # A device that is set costs time at every call, the CPU too; None does not.
            getattr(torch, write)(None if value == torch.device("cpu") else value)
        else:
            setattr(torch.backends.cudnn, read, value)
    return changed


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109  this is asked at every call of a component
    except OSError:
        return ""
