"""Names the component at fault while a fit is trained: for what it raises, and for what it returns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from types import TracebackType

import torch
from torch import Tensor

from n2n_ablate.components import Metric, Training, declared, watchdog
from n2n_ablate.engine.fit import Fit
from n2n_ablate.errors import AblateError, PluginError
from n2n_ablate.registry.entry import describe, place_of


class ComponentError(PluginError):
    """A component did what training cannot go on with.

    Attributes:
        blame: Whose fault it is.
        problem: What the component did, as a sentence whose subject it is.
    """

    def __init__(self, blame: ComponentContext, problem: str) -> None:
        super().__init__(f"the {blame.kind} {problem}")
        self.blame, self.problem = blame, problem


class ComponentContext:
    """Inside, what is raised is the fault of one component; what has been named already stays.

    Errors that say what a user can do, and a lack of memory, are nobody's fault.

    Args:
        column: Of a metric: the name under which a study has it.
    """

    def __init__(self, kind: str, method: str, column: str = "") -> None:
        self.kind, self.method, self.column = kind, method, column

    def __enter__(self) -> None:
        """Begin, and with it the time that one call may take."""
        watchdog.alive(self.kind)

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        """Raise what was raised inside as the component's fault."""
        watchdog.alive()
        nobodys = (AblateError, KeyboardInterrupt, torch.OutOfMemoryError)
        if isinstance(error, watchdog.Overdue):
            raise self.fault(str(error)) from error
        if error is not None and not isinstance(error, nobodys):
            problem = f"raises {describe(error)}"
            raise self.fault(problem) from error

    def fault(self, problem: str) -> ComponentError:
        """Return the error that says what was wrong with the component."""
        return ComponentError(self, problem)


SAMPLER = ComponentContext("sampler", "draw")
BACKBONE = ComponentContext("backbone", "build")
LOSS = ComponentContext("loss", "__call__")
STEPS = ComponentContext("training", "steps")
CROP = ComponentContext("training", "crop")
OPTIMIZER = ComponentContext("training", "optimizer")
RATE = ComponentContext("training", "learning_rate")
AVERAGING_WEIGHT = ComponentContext("estimator", "averaging_weight")
ESTIMATE = ComponentContext("estimator", "estimate")
SELECTOR = ComponentContext("estimator", "checkpoint_selector")


def reason(fit: Fit, error: BaseException) -> str:
    """Return why the training of a fit stopped: whose fault it is, if that is known, and where."""
    if not isinstance(error, ComponentError):
        if isinstance(error, AblateError):  # says what a user can do
            return f"stopped: {str(error).rstrip('.')}"
        return f"stopped with {describe(error)}"
    blame, made_from = error.blame, fit.spec
    if blame.kind == "metric":
        component: object = fit.metrics[blame.column]
        spec = made_from and made_from.metrics[blame.column]
    else:
        component = getattr(fit, blame.kind)
        spec = made_from and made_from.recipe.specs[blame.kind]
    name = f" '{spec.name}'" if spec else ""
    place = place_of(component, blame.kind, blame.method, error.__cause__)
    return f"stopped: {blame.kind}{name} {error.problem} ({place})"


def steps_of(training: Training) -> int:
    """Return how many steps a training has."""
    with STEPS:
        steps: object = training.steps
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1:
        problem = f"has steps = {steps!r:.80}, not a whole number above 0"
        raise STEPS.fault(problem)
    return steps


def crop_of(training: Training) -> int:
    """Return the side in pixels of what a step trains on, 0 for the whole image."""
    with CROP:
        crop: object = declared(training, "crop", 0)
    if not isinstance(crop, int) or isinstance(crop, bool) or crop < 0:
        problem = f"has crop = {crop!r:.80}, not a whole number of pixels; 0 is the whole image"
        raise CROP.fault(problem)
    return crop


def rate_of(training: Training, step: int) -> float:
    """Return the learning rate of a step, counted from 0."""
    with RATE:
        rate = training.learning_rate(step)
    if not _is_number(rate):
        problem = f"must return a finite number from learning_rate, got {rate!r:.80} at step {step}"
        raise RATE.fault(problem)
    return rate


def require_shares(shares: Sequence[float]) -> None:
    """Check what `averaging_weight` returned."""
    for share in shares:
        if not _is_number(share) or not 0 <= share <= 1:
            problem = f"must return a share from 0 to 1 from averaging_weight, got {share!r:.80}"
            raise AVERAGING_WEIGHT.fault(problem)


def require_images(images: object, like: Tensor, blame: ComponentContext, what: str) -> Tensor:
    """Return images if they have the shape of `like`.

    `like`: what they were made from, (n, c, h, w); `what`: what it did, as a sentence that goes on with what
    came out.
    """
    if isinstance(images, Tensor) and images.shape == like.shape:
        return images
    problem = f"{what} {tuple(images.shape) if isinstance(images, Tensor) else ' '.join(repr(images).split())[:80]}"
    raise blame.fault(problem)


def measured(metric: Metric, column: str, denoised: Tensor, clean: Tensor, noisy: Tensor) -> Tensor:
    """Return the values of a metric, shape (b,), for images (b, c, h, w)."""
    blame = ComponentContext("metric", "measure", column)
    with blame:
        values: object = metric.measure(denoised, clean, noisy)
    shape = (len(denoised),)
    if not isinstance(values, Tensor) or values.shape != shape or not values.is_floating_point():
        problem = f"must return a float tensor from measure, one value per image, shape {shape}, got {values!r:.80}"
        raise blame.fault(problem)
    return values.detach()


def finite(metric: Metric, column: str, denoised: Tensor, clean: Tensor, noisy: Tensor) -> float:
    """Return the value of a metric for one image (1, c, h, w)."""
    value = float(measured(metric, column, denoised, clean, noisy))
    if not math.isfinite(value):
        problem = f"must give a finite number for images of finite values, got {value}"
        raise ComponentContext("metric", "measure", column).fault(problem)
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and math.isfinite(value)
