"""Hooks that a plugin may implement: one per kind of component, and one per event of a study.

Every hook is optional. A registration hook is called once per process, before any study is read,
with a `register` function that may be called any number of times. It only registers: no files, no
tensors, no printing, because it also runs for commands that merely list components.

A life-cycle hook is called while `n2n-ablate study` runs, with records that nobody may change. It
may do what it likes; what it does wrong never costs a study its results. A plugin with the attribute
`background = True` hears in a thread of its own; `TrialResult.with_images` reads the images it wants.
It may raise `StoreUnavailableError` while its server is away: the hook is then called again later.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeAlias

import pluggy

if TYPE_CHECKING:  # what the records are made of lies above; a hook only names them
    from n2n_ablate.records import (
        FitResult,
        Invocation,
        NoisySample,
        Point,
        StudyFiles,
        StudyTrials,
        TrialFiles,
        TrialResult,
    )
    from n2n_ablate.study import Plan, Trial

PROJECT = "n2n_ablate"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

Register: TypeAlias = Callable[[str, Callable[..., Any]], None]


@hookspec
def register_noises(register: Register) -> None:
    """Register noise models: ways to turn a clean image into a noisy one.

    Args:
        register: Call as `register("my-noise", MyNoise)`; `MyNoise(**parameters)` must return a
            `n2n_ablate.Noise`. Names are lowercase words joined by hyphens, unique in their kind.

    Since 0.1.
    """


@hookspec
def register_samplers(register: Register) -> None:
    """Register pair samplers: ways to cut one noisy image into views of the same scene.

    Args:
        register: Call as `register("my-pair", MyPair)`; `MyPair(**parameters)` must return a
            `n2n_ablate.Sampler`, which needs one method: `draw(image, rng)`.

    Since 0.1.
    """


@hookspec
def register_backbones(register: Register) -> None:
    """Register backbones: builders of the network that denoises.

    Args:
        register: Call as `register("my-net", MyNet)`; `MyNet(**parameters)` must return a
            `n2n_ablate.Backbone`.

    Since 0.1.
    """


@hookspec
def register_losses(register: Register) -> None:
    """Register losses: scores of a denoiser that need no clean image.

    Args:
        register: Call as `register("my-loss", MyLoss)`; `MyLoss(**parameters)` must return a
            `n2n_ablate.Loss`, one value per fit.

    Since 0.1.
    """


@hookspec
def register_trainings(register: Register) -> None:
    """Register trainings: optimiser, learning rate, number of steps and schedule.

    Args:
        register: Call as `register("my-training", MyTraining)`; `MyTraining(**parameters)` must
            return a `n2n_ablate.Training`.

    Since 0.1.
    """


@hookspec
def register_estimators(register: Register) -> None:
    """Register estimators: ways to make the denoised image from the weights training went through.

    Args:
        register: Call as `register("my-estimator", MyEstimator)`; `MyEstimator(**parameters)` must
            return a `n2n_ablate.Estimator`.

    Since 0.1.
    """


@hookspec
def register_metrics(register: Register) -> None:
    """Register metrics: scores of a denoised image.

    Args:
        register: Call as `register("my-metric", MyMetric)`; `MyMetric(**parameters)` must return a
            `n2n_ablate.Metric`.

    Since 0.1.
    """


@hookspec
def register_strategies(register: Register) -> None:
    """Register search strategies: ways to choose the next trial of a search.

    Args:
        register: Call as `register("my-strategy", MyStrategy)`; `MyStrategy(**parameters)` must
            return a `n2n_ablate.Strategy`, whose `sampler(seed)` is a sampler of Optuna's.

    Since 0.1.
    """


@hookspec
def register_image_sets(register: Callable[[str | PathLike[str]], None]) -> None:
    """Register files of named sets of images, of the form of `image-sets.toml`.

    Args:
        register: Call as `register(file)` with the path of a TOML file, e.g. one beside your module:
            `Path(__file__).with_name("sets.toml")`.

    Since 0.1.
    """


HOOK_OF = {
    "noise": "register_noises",
    "sampler": "register_samplers",
    "backbone": "register_backbones",
    "loss": "register_losses",
    "training": "register_trainings",
    "estimator": "register_estimators",
    "metric": "register_metrics",
    "strategy": "register_strategies",
}
"""The hook that collects each kind."""
IMAGE_SETS = "register_image_sets"
REGISTRATION = (*HOOK_OF.values(), IMAGE_SETS)
"""Hooks that are called once, when a plugin is loaded."""


@hookspec
def study_started(
    plan: Plan,
    invocation: Invocation,
    fits: int,
    steps: int,
    ended: Container[str],
    replayed: bool,
    say: Callable[[str], None],
) -> None:
    """Hear that a study begins: its images are ready and its recipes are checked.

    Args:
        plan: What was asked: the study, its profile and its trials.
        invocation: This run of the command: device, precision, versions.
        fits: Fits per trial: conditions x images x seeds.
        steps: Steps that a fit of the baseline trains.
        ended: Ids of earlier commands that are known to be over, however they ended: what one of
            them left half written is nobody's any more.
        replayed: A stored study is told again (`sync`): nothing is trained.
        say: Call it with one line that the user should know.

    Since 0.1.
    """


@hookspec
def trial_started(trial: Trial, fits: int, cached: int) -> None:
    """Hear that a trial begins. Trials that are trained together all begin before the first ends.

    Args:
        trial: Its name, role, recipe and place among the factors.
        fits: How many fits it has.
        cached: How many of them are stored already and need no training.

    Since 0.1.
    """


@hookspec
def point(point: Point) -> None:
    """Hear that a fit has a new point on its curves. Called often: be quick.

    Args:
        point: Trial, condition, image, seed, step, number of steps, and the values by name.

    Since 0.1.
    """


@hookspec
def fit_finished(result: FitResult) -> None:
    """Hear that a fit was trained and stored, or has failed. Cached fits are not announced.

    Args:
        result: Its figures and curves, its denoised image, or the reason why there is none.

    Since 0.1.
    """


@hookspec
def trial_finished(
    result: TrialResult,
    so_far: StudyTrials,
    samples: Sequence[NoisySample],
    files: TrialFiles,
) -> None:
    """Hear that a trial is finished and stored, in the order of the plan, the baseline first.

    Args:
        result: One row per fit, with the denoised images.
        so_far: Everything known, this trial included, without images.
        samples: The noisy images of the fits, in the order of `result.rows`.
        files: Makes the pictures and tables of the trial, and measures its sampler.

    Since 0.1.
    """


@hookspec
def interim_analysis_finished(so_far: StudyTrials, images: int) -> None:
    """Hear of an interim analysis of a race; contrasts without a verdict get further images.

    Args:
        so_far: What is known of the study, or of its confirmation, with its header: see `analysis.analyse`.
        images: How many images the open contrasts have.

    Since 0.1.
    """


@hookspec
def confirmation_started(plan: Plan, fits: int, steps: int) -> None:
    """Hear that the main study is finished and its confirmation begins.

    The hooks that follow are about its trials. `so_far` is then what is known of the confirmation.

    Args:
        plan: Its plan: images and seeds that no trial has seen, a baseline of its own, the
            contrasts, and the best of a search.
        fits: Fits per trial: conditions x images x seeds.
        steps: Steps that a fit of the baseline trains.

    Since 0.1.
    """


@hookspec
def study_finished(result: StudyTrials, status: str, files: StudyFiles) -> None:
    """Hear that a study has ended. Called once, however it ended, unless the process is killed.

    Args:
        result: Everything that was finished.
        status: `finished`, `interrupted` or `failed`; replayed also `killed`.
        files: Makes the tables of the study.

    Since 0.1.
    """


@hookspec
def note(message: str) -> None:
    """Hear something that the user should know, in one line.

    Args:
        message: What the console prints.

    Since 0.1.
    """


STUDY_FINISHED = "study_finished"
LIFE_CYCLE = (
    *("study_started", "trial_started", "point", "fit_finished", "trial_finished"),
    *("interim_analysis_finished", "confirmation_started", STUDY_FINISHED, "note"),
)
"""The hooks that are called while a study runs, in the order of the first call of each."""
