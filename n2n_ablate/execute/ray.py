"""Trains fits on a Ray cluster. The only file that imports ray; a task is a stack."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

# Read by ray while it is imported and started, and by what it starts.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray
from ray.core.generated.gcs_pb2 import GcsNodeInfo
from ray.exceptions import RayError, RayTaskError, RpcError
from torch import Tensor

from n2n_ablate.engine import Fit, Machine, StackSizeCache, failed, stacks_of
from n2n_ablate.engine.device import cores
from n2n_ablate.engine.identity import Fingerprints
from n2n_ablate.errors import ExecutorError
from n2n_ablate.execute import bundle, task
from n2n_ablate.execute.cluster_health import ClusterHealth
from n2n_ablate.execute.process_reaper import ProcessReaper, children
from n2n_ablate.records import FitResult, Point
from n2n_ablate.records.fit import Listener
from n2n_ablate.registry import Registry

logging.getLogger("ray").setLevel(logging.ERROR)

LOSSES = 3
"""How many times a stack may lose its worker or its node and be trained again."""

_TOKEN = " If it wants a token: export RAY_AUTH_MODE=token"
_LOOPBACK = "127.0.0.1"
_STORE = 256 * 2**20  # bytes for images and results on their way; beyond it Ray uses the disk
_ANSWER = 5.0  # seconds for the first node to say who is there
_GLANCE = 1.0  # seconds between looks at what else happened


@dataclass
class _Sent:
    """A stack on its way, and how often its worker was lost."""

    fits: Sequence[Fit]
    losses: int = 0


class Ray:
    """See `Executor`. Ray places stacks on the cores and shares of GPUs that are free.

    Args:
        machine: Device type, precision and size of stacks; which device it is, Ray decides.
        registry: Whose plugin files the workers load.
        address: Of a running cluster; empty to start one on this machine, for loopback only.
        gpus: The share of a GPU that a stack takes, 0 on a CPU.
        cpus: Cores of a cluster that is started; 0 for all.
    """

    def __init__(
        self,
        machine: Machine,
        registry: Registry,
        address: str = "",
        gpus: float = 0.0,
        cpus: int = 0,
    ) -> None:
        self._machine = replace(machine, device=machine.type, workers=1)
        self._registry = registry
        self._prints = Fingerprints(registry)
        self._address = address
        self._gpus = gpus
        self._cpus = cpus or cores()
        self._guard = ProcessReaper()
        self._sizes = StackSizeCache()
        self._told: set[str] = set()
        self._have: Counter[str] = Counter()
        self._images: dict[int, Any] = {}
        self._kept: list[Tensor] = []

    def __enter__(self) -> Self:
        plugins = bundle.packed(self._registry)
        with _handlers_kept():
            try:
                before = children()
                if self._address:
                    here = ray.init(address=self._address, **_QUIET).address_info
                else:
                    here = _start(self._cpus)
                self._guard.watch(children() - before)  # of a cluster that runs elsewhere none
                head = ray.get_runtime_context().gcs_address
                self._pulse = ClusterHealth(head, here["raylet_socket_name"])
                self._plugins = ray.put(plugins)
            except Exception as error:  # ray has no family of errors for this
                self.__exit__()
                reason = (str(error) or type(error).__name__).strip().splitlines()[0]
                where, hint = "on this machine", ""
                if self._address:
                    where, hint = f"at '{self._address}'", _TOKEN
                msg = f"no Ray cluster can be used {where}: {reason.removesuffix('.')}.{hint}"
                raise ExecutorError(msg) from error
        # What Ray tells of a node that died goes to stdout, whatever `_QUIET` says: into the JSON.
        # There is no public switch for that.
        ray._private.worker._worker_logs_enabled = False
        self._images, self._kept = {}, []
        self._train = ray.remote(num_cpus=1, num_gpus=self._gpus, max_retries=0)(task.train)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            ray.shutdown()
        finally:
            self._guard.close()

    @property
    def width(self) -> int:
        """See `Executor.width`."""
        return max(1, self._slots()) * self._machine.stack

    def run(
        self, fits: Sequence[Fit], listener: Listener, note: Callable[[str], None]
    ) -> Iterator[FitResult]:
        """See `Executor.run`. Curves arrive with their fits."""
        stacks = stacks_of(fits, self._machine.stack, self._sizes)
        sent = {self._send(stack): _Sent(stack) for stack in stacks}
        starved = False
        try:
            while sent:
                ready, _ = ray.wait(list(sent), timeout=_GLANCE)
                for reference in ready:
                    for result in self._received(reference, sent, note):
                        _tell(result, listener)
                        yield result
                if not ready and not self._slots() and not starved:
                    starved = True
                    need = f"{self._gpus:g} of a GPU" if self._gpus else "a core"
                    note(f"no node of the cluster has {need} for a stack; waiting for one to join")
        finally:
            for reference in sent:
                with contextlib.suppress(Exception):  # the cluster may be gone
                    ray.cancel(reference, force=True)

    def _received(
        self, reference: Any, sent: dict[Any, _Sent], note: Callable[[str], None]
    ) -> list[FitResult]:
        """Return the results of a stack; none yet if its worker was lost and it was sent again."""
        stack = sent.pop(reference)
        try:
            answer = ray.get(reference)
        except RayTaskError as error:
            raise ExecutorError(_broken(error)) from error
        except RayError as error:
            return self._lost(stack, error, sent, note)
        if "refused" in answer:
            raise ExecutorError(answer["refused"])
        if answer["stack"] is not None:
            self._sizes.learn(stack.fits[0], answer["stack"])
        for line in answer["notes"]:
            if line not in self._told:  # workers that trained at the same time learned the same
                self._told.add(line)
                note(line)
        return [task.unpacked(*parts) for parts in answer["results"]]

    def _lost(
        self, stack: _Sent, error: RayError, sent: dict[Any, _Sent], note: Callable[[str], None]
    ) -> list[FitResult]:
        why = _REASONS.get(type(error).__name__, f"lost its worker ({type(error).__name__})")
        count = len(stack.fits)
        some = "a fit" if count == 1 else f"a stack of {count} fits"
        if stack.losses < LOSSES:
            losses = stack.losses + 1
            note(f"{some} {why}; it is trained again ({losses} of {LOSSES} times)")
            sent[self._send(stack.fits)] = _Sent(stack.fits, losses)
            return []
        if count > 1:  # only the fit at fault has to be lost
            note(f"{some} {why}; it is trained in halves")
            for half in (stack.fits[: count // 2], stack.fits[count // 2 :]):
                sent[self._send(half)] = _Sent(half, LOSSES)
            return []
        return [failed(fit, f"{why}, {LOSSES + 1} times") for fit in stack.fits]

    def _send(self, stack: Sequence[Fit]) -> Any:
        machine = replace(self._machine, stack=len(stack))
        images = [image for fit in stack for image in (fit.noisy, fit.clean, *fit.shots)]
        references = dict.fromkeys(self._put(image) for image in images if image is not None)
        text = task.written(stack, machine, self._prints)
        return self._train.remote(text, self._plugins, *references)

    def _put(self, image: Tensor) -> Any:
        """Return where an image is in the cluster; it is sent once."""
        if id(image) not in self._images:
            self._images[id(image)] = ray.put(task.content(image))
            self._kept.append(image)  # so that no other tensor gets its id
        return self._images[id(image)]

    def _slots(self) -> int:
        """How many stacks fit on the nodes that are there."""
        if self._pulse.beats():
            with contextlib.suppress(RpcError):  # it went at this very moment: the next look tells
                self._have = _resources()
        cpus = int(self._have["CPU"])
        return min(cpus, int(self._have["GPU"] / self._gpus + 1e-6)) if self._gpus else cpus


_QUIET: dict[str, Any] = {
    "log_to_driver": False,
    "configure_logging": False,
    "logging_level": logging.ERROR,
}
_REASONS = {
    "WorkerCrashedError": "lost its worker, which died",
    "NodeDiedError": "lost its node",
    "OutOfMemoryError": "lost its worker, which took too much memory",
}


def _start(cpus: int) -> Mapping[str, Any]:
    """Start a cluster of this machine alone, which nobody else can reach; return its addresses.

    No public option does that. Ray takes the machine's outward address even where it is given the loopback, unless clusters of
    several machines are switched off. Its environment variable for that is read at import only.
    Ray's web server is left out: without the dashboard it only gathers usage statistics, and even where
    these are off, it asks at the addresses of three clouds whether it runs there.
    """
    constants, services = ray._private.ray_constants, ray._private.services
    before, constants.ENABLE_RAY_CLUSTER = constants.ENABLE_RAY_CLUSTER, False
    server, services.start_api_server = services.start_api_server, lambda *_, **__: ("", None)
    try:
        started = ray.init(
            address="local",  # otherwise Ray joins whatever cluster ran here last
            num_cpus=cpus,
            object_store_memory=_STORE,
            include_dashboard=False,
            _node_ip_address=_LOOPBACK,
            **_QUIET,
        )
        addresses: Mapping[str, Any] = started.address_info
        return addresses
    finally:
        constants.ENABLE_RAY_CLUSTER = before
        services.start_api_server = server


def _resources() -> Counter[str]:
    """Return what the nodes that are there have.

    The public `ray.nodes` and `ray.cluster_resources` have no limit of time: where the first node is gone, it waits for a minute,
    then Ray ends this process.
    """
    total: Counter[str] = Counter()
    nodes = ray._private.worker.global_worker.gcs_client.get_all_node_info(timeout=_ANSWER)
    for node in nodes.values():
        if node.state == GcsNodeInfo.ALIVE:
            total.update(node.resources_total)
    return total


@contextlib.contextmanager
def _handlers_kept() -> Iterator[None]:
    """Keep Ray from deciding what SIGTERM does to this process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _tell(result: FitResult, listener: Listener) -> None:
    if len(result.steps):
        last = {name: float(values[-1]) for name, values in result.curves.items()}
        end = int(result.steps[-1])
        listener(Point(result.key, end, end, last))


def _broken(error: RayTaskError) -> str:
    lines = str(error.cause if error.cause is not None else error).strip().splitlines()
    return (
        f"a worker cannot run n2n-ablate: {lines[-1] if lines else type(error).__name__}. "
        "Install the same n2n-ablate on every machine."
    )
