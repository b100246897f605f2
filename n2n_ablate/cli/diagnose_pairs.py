"""`n2n-ablate diagnose --pairs`: what measured noise is like, and how samplers cope with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from n2n_ablate.cli.screen import results, say
from n2n_ablate.errors import AblateError

if TYPE_CHECKING:
    from n2n_ablate.components.spec import ComponentSpec
    from n2n_ablate.diagnostics import Diagnosis, Probe
    from n2n_ablate.diagnostics.measured_noise import NoiseFigures
    from n2n_ablate.registry import Registry


def scenes(sources: Sequence[str], crop: int) -> Iterator[tuple[str, list[Probe]]]:
    """Yield a title and the scenes of every source.

    Args:
        sources: See `MeasuredPairs`.
        crop: Side of the centre crop in pixels; 0 keeps all.
    """
    from n2n_ablate.diagnostics import Probe
    from n2n_ablate.engine.measured import read_pairs
    from n2n_ablate.study import MeasuredPairs
    from n2n_ablate.study.read import pairs_label

    for source in sources:
        found = read_pairs(MeasuredPairs(source), crop)
        for line in found.notes:
            say(f"{source}: {line}")
        probes = [
            Probe(scene.image.name, scene.image.pixels, scene.shots) for scene in found.scenes
        ]
        shots = sum(len(scene.shots) for scene in found.scenes)
        yield f"{pairs_label(source)}: measured noise, {len(probes)} scenes, {shots} shots", probes


def noise_of(probes: Sequence[Probe]) -> dict[str, NoiseFigures]:
    """Return what the noise of every scene is like."""
    from n2n_ablate.diagnostics.measured_noise import noise_figures

    return {probe.name: noise_figures(probe.clean, probe.noisy) for probe in probes}


def diagnoses(
    parts: Sequence[ComponentSpec], registry: Registry, probes: Sequence[Probe], *, strict: bool
) -> dict[str, Diagnosis]:
    """Return the diagnoses of samplers on the scenes of a source.

    Args:
        parts: The samplers.
        registry: For the samplers.
        probes: The scenes.
        strict: A sampler that cannot be measured is an error, and not left out.
    """
    from n2n_ablate.components.recipe import resolved
    from n2n_ablate.diagnostics.measure import diagnose
    from n2n_ablate.registry.entry import component_context

    found = {}
    for part in parts:
        try:
            spec = resolved(registry, "sampler", part)
            sampler = registry.build("sampler", spec.name, spec.parameters)
            with component_context(
                registry.get("sampler", part.name), "cannot be measured", "draw"
            ):
                found[str(part)] = diagnose(sampler, None, probes)
        except AblateError as error:
            if strict:
                raise
            say(f"left out: {error}")
    return found


def print_noise(title: str, found: Mapping[str, NoiseFigures]) -> None:
    """Print one row per scene."""
    from n2n_ablate.report.document import Document, Heading
    from n2n_ablate.report.render.console import print_document
    from n2n_ablate.report.samplers import noise_table

    print_document(results(), Document(title, "", [Heading(title), noise_table(found)]))


def draw(
    found: Sequence[tuple[Mapping[str, NoiseFigures], Mapping[str, Diagnosis]]], folder: Path
) -> None:
    """Write the figures of every source into a folder.

    Raises:
        AblateError: They cannot be written.
    """
    from n2n_ablate.report.document import Document, Figure
    from n2n_ablate.report.figures.measured_noise import measured_noise
    from n2n_ablate.report.write import save_figures

    blocks = [
        Figure(measured_noise(noise, samplers), "", f"noise-{number}")
        for number, (noise, samplers) in enumerate(found, 1)
    ]
    try:
        paths = save_figures(Document("", "", blocks), folder, "png")
    except OSError as error:
        msg = f"the figures cannot be written to '{folder}': {error.strerror or error}"
        raise AblateError(msg) from error
    say(f"figures: {', '.join(map(str, paths))}")


def plain(found: Mapping[str, NoiseFigures]) -> dict[str, object]:
    """Return the figures as plain data."""
    return {
        name: {**asdict(each), "down": each.down, "across": each.across, "bright": each.bright}
        for name, each in found.items()
        if each.sigma > 0  # nothing is known of no noise
    }
