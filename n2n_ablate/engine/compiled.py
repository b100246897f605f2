"""The compiled chain: float32 on a CPU, one thread a fit, several times as fast as torch's convolutions.

`kernel/chain.c` says how it computes. It is built once per instruction set at installation, where
there is a C compiler; which build is used follows torch's choice for this processor. Where there
is none, or where it does not agree with torch, `reason` says so and torch computes (see `chain`).
"""

from __future__ import annotations

import ctypes
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import conv_transpose2d

from n2n_ablate.engine.layout import Layout
from n2n_ablate.engine.weights import Packing

SWITCH = "N2N_ABLATE_KERNEL"
"""An environment variable: `off` computes without the compiled kernel."""

_INSTRUCTION_SETS = {"AVX512": ("avx512", "AVX-512"), "AVX2": ("avx2", "AVX2")}
_POINTER, _LONG = ctypes.c_void_p, ctypes.c_long
_LARGE = 2**13  # pixels from which filling buffers anew costs nothing beside a step
_ROUNDING = 1e-4  # relative, of the self-check


class _Shape(ctypes.Structure):
    """The struct `Chain` of chain.c."""

    _sizes = ("channels", "width", "inner", "residual")
    _fields_ = (*((name, _LONG) for name in _sizes), ("slope", ctypes.c_float))


@dataclass(frozen=True)
class Kernel:
    """The kernel of this machine: what it was built for, such as `AVX2`; or the reason why there is none."""

    instructions: str
    reason: str
    library: ctypes.CDLL | None = None


@cache
def kernel() -> Kernel:
    """Load the kernel and compare it with torch, once per process."""
    if os.environ.get(SWITCH, "").lower() in ("off", "0", "no", "false"):
        return Kernel("", f"switched off by {SWITCH}")
    name, instructions = _INSTRUCTION_SETS.get(
        torch.backends.cpu.get_cpu_capability(), ("generic", "any processor")
    )
    paths = [Path(__file__).parent / "kernel" / f"_{name}{end}" for end in EXTENSION_SUFFIXES]
    built = [path for path in paths if path.exists()]
    if not built:
        return Kernel("", "it was not built: no C compiler (GCC or Clang) at installation")
    try:
        library = _declare(ctypes.CDLL(str(built[0])))
    except (OSError, AttributeError) as error:
        return Kernel("", f"it cannot be loaded: {error}")
    difference = _self_check(library)
    if not difference < _ROUNDING:  # also if it is NaN
        return Kernel("", f"it disagrees with torch on this machine (by {difference:.1e})")
    return Kernel(instructions, "", library)


def _declare(library: ctypes.CDLL) -> ctypes.CDLL:
    for name in ("packed", "sums", "scratch", "wide", "forward_stages", "backward_stages"):
        function = getattr(library, f"chain_{name}")
        function.restype, function.argtypes = _LONG, [_POINTER]
    for name in ("saved", "bands"):
        function = getattr(library, f"chain_{name}")
        function.restype, function.argtypes = _LONG, [_POINTER, _LONG, _LONG]
    library.chain_pack.argtypes = [_POINTER, _POINTER, _POINTER, ctypes.c_int]
    library.chain_unpack.argtypes = [_POINTER, _POINTER, _POINTER]
    sizes, band = [_LONG, _LONG], [_LONG, _LONG]
    library.chain_forward.argtypes = [*[_POINTER] * 4, *sizes, *[_POINTER] * 3, *band]
    library.chain_backward.argtypes = [*[_POINTER] * 3, *sizes, *[_POINTER] * 3, *band]
    for name in ("pack", "unpack", "forward", "backward"):
        getattr(library, f"chain_{name}").restype = None
    return library


class CompiledChain:
    """One network, computed by the kernel.

    Buffers are used again from step to step. So an instance belongs to one thread at a time. Where torch
    may use several threads, images of more than some hundred tiles are shared out among as many; the
    bits of a result do not depend on their number.

    Args:
        packing: Where the weights lie in their row.
        residual: Whether the network's output is subtracted from its input.
    """

    def __init__(
        self, layout: Layout, packing: Packing, library: ctypes.CDLL, *, residual: bool
    ) -> None:
        self._shape = _Shape(layout.channels, layout.width, layout.inner, residual, layout.slope)
        self.packing = packing
        self.residual = residual
        self.layout = layout
        self.library = library
        self.at = ctypes.addressof(self._shape)
        self._free: defaultdict[int, list[Tensor]] = defaultdict(list)
        self._packed = library.chain_packed(self.at)
        self.sums = library.chain_sums(self.at)
        self._scratch = library.chain_scratch(self.at)
        self._stages = library.chain_forward_stages(self.at), library.chain_backward_stages(self.at)

    def __call__(self, weights: Tensor, images: Sequence[Tensor]) -> list[Tensor]:
        """Denoise float32 images (n, c, h, w) of any shapes with the weights (1, n)."""
        return list(_Pass.apply(weights, self, *images))  # type: ignore[no-untyped-call]

    def take(self, size: int) -> Tensor:
        """Return a buffer; the kernel leaves zeros where it needs them."""
        return self._free[size].pop() if self._free[size] else torch.zeros(size)

    def give(self, *buffers: Tensor) -> None:
        """Take buffers back."""
        for buffer in buffers:
            self._free[buffer.numel()].append(buffer)

    def let_go(self) -> None:
        """Free the buffers that lie ready for the next step."""
        self._free.clear()

    def pack(self, weights: Tensor, *, backward: bool) -> Tensor:
        """Return the weights (1, n) as the kernel wants them."""
        packed = self.take(self._packed)
        row = weights.detach().contiguous()
        self.library.chain_pack(self.at, row.data_ptr(), packed.data_ptr(), backward)
        return packed

    def forward(self, packed: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the network makes of one image (c, h, w), and what `backward` needs."""
        _, height, width = image.shape
        saved = self.take(self.library.chain_saved(self.at, height, width))
        out = torch.empty(image.shape)
        strides = (_LONG * 3)(*image.stride())

        def work(stage: int, band: int, scratch: Tensor) -> None:
            self.library.chain_forward(
                self.at, packed.data_ptr(), image.data_ptr(), strides, height, width,
                saved.data_ptr(), scratch.data_ptr(), out.data_ptr(), stage, band,
            )  # fmt: skip

        self._run(self._stages[0], self.bands(height, width), work)
        return out, saved

    def backward(self, packed: Tensor, gradient: Tensor, saved: Tensor, sums: Tensor) -> None:
        """Add the gradient of the weights to `sums`, given that of one result (c, h, w)."""
        _, height, width = gradient.shape
        dense = gradient.contiguous()

        def work(stage: int, band: int, scratch: Tensor) -> None:
            self.library.chain_backward(
                self.at, packed.data_ptr(), dense.data_ptr(), height, width,
                saved.data_ptr(), scratch.data_ptr(), sums[band].data_ptr(), stage, band,
            )  # fmt: skip

        self._run(self._stages[1], self.bands(height, width), work)

    def bands(self, height: int, width: int) -> int:
        """Return into how many bands the passes share an image out."""
        return int(self.library.chain_bands(self.at, height, width))

    def _run(self, stages: int, bands: int, work: Callable[[int, int, Tensor], None]) -> None:
        threads = min(bands, torch.get_num_threads())
        buffers = [self.take(self._scratch) for _ in range(threads)]

        def share(stage: int, worker: int) -> None:
            for band in range(worker, bands, threads):
                work(stage, band, buffers[worker])

        for stage in range(stages):
            others = [_helpers().submit(share, stage, worker) for worker in range(1, threads)]
            share(stage, 0)
            for other in others:
                other.result()
        self.give(*buffers)

    def gradient(self, sums: Tensor) -> Tensor:
        """Return the sums as the gradient of the weights (1, n), and take the buffer back."""
        row = torch.empty(1, sum(self.packing.sizes))
        whole = sums[0]
        for band in sums[1:]:
            whole += band
        self.library.chain_unpack(self.at, whole.data_ptr(), row.data_ptr())
        self.give(sums.flatten())
        return row

    def of_image(self, weights: Tensor, gradient: Tensor, saved: Tensor) -> Tensor:
        """Return the gradient of one input (c, h, w), after `backward` for the same image."""
        _, h, w = gradient.shape
        # The gradient before the first activation lies where chain.c keeps the first activation.
        layout = self.layout
        rows, columns = (4 * -(-side // 4) + 2 for side in (h, w))
        wide = self.library.chain_wide(self.at)
        room = -(-rows * columns * wide // 16) * 16
        layers = saved[-(layout.inner + 1) * room :]
        inner = layers[: rows * columns * wide].view(rows, columns, wide)
        before = inner[1 : h + 1, 1 : w + 1, : layout.width].permute(2, 0, 1)[None]
        first = self.packing.views(weights.detach()[0])[0]
        through = conv_transpose2d(before, first, padding=1)[0]
        return gradient + through if self.residual else through


@cache
def _helpers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(torch.get_num_threads(), "chain")


if hasattr(os, "register_at_fork"):  # threads do not live on in the child
    os.register_at_fork(after_in_child=_helpers.cache_clear)


class _Pass(torch.autograd.Function):
    """All images of a call as one node of the graph."""

    @staticmethod
    def forward(
        ctx: Any, weights: Tensor, chain: CompiledChain, *images: Tensor
    ) -> tuple[Tensor, ...]:
        trained = any(ctx.needs_input_grad)
        # Tiles of an image have sizes of their own, and metrics need memory too: nothing lies about then.
        large = not trained and any(image[0, 0].numel() >= _LARGE for image in images)
        if large:
            chain.let_go()
        packed = chain.pack(weights, backward=trained)
        results, saved = [], []
        for batch in images:
            passes = [chain.forward(packed, image) for image in batch]
            results.append(torch.stack([out for out, _ in passes]))
            saved.append([kept for _, kept in passes])
        if trained:
            ctx.chain, ctx.packed, ctx.saved = chain, packed, saved
            ctx.save_for_backward(weights)
        elif not large:
            chain.give(packed, *(each for batch in saved for each in batch))
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        chain: CompiledChain = ctx.chain
        if ctx.saved is None:
            msg = "the compiled chain keeps its activations for one backward pass only"
            raise RuntimeError(msg)
        (weights,) = ctx.saved_tensors
        bands = max(chain.bands(*each.shape[-2:]) for each in gradients)
        sums = chain.take(bands * chain.sums).zero_().view(bands, -1)
        of_images: list[Tensor | None] = []
        for index, (batch, saved) in enumerate(zip(gradients, ctx.saved, strict=True)):
            through = []
            for gradient, kept in zip(batch, saved, strict=True):
                chain.backward(ctx.packed, gradient, kept, sums)
                if ctx.needs_input_grad[2 + index]:
                    through.append(chain.of_image(weights, gradient, kept))
                chain.give(kept)
            of_images.append(torch.stack(through) if through else None)
        chain.give(ctx.packed)
        ctx.saved = ctx.packed = None
        return (chain.gradient(sums), None, *of_images)


def _self_check(library: ctypes.CDLL) -> float:
    """Return how far the kernel is from torch on a small chain: relative, of loss and gradient."""
    rng = torch.Generator().manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.LeakyReLU(0.2),
        nn.Conv2d(16, 16, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(16, 3, 1),
    )  # fmt: skip
    layout, packing = Layout.of(list(net)), Packing(net)
    assert layout is not None
    chain = CompiledChain(layout, packing, library, residual=True)

    def plainly(weights: Tensor, images: Sequence[Tensor]) -> list[Tensor]:
        state = {name: each[0] for name, each in packing.unpack(weights).items()}
        return [image - functional_call(net, state, (image,)) for image in images]

    row = torch.randn(1, sum(packing.sizes), generator=rng) / 8
    image = torch.rand(1, 3, 10, 7, generator=rng)
    results = []
    for compute in (chain, plainly):
        weights = row.clone().requires_grad_()
        (out,) = compute(weights, [image])
        out.square().mean().backward()
        assert weights.grad is not None
        results.append(torch.cat([out.detach().flatten(), weights.grad.flatten()]))
    return float((results[0] - results[1]).norm() / results[1].norm())
