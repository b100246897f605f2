"""What `n2n-ablate diagnose` gives: tables of samplers and of measured noise, figures, plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from n2n_ablate.cli.screen import results, say
from n2n_ablate.errors import AblateError

if TYPE_CHECKING:
    from n2n_ablate.diagnostics import Diagnosis
    from n2n_ablate.diagnostics.measured_noise import NoiseFigures

    Diagnoses = Mapping[str, Mapping[str, Diagnosis]]  # by condition, then by name


def show(title: str, rows: Mapping[str, Diagnosis]) -> None:
    """Print one row per sampler, and what to be careful with."""
    from n2n_ablate.report.document import Document, Heading, Lines
    from n2n_ablate.report.render.console import print_document
    from n2n_ablate.report.samplers import diagnostics_table
    from n2n_ablate.report.text.diagnostics import warning_lines

    heading, warnings = Heading(title), Lines(warning_lines(rows))
    print_document(results(), Document(title, "", [heading, diagnostics_table(rows), warnings]))


def show_noise(title: str, noise: Mapping[str, NoiseFigures]) -> None:
    """Print one row per scene of measured noise."""
    from n2n_ablate.report.document import Document, Heading
    from n2n_ablate.report.render.console import print_document
    from n2n_ablate.report.samplers import noise_table

    print_document(results(), Document(title, "", [Heading(title), noise_table(noise)]))


def draw(
    sources: Sequence[tuple[Mapping[str, NoiseFigures], Mapping[str, Diagnosis]]], folder: Path
) -> None:
    """Write the figures of every source of measured noise into a folder.

    Raises:
        AblateError: They cannot be written.
    """
    from n2n_ablate.report.document import Document, Figure
    from n2n_ablate.report.figures.diagnostics import measured_noise
    from n2n_ablate.report.write import save_figures

    blocks = [
        Figure(measured_noise(noise, samplers), "", f"noise-{number}")
        for number, (noise, samplers) in enumerate(sources, 1)
    ]
    try:
        paths = save_figures(Document("", "", blocks), folder, "png")
    except OSError as error:
        msg = f"the figures cannot be written to '{folder}': {error.strerror or error}"
        raise AblateError(msg) from error
    say(f"figures: {', '.join(map(str, paths))}")


def plain(noise: Mapping[str, NoiseFigures]) -> dict[str, object]:
    """Return the figures of measured noise as plain data."""
    return {
        name: {**asdict(each), "down": each.down, "across": each.across, "bright": each.bright}
        for name, each in noise.items()
        if each.sigma > 0  # nothing is known of no noise
    }


def to_json(diagnoses: Diagnoses) -> list[dict[str, object]]:
    """Return diagnoses as plain data."""
    from n2n_ablate.diagnostics.model import to_json

    return [
        {"condition": condition, "samplers": {name: to_json(each) for name, each in rows.items()}}
        for condition, rows in diagnoses.items()
    ]
