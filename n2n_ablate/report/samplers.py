"""What was measured of samplers, as blocks of a document: a table, warnings, pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from n2n_ablate.components import Noise
from n2n_ablate.components.spec import ComponentSpec
from n2n_ablate.diagnostics import Diagnosis
from n2n_ablate.diagnostics.measured_noise import NoiseFigures
from n2n_ablate.diagnostics.model import Concern, concerns, warnings, wrong_gain
from n2n_ablate.errors import AblateError
from n2n_ablate.records import TrialResult
from n2n_ablate.registry import Registry
from n2n_ablate.report.document import (
    Block,
    Cell,
    Column,
    Picture,
    Row,
    Table,
    Verdict,
)
from n2n_ablate.report.numbers import format_number, format_signed
from n2n_ablate.report.text import captions
from n2n_ablate.report.text import diagnostics as text
from n2n_ablate.study import Condition


def diagnostics_table(
    diagnoses: Mapping[str, Diagnosis], title: str = "sampler", key: str = "diagnostics"
) -> Table:
    """Return a table with a row per sampler or trial; gains have a column only if one is off."""
    gains = any(Concern.GAIN in concerns(each) for each in diagnoses.values())
    warned = any(warnings(each) for each in diagnoses.values())
    columns = [
        Column(title, numeric=False, wraps=True),
        *map(Column, ("leak", "back", "bias", "view noise", "gap", *(["gain"] if gains else []))),
        *([Column("warning", numeric=False)] if warned else []),
    ]
    rows = [
        Row([*_figures(name, each, gains=gains), *([_warnings(each)] if warned else [])])
        for name, each in diagnoses.items()
    ]
    notes = text.table_notes(diagnoses, gains=gains)
    return Table(columns, rows, notes=notes, key=key, detail=True)


def _figures(name: str, diagnosis: Diagnosis, *, gains: bool) -> list[Cell]:
    total = diagnosis.total
    noise = " ".join(format_number(view.value) for view in total.noise) if total.sigma else ""
    gain = wrong_gain(total)
    return [
        name,
        format_signed(total.leak.value),
        format_signed(total.back.value) if diagnosis.both_ways else "",
        format_signed(total.bias.value, 1),
        noise.strip(),
        format_number(total.gap.value, 1),
        *([format_number(gain)] if gains else []),
    ]


def _warnings(diagnosis: Diagnosis) -> Cell:
    words = " ".join(warnings(diagnosis))
    return Verdict(words, "worse") if words else ""


def noise_table(scenes: Mapping[str, NoiseFigures]) -> Table:
    """Return a table with a row per scene of measured noise."""
    colours = any(each.colours is not None for each in scenes.values())
    titles = ("shots", "PSNR (dB)", "sd", "down", "across", *(["colours"] if colours else []))
    columns = [
        Column("scene", numeric=False, wraps=True),
        *map(Column, (*titles, "bright/dark")),
    ]
    rows = [
        Row(
            [
                *(name, each.shots, format_number(each.psnr), format_number(each.sigma, 1)),
                *(format_number(each.down), format_number(each.across)),
                *([format_number(each.colours)] if colours else []),
                format_number(each.bright),
            ]
        )
        for name, each in scenes.items()
    ]
    return Table(columns, rows, notes=text.noise_notes(scenes), key="noise", detail=True)


def sampler_pictures(
    trials: Sequence[TrialResult], condition: Condition, registry: Registry
) -> Iterator[Block]:
    """Yield a picture of every sampler that these trials use, each once."""
    from n2n_ablate.report.figures.figures import data_png
    from n2n_ablate.report.figures.sampler import sampler_picture

    for part in _samplers(trials):
        try:
            sampler = registry.build("sampler", part.name, part.parameters)
            noise: Noise | None = None
            if (model := condition.noise) is not None:
                noise = registry.build("noise", model.name, model.parameters)
        except AblateError:
            continue  # among the problems already
        picture = data_png(sampler_picture(sampler, noise=noise))
        caption = captions.sampler(str(part))
        yield Picture(picture, caption, caption)


def _samplers(trials: Sequence[TrialResult]) -> list[ComponentSpec]:
    return list(dict.fromkeys(trial.trial.recipe.specs["sampler"] for trial in trials))
