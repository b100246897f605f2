"""Hooks that a plugin may implement: one per kind of component.

Every hook is optional. It is called once per process, before any study is read, with a `register`
function that may be called any number of times. A registration hook only registers: no files, no
tensors, no printing, because it also runs for commands that merely list components.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import pluggy

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


HOOK_OF = {
    "noise": "register_noises",
    "sampler": "register_samplers",
    "backbone": "register_backbones",
    "loss": "register_losses",
    "training": "register_trainings",
    "estimator": "register_estimators",
    "metric": "register_metrics",
}
"""The hook that collects each kind."""
