"""Which executor the user asked for, and what that means for the machine that fits are made for."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace

from n2n_ablate.engine import Machine, machine
from n2n_ablate.engine.device import PRECISIONS
from n2n_ablate.errors import DeviceError, ExecutorError, StudyError
from n2n_ablate.execute.cluster_health import unanswered
from n2n_ablate.execute.executor import Executor, Local
from n2n_ablate.registry import Registry

EXECUTORS = ("local", "ray")
_STACK = 64  # fits that fill a GPU
_PATIENCE = 5.0  # seconds for a cluster to take a connection


@dataclass(frozen=True)
class Choice:
    """An executor as asked for on the command line, unchecked."""

    name: str = "local"  # one of `EXECUTORS`
    address: str = ""  # of a running Ray cluster; empty to start one on this machine
    # the share of a GPU that a stack of fits takes on Ray, 0 for the CPU; None if the user left it
    # to the device
    gpus: float | None = None

    def check(self) -> None:
        """Check what can be checked before anything is read.

        Raises:
            StudyError: There is no such executor, or it does not take what was given.
            ExecutorError: It is not installed, or nobody listens at the address.
        """
        if self.name not in EXECUTORS:
            msg = f"--executor cannot be '{self.name}'. Use {' or '.join(EXECUTORS)}."
            raise StudyError(msg)
        for option, given in (("--address", self.address), ("--gpus-per-stack", self.gpus)):
            if given and self.name != "ray":
                msg = f"{option} {given} is for a Ray cluster: add --executor ray."
                raise StudyError(msg)
        if self.gpus is not None and not 0 <= self.gpus <= 1:
            msg = f"--gpus-per-stack must be in the range 0 to 1 (a stack uses one GPU), got {self.gpus:g}"
            raise StudyError(msg)
        if self.name == "ray" and importlib.util.find_spec("ray") is None:
            msg = "Ray is not installed: pip install 'n2n-ablate[ray]'"
            raise ExecutorError(msg)
        if self.address:
            _require_answer(self.address)

    def machine(self, device: str, precision: str) -> Machine:
        """Return what fits are made for; on Ray this machine need not have it.

        Raises:
            DeviceError: See `engine.machine`; or the device and the share of a GPU contradict.
        """
        if self.name == "local":
            return machine(device, precision)
        if ":" in device:
            msg = f"device '{device}': on Ray the cluster chooses the GPU. Use --device cuda."
            raise DeviceError(msg)
        if self._share(device) == 0:
            return replace(machine("cpu", precision), name=self._place)
        if device == "cpu":
            msg = f"--device cpu and --gpus-per-stack {self.gpus:g} contradict each other"
            raise DeviceError(msg)
        if precision not in PRECISIONS:
            msg = f"no precision is called '{precision}'. Use {', '.join(PRECISIONS)}."
            raise DeviceError(msg)
        stack = max(1, round(_STACK * self._share(device)))
        precision = "tf32" if precision == "auto" else precision
        return Machine("cuda", precision, 1, stack, self._place)

    def executor(self, machine: Machine, registry: Registry) -> Executor:
        """Return the executor, not opened yet."""
        if self.name == "local":
            return Local(machine)
        from n2n_ablate.execute.ray import Ray

        return Ray(machine, registry, self.address, self._share(machine.device))

    def _share(self, device: str) -> float:
        if self.gpus is not None:
            return self.gpus
        return 1.0 if device == "cuda" else 0.0

    @property
    def _place(self) -> str:
        return f"Ray at {self.address}" if self.address else "Ray on this machine"


def _require_answer(address: str) -> None:
    """Check that somebody listens: Ray itself would wait for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host or not port.isdigit():
        msg = f"--address must be HOST:PORT, as `ray start --head` prints it, got '{address}'"
        raise StudyError(msg)
    if reason := unanswered(address, _PATIENCE):
        msg = (
            f"no Ray cluster answers at '{address}': {reason}. "
            "Start one with: ray start --head --disable-usage-stats"
        )
        raise ExecutorError(msg)
