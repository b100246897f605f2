"""The diagnostics of trials: each sampler measured once on the images and the noise of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from n2n_ablate.components import Noise, declares
from n2n_ablate.components.recipe import Recipe
from n2n_ablate.components.spec import ComponentSpec
from n2n_ablate.diagnostics import Diagnosis, Probe
from n2n_ablate.diagnostics.model import clear_leak
from n2n_ablate.diagnostics.relation import Point
from n2n_ablate.records import NoisySample, StudyTrials
from n2n_ablate.registry import Registry
from n2n_ablate.registry.entry import component_context
from n2n_ablate.study import Condition

ByCondition = Mapping[str, Diagnosis]
"""Diagnoses of one trial, by the label of the condition."""

_Key = tuple[ComponentSpec, int, ComponentSpec | None, tuple[tuple[str, str, int], ...]]


class Diagnoses:
    """Measures samplers and remembers what it found. It needs a recipe and images, no results."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._known: dict[_Key, Diagnosis] = {}

    def of(self, recipe: Recipe, samples: Sequence[NoisySample]) -> dict[str, Diagnosis]:
        """Return the diagnosis of a recipe's sampler for every condition, by its label.

        `samples`: the noisy images of a study, see `PairedData.samples`.
        """
        conditions = {item.condition.label: item.condition for item in samples}
        return {
            label: self._of(
                recipe, condition, [item for item in samples if item.condition.label == label]
            )
            for label, condition in conditions.items()
        }

    def _of(
        self, recipe: Recipe, condition: Condition, samples: Sequence[NoisySample]
    ) -> Diagnosis:
        from n2n_ablate.diagnostics.measure import diagnose  # torch: results are read without it

        part, noise = recipe.specs["sampler"], condition.noise
        sampler = self._registry.build("sampler", part.name, part.parameters)
        steps = self._steps(recipe) if declares(sampler, "at") else 1
        images = tuple((item.image.name, item.image.digest, item.seed) for item in samples)
        key = (part, steps, noise, images)
        if key not in self._known:
            model: Noise | None = None
            if noise is not None:
                model = self._registry.build("noise", noise.name, noise.parameters)
            entry = self._registry.get("sampler", part.name)
            with component_context(
                entry, f"cannot be measured under noise '{condition.source}'", "draw"
            ):
                self._known[key] = diagnose(sampler, model, probes_of(samples), steps=steps)
        return self._known[key]

    def _steps(self, recipe: Recipe) -> int:
        part = recipe.specs["training"]
        return int(self._registry.build("training", part.name, part.parameters).steps)


def probes_of(samples: Sequence[NoisySample]) -> list[Probe]:
    """Return one probe per image, with the noisy images of all seeds, or all shots of its scene."""
    noisy: dict[str, list[NoisySample]] = {}
    for item in samples:
        noisy.setdefault(item.image.name, []).append(item)
    return [
        Probe(name, own[0].image.pixels, own[0].shots or tuple(item.noisy for item in own))
        for name, own in noisy.items()
    ]


def points(
    result: StudyTrials, diagnoses: Mapping[str, ByCondition], condition: str
) -> list[Point]:
    """Return one point per trial and image under a condition, for `relations` and figures.

    `diagnoses`: by the name of the trial; trials without one are left out, and leaks that are not clear count
    as 0.
    """
    found = []
    for item in result.trials:
        own = diagnoses.get(item.trial.name, {}).get(condition)
        if own is None:
            continue
        # Whether there is one is asked of all images together: a single one says little.
        leaks = clear_leak(own.total, both_ways=own.both_ways) != 0
        for image, psnr in item.by_image("psnr", condition).items():
            if figures := own.images.get(image):
                ways = [figures.leak.value, figures.back.value][: 1 + own.both_ways]
                leak = max(ways, key=abs) if leaks else 0.0
                found.append(Point(item.trial.name, image, psnr, leak, figures.gap.value))
    return found
