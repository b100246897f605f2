"""What was asked for, and everything that is decided and read before the first fit."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import torch

from n2n_ablate import study
from n2n_ablate.engine import Machine
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.errors import StoreError, StudyError
from n2n_ablate.execute import Choice
from n2n_ablate.images.gather import require_apart
from n2n_ablate.registry import Registry
from n2n_ablate.runner.interim import RaceOptions
from n2n_ablate.storage.fit_store import FitStore
from n2n_ablate.storage.output import Output
from n2n_ablate.study import Plan, Study
from n2n_ablate.study.planning import PlanOptions


@dataclass(frozen=True)
class Request:
    """What the user asked for, unchecked.

    Attributes:
        study: Name or path of a study, or a study.
        profile, settings, trials, seeds, first_seed, images, crop, white, channels,
            confirm_images, confirm_scenes, pairs: See `study.planning.PlanOptions`.
        device, precision: See `engine.machine`.
        executor: What trains the fits.
        output: The output folder.
        plugins_dir: A further folder of plugin files.
        plugins: Further plugins: modules or objects with hooks.
    """

    study: str | Study
    profile: str = ""
    settings: Sequence[str] = ()
    trials: int | None = None
    seeds: int | None = None
    first_seed: int | None = None
    images: Sequence[str] = ()
    crop: int | None = None
    white: float | None = None
    channels: Sequence[int] = ()
    confirm_images: Sequence[str] = ()
    confirm_scenes: int | None = None
    pairs: Sequence[str] = ()
    device: str = "auto"
    precision: str = "auto"
    executor: Choice = field(default_factory=Choice)
    output: Path = Path("mlruns")
    plugins_dir: Path | None = None
    plugins: Sequence[object] = ()

    def plan(self, asked: Study, registry: Registry, profile: str) -> Plan:
        """Return the plan of a study under a profile, with what the user asked for beside."""
        given = {name: getattr(self, name) for name in PlanOptions.__annotations__}
        return study.plan(asked, registry, profile=profile, **cast("PlanOptions", given))


@dataclass(frozen=True)
class RunOptions:
    """How a study is run, beside what is run."""

    tracking: str = "mlflow"  # `mlflow` or `none`
    tracking_uri: str = ""  # see `tracking.address.tracking_uri`
    storage: str = ""  # of a search, see `Search`
    fresh: bool = False  # begin a new search
    refit: bool = False  # train again what is in the store
    # analyse the contrasts while they run; None to analyse once, at the end
    race: RaceOptions | None = None


@dataclass(frozen=True)
class Session:
    """A request with everything decided and every image read. Nothing has been trained."""

    # what to do, with what, on what
    registry: Registry
    plan: Plan
    paired_data: PairedData
    # what the contrasts are confirmed on, with a plan that does not know the best of a search yet;
    # None for no confirmation
    confirmation_data: PairedData | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user has to know of the images before anything is trained."""
        later = self.confirmation_data.notes if self.confirmation_data else ()
        return tuple(dict.fromkeys((*self.paired_data.notes, *later)))

    @property
    def lock_name(self) -> str:
        """Name of the lock that whoever runs this study on this data has to hold."""
        return f"{self.plan.study.name}-{self.paired_data.key}"


def open_session(request: Request) -> Session:
    """Check everything that can be checked before the first fit."""
    asked = request.study
    asked = study.read(study.find(asked)) if isinstance(asked, str) else asked
    registry = Registry(*request.plugins, plugins_dir=request.plugins_dir)
    profile = request.profile or default_profile(asked, request.device)
    plan = request.plan(asked, registry, profile)
    machine = request.executor.machine(request.device, request.precision)
    stored = _stored(request.output)
    paired_data = _checked_data(plan, registry, machine, stored)
    if plan.profile.confirm is None:
        return Session(registry, plan, paired_data)
    held_out = _checked_data(study.confirmation(plan), registry, machine, stored, paired_data)
    return Session(registry, plan, paired_data, held_out)


def _stored(output: Path) -> Container[str]:
    """Return the keys of the fits that an output folder holds."""
    with contextlib.suppress(StoreError):  # there is none yet
        return FitStore(Output(output, reading=True), reading=True)
    return ()


def _checked_data(
    plan: Plan,
    registry: Registry,
    machine: Machine,
    stored: Container[str],
    apart_from: PairedData | None = None,
) -> PairedData:
    paired_data = PairedData(plan, registry, machine)
    if apart_from is not None:
        require_apart(apart_from.gathered, paired_data.gathered)
    for trial in plan.fixed:
        paired_data.check(trial.recipe, stored)
    return paired_data


def race_of(*, until_settled: bool, budget: str) -> RaceOptions | None:
    """Return what `--until-settled` and `--budget` ask for, None to analyse once, at the end."""
    if budget and not until_settled:
        msg = "--budget is for --until-settled: other studies run every trial. Give both."
        raise StudyError(msg)
    if not budget:
        return RaceOptions() if until_settled else None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", budget.strip())
    if match is None or float(match[1]) <= 0:
        msg = f"--budget '{budget}' must be a time such as 90s, 20m or 1.5h"
        raise StudyError(msg)
    return RaceOptions(float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]])


def default_profile(asked: study.Study, device: str) -> str:
    """Return `paper` where a GPU will be used and the study has it, else the file's first profile."""
    on_gpu = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    return "paper" if on_gpu and "paper" in asked.profiles else ""
