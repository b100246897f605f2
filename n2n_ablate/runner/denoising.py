"""Applies a recipe to noisy images of the user: one fit each, no clean image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from n2n_ablate.analysis.analyse import analyse
from n2n_ablate.analysis.names import meant
from n2n_ablate.components import RECIPE_KINDS, declared, watchdog
from n2n_ablate.components.recipe import Recipe
from n2n_ablate.components.spec import ComponentSpec
from n2n_ablate.engine import Fit, Machine, dry_run, fit_all
from n2n_ablate.engine import machine as machine_of
from n2n_ablate.engine.identity import generator, stream
from n2n_ablate.errors import AblateError, StoreError, StudyError
from n2n_ablate.images import Image
from n2n_ablate.images.decode import split
from n2n_ablate.images.sources import stack
from n2n_ablate.records import FitResult
from n2n_ablate.records.fit import Listener
from n2n_ablate.registry import Registry
from n2n_ablate.registry.entry import component_context
from n2n_ablate.storage import reopen
from n2n_ablate.storage.reopen import Reopened
from n2n_ablate.study import Trial
from n2n_ablate.study.settings import setting

OFFICIAL = Recipe(
    {
        "sampler": ComponentSpec("diagonal"),
        "backbone": ComponentSpec("zs-n2n"),
        "loss": ComponentSpec("residual-consistency"),
        "training": ComponentSpec("adam"),
        "estimator": ComponentSpec("last"),
    }
)
"""Zero-Shot Noise2Noise as published (Mansour and Heckel, 2023)."""

_SMALL = 2**15  # pixels, below which threads wait for each other more than they help


@dataclass(frozen=True, eq=False)
class Denoised:
    """A denoised image, and what can be said of it without a clean one."""

    image: Tensor  # shape (1, c, h, w), over the range of the noisy image; nothing is clipped
    # metrics that need no clean image, the last `loss`, and what the estimator chose
    figures: Mapping[str, float]
    failed: Mapping[str, str]  # what went wrong, by name, with metrics that could not be taken


def choose_recipe(
    registry: Registry,
    *,
    output: Path,
    from_study: str = "",
    run: str = "",
    trial: str = "",
    settings: Sequence[str] = (),
) -> tuple[str, Recipe]:
    """Return the recipe to use, with its name.

    `output`: the output folder in which the study was run; `from_study`: take the recipe of this study that
    `best` says to use; `run`: of the study, see `reopen`; `trial`: take this trial of the study instead;
    `settings`: changes, see `study.plan`.

    Raises:
        AblateError: The study was not run, has no such run or trial, or a setting makes no sense.
    """
    name, recipe = "the official preset", OFFICIAL
    if from_study:
        study = reopen.reopen(output, from_study, run=run)
        chosen = _chosen(study, trial)
        which = study.plan.profile.name
        which += f", run {study.journal.key}" if len(study.runs) > 1 else ""
        name, recipe = f"{chosen.name} of {from_study} ({which})", chosen.recipe
    elif run or trial:
        option, what = ("--run", "run") if run else ("--trial", "trial")
        msg = f"{option} needs --from-study: it names a {what} of a study"
        raise StudyError(msg)
    for key, value in sorted(map(setting, settings), key=lambda change: "." in change[0]):
        if key.partition(".")[0] not in RECIPE_KINDS:
            msg = f"--set {key}: the image is noisy already; set one of {', '.join(RECIPE_KINDS)}"
            raise StudyError(msg)
        recipe = recipe.replace(key, value)
    return name, recipe.resolved(registry)


def denoise_array(
    image: np.ndarray,
    *,
    output: Path,
    from_study: str = "",
    trial: str = "",
    settings: Sequence[str] = (),
    device: str = "auto",
    precision: str = "auto",
    seed: int = 0,
    plugins: Sequence[object] = (),
) -> np.ndarray:
    """Return a noisy image denoised; see `api.denoise`.

    Raises:
        AblateError: The image, the recipe or the device cannot be used, or training diverged.
    """
    given = np.asarray(image)
    noisy = stack(split(given, "the array"), "the array")
    registry = Registry(*plugins)
    _, recipe = choose_recipe(
        registry, output=output, from_study=from_study, trial=trial, settings=settings
    )
    machine = machine_of(device, precision)
    denoised = []
    for one in noisy:
        pixels = denoise_all([one], recipe, registry, machine, seed=seed)[0].image[0]
        denoised.append(one.range.to_samples(pixels.permute(1, 2, 0).numpy()))
    return np.stack(denoised).reshape(given.shape)


def denoise_all(
    images: Sequence[Image],
    recipe: Recipe,
    registry: Registry,
    machine: Machine,
    *,
    seed: int = 0,
    listener: Listener | None = None,
) -> list[Denoised]:
    """Train the recipe on each of some noisy images, those of equal shape together.

    Raises:
        StudyError: A training diverged.
        ImageError: An image is too small for the sampler, or too large for the memory.
        PluginError: The sampler fails or hangs.
    """
    parts = recipe.build(registry)
    fits = [
        Fit(
            key=f"denoise-{index}",
            noisy=image.pixels,
            clean=None,
            noise=None,
            metrics={},
            # Not of the pixels: of a*x + b the result is that of x, times a and b above it.
            init_seed=stream("weights", "denoise", seed),
            rng=partial(generator, image_digest="denoise", seed=seed),
            unclipped=True,
            **parts,
        )
        for index, image in enumerate(images)
    ]
    # Too small or too large an image is refused at once.
    for fit in {fit.noisy.shape: fit for fit in fits}.values():
        dry_run(fit, registry.entries(recipe), machine, step=False)
    alone = len(images) == 1 and images[0].pixels[0, 0].numel() >= _SMALL
    threads = min(machine.workers, torch.get_num_threads()) if alone else 1  # `OMP_NUM_THREADS`
    results = {one.key: one for one in fit_all(fits, machine, listener, threads=threads)}
    pairs = zip(images, fits, strict=True)
    return [_denoised(image, results[fit.key], registry) for image, fit in pairs]


def _denoised(image: Image, result: FitResult, registry: Registry) -> Denoised:
    if result.denoised is None:
        hint = "" if result.passing else "Try a smaller rate: --set training.lr=0.0003"
        msg = f"the training on '{image.name}' {result.failure}. {hint}".rstrip()
        raise StudyError(msg)
    denoised = torch.from_numpy(result.denoised)[None]
    figures, failed = _without_truth(registry, denoised, image.pixels)
    return Denoised(denoised, {**result.figures, **figures}, failed)


def _without_truth(
    registry: Registry, denoised: Tensor, noisy: Tensor
) -> tuple[dict[str, float], dict[str, str]]:
    """Take every metric that needs no clean image, with its defaults; one that fails costs itself."""
    figures, failed = {}, {}
    seconds = watchdog.seconds_for(*noisy.shape[-2:])
    for name in registry.names("metric"):
        try:
            metric = registry.build("metric", name, {})
            with component_context(registry.get("metric", name), "fails", "measure", seconds):
                if not declared(metric, "full_reference", True):
                    figures[name] = float(metric.measure(denoised, noisy, noisy)[0])
        except AblateError as error:  # the image is there already
            failed[name] = str(error)
    return figures, failed


def _chosen(result: Reopened, trial: str) -> Trial:
    trials = {each.trial.name: each.trial for each in result.result.trials}
    if not trials:
        name = result.plan.study.name
        msg = f"study '{name}' has no finished trial yet. Run: n2n-ablate study {name}"
        raise StoreError(msg)
    if trial:
        name = meant(trial, result.plan, trials)
    else:
        name = analyse(result.result, result.header).best.name
    return trials.get(name, result.plan.baseline)
