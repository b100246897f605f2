"""Puts the pieces of one command together: study, plugins, machine, images, stores, trackers."""

from __future__ import annotations

import importlib.util
import platform
import re
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from n2n_ablate import study
from n2n_ablate.engine import Machine
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.errors import StoreError, StudyError
from n2n_ablate.execute import Choice, Executor
from n2n_ablate.images.gather import require_apart
from n2n_ablate.records import Invocation
from n2n_ablate.records.invocation import commit
from n2n_ablate.redaction import redact_command
from n2n_ablate.registry import Registry
from n2n_ablate.runner.dispatcher import HookDispatcher
from n2n_ablate.runner.interim import RaceOptions
from n2n_ablate.runner.runner import Runner
from n2n_ablate.storage.output import Output
from n2n_ablate.study import Plan, Study
from n2n_ablate.version import __version__

TRACKING = ("mlflow", "none")


@dataclass(frozen=True)
class Request:
    """What the user asked for, unchecked.

    Attributes:
        study: Name or path of a study, or a study.
        profile, settings, trials, seeds, images, crop, white, channels, confirm_images, confirm_scenes,
            pairs: See `study.plan`.
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
        """Return the plan of a study under a profile, with what the user asked for beside.

        Raises:
            AblateError: See the message.
        """
        return study.plan(
            asked,
            registry,
            profile=profile,
            settings=self.settings,
            trials=self.trials,
            seeds=self.seeds,
            images=self.images,
            crop=self.crop,
            white=self.white,
            channels=self.channels,
            confirm_images=self.confirm_images,
            confirm_scenes=self.confirm_scenes,
            pairs=self.pairs,
        )


@dataclass(frozen=True)
class RunOptions:
    """How a study is run, beside what is run.

    Attributes:
        tracking: `mlflow` or `none`.
        tracking_uri: See `tracking.address.tracking_uri`.
        storage: Of a search, see `Search`.
        fresh: Begin a new search.
        refit: Train again what is in the store.
        race: Analyse the contrasts while they run; None to analyse once, at the end.
    """

    tracking: str = "mlflow"
    tracking_uri: str = ""
    storage: str = ""
    fresh: bool = False
    refit: bool = False
    race: RaceOptions | None = None


AS_USUAL = RunOptions()


@dataclass(frozen=True)
class Session:
    """A request with everything decided and every image read. Nothing has been trained.

    Attributes:
        registry, plan, paired_data: What to do, with what, on what.
        confirmation_data: What the contrasts are confirmed on, with a plan that does not know the best
            of a search yet; None for no confirmation.
    """

    registry: Registry
    plan: Plan
    paired_data: PairedData
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
    """Check everything that can be checked before the first fit.

    Raises:
        AblateError: See the message.
    """
    asked = request.study
    asked = study.read(study.find(asked)) if isinstance(asked, str) else asked
    registry = Registry(*request.plugins, plugins_dir=request.plugins_dir)
    profile = request.profile or default_profile(asked, request.device)
    plan = request.plan(asked, registry, profile)
    machine = request.executor.machine(request.device, request.precision)
    paired_data = PairedData(plan, registry, machine)
    for trial in plan.fixed:
        paired_data.check(trial.recipe)
    return Session(
        registry, plan, paired_data, _held_out_data(plan, registry, machine, paired_data)
    )


def _held_out_data(
    plan: Plan, registry: Registry, machine: Machine, searched: PairedData
) -> PairedData | None:
    if plan.profile.confirm is None:
        return None
    later = study.confirmation(plan)
    paired_data = PairedData(later, registry, machine)
    require_apart(searched.gathered, paired_data.gathered)
    for trial in later.fixed:
        paired_data.check(trial.recipe)
    return paired_data


def race_of(*, until_settled: bool, budget: str) -> RaceOptions | None:
    """Return what `--until-settled` and `--budget` ask for, None for a single look at the end.

    Raises:
        StudyError: The budget is no time, or has no race to limit.
    """
    if budget and not until_settled:
        msg = "--budget is for --until-settled: other studies run every trial. Give both."
        raise StudyError(msg)
    if not until_settled:
        return None
    if not budget:
        return RaceOptions()
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", budget.strip())
    if match is None or float(match[1]) <= 0:
        msg = f"--budget '{budget}' must be a time such as 90s, 20m or 1.5h"
        raise StudyError(msg)
    return RaceOptions(float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]])


def default_profile(asked: study.Study, device: str) -> str:
    """Return `paper` where a GPU will be used and the study has it, else the file's first profile."""
    on_gpu = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    return "paper" if on_gpu and "paper" in asked.profiles else ""


def open_runner(
    session: Session,
    output: Output,
    view: object,
    options: RunOptions = AS_USUAL,
    executor: Executor | None = None,
) -> Runner:
    """Open the stores and return the runner. The caller holds the study's lock.

    Args:
        session: What to run.
        output: The output folder.
        view: Shows what happens: it implements life-cycle hooks, like any plugin.
        options: How.
        executor: Trains the fits. Whoever gives one opens and closes it.

    Raises:
        AblateError: A store cannot be opened.
    """
    race = options.race
    dispatcher = HookDispatcher(session.registry.host)
    for plugin in session.registry.listeners:
        dispatcher.add(plugin)
    if options.tracking == "mlflow":
        from n2n_ablate.tracking.tracker import MlflowTracker

        tell = dispatcher.note
        tracker = MlflowTracker(output, options.tracking_uri or None, session.registry, tell, tell)
        tracker.store.check()
        dispatcher.join(tracker, "tracking", background=True)
    dispatcher.join(view, "the live view")  # the last one is called first
    for broken in session.registry.broken:
        dispatcher.note(f"not loaded: {broken}")
    search = None
    if race and session.plan.effects:
        msg = (
            "--until-settled is for contrasts; a factorial has effects, which need every cell whole"
        )
        raise StudyError(msg)
    if race and session.plan.space and session.confirmation_data is None:
        msg = (
            f"--until-settled looks at declared contrasts while they run, and study "
            f"'{session.plan.study.name}' is a search without a confirmation. Name images that it "
            "does not see with --confirm-images (of measured pairs: --confirm-scenes), or add [confirm] "
            "to the study file."
        )
        raise StudyError(msg)
    if session.plan.space and session.plan.searched:
        if importlib.util.find_spec("optuna") is None:
            raise StudyError(_no_search(session.plan))
        from n2n_ablate.search.search import Search

        search = Search(
            session.plan,
            output,
            session.registry,
            key=session.paired_data.key,
            storage=options.storage,
            fresh=options.fresh,
            note=dispatcher.note,
        )
    return Runner(
        plan=session.plan,
        registry=session.registry,
        paired_data=session.paired_data,
        output=output,
        dispatcher=dispatcher,
        invocation=_invocation(session),
        search=search,
        refit=options.refit,
        executor=executor,
        confirmation_data=session.confirmation_data,
        race=race,
    )


def _no_search(plan: Plan) -> str:
    fixed = len(plan.fixed)
    return (
        f"study '{plan.study.name}' is a search, which needs Optuna: pip install optuna. Without it, "
        f"--trials {fixed} runs the {fixed} trials that are declared, and studies of the designs "
        f"{', '.join(design for design in study.DESIGNS if design != 'search')} run whole."
    )


def check_tracking(kind: str) -> None:
    """Check that there is such a tracker before anything is read for it.

    Raises:
        StudyError: There is no such tracker.
        StoreError: It is not installed.
    """
    if kind not in TRACKING:
        msg = f"--tracking cannot be '{kind}'. Use {' or '.join(TRACKING)}."
        raise StudyError(msg)
    if kind == "mlflow" and importlib.util.find_spec("mlflow") is None:
        msg = (
            "MLflow is not installed. Use --tracking none here and n2n-ablate sync where it is, "
            "or: pip install mlflow"
        )
        raise StoreError(msg)


def _invocation(session: Session) -> Invocation:
    machine = session.paired_data.machine
    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "n2n-ablate": __version__,  # a checkout need not be installed
    }
    for name in ("mlflow", "optuna"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    for entry in session.registry:
        if entry.origin.version and not str(entry.factory.__module__).startswith("n2n_ablate"):
            versions[entry.origin.plugin] = entry.origin.version
    command = redact_command(["n2n-ablate", *sys.argv[1:]])
    return Invocation(
        uuid.uuid4().hex[:12], command, machine.name, machine.precision, versions, commit()
    )
