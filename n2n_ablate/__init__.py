"""n2n-ablate: which part of a zero-shot image denoiser earns its decibels.

The names below are what plugins and notebooks may use. They are loaded when first asked for, so
that `n2n-ablate --help` does not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from n2n_ablate.version import __version__

if TYPE_CHECKING:
    from n2n_ablate.analysis.analyse import analyse as analyse
    from n2n_ablate.analysis.records import ContrastRecord as ContrastRecord
    from n2n_ablate.api import StudyResult as StudyResult
    from n2n_ablate.api import compare as compare
    from n2n_ablate.api import denoise as denoise
    from n2n_ablate.api import load as load
    from n2n_ablate.api import make_study as make_study
    from n2n_ablate.api import plan as plan
    from n2n_ablate.api import run as run
    from n2n_ablate.components import Backbone as Backbone
    from n2n_ablate.components import CheckpointSelector as CheckpointSelector
    from n2n_ablate.components import Estimator as Estimator
    from n2n_ablate.components import Loss as Loss
    from n2n_ablate.components import LossContext as LossContext
    from n2n_ablate.components import MeasuredNoise as MeasuredNoise
    from n2n_ablate.components import Metric as Metric
    from n2n_ablate.components import Noise as Noise
    from n2n_ablate.components import Pairs as Pairs
    from n2n_ablate.components import Sampler as Sampler
    from n2n_ablate.components import Split as Split
    from n2n_ablate.components import Strategy as Strategy
    from n2n_ablate.components import Training as Training
    from n2n_ablate.components import Views as Views
    from n2n_ablate.components import mask_of as mask_of
    from n2n_ablate.components.chain import DenoisingChain as DenoisingChain
    from n2n_ablate.components.differences import mse as mse
    from n2n_ablate.components.parameters import Choice as Choice
    from n2n_ablate.components.parameters import Component as Component
    from n2n_ablate.components.parameters import File as File
    from n2n_ablate.components.parameters import Range as Range
    from n2n_ablate.components.randomness import StackRandom as StackRandom
    from n2n_ablate.components.randomness import arguments_for as arguments_for
    from n2n_ablate.components.splits import KernelSplit as KernelSplit
    from n2n_ablate.components.splits import PixelSplit as PixelSplit
    from n2n_ablate.components.splits import pixel_numbers as pixel_numbers
    from n2n_ablate.components.splits import require_cell as require_cell
    from n2n_ablate.components.wrappers import SamplerWrapper as SamplerWrapper
    from n2n_ablate.errors import AblateError as AblateError
    from n2n_ablate.errors import ImageError as ImageError
    from n2n_ablate.errors import ParameterError as ParameterError
    from n2n_ablate.records import FitResult as FitResult
    from n2n_ablate.records import Invocation as Invocation
    from n2n_ablate.records import NoisySample as NoisySample
    from n2n_ablate.records import Point as Point
    from n2n_ablate.records import StudyFiles as StudyFiles
    from n2n_ablate.records import TrialFiles as TrialFiles
    from n2n_ablate.records import TrialResult as TrialResult
    from n2n_ablate.registry.hookspecs import Register as Register
    from n2n_ablate.registry.hookspecs import hookimpl as hookimpl
    from n2n_ablate.study import Plan as Plan
    from n2n_ablate.study import Study as Study
    from n2n_ablate.study import Trial as Trial

_NAMES = {
    "analysis.analyse": "analyse",
    "analysis.records": "ContrastRecord",
    "api": "StudyResult compare denoise load make_study plan run",
    "components": (
        "Backbone CheckpointSelector Estimator Loss LossContext MeasuredNoise Metric "
        "Noise Pairs Sampler Split Strategy Training Views mask_of"
    ),
    "components.chain": "DenoisingChain",
    "components.differences": "mse",
    "components.parameters": "Choice Component File Range",
    "components.randomness": "StackRandom arguments_for",
    "components.splits": "KernelSplit PixelSplit pixel_numbers require_cell",
    "components.wrappers": "SamplerWrapper",
    "errors": "AblateError ImageError ParameterError",
    "records": "FitResult Invocation NoisySample Point StudyFiles TrialFiles TrialResult",
    "registry.hookspecs": "Register hookimpl",
    "study": "Plan Study Trial",
}
"""The public names by the module that has them."""

_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = ["__version__", *sorted(_HOME)]  # noqa: PLE0604


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(f"n2n_ablate.{_HOME[name]}"), name)
    msg = f"module 'n2n_ablate' has no attribute '{name}'"
    raise AttributeError(msg)
