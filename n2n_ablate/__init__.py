"""n2n-ablate: which part of a zero-shot image denoiser earns its decibels.

The names below are what plugins and notebooks may use. They are loaded when first asked for, so
that `n2n-ablate --help` does not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from n2n_ablate.version import __version__

if TYPE_CHECKING:
    from n2n_ablate.around import AroundSampler as AroundSampler
    from n2n_ablate.bench import Subject as Subject
    from n2n_ablate.chains import DenoisingChain as DenoisingChain
    from n2n_ablate.components import Backbone as Backbone
    from n2n_ablate.components import Estimator as Estimator
    from n2n_ablate.components import Loss as Loss
    from n2n_ablate.components import Metric as Metric
    from n2n_ablate.components import Noise as Noise
    from n2n_ablate.components import Pairs as Pairs
    from n2n_ablate.components import Sampler as Sampler
    from n2n_ablate.components import Scene as Scene
    from n2n_ablate.components import Split as Split
    from n2n_ablate.components import Training as Training
    from n2n_ablate.components import Views as Views
    from n2n_ablate.components import Watch as Watch
    from n2n_ablate.components import mse as mse
    from n2n_ablate.errors import AblateError as AblateError
    from n2n_ablate.errors import ImageError as ImageError
    from n2n_ablate.errors import ParameterError as ParameterError
    from n2n_ablate.fit import FitResult as FitResult
    from n2n_ablate.fit import Point as Point
    from n2n_ablate.hookspecs import Register as Register
    from n2n_ablate.hookspecs import hookimpl as hookimpl
    from n2n_ablate.journal.invocation import Invocation as Invocation
    from n2n_ablate.kernels import KernelSplit as KernelSplit
    from n2n_ablate.kernels import PixelSplit as PixelSplit
    from n2n_ablate.kernels import pixel_numbers as pixel_numbers
    from n2n_ablate.kernels import require_cell as require_cell
    from n2n_ablate.results import StudyResult as StudyResult
    from n2n_ablate.results import TrialResult as TrialResult
    from n2n_ablate.space import Choice as Choice
    from n2n_ablate.space import Component as Component
    from n2n_ablate.space import Range as Range
    from n2n_ablate.study import Plan as Plan
    from n2n_ablate.study import Trial as Trial

_HOME = {
    "AblateError": "errors",
    "AroundSampler": "around",
    "Backbone": "components",
    "Choice": "space",
    "Component": "space",
    "DenoisingChain": "chains",
    "Estimator": "components",
    "FitResult": "fit",
    "ImageError": "errors",
    "Invocation": "journal.invocation",
    "KernelSplit": "kernels",
    "Loss": "components",
    "Metric": "components",
    "Noise": "components",
    "Pairs": "components",
    "ParameterError": "errors",
    "PixelSplit": "kernels",
    "Plan": "study",
    "Point": "fit",
    "Range": "space",
    "Register": "hookspecs",
    "Sampler": "components",
    "Scene": "components",
    "Split": "components",
    "StudyResult": "results",
    "Subject": "bench",
    "Training": "components",
    "Trial": "study",
    "TrialResult": "results",
    "Views": "components",
    "Watch": "components",
    "hookimpl": "hookspecs",
    "mse": "components",
    "pixel_numbers": "kernels",
    "require_cell": "kernels",
}

__all__ = ["__version__", *sorted(_HOME)]  # noqa: PLE0604


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(f"n2n_ablate.{_HOME[name]}"), name)
    msg = f"module 'n2n_ablate' has no attribute '{name}'"
    raise AttributeError(msg)
