"""One training step as a CUDA graph: recorded once, then started by a single call.

A step of these small networks is some hundred short kernels; started one by one they leave the
card idle most of the time.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from n2n_ablate.engine.faults import FaultError

_WARM = 3  # steps before the recording: they make the optimiser's state and choose the kernels


class Replay:
    """Calls `work` a few times, then records it and replays the recording.

    Whatever cannot be recorded is called as it is, for good: slower, with the same results. The
    first calls are true steps, and a recording does no work, so no step is done twice.

    Args:
        work: One step; reads and writes the same tensors each time, returns the losses.
        device: A CUDA device.
    """

    def __init__(self, work: Callable[[], Tensor], device: torch.device) -> None:
        self._work = work
        self._calls = 0
        self._stream = torch.cuda.Stream(device)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._loss: Tensor | None = None
        self.failure = ""

    def __call__(self) -> Tensor:
        """Do one step and return the losses, in a tensor that the next call overwrites."""
        if self._calls == _WARM and not self.failure:
            self._record()
        self._calls += 1
        if self._graph is not None and self._loss is not None:
            self._graph.replay()
            return self._loss
        return self._warm() if self._calls <= _WARM else self._work()

    def _warm(self) -> Tensor:
        # A recording needs what was allocated and chosen on a stream of its own.
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            loss = self._work()
        torch.cuda.current_stream().wait_stream(self._stream)
        return loss

    def _record(self) -> None:
        graph = torch.cuda.CUDAGraph()
        current = torch.cuda.current_stream()
        try:
            with torch.cuda.graph(graph, stream=self._stream):
                self._loss = self._work()
        except (RuntimeError, FaultError) as error:  # e.g. a component that asks for a value
            self.failure = str(error) or type(error).__name__
            # A recording that ends badly may leave its own stream behind as the current one.
            torch.cuda.set_stream(current)
            torch.cuda.synchronize()
            return
        self._graph = graph
