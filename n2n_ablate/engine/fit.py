"""A fit as live components, and what it is made from as plain data: enough to make it again elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor

from n2n_ablate.components import (
    Backbone,
    Estimator,
    Loss,
    MeasuredNoise,
    Metric,
    Noise,
    Sampler,
    Training,
)
from n2n_ablate.components.recipe import Recipe, canonical
from n2n_ablate.components.spec import ComponentSpec
from n2n_ablate.engine.identity import Fingerprints, generator, stream
from n2n_ablate.registry import Registry


@dataclass(frozen=True, eq=False)
class Fit:
    """One recipe on one noisy image with one seed: the unit of work, of storage and of failure."""

    key: str  # its identity, see `identity.Fingerprints.fit_key`
    noisy: Tensor  # the noisy image, float32 (1, c, h, w), on the CPU
    # the clean image, same shape; only metrics see it. None for a real noisy image.
    clean: Tensor | None
    # the noise model that made `noisy`, or more shots of the scene, if there are any
    noise: Noise | MeasuredNoise | None
    # the recipe's components
    sampler: Sampler
    backbone: Backbone
    loss: Loss
    training: Training
    estimator: Estimator
    metrics: Mapping[str, Metric]  # by name
    init_seed: int  # seeds the initial weights
    # makes a generator at the start of the fit's stream for a purpose, such as `sampler`
    rng: Callable[[str], torch.Generator]
    # fits of equal `stack_key` may be trained in one stack, if their shapes agree too
    stack_key: str = ""
    # what it was made from, so that another process can make it; None if nobody asked
    spec: FitSpec | None = None
    unclipped: bool = False  # keep the denoised image as float32, values outside [0, 1] too

    @property
    def shots(self) -> tuple[Tensor, ...]:
        """Other shots of the scene that the sampler sees."""
        return self.noise.shots if isinstance(self.noise, MeasuredNoise) else ()


@dataclass(frozen=True)
class FitSpec:
    """A fit without its tensors and its live components."""

    recipe: Recipe  # with every parameter written out
    noise: ComponentSpec | None  # the noise model with every parameter; None for measured noise
    metrics: Mapping[str, ComponentSpec]  # what is measured, by name
    seed: int  # the fit's seed
    image: str  # hash of the clean image, see `Image.digest`
    # hash of the noisy image: whoever made it, from whatever files, another one is another fit
    noisy: str
    # hashes of other shots of the scene, where the sampler may see them
    shots: tuple[str, ...] = ()

    def key(self, prints: Fingerprints, computation: str) -> str:
        """Return the identity of the fit; see `Fingerprints.fit_key`."""
        return prints.fit_key(
            images=(self.image, self.noisy, *self.shots),
            noise=self.noise,
            recipe=self.recipe,
            seed=self.seed,
            computation=computation,
            metrics=self.metrics,
        )

    def code(self, prints: Fingerprints) -> dict[tuple[str, str], str]:
        """Return the hash of the code of every component that takes part, by kind and name."""
        specs = [*self.recipe.specs.items()]
        specs += [("noise", self.noise)] if self.noise else []
        specs += [("metric", spec) for spec in self.metrics.values()]
        components = [component for kind, spec in specs for component in prints.each(kind, spec)]
        return {component: prints.code_of(*component) for component in dict.fromkeys(components)}

    def components(self, registry: Registry) -> dict[str, Any]:
        """Make the components: the recipe's by kind, the `noise` and the `metrics`.

        The fits of one recipe share them.
        """
        metrics = {
            name: registry.build("metric", spec.name, spec.parameters)
            for name, spec in self.metrics.items()
        }
        noise = self.noise and registry.build("noise", self.noise.name, self.noise.parameters)
        return {**self.recipe.build(registry), "noise": noise, "metrics": metrics}

    def fit(
        self,
        key: str,
        noisy: Tensor,
        clean: Tensor,
        components: Mapping[str, Any],
        shots: Sequence[Tensor] = (),
    ) -> Fit:
        """Return the fit: random streams and everything else follow from the spec.

        `noisy`: the noisy image, (1, c, h, w); `clean`: the clean image, same shape; `components`: see
        `components`; `shots`: other shots of the scene, where the sampler may see them.
        """
        if shots:
            components = {**components, "noise": MeasuredNoise(tuple(shots))}
        return Fit(
            key=key,
            noisy=noisy,
            clean=clean,
            init_seed=stream("weights", self.image, self.seed),
            rng=partial(generator, image_digest=self.image, seed=self.seed),
            stack_key=_stack_key(self.recipe),
            spec=self,
            **components,
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain data; `from_json` reads it back."""
        return {
            "recipe": self.recipe.to_json(),
            "noise": self.noise and self.noise.plain(),
            "metrics": {name: spec.plain() for name, spec in self.metrics.items()},
            "seed": self.seed,
            "image": self.image,
            "noisy": self.noisy,
            "shots": list(self.shots),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FitSpec:
        """Read what `to_json` wrote."""
        return cls(
            recipe=Recipe.from_json(data["recipe"]),
            noise=data["noise"] and ComponentSpec.read(data["noise"], "'noise'"),
            metrics={
                name: ComponentSpec.read(spec, "'metric'") for name, spec in data["metrics"].items()
            },
            seed=int(data["seed"]),
            image=str(data["image"]),
            noisy=str(data["noisy"]),
            shots=tuple(map(str, data["shots"])),
        )


@lru_cache(maxsize=16)  # it is the same for all fits of a recipe
def _stack_key(recipe: Recipe) -> str:
    plain = recipe.to_json()
    return canonical({kind: plain[kind] for kind in ("backbone", "loss", "estimator")})
