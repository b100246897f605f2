"""The networks of a stack: the weights stay apart, the arithmetic is shared.

The weights are one tensor with a row per fit (see `weights`), so no gradient can leak from one fit
to another: a row only ever meets its images.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Hashable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from n2n_ablate.components.randomness import dropouts_of, dropping_out
from n2n_ablate.engine import stacking
from n2n_ablate.engine.chain import Chain, layers_of
from n2n_ablate.engine.compiled import CompiledChain, kernel
from n2n_ablate.engine.faults import BACKBONE
from n2n_ablate.engine.layout import Layout
from n2n_ablate.engine.weights import Packing
from n2n_ablate.engine.winograd import WinogradChain

Forward: TypeAlias = Callable[[Tensor], Tensor]
"""From (n * b, c, h, w) to the same shape: n images in a row for each of b networks."""
_Weighted: TypeAlias = Callable[[Tensor, Tensor], Tensor]

_POINTWISE = (
    nn.LeakyReLU,
    nn.ReLU,
    nn.GELU,
    nn.SELU,
    nn.ELU,
    nn.SiLU,
    nn.Tanh,
    nn.Sigmoid,
    nn.Identity,
)

_tried: dict[Hashable, bool] = {}
"""What `_agree` measured, by backbone and channels: equal backbones build equal networks."""


class Networks:
    """The networks of one stack, b modules of one architecture.

    The fastest way that gives what the modules give is chosen. A chain of plain convolutions (an
    attribute `net`, with or without a `residual` connection around it) becomes one convolution per
    layer for all networks, or, alone on a CPU, what the compiled kernel or else `chain` does; after a
    trial that it computes the same. One module of another form is called as it is, several go through
    `torch.func.vmap`, or, if they drop values, one after the other: each draws from its own stream.

    Args:
        modules: The networks.
        channels: Of the images.
        precision: Of training: `fp32`, `tf32` or `bf16`.
        backbone: What built them, if a verdict about one may be used again for the next.
        way: See `Machine.way`.

    Attributes:
        packing: Where the weights lie.
        weights: All weights, (b, n), a leaf that requires a gradient.
        drops: Whether they have dropout layers.
    """

    def __init__(
        self,
        modules: Sequence[nn.Module],
        channels: int,
        precision: str,
        backbone: object | None = None,
        way: str = stacking.DEFAULT,
    ) -> None:
        self.packing = Packing(modules[0])
        self.weights = nn.Parameter(self.packing.pack(modules))
        self.precision = precision
        self._modules = modules
        self.drops = bool(dropouts_of(modules[0]))
        plain = all(map(_is_chain, modules)) and _agree(modules, channels, backbone)
        self._chain = self._chain_of(modules, way) if plain else None
        self._forward = self._general(modules, way, plain=plain)

    def __call__(self, *images: Tensor) -> tuple[Tensor, ...]:
        """Denoise images (b, c, h, w) in the precision of training; equal shapes share a pass."""
        joined, places = _by_shape(images)
        if self._chain is not None:
            passes = self._chain(self.weights, joined)
        else:
            forward = self.forward(self.weights, self.precision)
            passes = [forward(each) for each in joined]
        denoised: list[Tensor | None] = [None] * len(images)
        for whole, indices in zip(passes, places, strict=True):
            for index, part in zip(indices, whole.chunk(len(indices)), strict=True):
                denoised[index] = part
        return tuple(part for part in denoised if part is not None)

    def forward(self, weights: Tensor, precision: str) -> Forward:
        """Return the pass with these weights (b, n) in a precision; results are float32."""
        chain = self._chain if precision == self.precision else None

        def run(images: Tensor) -> Tensor:
            if chain is not None:
                return chain(weights, [images])[0]
            low = torch.autocast(images.device.type, torch.bfloat16, cache_enabled=False)
            with low if precision == "bf16" else contextlib.nullcontext():
                return self._forward(weights, images).float()

        return run

    def dropping_out(
        self, rngs: Sequence[torch.Generator] | None
    ) -> contextlib.AbstractContextManager[None]:
        """Inside, each network drops values by its generator; outside, none does."""
        if not self.drops or rngs is None:
            return contextlib.nullcontext()
        return dropping_out(self._modules, rngs)

    def _chain_of(
        self, modules: Sequence[nn.Module], way: str
    ) -> Chain | CompiledChain | WinogradChain | None:
        if len(modules) > 1 or self.weights.device.type != "cpu":
            return None
        residual = bool(getattr(modules[0], "residual", False))
        if self.precision == "bf16":
            layers = layers_of(modules[0])
            return None if layers is None else Chain(layers, self.packing, residual=residual)
        layout = Layout.of(list(modules[0].net)) if way in ("kernel", "winograd") else None  # type: ignore[arg-type]
        if layout is None:
            return None
        if way == "winograd":
            return WinogradChain(layout, self.packing, residual=residual)
        library = kernel().library
        assert library is not None, (
            "a machine has this way where the kernel is, see `require_kernel`"
        )
        return CompiledChain(layout, self.packing, library, residual=residual)

    def _general(self, modules: Sequence[nn.Module], way: str, *, plain: bool) -> _Weighted:
        if len(modules) == 1:
            return single(modules[0], self.packing)
        convolve, _ = stacking.of(way)
        if plain:
            return stacked(modules[0], self.packing, convolve)
        if self.drops:
            return one_by_one(modules, self.packing)
        return vmapped(modules, self.packing)


def single(module: nn.Module, packing: Packing) -> _Weighted:
    """Call one module as it is, with the weights (1, n)."""
    names = [slot.name for slot in packing.slots]

    def forward(weights: Tensor, x: Tensor) -> Tensor:
        state = dict(zip(names, packing.views(weights[0]), strict=True))
        return _image(functional_call(module, state, (x,)))

    return forward


def one_by_one(modules: Sequence[nn.Module], packing: Packing) -> _Weighted:
    """Call the modules one after the other, each as it is called alone."""
    each = [single(module, packing) for module in modules]

    def forward(weights: Tensor, x: Tensor) -> Tensor:
        images = x.unflatten(0, (-1, len(each)))  # (n, b, c, h, w)
        out = [run(weights[i : i + 1], images[:, i]) for i, run in enumerate(each)]
        return torch.stack(out, dim=1).flatten(0, 1)

    return forward


def vmapped(modules: Sequence[nn.Module], packing: Packing) -> _Weighted:
    """Stack any modules of one architecture: their weights (b, n) become a batch dimension."""
    states = [dict((*m.named_parameters(), *m.named_buffers())) for m in modules]
    trained = {slot.name for slot in packing.slots}
    rest = {
        name: torch.stack([each[name].detach() for each in states])
        for name in states[0]
        if name not in trained
    }

    def one(state: dict[str, Tensor], images: Tensor) -> Tensor:
        return _image(functional_call(modules[0], state, (images,)))

    run = vmap(one, in_dims=(0, 1), out_dims=1, randomness="different")

    def forward(weights: Tensor, x: Tensor) -> Tensor:
        state = packing.unpack(weights) | rest
        return run(state, x.unflatten(0, (-1, len(weights)))).flatten(0, 1)

    return forward


def stacked(
    module: nn.Module, packing: Packing, convolve: stacking.Convolve = stacking.grouped
) -> _Weighted:
    """Stack chains of convolutions: the same layer of all networks at once."""
    layers: list[nn.Module] = list(module.net)  # type: ignore[arg-type]
    residual = bool(getattr(module, "residual", False))

    def forward(weights: Tensor, x: Tensor) -> Tensor:
        b = len(weights)
        unpacked = packing.unpack(weights)
        flat = x.unflatten(0, (-1, b)).flatten(1, 2)  # (n, b * c, h, w)
        out = flat
        for index, layer in enumerate(layers):
            if isinstance(layer, nn.Conv2d):
                bias = unpacked.get(f"net.{index}.bias")
                out = convolve(layer, unpacked[f"net.{index}.weight"], bias, out)
            else:
                out = layer(out)
        out = flat - out if residual else out
        return out.unflatten(1, (b, -1)).flatten(0, 1)

    return forward


def _image(out: object) -> Tensor:
    if not isinstance(out, Tensor):
        problem = (
            f"builds a network that returns no images, shape (n, c, h, w), but {type(out).__name__}"
        )
        raise BACKBONE.fault(problem)
    return out


def _by_shape(images: Sequence[Tensor]) -> tuple[list[Tensor], list[list[int]]]:
    places: dict[torch.Size, list[int]] = {}
    for index, image in enumerate(images):
        places.setdefault(image.shape, []).append(index)
    joined = [
        images[indices[0]] if len(indices) == 1 else torch.cat([images[index] for index in indices])
        for indices in places.values()
    ]
    return joined, list(places.values())


def _agree(modules: Sequence[nn.Module], channels: int, backbone: object | None) -> bool:
    """Try whether modules that look like chains compute what their chains compute."""
    key: Hashable = (type(backbone), backbone, channels)
    try:
        if backbone is not None and key in _tried:
            return _tried[key]
    except TypeError:  # a backbone with parameters that have no hash is tried every time
        backbone = None
    try:
        agrees = _compare(modules[0], channels)
    except Exception:  # noqa: BLE001  it only looked like a chain
        agrees = False
    if backbone is not None:
        _tried[key] = agrees
    return agrees


def _compare(module: nn.Module, channels: int) -> bool:
    """Compare a module with its chain.

    On two copies with random weights, so that a layer that starts at zero hides nothing, and with
    a generator apart: the global one belongs to whoever is building a network just now. The
    weights are scaled so that values neither grow nor fade from layer to layer.
    """
    rng = torch.Generator().manual_seed(0)
    copies = [copy.deepcopy(module).cpu().float() for _ in range(2)]
    packing = Packing(module)
    with torch.no_grad():
        for weight in (weight for each in copies for weight in each.parameters()):
            inputs = weight[0].numel() if weight.dim() > 1 else 16
            weight.copy_(torch.randn(weight.shape, generator=rng) / inputs**0.5)
        probe = torch.rand(2, channels, 9, 9, generator=rng)
        slow = torch.cat([each(probe[i : i + 1]) for i, each in enumerate(copies)])
        fast = stacked(module, packing)(packing.pack(copies), probe)
        largest = max(1e-3, float(slow.abs().max()))
        return bool((fast - slow).abs().max() < 1e-3 * largest)


def _is_chain(module: nn.Module) -> bool:
    net = getattr(module, "net", None)
    if not isinstance(net, nn.Sequential):
        return False
    plain = all(
        isinstance(layer, _POINTWISE) or (isinstance(layer, nn.Conv2d) and layer.groups == 1)
        for layer in net
    )
    trained = all(weight.requires_grad for weight in module.parameters())
    return plain and trained and len(list(module.parameters())) == len(list(net.parameters()))
