"""What `n2n-ablate diagnose` prints: a table of samplers per condition, one of scenes for measured noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from n2n_ablate.cli.screen import results, table

if TYPE_CHECKING:
    from n2n_ablate.diagnostics import Diagnosis
    from n2n_ablate.diagnostics.measured_noise import NoiseFigures

    Diagnoses = Mapping[str, Mapping[str, Diagnosis]]  # by condition, then by name
    Scenes = Mapping[str, Mapping[str, NoiseFigures]]  # by condition, then by scene


def show(diagnoses: Diagnoses, figures: Scenes) -> None:
    """Print the table of every condition, and its scenes where the noise is measured."""
    for condition, rows in diagnoses.items():
        _print(condition, rows)
        if condition in figures:
            _print_figures(figures[condition])


def _print(condition: str, rows: Mapping[str, Diagnosis]) -> None:
    from n2n_ablate.report.document import Document, Heading, Lines
    from n2n_ablate.report.render.console import print_document
    from n2n_ablate.report.samplers import diagnostics_table
    from n2n_ablate.report.text.diagnostics import warning_lines

    heading, warnings = Heading(condition), Lines(warning_lines(rows))
    page = Document(condition, "", [heading, diagnostics_table(rows), warnings])
    print_document(results(), page)


_COLUMNS: dict[str, Callable[[NoiseFigures], str]] = {
    "shots": lambda noise: str(noise.shots),
    "PSNR dB": lambda noise: f"{noise.psnr:.2f}",
    "sd": lambda noise: f"{noise.sigma:.1f}",
    "down": lambda noise: f"{noise.down:.2f}",
    "across": lambda noise: f"{noise.across:.2f}",
    "colours": lambda noise: "" if noise.colours is None else f"{noise.colours:.2f}",
    "bright/dark": lambda noise: f"{noise.bright:.2f}",
}


def _print_figures(figures: Mapping[str, NoiseFigures]) -> None:
    """Print one row per scene of measured noise."""
    from rich.text import Text

    scenes = table("scene", *_COLUMNS, right=tuple(_COLUMNS))
    for name, noise in figures.items():
        scenes.add_row(Text(name), *(cell(noise) for cell in _COLUMNS.values()))
    out = results()
    out.print(scenes)
    for line in (
        "PSNR: of a shot against its reference. sd: of the noise, of 255.",
        "down, across: correlation of the noise with the next pixel; colours: between channels.",
        "bright/dark: sd in the brightest quarter of the scene over that in the darkest.",
    ):
        out.print(line, markup=False, highlight=False, style="dim")


def to_json(diagnoses: Diagnoses, figures: Scenes) -> list[dict[str, object]]:
    """Return diagnoses as plain data, with the figures of measured noise."""
    from n2n_ablate.diagnostics import concerns

    rows: list[dict[str, object]] = []
    for condition, each in diagnoses.items():
        rows.append(
            {
                "condition": condition,
                "samplers": {name: concerns.to_json(diagnosis) for name, diagnosis in each.items()},
            }
        )
        if condition in figures:
            rows[-1]["noise"] = {name: asdict(own) for name, own in figures[condition].items()}
    return rows
