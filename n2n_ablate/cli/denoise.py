"""`n2n-ablate denoise`: a recipe applied to the user's own noisy images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from n2n_ablate.cli import grouping, options
from n2n_ablate.cli.screen import messages, say

if TYPE_CHECKING:
    from n2n_ablate.components.recipe import Recipe
    from n2n_ablate.engine import Machine
    from n2n_ablate.images import Image
    from n2n_ablate.registry import Registry
    from n2n_ablate.runner.denoise_files import Job
    from n2n_ablate.runner.denoising import Denoised


@dataclass(frozen=True)
class Asked:
    """Which recipe, where results go, and what they are compared with."""

    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File for the result of one source.")
    ] = None
    out_dir: Annotated[
        Path | None, typer.Option(help="Folder for results, under the names of their sources.")
    ] = None
    reference: Annotated[
        Path | None,
        typer.Option(help="A clean image to compare with: prints PSNR and SSIM before and after."),
    ] = None
    from_study: Annotated[
        str,
        typer.Option(
            help="Denoise with the recipe of this study chosen by the command best.",
            metavar="STUDY",
        ),
    ] = ""
    key: options.Run = ""
    trial: Annotated[str, typer.Option(help="With --from-study: use this trial's recipe.")] = ""
    settings: Annotated[
        options.Many,
        typer.Option(
            "--set",
            metavar="KIND.PARAMETER=VALUE",
            help="Changes the recipe, e.g. training.steps=1000. Repeatable.",
        ),
    ] = None
    channels: options.Channels = ""
    seed: Annotated[int, typer.Option(help="Seed of the weights and of the sampler.")] = 0
    device: options.Device = "auto"
    precision: options.Precision = "auto"
    output: options.Output = Path("mlruns")
    plugins_dir: options.PluginsDir = None
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that exist, the input included.")
    ] = False


@grouping.grouped
def run(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Noisy images: files, stacks, folders, patterns, or - for an .npy array on standard "
            "input.",
            metavar="IMAGE...",
        ),
    ],
    asked: Asked,
    *,
    quiet: options.Quiet = False,
) -> None:
    """Denoise images without any clean one.

    The recipe is the official one, or a study's. Results have the type, range and metadata of their
    sources.

    Examples:
        n2n-ablate denoise noisy.png -o denoised.png

        n2n-ablate denoise cells.tif -o denoised.tif --from-study center-weight

        n2n-ablate denoise 'night/*.png' --out-dir denoised
    """
    from n2n_ablate import engine
    from n2n_ablate.registry import Registry
    from n2n_ablate.runner.denoise_files import against, jobs
    from n2n_ablate.runner.denoising import choose_recipe

    registry = Registry(plugins_dir=asked.plugins_dir, local_if_needed=True)
    name, recipe = choose_recipe(
        registry,
        output=asked.output,
        from_study=asked.from_study,
        run=asked.key,
        trial=asked.trial,
        settings=asked.settings or [],
    )
    channels = options.channels_of(asked.channels)
    where = {"out": asked.out, "out_dir": asked.out_dir}
    work = jobs(sources, **where, channels=channels, overwrite=asked.overwrite)
    clean = iter(against(asked.reference, work) if asked.reference else ())
    machine = engine.machine(asked.device, asked.precision)
    warned: set[str] = set()
    for number, job in enumerate(work, 1):
        if not quiet:
            _warn(job, recipe, registry, warned)
        prefix = f"{number} of {len(work)}: " if len(work) > 1 else ""
        denoised = _denoised(job, recipe, registry, machine, asked.seed, prefix, quiet=quiet)
        _write(job, denoised, overwrite=asked.overwrite)
        if not quiet:
            _tell(job, denoised, f"{name} ({_short(recipe)})")
        for image, result in zip(job.images, denoised, strict=True) if asked.reference else ():
            say(_compared(image, result, next(clean)))


def _denoised(
    job: Job,
    recipe: Recipe,
    registry: Registry,
    machine: Machine,
    seed: int,
    prefix: str,
    *,
    quiet: bool,
) -> list[Denoised]:
    from rich.progress import Progress, TextColumn, TimeRemainingColumn

    from n2n_ablate.runner.denoising import denoise_all

    columns = (
        *Progress.get_default_columns()[:2],
        TextColumn("step {task.completed}/{task.total}"),
    )
    with Progress(
        *columns, TimeRemainingColumn(), console=messages(), transient=True, disable=quiet
    ) as bar:
        task = bar.add_task(f"{prefix}training", total=None)
        done: dict[str, int] = {}

        def advance(key: str, step: int, steps: int) -> None:
            done[key] = step
            bar.update(task, completed=sum(done.values()), total=steps * len(job.images))

        return denoise_all(
            job.images,
            recipe,
            registry,
            machine,
            seed=seed,
            listener=lambda point: advance(point.key, point.step, point.steps),
        )


def _warn(job: Job, recipe: Recipe, registry: Registry, warned: set[str]) -> None:
    from n2n_ablate.runner.denoise_files import correlation_warning

    line = correlation_warning(job.images[0], recipe, registry)
    if line and "correlated" not in warned:
        warned.add("correlated")
        say(f"{job.source}: {line}")


def _write(job: Job, denoised: list[Denoised], *, overwrite: bool) -> None:
    from n2n_ablate.images import write_images

    results = [
        replace(image, pixels=one.image) for image, one in zip(job.images, denoised, strict=True)
    ]
    write_images(job.target, results, overwrite=overwrite)


def _tell(job: Job, denoised: list[Denoised], recipe: str) -> None:
    from n2n_ablate.runner.denoise_files import noise_of

    first = job.images[0]
    h, w = first.pixels.shape[-2:]
    count = f"{len(job.images)} images of " if len(job.images) > 1 else ""
    say(f"{job.target}: {count}{h}x{w}, {first.range.dtype}, by {recipe}")
    say(f"estimated noise: standard deviation {noise_of(first):.3g} in the units of the file")
    figures = ", ".join(f"{name} {value:.4g}" for name, value in denoised[0].figures.items())
    say(f"without a clean image: {figures}")
    for name, why in denoised[0].failed.items():
        say(f"metric '{name}' failed: {why}")


def _short(recipe: Recipe) -> str:
    steps = recipe.specs["training"].parameters.get("steps")
    return f"{recipe.specs['sampler']}, {steps} steps"


def _compared(noisy: Image, result: Denoised, clean: Image) -> str:
    """Return PSNR and SSIM before and after; the range is that of the file's type, or of the image."""
    from n2n_ablate.runner.denoise_files import scores

    before, after = scores(noisy, noisy.pixels, clean), scores(noisy, result.image, clean)
    parts = [
        f"{name} {first:.{digits}f} before, {second:.{digits}f} after"
        for name, digits, first, second in (
            ("PSNR", 2, before[0], after[0]),
            ("SSIM", 3, before[1], after[1]),
        )
    ]
    return f"{noisy.name}: {'; '.join(parts)}"
