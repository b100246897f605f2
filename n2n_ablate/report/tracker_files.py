"""Writes the pictures and tables of trials and of a study into a folder for a tracker to keep."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL.Image import Image

from n2n_ablate.analysis.analyse import analyse
from n2n_ablate.analysis.diagnoses import ByCondition
from n2n_ablate.analysis.frames import fits_table, summary_frame
from n2n_ablate.components import Noise, Sampler
from n2n_ablate.diagnostics.model import flat
from n2n_ablate.files import slugs
from n2n_ablate.records import NoisySample, Row, StudyTrials, TrialResult
from n2n_ablate.report import samplers, study, tables
from n2n_ablate.report.document import Block, Document, Heading
from n2n_ablate.report.figures import figures
from n2n_ablate.report.figures.figures import Sight
from n2n_ablate.report.figures.sampler import sampler_picture
from n2n_ablate.report.render.markdown import escape, markdown
from n2n_ablate.study import Plan

MOST = 32
"""Images on a contact sheet. Browsers give up on pictures that are much taller."""

_OVERVIEW = 256  # longest side of a panel on a contact sheet, in pixels


def write_trial(
    folder: Path,
    plan: Plan,
    result: TrialResult,
    samples: Sequence[NoisySample],
    *,
    sampler: Sampler | None = None,
    diagnoses: ByCondition | None = None,
    noise: Noise | None = None,
) -> None:
    """Write everything that belongs to one trial.

    `folder`: an existing folder; `result`: the trial, with its denoised images; `noise`: a noise model of the
    study, for samplers that ask for its strength.
    """
    _write_pictures(folder / "images", plan, result, samples)
    if sampler is not None:
        title = str(result.trial.recipe.specs["sampler"])
        sampler_picture(sampler, title=title, noise=noise).save(folder / "sampler.png")
    fits_table(plan, [result]).to_csv(folder / "fits.csv", index=False)
    if diagnoses:
        write_diagnostics(folder / "diagnostics.csv", {result.trial.name: diagnoses})
    text = json.dumps(result.trial.recipe.to_json(), indent=2)
    (folder / "recipe.json").write_text(text, encoding="utf-8")


def _write_pictures(
    folder: Path, plan: Plan, result: TrialResult, samples: Sequence[NoisySample]
) -> None:
    """Write a strip per image and a contact sheet per condition, both of the first seed."""
    folder.mkdir()
    labels = slugs(condition.label for condition in plan.conditions)
    known = {(s.condition.label, s.image.name, s.seed): s for s in samples}
    for index, (label, slug) in enumerate(labels.items()):
        ending = "" if index == 0 else f".{slug}"
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


def _sight(row: Row, sample: NoisySample | None) -> Sight:
    denoised = row.result.denoised
    return Sight(
        name=row.image,
        noisy=sample.noisy[0].numpy() if sample else None,
        clean=sample.image.pixels[0].numpy() if sample else None,
        denoised=None if denoised is None else denoised.astype(np.float32) / 65535,
        psnr=row.result.figures.get("psnr") if not row.result.failure else None,
        failure=row.result.failure or "image not kept",
    )


def write_diagnostics(path: Path, diagnoses: Mapping[str, ByCondition]) -> None:
    """Write what was measured of samplers: a row for all images together (`all`), then one each."""
    import pandas as pd

    rows = [
        {"trial": trial, "condition": label, "image": image, **flat(figures)}
        for trial, by_condition in diagnoses.items()
        for label, measured in by_condition.items()
        for image, figures in {"all": measured.total, **measured.images}.items()
    ]
    pd.DataFrame(rows).to_csv(path, index=False)


def write_study(
    folder: Path, result: StudyTrials, diagnoses: Mapping[str, ByCondition] | None = None
) -> None:
    """Write the table of every condition, the study file and what was measured of the samplers."""
    analysis, plan = analyse(result), result.plan
    names = slugs(condition.label for condition in plan.conditions)
    stages = {"": analysis}
    if analysis.confirmation is not None:
        stages["confirmed."] = analysis.confirmation.analysis
    for prefix, stage in stages.items():
        for label, table in summary_frame(stage).groupby("condition", sort=False):
            infix = "" if len(names) == 1 else f".{names[str(label)]}"
            table.to_csv(folder / f"{prefix}table{infix}.csv", index=False)
    if diagnoses:
        write_diagnostics(folder / "diagnostics.csv", diagnoses)
    if plan.study.text:
        (folder / "study.toml").write_text(plan.study.text, encoding="utf-8")


def headline(plan: Plan) -> str:
    """Return the study's question as Markdown."""
    return f"**{escape(plan.study.question)}**"


def summary(result: StudyTrials, diagnoses: Mapping[str, ByCondition] | None = None) -> str:
    """Return answer and tables as Markdown, for the front page of a tracker."""
    analysis = analyse(result)
    blocks: list[Block] = []
    for condition in analysis.conditions:
        blocks.append(Heading(condition.condition))
        blocks += study.answer_blocks(analysis, condition, dots=False)
        blocks += study.trial_blocks(analysis, condition)
        names = tables.row_names(condition)
        measured = {
            names.get(name, name): each[condition.condition]
            for name, each in (diagnoses or {}).items()
            if condition.condition in each
        }
        if measured:
            blocks += [
                Heading("Diagnostics of the samplers", 3),
                samplers.diagnostics_table(measured, "trial"),
            ]
    if table := tables.summary_table(analysis):
        blocks.append(table)
    return markdown(Document(analysis.question, "", blocks))
