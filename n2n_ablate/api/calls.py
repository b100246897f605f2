"""Runs, opens and plans studies, and denoises arrays. Nothing is printed; a mistake is an exception."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from n2n_ablate.analysis import frames
from n2n_ablate.api.result import StudyResult
from n2n_ablate.components.spec import toml
from n2n_ablate.storage import reopen
from n2n_ablate.study import Study, build, find, read

if TYPE_CHECKING:  # so that a finished study opens without torch
    import numpy as np
    import pandas as pd

    from n2n_ablate.runner.planning import StudyPlan
    from n2n_ablate.runner.run import View
    from n2n_ablate.runner.session import Request

AnyStudy: TypeAlias = str | PathLike[str] | Mapping[str, Any] | Study
"""A study: its name, its file, a dict with the keys of a study file, or what `make_study` returns."""
Settings: TypeAlias = Mapping[str, Any] | Sequence[str]
"""Changes: `{"training.steps": 500}`, or texts as for `--set`."""
Sources: TypeAlias = str | PathLike[str] | Sequence[str | PathLike[str]]
"""Images: a folder, a file, `builtin`, `builtin:NAME`, or several of these."""


def make_study(**keys: Any) -> Study:
    """Return a study from the keys of a study file, see docs/reference/study-file.md.

    Raises:
        StudyError: Something is missing, unknown or makes no sense; the message names the key.
    """
    return build(keys)


def run(
    study: AnyStudy,
    *,
    profile: str = "",
    settings: Settings = (),
    images: Sources = (),
    confirm_images: Sources = (),
    confirm_scenes: int | None = None,
    pairs: Sources = (),
    crop: int | None = None,
    seeds: int | None = None,
    trials: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    tracking: str = "mlflow",
    output: str | PathLike[str] = "mlruns",
    plugins: Sequence[object] = (),
    progress: bool | None = None,
) -> StudyResult:
    """Run a study, or what of it has not been run yet.

    Args:
        study: A name, a file, a dict with the keys of a study file, or what `make_study` returns.
        profile: Budget from the study; by default its first, on a GPU `paper`.
        settings: Changes of the baseline, further levels, or changes of the noise.
        images: Folders, files, `builtin` or `builtin:NAME` instead of the profile's images.
        confirm_images: Held-out images to confirm on, instead of the profile's.
        confirm_scenes: Of measured pairs: how many scenes of each condition are held out to confirm on.
        pairs: Measured noise instead of the study's noise and images: folders of noisy shots with
            references, or named sets.
        crop: Side of the centre crop in pixels, 0 for whole images.
        seeds: Number of seeds per image.
        trials: Maximum number of trials, including the baseline.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        precision: `auto`, `fp32`, `tf32` or `bf16`.
        tracking: `mlflow` or `none`.
        output: Folder for results.
        plugins: Further plugins: modules, or objects with hooks.
        progress: Show a progress bar; by default in notebooks only.

    Raises:
        AblateError: Something is wrong with what was given, or a store cannot be written.
        StudyInterrupted: Ctrl-C, a `KeyboardInterrupt`. What was finished is stored: run it again.
    """
    from n2n_ablate.runner.run import run_study
    from n2n_ablate.runner.session import RunOptions

    request = _request(
        study,
        profile=profile,
        settings=_settings(settings),
        images=_sources(images),
        confirm_images=_sources(confirm_images),
        confirm_scenes=confirm_scenes,
        pairs=_sources(pairs),
        crop=crop,
        seeds=seeds,
        trials=trials,
        device=device,
        precision=precision,
        output=Path(output),
        plugins=plugins,
    )
    view = _view(progress)
    runner = run_study(request, RunOptions(tracking=tracking), view)
    key = runner.paired_data.key
    notes = tuple(getattr(view, "notes", ()))
    return StudyResult(runner.result, runner.header, request.output, key, notes)


def load(
    study: AnyStudy, *, output: str | PathLike[str] = "mlruns", profile: str = "", run: str = ""
) -> StudyResult:
    """Open a study that was run, from disk. Needs no plugin, no image and no torch.

    Args:
        study: A name, a file, a dict with the keys of a study file, or what `make_study` returns.
        output: The folder in which it was run.
        profile: The latest run of this profile; by default the latest of all.
        run: The run whose key begins so.

    Raises:
        StoreError: It was not run there, or cannot be read.
    """
    folder = Path(output)
    found = reopen.reopen(folder, _name(study), profile, run)
    return StudyResult(
        found.result, found.header, folder, found.journal.key, tuple(found.problems())
    )


def compare(*results: StudyResult) -> pd.DataFrame:
    """Return a row per trial of several studies or runs, contrasted where they share a protocol.

    `protocol` numbers what may be contrasted: images, seeds, noise, steps and device are the same.
    `estimate` is the paired difference from the baseline of the study that `reference` names, with
    its interval; it has a verdict where the study declared that contrast.
    """
    return frames.studies_frame(
        {f"{each.study.name}@{each.run[:8]}": (each.record, each.header) for each in results}
    )


def plan(
    study: AnyStudy,
    *,
    profile: str = "",
    settings: Settings = (),
    images: Sources = (),
    confirm_images: Sources = (),
    confirm_scenes: int | None = None,
    pairs: Sources = (),
    crop: int | None = None,
    seeds: int | None = None,
    trials: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    output: str | PathLike[str] = "mlruns",
    plugins: Sequence[object] = (),
) -> StudyPlan:
    """Return what `run` would do with the same arguments: trials, fits, expected time and memory.

    Raises:
        AblateError: As `run`.
    """
    from n2n_ablate.runner.planning import plan_study

    return plan_study(
        _request(
            study,
            profile=profile,
            settings=_settings(settings),
            images=_sources(images),
            confirm_images=_sources(confirm_images),
            confirm_scenes=confirm_scenes,
            pairs=_sources(pairs),
            crop=crop,
            seeds=seeds,
            trials=trials,
            device=device,
            precision=precision,
            output=Path(output),
            plugins=plugins,
        )
    )


def denoise(
    image: np.ndarray,
    *,
    recipe: Mapping[str, Any] | None = None,
    from_study: str = "",
    trial: str = "",
    steps: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    seed: int = 0,
    output: str | PathLike[str] = "mlruns",
    plugins: Sequence[object] = (),
) -> np.ndarray:
    """Denoise an image without any clean one: trains a network on it alone.

    Args:
        image: Shape (h, w), (h, w, 3) or (n, h, w[, 3]) for a stack; integers or floats.
        recipe: Changes of the published recipe (Mansour and Heckel, 2023), such as
            `{"sampler": "stripe", "training.lr": 0.0005}`.
        from_study: The recipe that this study recommends instead.
        trial: Of that study, the recipe of this trial.
        steps: Training steps, instead of the recipe's.
        device: As for `run`.
        precision: As for `run`.
        seed: Of the initial weights and of the sampler.
        output: The folder in which the study was run.
        plugins: As for `run`.

    Returns:
        The denoised image, of the shape, type and value range of the given one.

    Raises:
        AblateError: The image, the recipe or the device cannot be used, or training diverged.
    """
    from n2n_ablate.runner.denoising import denoise_array

    changes = _settings(dict(recipe or {}) | ({} if steps is None else {"training.steps": steps}))
    return denoise_array(
        image,
        device=device,
        precision=precision,
        seed=seed,
        plugins=plugins,
        output=Path(output),
        from_study=from_study,
        trial=trial,
        settings=changes,
    )


def _request(study: AnyStudy, **given: Any) -> Request:
    from n2n_ablate.runner.session import Request

    if isinstance(study, Mapping):
        study = build(study)
    return Request(study if isinstance(study, Study) else fspath(study), **given)


def _name(study: AnyStudy) -> str:
    if isinstance(study, Study):
        return study.name
    if isinstance(study, Mapping):
        return build(study).name
    text = fspath(study)
    return read(find(text)).name if text.endswith(".toml") or "/" in text else text


def _settings(given: Settings) -> list[str]:
    """Return settings as the command line has them."""
    if isinstance(given, Mapping):
        return [
            f"{key}={value if isinstance(value, str) else toml(value, str(key))}"
            for key, value in given.items()
        ]
    return [given] if isinstance(given, str) else list(given)


def _sources(given: Sources) -> list[str]:
    return [fspath(given)] if isinstance(given, str | PathLike) else [fspath(one) for one in given]


def _view(progress: bool | None) -> View:
    from n2n_ablate.report.live import Collected, NotebookProgress, in_notebook

    if progress is False or (progress is None and not in_notebook()):
        return Collected()
    if in_notebook():
        return NotebookProgress()
    from rich.console import Console

    from n2n_ablate.report.live import audience

    return audience(Console(stderr=True), quiet=False)
