"""What all of a process share, and no plugin may change: settings of torch, the working folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_UNKNOWN = object()


@dataclass(frozen=True)
class _Setting:
    """A setting of torch: how it is called, read from torch, written to it, and what it is at first."""

    name: str
    read: Callable[[Any], object]
    write: Callable[[Any, Any], object]
    initial: Callable[[Any], object] = lambda torch: _UNKNOWN


def _switch(name: str, module: str, attribute: str, *, initial: bool) -> _Setting:
    return _Setting(
        name,
        lambda torch: getattr(getattr(torch.backends, module), attribute),
        lambda torch, value: setattr(getattr(torch.backends, module), attribute, value),
        lambda torch: initial,
    )


_SETTINGS = (
    _Setting(
        "torch's default dtype",
        lambda torch: torch.get_default_dtype(),
        lambda torch, value: torch.set_default_dtype(value),
        lambda torch: torch.float32,
    ),
    _Setting(
        "torch's default device",
        lambda torch: torch.get_default_device(),
        # A device that is set costs time at every call, the CPU too; None does not.
        lambda torch, value: torch.set_default_device(None if value.type == "cpu" else value),
        lambda torch: torch.device("cpu"),
    ),
    _Setting(
        "whether torch records gradients",
        lambda torch: torch.is_grad_enabled(),
        lambda torch, value: torch.set_grad_enabled(value),
        lambda torch: True,
    ),
    _Setting(
        "the precision of torch's matrix products",
        lambda torch: torch.get_float32_matmul_precision(),
        lambda torch, value: torch.set_float32_matmul_precision(value),
        lambda torch: "highest",
    ),
    _Setting(
        "whether torch is deterministic",
        lambda torch: torch.get_deterministic_debug_mode(),
        lambda torch, value: torch.set_deterministic_debug_mode(value),
        lambda torch: 0,
    ),
    _Setting(
        "torch's number of threads",
        lambda torch: torch.get_num_threads(),
        lambda torch, value: torch.set_num_threads(value),
    ),
    _switch("cudnn.benchmark of torch", "cudnn", "benchmark", initial=False),
    _switch("cudnn.deterministic of torch", "cudnn", "deterministic", initial=False),
    _switch("cudnn.allow_tf32 of torch", "cudnn", "allow_tf32", initial=True),
)


@contextmanager
def preserve_torch_state() -> Iterator[list[str]]:
    """Put everything back at the end; the list then holds the names of what was changed inside.

    Torch is not imported for it. If that happens inside, its settings are those it starts with.
    """
    changed: list[str] = []
    torch = sys.modules.get("torch")
    before = [_read(setting, torch) if torch else _UNKNOWN for setting in _SETTINGS]
    folder = _folder()
    try:
        yield changed
    finally:
        if torch is None and (torch := sys.modules.get("torch")):
            before = [setting.initial(torch) for setting in _SETTINGS]
        for setting, value in zip(_SETTINGS, before, strict=True):
            if value is not _UNKNOWN and _read(setting, torch) != value:
                setting.write(torch, value)
                changed.append(setting.name)
        if folder and _folder() != folder:
            with suppress(OSError):  # it may be gone
                os.chdir(folder)
            changed.append("the working folder")


def reset() -> None:
    """Give torch the settings that it starts with, as far as they are the same everywhere."""
    if torch := sys.modules.get("torch"):
        for setting in _SETTINGS:
            value = setting.initial(torch)
            if value is not _UNKNOWN and _read(setting, torch) != value:
                setting.write(torch, value)


def changes(names: list[str]) -> str:
    """Return what was changed as the end of a sentence whose subject changed it."""
    return f"changes {' and '.join(names)}, which all components share"


def _read(setting: _Setting, torch: Any) -> object:
    try:
        return setting.read(torch)
    except Exception:  # noqa: BLE001  a device that this machine does not have, say
        return _UNKNOWN


def _folder() -> str:
    try:
        return str(Path.cwd())
    except OSError:
        return ""
