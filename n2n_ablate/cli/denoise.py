"""`n2n-ablate denoise`: a recipe applied to the user's own noisy images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from n2n_ablate.cli import grouping, options
from n2n_ablate.cli.screen import messages, say

if TYPE_CHECKING:
    from n2n_ablate.components.recipe import Recipe
    from n2n_ablate.images import Image
    from n2n_ablate.records import Point
    from n2n_ablate.registry import Registry
    from n2n_ablate.runner.denoise_files import Job
    from n2n_ablate.runner.denoising import Denoised

_SET = "Change the recipe (repeatable)."


@dataclass(frozen=True)
class Options:
    """Which recipe, where results go, and what they are compared with."""

    out: Annotated[Path | None, options.option("Result of one source.", "FILE", "--out", "-o")] = (
        None
    )
    out_dir: Annotated[Path | None, options.option("Folder for results, named alike.", "DIR")] = (
        None
    )
    reference: Annotated[
        Path | None, options.option("Clean image: prints PSNR and SSIM.", "FILE")
    ] = None
    from_study: Annotated[str, options.option("Recipe that this study recommends.", "STUDY")] = ""
    key: Annotated[str, options.option("Of that study: an earlier run.", "KEY", "--run")] = ""
    trial: Annotated[str, options.option("Of that study: this trial's recipe.", "NAME")] = ""
    settings: Annotated[options.Many, options.option(_SET, "KEY=VALUE", "--set")] = None
    seed: Annotated[int, options.option("Seed of weights and sampler.", "N")] = 0
    overwrite: Annotated[
        bool, options.flag("Replace files that exist, also the input.", "--overwrite")
    ] = False
    device: options.Device = "auto"
    precision: options.Precision = "auto"
    output: options.Output = options.MLRUNS
    channels: options.Channels = ""
    plugins_dir: options.PluginsDir = None

    def recipe(self, registry: Registry) -> tuple[str, Recipe]:
        """Return the recipe to use, and what to call it."""
        from n2n_ablate.runner.denoising import choose_recipe

        return choose_recipe(
            registry,
            output=self.output,
            from_study=self.from_study,
            run=self.key,
            trial=self.trial,
            settings=self.settings or [],
        )


@grouping.grouped
def run(
    sources: Annotated[
        list[str],
        typer.Argument(help="Files, folders, patterns, or - (.npy on stdin).", metavar="IMAGE"),
    ],
    asked: Options,
    *,
    quiet: options.Quiet = False,
) -> None:
    """Denoise images without any clean one.

    The recipe is the official one, or a study's; --set training.steps=1000 changes it. Results have
    the type, range and metadata of their sources.

    Examples:
        n2n-ablate denoise noisy.png -o denoised.png
        n2n-ablate denoise cells.tif -o denoised.tif --from-study center-weight
        n2n-ablate denoise 'night/*.png' --out-dir denoised
    """
    from n2n_ablate import engine
    from n2n_ablate.registry import Registry
    from n2n_ablate.runner.denoise_files import against, correlation_warning, jobs
    from n2n_ablate.runner.denoising import denoise_all

    registry = Registry(plugins_dir=asked.plugins_dir, local_if_needed=True)
    name, recipe = asked.recipe(registry)
    channels = options.channels_of(asked.channels)
    where = {"out": asked.out, "out_dir": asked.out_dir}
    work = jobs(sources, **where, channels=channels, overwrite=asked.overwrite)
    clean = iter(against(asked.reference, work) if asked.reference else ())
    machine = engine.machine(asked.device, asked.precision)
    warned = quiet
    for number, job in enumerate(work, 1):
        if not warned and (line := correlation_warning(job.images[0], recipe, registry)):
            warned = True
            say(f"{job.source}: {line}")
        prefix = f"{number} of {len(work)}: " if len(work) > 1 else ""
        with _bar(f"{prefix}training", len(job.images), quiet=quiet) as listener:
            denoised = denoise_all(
                job.images, recipe, registry, machine, seed=asked.seed, listener=listener
            )
        _write(job, denoised, overwrite=asked.overwrite)
        if not quiet:
            _report(job, denoised, f"{name} ({_short(recipe)})")
        for image, result in zip(job.images, denoised, strict=True) if asked.reference else ():
            say(_compared(image, result, next(clean)))


@contextmanager
def _bar(text: str, count: int, *, quiet: bool) -> Iterator[Callable[[Point], None]]:
    """Show a progress bar for the training of so many images; hands out what hears of it."""
    from rich.progress import Progress, TextColumn, TimeRemainingColumn

    columns = Progress.get_default_columns()[:2]
    steps = TextColumn("step {task.completed}/{task.total}")
    last = TimeRemainingColumn()
    with Progress(*columns, steps, last, console=messages(), transient=True, disable=quiet) as bar:
        task = bar.add_task(text, total=None)
        done: dict[str, int] = {}

        def advance(point: Point) -> None:
            done[point.key] = point.step
            bar.update(task, completed=sum(done.values()), total=point.steps * count)

        yield advance


def _write(job: Job, denoised: list[Denoised], *, overwrite: bool) -> None:
    from n2n_ablate.images import write_images

    pairs = zip(job.images, denoised, strict=True)
    results = [replace(image, pixels=one.image) for image, one in pairs]
    write_images(job.target, results, overwrite=overwrite)


def _report(job: Job, denoised: list[Denoised], recipe: str) -> None:
    from n2n_ablate.runner.denoise_files import noise_of

    first = job.images[0]
    h, w = first.pixels.shape[-2:]
    count = f"{len(job.images)} images of " if len(job.images) > 1 else ""
    say(f"{job.target}: {count}{h}x{w}, {first.range.dtype}, by {recipe}")
    say(f"estimated noise: standard deviation {noise_of(first):.3g} in the units of the file")
    figures = ", ".join(f"{name} {value:.4g}" for name, value in denoised[0].figures.items())
    say(f"metrics that need no clean image: {figures}")
    for name, why in denoised[0].failed.items():
        say(f"metric '{name}' failed: {why}")


def _short(recipe: Recipe) -> str:
    steps = recipe.specs["training"].parameters.get("steps")
    return f"{recipe.specs['sampler']}, {steps} steps"


def _compared(noisy: Image, result: Denoised, clean: Image) -> str:
    """Return PSNR and SSIM before and after; the range is that of the file's type, or of the image."""
    from n2n_ablate.runner.denoise_files import scores

    before, after = scores(noisy, noisy.pixels, clean), scores(noisy, result.image, clean)
    return (
        f"{noisy.name}: PSNR {before[0]:.2f} before, {after[0]:.2f} after; "
        f"SSIM {before[1]:.3f} before, {after[1]:.3f} after"
    )
