"""What a fit is: a hash of everything that can change its result, and its streams of randomness."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from n2n_ablate.components.parameters import Component, File
from n2n_ablate.components.recipe import Recipe, canonical
from n2n_ablate.components.spec import ComponentSpec
from n2n_ablate.registry import Registry
from n2n_ablate.registry.source import source_digest

ENGINE = 5
"""Raise by one with every change of the engine that can change a result."""


def stream(purpose: str, image_digest: str, seed: int) -> int:
    """Return the seed of one stream of randomness.

    It never depends on the trial: two recipes on one image with one seed see the same noise and,
    with equal networks, start from the same weights. One stream per purpose, so that a sampler
    that draws more numbers does not shift anybody else's.
    """
    digest = hashlib.sha256(f"{purpose}/{image_digest}/{seed}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(purpose: str, image_digest: str, seed: int) -> torch.Generator:
    """Return a CPU generator at the start of a stream."""
    return torch.Generator().manual_seed(stream(purpose, image_digest, seed))


class Fingerprints:
    """Hashes of the code behind components, each read once per process."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._known: dict[tuple[str, str], str] = {}
        self._last: tuple[tuple[object, ...], dict[str, dict[str, object]]] = ((None,) * 3, {})

    def code_of(self, kind: str, name: str) -> str:
        """Return the hash of the code of one component."""
        if (kind, name) not in self._known:
            self._known[kind, name] = source_digest(self._registry.get(kind, name).factory)
        return self._known[kind, name]

    def each(self, kind: str, spec: ComponentSpec) -> list[tuple[str, str]]:
        """Return kind and name of a component and of those among its parameters."""
        components = [(kind, spec.name)]
        for parameter in self._registry.get(kind, spec.name).parameters:
            value = spec.parameters.get(parameter.name)
            if isinstance(parameter.domain, Component):
                items = value if isinstance(value, tuple) else (value,)
                inner = parameter.domain.kind
                for inside in items:
                    components += (
                        self.each(inner, inside) if isinstance(inside, ComponentSpec) else []
                    )
        return components

    def of(self, kind: str, spec: ComponentSpec) -> str:
        """Return the hash of the code of one component and of those among its parameters."""
        return "+".join(self.code_of(*component) for component in self.each(kind, spec))

    def fit_key(
        self,
        *,
        images: Sequence[str],
        noise: ComponentSpec | None,
        recipe: Recipe,
        seed: int,
        computation: str,
        metrics: Mapping[str, ComponentSpec],
    ) -> str:
        """Return the identity of a fit, 32 hexadecimal digits.

        `images`: hashes of the clean image, of the noisy one, and of whatever else the fit sees; `noise`: the
        noise model with every parameter, None for measured noise; `recipe`: the recipe with every parameter
        written out; `computation`: see `Machine.computation`.
        """
        everything = {
            "images": list(images),
            **self._content(recipe, noise, metrics),
            "seed": seed,
            "engine": ENGINE,
            "torch": torch_version(),
            "computation": computation,
        }
        return hashlib.sha256(canonical(everything).encode()).hexdigest()[:32]

    def _content(
        self, recipe: Recipe, noise: ComponentSpec | None, metrics: Mapping[str, ComponentSpec]
    ) -> dict[str, dict[str, object]]:
        """Return parameters and code of all components; once for fits of one recipe in a row."""
        about = (recipe, noise, metrics)
        last, content = self._last
        if not all(new is old for new, old in zip(about, last, strict=True)):
            specs = dict(recipe.specs) | {f"metric:{name}": spec for name, spec in metrics.items()}
            if noise is not None:
                specs["noise"] = noise
            plain: dict[str, object] = {
                kind: self._with_files(kind.partition(":")[0], spec).plain()
                for kind, spec in specs.items()
            }
            code: dict[str, object] = {
                kind: self.of(kind.partition(":")[0], spec) for kind, spec in specs.items()
            }
            content = {"parts": plain, "code": code}
            self._last = about, content
        return content

    def _with_files(self, kind: str, spec: ComponentSpec) -> ComponentSpec:
        """Return a component with the hash of every file among its parameters in place of the path."""
        values = dict(spec.parameters)
        for parameter in self._registry.get(kind, spec.name).parameters:
            value = values.get(parameter.name)
            if isinstance(parameter.domain, File) and value:
                values[parameter.name] = hashlib.sha256(Path(str(value)).read_bytes()).hexdigest()
            elif isinstance(parameter.domain, Component) and isinstance(value, ComponentSpec):
                values[parameter.name] = self._with_files(parameter.domain.kind, value)
        return ComponentSpec(spec.name, values)


def torch_version() -> str:
    """Return the version of torch as far as it is part of a fit's identity."""
    return torch.__version__.partition("+")[0]
