"""Which device, which precision, how many at a time: decided once, by asking the machine."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from n2n_ablate.engine import stacking
from n2n_ablate.engine.compiled import SWITCH, kernel
from n2n_ablate.errors import DeviceError

PRECISIONS = ("auto", "fp32", "tf32", "bf16")


@dataclass(frozen=True)
class Machine:
    """Where fits are trained."""

    device: str  # `cpu`, `cuda` or `cuda:1`
    precision: str  # of the convolutions: `fp32`, `tf32` (CUDA only) or `bf16`
    # fits trained side by side, one thread each. On a GPU 1: the stack fills the card.
    workers: int
    stack: int  # most fits trained as one stacked network
    name: str  # what to call the device in a table
    # how chains of convolutions are computed: by the compiled `kernel`, by the same algorithm with
    # torch's operations (`winograd`), or by torch's convolutions, one of `stacking.WAYS`
    way: str = stacking.DEFAULT

    @property
    def computation(self) -> str:
        """How results are computed, as far as they depend on it: part of the identity of a fit."""
        return f"{self.type} {self.precision} {self.way}"

    @property
    def layout(self) -> torch.memory_format:
        """The order of pixels and channels in memory that the convolutions want."""
        return stacking.of(self.way)[1]

    @property
    def type(self) -> str:
        """`cpu` or `cuda`."""
        return torch.device(self.device).type


def machine(device: str = "auto", precision: str = "auto") -> Machine:
    """Choose a device and a precision that this machine has.

    `device`: `auto` (a GPU if there is one), `cpu`, `cuda` or `cuda:N`; `precision`: `auto`, `fp32` (exact),
    `tf32` or `bf16`. On `auto` a GPU uses tf32, or what `benchmarks/gpu.py` has chosen on it, a CPU fp32 with
    the compiled kernel. Without the kernel a CPU that has bf16 instructions uses them.

    Raises:
        DeviceError: The machine does not have it; the message says what it has.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(device)
    except RuntimeError:
        msg = f"no device is called '{device}'. Use auto, cpu, cuda or cuda:1."
        raise DeviceError(msg) from None
    if precision not in PRECISIONS:
        msg = f"no precision is called '{precision}'. Use {', '.join(PRECISIONS)}."
        raise DeviceError(msg)
    if kind.type == "cuda":
        return _gpu(kind, precision)
    if kind.type != "cpu":
        msg = f"device '{device}' is not supported. Use auto, cpu, cuda or cuda:1."
        raise DeviceError(msg)
    if precision == "tf32":
        msg = "precision 'tf32' needs an NVIDIA GPU. On a CPU use fp32, bf16 or auto."
        raise DeviceError(msg)
    compiled = precision != "bf16" and bool(kernel().instructions)
    if precision == "auto":
        precision = "bf16" if has_bf16() and not compiled else "fp32"
    name = f"CPU ({_cpu_name()}, {cores()} cores)"
    return Machine("cpu", precision, cores(), 1, name, cpu_way(precision, compiled=compiled))


def cpu_way(precision: str, *, compiled: bool) -> str:
    """Return the fastest way on this CPU, with or without the kernel, see docs/results/engine-cpu.md."""
    if precision == "bf16":
        return "channels-last"
    if compiled:
        return "kernel"
    # With AVX-512, torch's own convolutions are faster than Winograd's by its matrix products.
    return stacking.DEFAULT if "AVX512" in torch.backends.cpu.get_cpu_capability() else "winograd"


def require_kernel(machine: Machine) -> None:
    """Check that this process can compute as a machine elsewhere decided.

    Raises:
        DeviceError: The fits are for the compiled kernel, and there is none here.
    """
    if machine.way == "kernel" and not kernel().instructions:
        msg = (
            f"the study computes with the compiled kernel, which is not here ({kernel().reason}). "
            f"Install n2n-ablate with a C compiler here, or start the study with {SWITCH}=off"
        )
        raise DeviceError(msg)


@contextlib.contextmanager
def arithmetic(machine: Machine) -> Iterator[None]:
    """Hold torch to the machine's precision; without it a GPU rounds float32 convolutions to tf32."""
    if machine.type == "cpu":
        yield
        return
    exact = machine.precision == "fp32"
    flags = torch.backends.cudnn.flags(
        enabled=True, benchmark=not exact, deterministic=exact, allow_tf32=not exact
    )
    products, torch.backends.cuda.matmul.allow_tf32 = (
        torch.backends.cuda.matmul.allow_tf32,
        not exact,
    )
    try:
        # Streams and graphs belong to the current device, which may be another one.
        with flags, torch.cuda.device(torch.device(machine.device)):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = products


def require_alive(machine: Machine) -> None:
    """Check that the device still computes: after some errors a GPU refuses all that follows.

    Raises:
        DeviceError: It does not. What failed is then nobody's fault, and no further fit can be trained.
    """
    if machine.type != "cuda":
        return
    try:
        torch.cuda.synchronize(machine.device)
        torch.zeros(1, device=machine.device).add(1).item()
    except torch.OutOfMemoryError:
        return
    except RuntimeError as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        msg = (
            f"{machine.name} has stopped and trains nothing more in this process: {reason} "
            "Finished fits are kept; give the same command again."
        )
        raise DeviceError(msg) from error


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def has_bf16() -> bool:
    """Say whether the CPU multiplies bf16 numbers in hardware; in software it would be slower."""
    if torch.backends.cpu.get_cpu_capability() in ("DEFAULT", "AVX2"):  # also if it is held to that
        return False
    capable = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in capable)


def _gpu(device: torch.device, precision: str) -> Machine:
    if not torch.cuda.is_available():
        msg = "device 'cuda': torch sees no NVIDIA GPU on this machine. Use --device cpu."
        raise DeviceError(msg)
    count = torch.cuda.device_count()
    if (device.index or 0) >= count:
        msg = f"device '{device}': this machine has {count} GPU(s), counted from cuda:0."
        raise DeviceError(msg)
    name = torch.cuda.get_device_name(device)
    choice = stacking.chosen(str(device), name)
    if precision == "auto":
        precision = choice.get("precision", "tf32")
    return Machine(str(device), precision, 1, 64, name, way=choice["way"])


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123  a device, not a file
            lines = [line for line in file if line.startswith("model name")]
        return lines[0].partition(":")[2].strip()
    except (OSError, IndexError):
        return platform.processor() or platform.machine()
