"""Paired data: noisy images, the same for every trial, and what needs no training on them."""

from __future__ import annotations

import contextlib
import copy
import hashlib
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from n2n_ablate.components import declared, declares, watchdog
from n2n_ablate.components.recipe import Recipe
from n2n_ablate.components.spec import ComponentSpec
from n2n_ablate.engine import Fit, FitSpec, Machine, window_of
from n2n_ablate.engine.dry_run import dry_run, named
from n2n_ablate.engine.faults import finite, steps_of
from n2n_ablate.engine.identity import Fingerprints, generator
from n2n_ablate.engine.measured import measured_sets
from n2n_ablate.errors import ImageError
from n2n_ablate.images import Gathered, Image, Reading, gather
from n2n_ablate.images.image import digest_of
from n2n_ablate.records import Header, ImageRef, NoisySample
from n2n_ablate.registry import Registry
from n2n_ablate.registry.entry import component_context, require_readable
from n2n_ablate.study import Condition, Plan, levels_of_samples


class PairedData:
    """Everything that trials share, so that their differences are paired."""

    def __init__(self, plan: Plan, registry: Registry, machine: Machine) -> None:
        self.plan = plan
        self.machine = machine
        self._registry = registry
        self._prints = Fingerprints(registry)
        profile, self.measured = plan.profile, measured_sets(plan)
        modelled = [condition for condition in plan.conditions if condition.noise]
        self.gathered = Gathered(())
        if modelled:
            reading = Reading(profile.white, profile.channels)
            self.gathered = gather(profile.images, profile.crop, reading)
        scenes = [scene for measured in self.measured.values() for scene in measured.scenes]
        if scenes:
            known = [each for measured in self.measured.values() for each in measured.known]
            self.gathered = replace(self.gathered, known=(*self.gathered.prints, *known))
        self.images = [*self.gathered.images, *(scene.image for scene in scenes)]
        self._shots = {scene.image.name: scene.shots for scene in scenes}
        self._metrics = {name: self._built("metric", each) for name, each in plan.metrics.items()}
        self._noises = {
            each.label: self._built("noise", each.noise) for each in modelled if each.noise
        }
        self.samples = [
            self._sample(condition, image, seed)
            for condition in plan.conditions
            for image in self.images
            if image.condition == (condition.label if condition.pairs else "")
            for seed in plan.profile.seeds
        ]
        self._cut: set[tuple[ComponentSpec, torch.Size, tuple[int, int]]] = set()
        self._stepped: set[tuple[str, ComponentSpec]] = set()
        self._readable: set[tuple[str, ComponentSpec]] = set()

    def _built(self, kind: str, part: ComponentSpec) -> Any:
        """Return a component that can be read as a whole."""
        component = self._registry.build(kind, part.name, part.parameters)
        require_readable(self._registry.get(kind, part.name), component)
        return component

    def _sample(self, condition: Condition, image: Image, seed: int) -> NoisySample:
        if condition.pairs is None:
            noisy = noisy_image(self._registry, condition, image, seed)
            return NoisySample(condition, image, seed, noisy)
        shots = self._shots[image.name]
        return NoisySample(condition, image, seed, shots[seed % len(shots)], shots)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user has to know of the images before anything is trained."""
        several = len(self.plan.conditions) > 1
        measured = (
            f"{label}: {line}" if several else line
            for label, source in self.measured.items()
            for line in source.notes
        )
        whites = (image.range.offset + image.range.scale for image in self.gathered.images)
        levels = levels_of_samples(self.plan.conditions, whites)
        return (*self.gathered.notes, *([levels] if levels else []), *measured)

    @cached_property
    def key(self) -> str:
        """Identity of a search on this data: the plan, and all that its scores depend on.

        That is the pixels of the images, the code of the components, torch, device and precision:
        scores that differ in one of them must not meet in one search.
        """
        keys = "".join(fit.key for fit in self.fits(self.plan.baseline.recipe))
        return hashlib.sha256(f"{self.plan.key}{keys}".encode()).hexdigest()[:10]

    def with_plan(self, plan: Plan) -> PairedData:
        """Return this data for a plan of the same images, seeds and conditions."""
        other = copy.copy(self)
        other.plan = plan
        return other

    def shuffled(self) -> PairedData:
        """Return this data with its images in an order that their pixels give, for a race.

        The order of files is often one of content (easy ones first, one camera after another), and
        interim analyses look at the first images only. Images of one scene stay together.
        """
        scenes: dict[str, list[Image]] = {}
        for image in sorted(self.images, key=lambda image: image.digest):
            scenes.setdefault(image.scene, []).append(image)
        other = copy.copy(self)
        other.__dict__.pop("key", None)
        other.images = [image for scene in scenes.values() for image in scene]
        rank = {image.name: index for index, image in enumerate(other.images)}
        conditions = {
            condition.label: index for index, condition in enumerate(self.plan.conditions)
        }
        other.samples = sorted(
            self.samples,
            key=lambda sample: (conditions[sample.condition.label], rank[sample.image.name]),
        )
        return other

    def fits(self, recipe: Recipe, samples: Sequence[NoisySample] | None = None) -> list[Fit]:
        """Return the fits of a recipe, one per noisy sample, in their order.

        `samples`: some of these; by default all.
        """
        parts = recipe.build(self._registry)
        wanted = self.samples if samples is None else samples
        return [self._fit(recipe, parts, sample) for sample in wanted]

    def header(self, interim_sizes: tuple[int, ...] = (), earlier: tuple[str, ...] = ()) -> Header:
        """Return what the trials share, as a record; arguments as in `Header`."""
        return Header(
            plan=self.plan,
            images=tuple(map(_reference, self.images)),
            steps=self.steps(self.plan.baseline.recipe),
            device=self.machine.type,
            precision=self.machine.precision,
            folder=str(Path.cwd()),
            interim_sizes=interim_sizes,
            earlier=earlier,
        )

    def steps(self, recipe: Recipe) -> int:
        """Return how many steps a recipe trains."""
        spec = recipe.specs["training"]
        with named(self._registry.entries(recipe)):
            return steps_of(self._registry.build("training", spec.name, spec.parameters))

    def check(self, recipe: Recipe, stored: Container[str] = ()) -> None:
        """Try a recipe before anything is trained: its sampler on every image shape, and one step.

        What was tried in another recipe is not tried again: a sampler on the same image, a step
        with components that have all done one. Nor is a recipe with a stored fit for every image
        shape. With the baseline the metrics are tried too.

        `stored`: keys of stored fits.

        Raises:
            ImageError: An image is too small for the sampler, or too large for the memory.
            PluginError: A component fails, or the views cannot be trained on.
        """
        entries = self._registry.entries(recipe)
        for kind, spec in set(recipe.specs.items()) - self._readable:
            self._built(kind, spec)
            self._readable.add((kind, spec))
        by_shape = {sample.noisy.shape: sample for sample in self.samples}
        fits = self.fits(recipe, list(by_shape.values()))
        for shape, fit in zip(by_shape, fits, strict=True):
            if fit.key in stored:
                continue
            try:
                new = set(recipe.specs.items()) - self._stepped
                with named(entries), one_thread():
                    cut = (recipe.specs["sampler"], shape, window_of(fit))
                    split = cut not in self._cut
                    dry_run(fit, entries, self.machine, split=split, step=bool(new))
                self._cut.add(cut)
                self._stepped |= new
            except ImageError as error:
                name = next(image.name for image in self.images if image.pixels.shape == shape)
                msg = f"image '{name}': {error}"
                raise ImageError(msg) from error
        if recipe == self.plan.baseline.recipe:
            self._check_sizes()
            with one_thread():
                self.measure(self.samples[0].noisy, self.samples[0])

    def _check_sizes(self) -> None:
        """Check that every metric takes every image."""
        for name, metric in self._metrics.items():
            smallest, taken = declared(metric, "smallest", 1), declared(metric, "channels", ())
            for image in self.images:
                channels, *size = image.pixels.shape[1:]
                problem = f"has {channels} channels, and metric '{name}' takes {taken}"
                if min(size) < smallest:
                    have = "x".join(map(str, size))
                    problem = f"has {have} pixels, and metric '{name}' needs {smallest} a side"
                elif not taken or channels in taken:
                    continue
                msg = f"image '{image.name}' {problem}. Leave the metric or the image out"
                raise ImageError(msg)

    def measure(self, denoised: Tensor, sample: NoisySample) -> dict[str, float]:
        """Return every metric of a denoised image, (1, c, h, w)."""
        clean, noisy = sample.image.pixels, sample.noisy
        entries = {
            f"metric:{name}": self._registry.get("metric", part.name)
            for name, part in self.plan.metrics.items()
        }
        seconds = watchdog.seconds_for(*noisy.shape[-2:])
        with named(entries), watchdog.time_limit(seconds, "a metric"):
            return {
                name: finite(metric, name, denoised, clean, noisy)
                for name, metric in self._metrics.items()
            }

    def _fit(self, recipe: Recipe, parts: Mapping[str, object], sample: NoisySample) -> Fit:
        others = other_shots(sample)
        if others and not declares(parts["sampler"], "prepare"):
            others = ()
        spec = FitSpec(
            recipe,
            sample.condition.noise,
            self.plan.metrics,
            sample.seed,
            sample.image.digest,
            sample.digest,
            tuple(map(digest_of, others)),
        )
        noise = self._noises.get(sample.condition.label)
        return spec.fit(
            spec.key(self._prints, self.machine.computation),
            sample.noisy,
            sample.image.pixels,
            {**parts, "noise": noise, "metrics": self._metrics},
            others,
        )


def _reference(image: Image) -> ImageRef:
    c, h, w = image.pixels.shape[1:]
    white = image.range.offset + image.range.scale
    return ImageRef(image.name, image.digest, (c, h, w), image.cluster, image.condition, white)


def other_shots(sample: NoisySample) -> tuple[Tensor, ...]:
    """Return the shots of a sample's scene without its own."""
    return tuple(shot for shot in sample.shots if shot is not sample.noisy)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: many short steps wait for their threads as soon as a core is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def noisy_image(registry: Registry, condition: Condition, image: Image, seed: int) -> Tensor:
    """Return the noisy image that every trial sees, (1, c, h, w): the same whenever it is made.

    Raises:
        UnknownComponentError: No plugin registers the noise model.
        PluginError: The noise model fails, or returns what is no noisy image.
    """
    assert condition.noise is not None, "measured noise is read, not drawn"
    noise = registry.build("noise", condition.noise.name, condition.noise.parameters)
    entry = registry.get("noise", condition.noise.name)
    before = image.pixels.clone()
    problem = f"fails on image '{image.name}'"
    seconds = watchdog.seconds_for(*before.shape[-2:])
    with component_context(entry, problem, "apply", seconds):
        noisy: object = noise.apply(image.pixels, generator("noise", image.digest, seed))
    if not torch.equal(before, image.pixels):
        problem = "writes into the clean image; it must copy it"
        raise entry.error(problem, "apply")
    if not isinstance(noisy, Tensor) or noisy.shape != before.shape:
        got = tuple(noisy.shape) if isinstance(noisy, Tensor) else repr(noisy)[:80]
        problem = f"must return an image of the clean one's shape {tuple(before.shape)}, got {got}"
        raise entry.error(problem, "apply")
    if lost := int((~noisy.isfinite()).sum()):
        problem = f"returns an image with {lost} of {noisy.numel()} values NaN or infinite"
        raise entry.error(problem, "apply")
    return noisy.detach().float()
