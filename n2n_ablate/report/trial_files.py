"""Writes the pictures and tables of a trial, or of a study, into a folder for a tracker to keep."""

from __future__ import annotations

import csv
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL.Image import Image

from n2n_ablate.analysis import Line, Row, StudyResult, TrialResult, confirmed
from n2n_ablate.analysis.answer import shown
from n2n_ablate.analysis.curves import image_curves
from n2n_ablate.analysis.diagnoses import ByCondition
from n2n_ablate.components import Noise, Sampler
from n2n_ablate.diagnostics import Diagnosis
from n2n_ablate.diagnostics.words import clear_leak, flat, signed
from n2n_ablate.engine.paired_data import Subject
from n2n_ablate.report.escape import for_markdown
from n2n_ablate.report.figures import figures
from n2n_ablate.report.figures.figures import Sight
from n2n_ablate.report.figures.sampler import sampler_picture
from n2n_ablate.report.file_names import slugs
from n2n_ablate.study import Plan

MOST = 32
"""Images on a contact sheet. Browsers give up on pictures that are much taller."""

_OVERVIEW = 256  # longest side of a panel on a contact sheet, in pixels


def write_trial(
    folder: Path,
    plan: Plan,
    result: TrialResult,
    subjects: Sequence[Subject],
    *,
    baseline: TrialResult | None = None,
    sampler: Sampler | None = None,
    diagnoses: ByCondition | None = None,
    noise: Noise | None = None,
) -> None:
    """Write everything that belongs to one trial.

    Args:
        folder: An existing folder.
        plan: The study's plan.
        result: The trial, with its denoised images.
        subjects: The noisy images of its fits.
        baseline: For comparison in the curves; None if this trial is the baseline.
        sampler: The recipe's sampler, to be drawn.
        diagnoses: What was measured of the sampler.
        noise: A noise model of the study, for samplers that ask for its strength.
    """
    _write_pictures(folder / "images", plan, result, subjects)
    panels = {}
    for condition in plan.conditions:
        own = image_curves(result, "psnr", condition.label)
        other = image_curves(baseline, "psnr", condition.label) if baseline else None
        mean = (other.steps, other.mean) if other and other.images else None
        if own.images:
            panels[condition.label] = figures.Curves(own.steps, own.mean, own.images, mean)
    if panels:
        figures.curves(panels, title=result.trial.name).savefig(folder / "curves.png")
    if sampler is not None:
        title = str(result.trial.recipe.parts["sampler"])
        sampler_picture(sampler, title=title, noise=noise).save(folder / "sampler.png")
    write_fits(folder / "fits.csv", plan, result)
    if diagnoses:
        write_diagnostics(folder / "diagnostics.csv", {result.trial.name: diagnoses})
    text = json.dumps(result.trial.recipe.to_json(), indent=2)
    (folder / "recipe.json").write_text(text, encoding="utf-8")


def write_fits(path: Path, plan: Plan, result: TrialResult) -> None:
    """Write one row per fit, see `fit_rows`."""
    _write_csv(path, *fit_rows(plan, [result]))


def fit_rows(plan: Plan, trials: Sequence[TrialResult]) -> tuple[list[str], list[Sequence[object]]]:
    """Return titles and one row per fit, tidy: every number, for anybody's own statistics."""
    rows = [(item.trial, row) for item in trials for row in item.rows]
    metrics = list(dict.fromkeys([*plan.metrics, *(k for _, r in rows for k in r.result.figures)]))
    head = ["study", "trial", "role", "condition", "image", "seed"]
    return [*head, *metrics, "seconds", "failure", "fit"], [
        (
            *(plan.study.name, trial.name, trial.role, row.condition, row.image, row.seed),
            *(row.result.figures.get(name, "") for name in metrics),
            *(row.result.seconds, row.result.failure, row.result.key),
        )
        for trial, row in rows
    ]


def write_diagnostics(path: Path, diagnoses: Mapping[str, ByCondition]) -> None:
    """Write what was measured of samplers: a row for all images together (`all`), then one each."""
    rows = [
        (trial, label, image, *flat(figures).values())
        for trial, by_condition in diagnoses.items()
        for label, own in by_condition.items()
        for image, figures in {"all": own.total, **own.images}.items()
    ]
    names = next(list(flat(own.total)) for each in diagnoses.values() for own in each.values())
    _write_csv(path, ["trial", "condition", "image", *names], rows)


def write_study(
    folder: Path, result: StudyResult, diagnoses: Mapping[str, ByCondition] | None = None
) -> None:
    """Write the table of every condition, the study file and what was measured of the samplers."""
    plan = result.plan
    labels = slugs(condition.label for condition in plan.conditions)
    metrics = list(plan.metrics)
    head = [
        "condition",
        "trial",
        "role",
        *metrics,
        "difference",
        "low",
        "high",
        "level",
        "p",
        "images",
    ]
    head += ["wins", "verdict", "failures", "fits", "seconds"]
    for label, slug in labels.items():
        name = "table.csv" if len(labels) == 1 else f"table.{slug}.csv"
        tables = {name: result, f"confirmed.{name}": result.confirmed}
        for file, own in tables.items():
            if own is not None:
                rows = (_cells(label, line, metrics) for line in own.lines(label))
                _write_csv(folder / file, head, rows)
    if diagnoses:
        write_diagnostics(folder / "diagnostics.csv", diagnoses)
    if plan.study.text:
        (folder / "study.toml").write_text(plan.study.text, encoding="utf-8")


def headline(plan: Plan) -> str:
    """Return the study's question as Markdown."""
    return f"**{for_markdown(plan.study.question)}**"


def summary(result: StudyResult, diagnoses: Mapping[str, ByCondition] | None = None) -> str:
    """Return the question and its tables as Markdown, for the front page of a tracker.

    With diagnoses, by the name of the trial, the tables say how large leak and gap are.
    """
    known = diagnoses or {}
    plan = result.plan
    parts = [headline(plan)]
    for condition in plan.conditions:
        rows = [
            "| trial | PSNR dB | difference from baseline | verdict | leak | gap | fits |",
            "|---|---|---|---|---|---|---|",
        ]
        for line in result.lines(condition.label):
            failed = f", {line.failures} failed" if line.failures else ""
            cells = (
                line.name,
                f"{line.figures['psnr']:.2f}",
                shown(line.difference),
                line.verdict,
                *_leak_and_gap(known.get(line.name, {}).get(condition.label)),
                f"{line.fits}{failed}",
            )
            rows.append(f"| {' | '.join(map(for_markdown, cells))} |")
        scope = f"{for_markdown(condition.label)}, {len(plan.profile.seeds)} seed(s), crop {plan.profile.crop or 'none'}"
        parts.append("\n".join([f"{scope}:", "", *rows]))
        if result.confirmed:
            parts.append(_confirmation(result, condition.label))
    return "\n\n".join(parts)


def _confirmation(result: StudyResult, condition: str) -> str:
    rows = ["Confirmed on images and seeds that no trial above saw:", ""]
    rows += ["| trial | before | confirmed | verdict | shrinkage |", "|---|---|---|---|---|"]
    for pair in confirmed.pairs(result, condition):
        name = f"{pair.name} ({pair.mark})" if pair.mark else pair.name
        gone = confirmed.told_shrinkage(pair)
        cells = (name, shown(pair.before), shown(pair.after), pair.verdict, gone)
        rows.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(rows)


def _leak_and_gap(found: Diagnosis | None) -> tuple[str, str]:
    if found is None:
        return "", ""
    leak = clear_leak(found.total, both_ways=found.both_ways)
    return signed(leak), f"{found.total.gap.value:.1f}"


def _write_pictures(
    folder: Path, plan: Plan, result: TrialResult, subjects: Sequence[Subject]
) -> None:
    """Write a strip per image and a contact sheet per condition, both of the first seed."""
    folder.mkdir()
    labels = slugs(condition.label for condition in plan.conditions)
    known = {(s.condition.label, s.image.name, s.seed): s for s in subjects}
    for place, (label, slug) in enumerate(labels.items()):
        ending = "" if place == 0 else f".{slug}"
        rows = [
            row
            for row in result.rows
            if row.condition == label and row.seed == plan.profile.seeds[0]
        ]
        sights = [_sight(row, known.get((label, row.image, row.seed))) for row in rows]
        sights = [sight for sight in sights if sight.shape != (1, 1, 1)]
        names = slugs(sight.name for sight in sights)
        small: dict[str, Image] = {}
        for sight in sights:
            whole = figures.strip(sight)
            _save(whole, folder / f"{names[sight.name]}{ending}.png")
            if len(small) < MOST:
                fits = max(sight.shape) <= _OVERVIEW
                small[sight.name] = whole if fits else figures.strip(sight, side=_OVERVIEW)
        if small:
            sheet = figures.contact_sheet(small, title=_title(result, label, len(sights)))
            _save(sheet, folder / f"contact_sheet{ending}.png")


def _save(picture: Image, path: Path) -> None:
    # Noise does not compress: any other way takes longer and saves nothing.
    picture.save(path, compress_level=1, compress_type=zlib.Z_RLE)


def _title(result: TrialResult, label: str, count: int) -> str:
    mean = result.mean("psnr", label)
    score = f"mean {mean:.2f} dB" if np.isfinite(mean) else "no result"
    first = f" · first {MOST} of {count} images" if count > MOST else ""
    return f"{result.trial.name} · {label} · {score}{first}"


def _sight(row: Row, subject: Subject | None) -> Sight:
    denoised = row.result.denoised
    return Sight(
        name=row.image,
        noisy=subject.noisy[0].numpy() if subject else None,
        clean=subject.image.pixels[0].numpy() if subject else None,
        denoised=None if denoised is None else denoised.astype(np.float32) / 65535,
        psnr=row.result.figures.get("psnr") if not row.result.failure else None,
        failure=row.result.failure or "image not kept",
    )


def _cells(label: str, line: Line, metrics: Sequence[str]) -> list[object]:
    gap = line.difference
    numbers = (gap.mean, gap.low, gap.high, gap.level, gap.p, gap.n, gap.wins) if gap else ("",) * 7
    figures_ = [line.figures.get(name, "") for name in metrics]
    ends = (line.verdict, line.failures, line.fits, line.seconds)
    return [label, line.name, line.role, *figures_, *numbers, *ends]


def _write_csv(path: Path, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows(rows)
