"""One training step as a CUDA graph: recorded once, checked against calls, then replayed.

A step of these small networks is some hundred short kernels; started one by one they leave the
card idle most of the time. A recording holds kernels and addresses, nothing of Python: whatever a
component keeps there (a counter, a list, the time) would stay as it was. So a recording counts only
if it repeats what calls have just done.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from n2n_ablate.errors import on_failure

_CALLED = 3  # steps before the recording: they make the optimiser's state and choose the kernels
_COMPARED = 2  # how many of them the recording has to repeat

_LOSS = 1e-4
_CHANGE = 1e-2
"""Largest relative differences between a call and its replay: of a loss, and of what a step does to
weights, gradient and optimiser (in norm, per tensor). A GPU may add up gradients in another order."""

Work: TypeAlias = Callable[[], Tensor]


class Recorder(Protocol):
    """What can record work on a device."""

    def call(self, work: Work) -> Tensor:
        """Do the work now, in such a way that it can be recorded later."""
        ...

    def record(self, work: Work) -> tuple[Callable[[], None], Tensor]:
        """Record the work without doing it; return what does it, and the losses that it overwrites.

        Raises:
            Exception: The work cannot be recorded. The device is as it was before.
        """
        ...


class Replay:
    """Calls `work` a few times, then records it and replays the recording.

    What cannot be recorded, or does not repeat the calls before it, is called for good: slower, with
    the same results. The first calls are true steps, so no step is done twice.

    Args:
        work: One step; reads and writes the same tensors each time, returns the losses (b,).
        state: Returns the tensors that a step goes on with: all that it changes or is steered by.
        outside: Returns what a step may change where no recording reaches, see `python_state`.

    Attributes:
        failure: Why steps are called; empty while they are, or will be, replayed.
    """

    def __init__(
        self,
        work: Work,
        state: Callable[[], Sequence[Tensor]],
        recorder: Recorder,
        outside: Callable[[], object] = lambda: None,
    ) -> None:
        self._work = work
        self._state = state
        self._recorder = recorder
        self._outside = outside
        self._calls = 0
        self._seen: list[_Step] = []
        self._replay: Callable[[], None] | None = None
        self._loss: Tensor | None = None
        self.failure = ""

    @property
    def recorded(self) -> bool:
        """Whether steps are replayed by now."""
        return self._replay is not None

    def __call__(self) -> Tensor:
        """Do one step and return the losses, in a tensor that the next call may overwrite.

        Raises:
            torch.OutOfMemoryError: Also while recording: a recording needs memory too.
        """
        self._calls += 1
        if self._calls <= _CALLED:
            return self._called(keep=self._calls > _CALLED - _COMPARED)
        if self._calls == _CALLED + 1:
            self._record()
            self._seen.clear()
        if self._replay is None or self._loss is None:
            return self._work()
        self._replay()
        return self._loss

    def _called(self, *, keep: bool) -> Tensor:
        if not keep:
            return self._recorder.call(self._work)
        tensors, outside = self._state(), self._outside()
        before = _copies(tensors)
        loss = self._recorder.call(self._work)
        after = _copies(self._state())
        self._seen.append(_Step(tensors, outside, before, loss.detach().clone(), after))
        return loss

    def _record(self) -> None:
        tensors, outside = self._state(), self._outside()
        if any(step.outside != outside for step in self._seen):
            self.failure = "a component changes itself in every step"
            return
        if any(_addresses(step.tensors) != _addresses(tensors) for step in self._seen):
            self.failure = "the optimiser keeps its state in other tensors after every step"
            return
        now = _copies(tensors)
        try:
            replay, loss = self._recorder.record(self._work)
            self.failure = self._compared(replay, loss, tensors)
        except Exception as error:  # noqa: BLE001  e.g. a component that asks for a value
            if lack := _in_chain(error, torch.OutOfMemoryError):
                raise lack from None
            self.failure = _told(_first(error))
        finally:
            _restore(tensors, now)
        if not self.failure:
            self._replay, self._loss = replay, loss

    def _compared(self, replay: Callable[[], None], loss: Tensor, tensors: Sequence[Tensor]) -> str:
        """Return in what the recording differs from the calls, empty if it does the same."""
        for step in self._seen:
            _restore(tensors, step.before)
            replay()
            if not torch.allclose(loss, step.loss, rtol=_LOSS, atol=0, equal_nan=True):
                return "the loss is another when it is called, so something in Python changes it"
            for before, called, replayed in zip(step.before, step.after, tensors, strict=True):
                if not _alike(called - before, replayed - before):
                    return "a recorded step moves the weights in another way than a called one"
        return ""


class CudaRecorder:
    """Records CUDA graphs."""

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device)

    def call(self, work: Work) -> Tensor:
        """See `Recorder.call`: what is allocated and chosen on the recording stream, once."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            loss = work()
        torch.cuda.current_stream().wait_stream(self._stream)
        return loss

    def record(self, work: Work) -> tuple[Callable[[], None], Tensor]:
        """See `Recorder.record`. Other threads may use the card meanwhile."""
        graph = torch.cuda.CUDAGraph()
        current = torch.cuda.current_stream()

        def put_back() -> None:
            # A recording that ends badly may leave its stream behind as the current one.
            torch.cuda.set_stream(current)
            with contextlib.suppress(RuntimeError):  # what ended the recording has to be raised
                torch.cuda.synchronize()

        mode = "thread_local"
        with (
            on_failure(put_back),
            torch.cuda.graph(graph, stream=self._stream, capture_error_mode=mode),
        ):
            loss = work()
        return graph.replay, loss


@dataclass(frozen=True, eq=False)
class _Step:
    """What a called step went on with, and what it did to that."""

    tensors: Sequence[Tensor]
    outside: object
    before: Sequence[Tensor]
    loss: Tensor
    after: Sequence[Tensor]


def python_state(component: object, depth: int = 5) -> object:
    """Return what a component holds beside the values of its tensors, for comparison.

    `depth`: how far to follow attributes and containers; beyond, identity is all that counts.
    """
    if component is None or isinstance(component, str | bytes | int | float | complex):
        return component
    if isinstance(component, torch.Generator):
        return bytes(component.get_state().tolist())
    if depth and isinstance(component, Mapping):
        return [(key, python_state(value, depth - 1)) for key, value in component.items()]
    if depth and isinstance(component, list | tuple):
        return [python_state(value, depth - 1) for value in component]
    state = None if isinstance(component, Tensor | type) else getattr(component, "__dict__", None)
    return (id(component), python_state(state, depth - 1) if depth and state else None)


def _copies(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in tensors]


@torch.no_grad()
def _restore(tensors: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for tensor, value in zip(tensors, values, strict=True):
        tensor.copy_(value)


def _addresses(tensors: Sequence[Tensor]) -> list[int]:
    return [tensor.data_ptr() for tensor in tensors]


def _alike(called: Tensor, replayed: Tensor) -> bool:
    """Compare two changes; a fit that has diverged may not hide the others of its stack."""
    known = called.isfinite()
    if not torch.equal(known, replayed.isfinite()):
        return False
    called, replayed = (torch.where(known, each, 0.0).double() for each in (called, replayed))
    return bool((called - replayed).norm() <= _CHANGE * called.norm())


def _in_chain(error: BaseException, kind: type[BaseException]) -> BaseException | None:
    chain = _chain(error)
    return next((each for each in chain if isinstance(each, kind)), None)


def _first(error: BaseException) -> BaseException:
    """Return where it began: the end of a broken recording raises another error."""
    return _chain(error)[-1]


def _chain(error: BaseException) -> list[BaseException]:
    chain = [error]
    while (before := chain[-1].__cause__ or chain[-1].__context__) and before not in chain:
        chain.append(before)
    return chain


def _told(error: BaseException) -> str:
    lines = str(error).splitlines()
    return (
        f"it cannot be recorded ({type(error).__name__}{': ' if lines else ''}{''.join(lines[:1])})"
    )
