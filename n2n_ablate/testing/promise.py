"""What a promise is: a test of a contract, with one sentence that says what is promised."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

GENERATORS = ("torch", "numpy", "Python")
"""The generators that belong to everybody, and that no component may use."""

_OTHER_DEVICE = (
    "two different devices",
    "same device",
    "not on the expected device",
    "device meta, but",
)


class BrokenPromiseError(AssertionError):
    """A promise that was not kept; the message says what was seen."""


_LET_PASS = ("where", "index_select", "gather", "matmul", "conv2d")


@dataclass(frozen=True)
class Promise:
    """One promise of a kind.

    Attributes:
        name: The name of its test.
        sentence: What is promised, in words.
    """

    name: str
    sentence: str


def promises_of(contract: type) -> tuple[Promise, ...]:
    """Return the promises of a contract in the order in which they are written down."""
    tests: dict[str, str] = {}
    for base in reversed(contract.__mro__):
        for name, item in vars(base).items():
            if name.startswith("test_"):
                tests[name] = (item.__doc__ or "").strip().partition("\n")[0]
    return tuple(Promise(name, sentence) for name, sentence in tests.items())


def require(kept: bool | Tensor, seen: str) -> None:
    """Raise if a promise is not kept. Unlike an assertion it also holds under `python -O`.

    Raises:
        BrokenPromiseError: `kept` is false; the message is `seen`, a sentence without its full stop.
    """
    if not bool(kept):
        raise BrokenPromiseError(seen)


def rng(seed: int = 0) -> torch.Generator:
    """Return a CPU generator with a fixed seed."""
    return torch.Generator().manual_seed(seed)


def picture(*shape: int, seed: int = 0) -> Tensor:
    """Return random pixels in 0.1..1: none is 0, so every pixel can be told from its absence."""
    return 0.1 + 0.9 * torch.rand(shape, generator=rng(seed))


def shape_of(image: object) -> str:
    """Return a shape as a user writes it: `1x3x24x24`; for what is no tensor its type."""
    if isinstance(image, Tensor):
        return "x".join(map(str, image.shape)) or "a single number"
    return f"a {type(image).__name__}"


def values_of(image: Tensor) -> str:
    """Return the range of values of a tensor in words."""
    if not image.isfinite().all():
        return f"{int((~image.isfinite()).sum())} of {image.numel()} values that are not finite"
    return f"values from {image.min():.4g} to {image.max():.4g}"


@contextmanager
def global_seeds(seed: int, *names: str) -> Iterator[None]:
    """Seed some of the global generators inside, and put all of them back afterwards."""
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    seeds: dict[str, Callable[[int], object]] = {
        "torch": torch.manual_seed,
        "numpy": np.random.seed,
        "Python": random.seed,
    }
    with torch.random.fork_rng(devices=[]):
        for name in names:
            seeds[name](seed)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)


def heeded_generators(work: Callable[[], object]) -> list[str]:
    """Return which global generators the result of `work` depends on: tensors, or tuples of them."""
    if not _heeds(work, *GENERATORS):
        return []
    return [name for name in GENERATORS if _heeds(work, name)]


def advanced_generators(work: Callable[[], object]) -> list[str]:
    """Return which global generators `work` advances or seeds without using their numbers."""
    with global_seeds(987_654_321, *GENERATORS):  # a seed that nobody would set
        before = _states()
        work()
        touched = [name for name, own in _states().items() if own != before[name]]
    # Whoever uses the numbers of one advances it too, and breaks another promise.
    return [name for name in touched if not _heeds(work, name)]


def _heeds(work: Callable[[], object], *names: str) -> bool:
    results = []
    for seed in range(4):
        with global_seeds(seed, *names):
            results.append(work())
    return not all(alike(result, results[0]) for result in results)


def farthest(one: Tensor, other: Tensor) -> float:
    """Return the largest difference between two tensors."""
    return float((one.detach() - other.detach()).abs().max())


def alike(one: object, other: object) -> bool:
    """Say whether two results are equal, bit for bit; NaN equals NaN."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.shape == other.shape and torch.equal(one.nan_to_num(), other.nan_to_num())
    return one == other


def on_gpu(work: Callable[[torch.device], object]) -> None:
    """Do something on a GPU. Without one torch's device `meta` stands in, which has no values.

    Raises:
        BrokenPromiseError: Tensors on several devices met.
    """
    real = torch.cuda.is_available()
    try:
        with nullcontext() if real else _OneDevice():
            work(torch.device("cuda" if real else "meta"))
    except BrokenPromiseError:
        raise
    except Exception as error:
        if any(words in str(error) for words in _OTHER_DEVICE):
            first = str(error).splitlines()[0]
            msg = f"on a GPU, a tensor stays on the CPU: {first}"
            raise BrokenPromiseError(msg) from error
        if real:
            raise
        # What depends on values cannot run there; the other promises have run it for real.


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
            tensors = (item for item in args if isinstance(item, Tensor) and item.dim())
            if len({item.device.type for item in tensors}) > 1:
                msg = f"torch.{func.__name__} needs all tensors on the same device"
                raise BrokenPromiseError(msg)
        return func(*args, **(kwargs or {}))


def _states() -> dict[str, object]:
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": repr(numpy_state),
        "Python": random.getstate(),
    }
