"""`n2n-ablate denoise`: a recipe applied to the user's own noisy image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from n2n_ablate.cli import options
from n2n_ablate.cli.screen import messages


def run(
    image: Annotated[Path, typer.Argument(help="A noisy image: grey or RGB, 8 or 16 bits.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write the denoised image.")],
    from_study: Annotated[
        str,
        typer.Option(
            help="Use the recipe of this study that the command best prints.", metavar="STUDY"
        ),
    ] = "",
    key: options.Run = "",
    trial: Annotated[str, typer.Option(help="With --from-study: use this trial's recipe.")] = "",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KIND.PARAMETER=VALUE",
            help="Changes the recipe, e.g. training.steps=1000. May be repeated.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the weights and of the sampler.")] = 0,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    output: options.Output = Path("mlruns"),
    plugins_dir: options.PluginsDir = None,
    *,
    quiet: options.Quiet = False,
) -> None:
    """Denoise one image, without any clean one.

    The recipe is the official one, or a study's.

    Example:
        n2n-ablate denoise noisy.png -o clean.png --from-study center-weight
    """
    from rich.progress import Progress, TextColumn, TimeRemainingColumn

    from n2n_ablate import engine, images
    from n2n_ablate.registry import Registry
    from n2n_ablate.runner.denoising import choose_recipe, denoise

    (noisy,) = images.open_stack(image)
    registry = Registry(plugins_dir=plugins_dir, local_if_needed=True)
    name, recipe = choose_recipe(
        registry,
        output=output,
        from_study=from_study,
        run=key,
        trial=trial,
        settings=settings or [],
    )
    images.check_writable(out, noisy.range.dtype)
    machine = engine.machine(device, precision)
    console = messages()
    columns = (
        *Progress.get_default_columns()[:2],
        TextColumn("step {task.completed}/{task.total}"),
    )
    with Progress(
        *columns, TimeRemainingColumn(), console=console, transient=True, disable=quiet
    ) as bar:
        task = bar.add_task("training", total=None)
        found = denoise(
            noisy,
            recipe,
            registry,
            machine,
            seed=seed,
            listener=lambda point: bar.update(task, completed=point.step, total=point.steps),
        )
    images.write_images(out, [replace(noisy, pixels=found.image)], overwrite=True)
    if not quiet:
        h, w = found.image.shape[-2:]
        steps = recipe.specs["training"].parameters.get("steps")
        told = f"{out}: {h}x{w}, {noisy.range.dtype}, by {name} ({recipe.specs['sampler']}, {steps} steps)"
        console.print(told, markup=False, highlight=False, soft_wrap=True)
        figures = ", ".join(f"{name} {value:.4g}" for name, value in found.figures.items())
        console.print(f"without a clean image: {figures}", markup=False, highlight=False)
        for name, why in found.failed.items():
            console.print(f"metric '{name}' failed: {why}", markup=False, highlight=False)
