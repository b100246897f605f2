"""What happens on a GPU; without one, as far as a device without values can tell."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from n2n_ablate.testing.promise import BrokenPromiseError, NotTried

_OTHER_DEVICE = (
    "two different devices",
    "same device",
    "not on the expected device",
    "device meta, but",
)

_IN_PLACE = ("add_", "sub_", "mul_", "div_", "lerp_", "addcmul_", "addcdiv_")
_LET_PASS = ("where", "index_select", "gather", "matmul", "conv2d", *_IN_PLACE)


def on_gpu(work: Callable[[torch.device], object]) -> None:
    """Do something on a GPU. Without one torch's device `meta` stands in, which has no values.

    Raises:
        BrokenPromiseError: Tensors on several devices met.
        NotTried: There is no GPU, and the stand-in cannot do it: it takes values to do.
    """
    real = torch.cuda.is_available()
    try:
        with nullcontext() if real else _OneDevice():
            work(torch.device("cuda" if real else "meta"))
    except BrokenPromiseError:
        raise
    except Exception as error:
        first = (str(error) or type(error).__name__).splitlines()[0]
        if any(words in str(error) for words in _OTHER_DEVICE):
            msg = f"on a GPU, a tensor stays on the CPU: {first}"
            raise BrokenPromiseError(msg) from error
        if real:
            raise
        msg = f"there is no GPU, and torch's device 'meta' cannot stand in: {first}"
        raise NotTried(msg) from error


class _OneDevice(TorchFunctionMode):
    """Says of some functions what a real GPU says of them: torch lets them pass on `meta`."""

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        if getattr(func, "__name__", "") in _LET_PASS:
            tensors = (
                argument for argument in args if isinstance(argument, Tensor) and argument.dim()
            )
            if len({argument.device.type for argument in tensors}) > 1:
                msg = f"torch.{func.__name__} needs all tensors on the same device"
                raise BrokenPromiseError(msg)
        return func(*args, **(kwargs or {}))
