"""Writes a report as one HTML page that needs nothing else: no network, no script, no other file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files

import jinja2
from markupsafe import Markup

from n2n_ablate.analysis.diagnoses import finals, points
from n2n_ablate.components.spec import ComponentSpec
from n2n_ablate.errors import AblateError
from n2n_ablate.registry import Registry
from n2n_ablate.report import charts, panels, responses, words
from n2n_ablate.report.figures import diagnostics as diagnostic_figures
from n2n_ablate.report.figures.sampler import sampler_picture
from n2n_ablate.report.file_names import slugs
from n2n_ablate.report.model import Report, Section, arms, left_out
from n2n_ablate.report.svg import data_png, inline
from n2n_ablate.stats.response import Response
from n2n_ablate.stats.surface import Surface
from n2n_ablate.version import __version__

_CURVES, _SAMPLERS = 6, 4
_WIDTH = 3.0  # of a panel with a legend beside it, in inches


@dataclass(frozen=True)
class Table:
    """A table of text: titles, rows, and a word for each row that styles it."""

    head: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True)
class Figure:
    """A figure: SVG elements side by side, and what it shows."""

    parts: Sequence[Markup]
    caption: str


@dataclass(frozen=True)
class View:
    """One condition as the template shows it."""

    slug: str
    section: Section
    results: Table
    evidence: Table | None
    effects: Table | None
    confirmation: Table | None
    diagnostics: Table | None
    figures: dict[str, Figure] = field(default_factory=dict)
    strips: Sequence[panels.Strip] = ()
    strips_caption: str = ""


def page(report: Report, registry: Registry | None = None) -> str:
    """Return the page.

    Args:
        report: What to write.
        registry: To draw the samplers; without it they are left out.
    """
    here = files("n2n_ablate.report")
    environment = jinja2.Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.FunctionLoader(lambda name: here.joinpath(name).read_text("utf-8")),
    )
    labels = slugs(item.condition.label for item in report.sections)
    style = here.joinpath("page.css").read_text("utf-8")
    return environment.get_template("page.html.jinja").render(
        report=report,
        plan=report.found.plan,
        views=[_view(report, item, labels[item.condition.label]) for item in report.sections],
        samplers=_samplers(report, registry),
        fewer_samplers=left_out(report.result, report.found.plan.conditions[0].label, _SAMPLERS),
        style=Markup(style),
        words=words,
        version=__version__,
    )


def _view(report: Report, section: Section, slug: str) -> View:
    result = report.result
    strips = panels.strips(report, section)
    return View(
        slug=slug,
        section=section,
        results=Table(
            words.results_head(section, result),
            [
                (_style(line.role, line.verdict), words.results_row(line, section, result))
                for line in section.lines
            ],
        ),
        evidence=_table(
            words.EVIDENCE, [words.evidence_row(item, section) for item in section.contrasts]
        ),
        effects=_table(words.EFFECTS, [words.effect_row(line) for line in section.effects]),
        confirmation=Table(
            words.confirmation_head(section),
            [
                (_style("", item.verdict), words.confirmation_row(item, section, result))
                for item in section.confirmed
            ],
        )
        if section.confirmed
        else None,
        diagnostics=_table(
            words.DIAGNOSTICS,
            [
                words.diagnostics_row(section.names.get(name, name), found)
                for name, found in section.diagnoses.items()
            ],
        ),
        figures=_figures(report, section, slug),
        strips=strips,
        strips_caption=panels.caption(report, section, strips),
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Table | None:
    return Table(head, [("", row) for row in rows]) if rows else None


def _style(role: str, verdict: str) -> str:
    return f"{role} {verdict.replace(' ', '-')}".strip()


def _figures(report: Report, section: Section, slug: str) -> dict[str, Figure]:
    found = {
        "forest": _forest(report, section, slug),
        "response": _response(report, section, slug),
        "curves": _curves(report, section, slug),
        "diagnostics": _diagnostics(report, section, slug),
        "loss": _loss(report, section, slug),
    }
    return {name: figure for name, figure in found.items() if figure is not None}


def _forest(report: Report, section: Section, slug: str) -> Figure | None:
    margin = report.found.plan.study.margin
    if not any(line.difference for line in section.trained):
        return None
    later = report.result.confirmed
    first = "trials" if later else ""
    chart = charts.forest(section.trained, section.names, margin, first)
    text = (
        "Paired difference in PSNR of every trial from the baseline, with its interval over images"
    )
    parts = [chart]
    lines = later.lines(section.condition.label) if later else []
    if lines := [line for line in lines if line.role != "yardstick"]:
        parts.append(charts.forest(lines, section.names, margin, "confirmation"))
        text += "; then of what was confirmed, on other images. Filled: confirmed"
    else:
        text += ". Filled: declared contrasts"
    text += f", with their verdicts; the band is \u00b1{margin:g} dB."
    return Figure([inline(part, f"forest-{slug}-{n}", text) for n, part in enumerate(parts)], text)


def _response(report: Report, section: Section, slug: str) -> Figure | None:
    plan, result, here = report.found.plan, report.result, section.condition.label
    keys, lines = responses.axes_of(plan, section.trained)
    if len(lines) < 2 or len(keys) not in (1, 2):
        return None
    base = [responses.place(plan.baseline.values.get(key)) for key in keys]
    if len(keys) == 1:
        curve = responses.curve(result, keys[0], here)
        declared = "" if result.confirmed else " Filled: declared contrasts."
        chart = responses.response(lines, keys[0], base[0], plan.study.margin, curve)
        text = (
            f"Difference from the baseline (diamond) against {keys[0]}, with intervals over "
            f"images.{declared}{_told(curve)}{_not_confirmed(report)}"
        )
    else:
        place = (base[0], base[1]) if base[0] is not None and base[1] is not None else None
        sheet = responses.sheet(result, (keys[0], keys[1]), here)
        chart = responses.surface(lines, (keys[0], keys[1]), place, sheet)
        text = (
            f"Mean difference from the baseline (diamond) in dB over {keys[0]} and {keys[1]}; "
            f"intervals stand in the table.{_told(sheet)}{_not_confirmed(report)}"
        )
    return Figure([inline(chart, f"response-{slug}", text)], text)


def _told(fitted: Response | Surface | None) -> str:
    """Return what a fitted curve or surface shows and promises."""
    if fitted is None:
        return ""
    lost = f", {fitted.lost_images} images left out" if fitted.lost_images else ""
    of = f"{fitted.images} image{'s' * (fitted.images != 1)}{lost}"
    level = f"{100 * fitted.level:g} %"
    if isinstance(fitted, Response):
        band = f"with the {level} band of the whole curve"
        return f" Line: smoothed over {of}, {band}; {fitted.words}."
    one, two = fitted.best
    near = f"; dashed: what holds the best place with {level}" if responses.bounded(fitted) else ""
    return f" Colours: smoothed over {of}, highest at {one:.3g}, {two:.3g}{near}."


def _curves(report: Report, section: Section, slug: str) -> Figure | None:
    result, here = report.deciding, section.condition.label
    chosen = {
        section.names.get(item.trial.name, item.trial.name): item
        for item in arms(result, here, _CURVES)
    }
    colours = charts.colours(report)
    drawn = [charts.curves(chosen, here, colours)]
    if result.baseline is not None:
        drawn.append(charts.gains(chosen, result.baseline, here, colours))
    of = " in the confirmation" if report.result.confirmed else ""
    texts = (
        f"Mean PSNR by training step{of}",
        "difference from the baseline with the 95 % band over images at each step",
    )
    parts = [
        inline(chart, f"curves-{place}-{slug}", text[0].upper() + text[1:])
        for place, (chart, text) in enumerate(zip(drawn, texts, strict=False))
        if chart is not None
    ]
    told = "; ".join(texts[: len(parts)])
    same = ", in the same colours" if len(parts) > 1 else ""
    fewer = left_out(result, here, _CURVES)
    text = f"{told}{same}. Dashed: the baseline. {fewer}".rstrip()
    return Figure(parts, text) if parts else None


def _diagnostics(report: Report, section: Section, slug: str) -> Figure | None:
    measured = {name: {section.condition.label: own} for name, own in section.diagnoses.items()}
    dots = points(report.result, measured, section.condition.label)
    if len({dot.trial for dot in dots}) < 2:
        return None
    text = (
        "PSNR against leak and gap: a dot per trial and image, a line per image. Only dots on one "
        f"line can be compared.{_not_confirmed(report)}"
    )
    dots = [replace(dot, trial=section.names.get(dot.trial, dot.trial)) for dot in dots]
    chart = diagnostic_figures.psnr_by_diagnostics(dots, charts.colours(report), width=_WIDTH)
    return Figure([inline(chart, f"diagnostics-{slug}", text)], text)


def _loss(report: Report, section: Section, slug: str) -> Figure | None:
    if section.loss is None or section.loss.tau.images == 0:
        return None
    own = finals(report.result, section.condition.label)
    kept = {line.name for line in section.lines if line.role != "reference"}
    shown = {section.names[name]: values for name, values in own.items() if name in kept}
    chart = diagnostic_figures.psnr_by_loss(shown, charts.colours(report), width=1.4 * _WIDTH)
    text = (
        "PSNR against the final training loss: a dot per trial and image, a line per image."
        f"{_not_confirmed(report)}"
    )
    return Figure([inline(chart, f"loss-{slug}", text)], text)


def _not_confirmed(report: Report) -> str:
    return " Of the trials, not of the confirmation." if report.result.confirmed else ""


def _samplers(report: Report, registry: Registry | None) -> list[tuple[str, str]]:
    """Return name and picture of the samplers of the trials that matter."""
    if registry is None:
        return []
    conditions = report.found.plan.conditions
    chosen: dict[ComponentSpec, str] = {}
    for item in arms(report.result, conditions[0].label, _SAMPLERS):
        part = item.trial.recipe.specs["sampler"]
        chosen.setdefault(part, str(part))
    found = []
    for part, name in chosen.items():
        try:
            sampler = registry.build("sampler", part.name, part.parameters)
            noise = registry.build(
                "noise", conditions[0].noise.name, conditions[0].noise.parameters
            )
        except AblateError:
            continue  # said among the problems
        found.append((name, data_png(sampler_picture(sampler, noise=noise))))
    return found
