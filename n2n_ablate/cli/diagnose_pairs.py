"""`n2n-ablate diagnose --pairs`: what measured noise is like, and how samplers cope with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from n2n_ablate.cli.screen import results, say
from n2n_ablate.errors import AblateError

if TYPE_CHECKING:
    from n2n_ablate.components.spec import ComponentSpec
    from n2n_ablate.diagnostics import Diagnosis
    from n2n_ablate.diagnostics.measured_noise import NoiseFigures
    from n2n_ablate.registry import Registry


def measured(
    sources: Sequence[str],
    parts: Sequence[ComponentSpec],
    registry: Registry,
    *,
    crop: int,
    strict: bool,
) -> tuple[dict[str, dict[str, Diagnosis]], dict[str, dict[str, NoiseFigures]]]:
    """Return the diagnoses of samplers and the figures of the noise by scene, for every source.

    Args:
        sources: See `MeasuredPairs`.
        parts: The samplers.
        registry: For the samplers.
        crop: Side of the centre crop in pixels; 0 keeps all.
        strict: A sampler that cannot be measured is an error, and not left out.
    """
    from n2n_ablate.components.recipe import resolved
    from n2n_ablate.diagnostics import Probe
    from n2n_ablate.diagnostics.measure import diagnose
    from n2n_ablate.diagnostics.measured_noise import noise_figures
    from n2n_ablate.engine.measured import read_pairs
    from n2n_ablate.registry.entry import component_context
    from n2n_ablate.study import MeasuredPairs
    from n2n_ablate.study.read import pairs_label

    diagnoses: dict[str, dict[str, Diagnosis]] = {}
    figures: dict[str, dict[str, NoiseFigures]] = {}
    for source in sources:
        found = read_pairs(MeasuredPairs(source), crop)
        for line in found.notes:
            say(f"{source}: {line}")
        probes = [
            Probe(scene.image.name, scene.image.pixels, scene.shots) for scene in found.scenes
        ]
        shots = sum(len(scene.shots) for scene in found.scenes)
        title = f"{pairs_label(source)}: measured noise, {len(probes)} scenes, {shots} shots"
        figures[title] = {
            scene.image.name: noise_figures(scene.image.pixels, scene.shots)
            for scene in found.scenes
        }
        rows = diagnoses.setdefault(title, {})
        for part in parts:
            try:
                spec = resolved(registry, "sampler", part)
                sampler = registry.build("sampler", spec.name, spec.parameters)
                with component_context(
                    registry.get("sampler", part.name), "cannot be measured", "draw"
                ):
                    rows[str(part)] = diagnose(sampler, None, probes)
            except AblateError as error:
                if strict:
                    raise
                say(f"left out: {error}")
    return diagnoses, figures


def print_figures(found: Mapping[str, NoiseFigures]) -> None:
    """Print one row per scene."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for title in ("scene", "shots", "PSNR dB", "sd", "down", "across", "colours", "bright/dark"):
        table.add_column(title, justify="left" if title == "scene" else "right", overflow="fold")
    for name, own in found.items():
        colours = "" if own.colours is None else f"{own.colours:.2f}"
        table.add_row(
            Text(name),
            str(own.shots),
            f"{own.psnr:.2f}",
            f"{own.sigma:.1f}",
            f"{own.down:.2f}",
            f"{own.across:.2f}",
            colours,
            f"{own.bright:.2f}",
        )
    out = results()
    out.print(table)
    for line in (
        "PSNR: of a shot against its reference. sd: of the noise, of 255.",
        "down, across: correlation of the noise with the next pixel; colours: between channels.",
        "bright/dark: sd in the brightest quarter of the scene over that in the darkest.",
    ):
        out.print(line, markup=False, highlight=False, style="dim")


def plain(found: Mapping[str, NoiseFigures]) -> dict[str, object]:
    """Return the figures as plain data."""
    return {name: asdict(own) for name, own in found.items()}
