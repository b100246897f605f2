"""What each kind of component has to have. Protocols only: a plugin need not inherit from them.

Shapes: b fits in a stack, c channels, h rows, w columns. Images are float32 with 0 for black and 1
for white; noisy values may lie outside. A component is usually a frozen dataclass whose fields are
its parameters; every field needs a default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:  # so that listing kinds and names does not wait for torch
    import optuna
    import torch
    from torch import Tensor, nn

    from n2n_ablate.components.randomness import StackRandom

Views: TypeAlias = "tuple[Tensor, ...]"
Split: TypeAlias = "Callable[[Tensor], Views]"
Pairs: TypeAlias = tuple[tuple[int, int], ...]

KINDS = ("noise", "sampler", "backbone", "loss", "training", "estimator", "metric", "strategy")
"""The slots that a component can fill, in the order of the data flow."""

RECIPE_KINDS = ("sampler", "backbone", "loss", "training", "estimator")
"""The slots of a recipe: everything that makes a denoiser. Noise is a condition of the study."""


@runtime_checkable
class Noise(Protocol):
    """Turns a clean image into a noisy one.

    Called once per (image, noise, seed), on the CPU, so that every trial on every device sees the
    same noisy image.

    Optional attribute: `unbiased`, False if the noisy image is not right on average. Without it a
    noise counts as right unless it has a true `clip`.
    """

    def apply(self, clean: Tensor, rng: torch.Generator) -> Tensor:
        """Return a noisy copy of `clean`, shape (1, c, h, w); `clean` stays as it is."""
        ...


@dataclass(frozen=True, eq=False)
class MeasuredNoise:
    """What a sampler may know of measured noise: other shots of the scene, each with noise of its own.

    Attributes:
        shots: Noisy images of the same scene, (1, c, h, w) each; the image to denoise is not among them.
    """

    shots: tuple[Tensor, ...]

    def __repr__(self) -> str:
        return f"measured noise with {len(self.shots)} more shots"


@runtime_checkable
class Sampler(Protocol):
    """Cuts one noisy image into views of the same scene with (ideally) independent noise.

    Optional attributes, with the value that is assumed when they are missing:

    - `fixed = False`: True if every draw gives the same split. It is then drawn once per fit.
    - `drawn_once = False`: True if the first draw of a fit, random as it may be, serves to its end.
    - `leaks = False`: True if some pixel's noise reaches more than one view, on purpose.
    - `supports_consistency = True`: False if cutting the denoised image has no meaning (no consistency loss).
    - `preserves_mean = True`: False if the gray of a flat image changes.
    - `required_noise = None`: the `Noise` that it parts, where it parts the noise instead of the pixels.
    - `needs_shots = False`: True if `prepare` needs other shots of the scene, a `MeasuredNoise`.
    - `replaces_input = False`: True if the network never gets the noisy image, but the first view of
      the first pair in its place, for the result too: the code of a deep image prior.
    - `pairs = ((0, 1), (1, 0))`: which view is trained to predict which, the same at every step.
    - `at(step, steps) -> Sampler`: the sampler to use at this step, for schedules.
    - `prepare(noisy, noise) -> Sampler`: called once per fit with the noisy image, shape
      (1, c, h, w), and the `Noise` that made it; for measured noise a `MeasuredNoise` if the scene has
      more shots, else None, as for any real image.
    """

    def draw(self, image: Tensor, rng: torch.Generator) -> Split:
        """Draw a split for images of this shape.

        Args:
            image: The noisy image of one fit, shape (1, c, h, w), not to be changed.
            rng: The only source of randomness, a CPU generator.

        Returns:
            A function from an image of the same h and w to its views, each (1, c, h', w'). It can
            be applied again, to the denoised image for instance, and cuts it in the same places.
            A sampler that hides pixels from the network (a blind spot) returns an object with an
            attribute `mask`, truth values (1, 1, h', w') of the target's size, beside its
            `__call__`: where the input view does not hold the target, so where a loss may look.

        Raises:
            ImageError: The image is too small to cut.
        """
        ...


@runtime_checkable
class Backbone(Protocol):
    """Builds the network that denoises.

    Optional attribute: `halo`, the radius of the receptive field in pixels. With it large images
    are denoised tile by tile without a seam; without it (None) in one piece.

    Layers of torch that drop values (`nn.Dropout`, `nn.Dropout2d`) draw from a stream of the fit. They
    are on while it trains, and off for the result unless the estimator declares `dropout`. Any other
    randomness of a network is refused: the same fit twice would give two results.
    """

    def build(self, channels: int) -> nn.Module:
        """Return a module from noisy to denoised images, shape (n, channels, h, w), any h and w.

        Initial weights come from torch's global generator, which the engine seeds for this call.
        """
        ...


@runtime_checkable
class LossContext(Protocol):
    """What a loss may see of one step of a stack of b fits. The clean image is not part of it."""

    pairs: Pairs
    """Which view is trained to predict which: (input, target) positions in `views`."""
    supports_consistency: bool
    """False if cutting the denoised image has no meaning with this sampler."""

    @property
    def noisy(self) -> Tensor:
        """The noisy images, (b, c, h, w)."""
        ...

    @property
    def noises(self) -> tuple[Noise | MeasuredNoise | None, ...]:
        """What is known of the noise of each fit, as `Sampler.prepare` is told it; None for a real image."""
        ...

    @property
    def mask(self) -> Tensor | None:
        """Where this step's splits hide pixels, truth values (b, 1, h', w'); None if they hide none.

        With a sampler that hides pixels, a loss that does not ask for it is refused.
        """
        ...

    @property
    def rng(self) -> StackRandom:
        """Random numbers for the loss, from a stream of each fit: its only source of randomness."""
        ...

    @property
    def progress(self) -> float:
        """Share of the training that is done, from 0 to below 1."""
        ...

    def denoise(self, *images: Tensor) -> Views:
        """Denoise each image, (b, c, h, w); what is asked for in one call shares work."""
        ...

    def views(self, image: Tensor) -> Views:
        """Cut the images, (b, c, h, w), with this step's splits."""
        ...

    def resample(self) -> Split:
        """Return a fresh draw of the splits, as a function like `views`."""
        ...


@runtime_checkable
class Loss(Protocol):
    """Scores a denoiser without a clean image.

    Optional attribute: `required_noise`, a `Noise` as it must be, for a loss that needs the parameters
    of the noise (`LossContext.noises`) and refuses any other.
    """

    def __call__(self, context: LossContext) -> Tensor:
        """Return one value per fit, shape (b,), to be minimised."""
        ...


@runtime_checkable
class Training(Protocol):
    """How the weights move: optimiser, learning rate, number of steps, schedule.

    Optional attributes, with the value that is assumed when they are missing:

    - `elementwise = False`: True if every weight is moved by itself, without a look at the others,
      as by SGD or Adam (clipping by norm is not). The engine then hands over many weights as one.
    - `crop = 0`: side in pixels of the square that each step trains on; 0 for the whole image.
    """

    @property
    def steps(self) -> int:
        """How many steps to train."""
        ...

    def optimizer(self, weights: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return an optimiser over the weights of one fit, or of several if `elementwise`."""
        ...

    def learning_rate(self, step: int) -> float:
        """Return the learning rate for step `step`, counted from 0."""
        ...


@runtime_checkable
class CheckpointSelector(Protocol):
    """Chooses among the weights that training goes through, by the denoised images of b fits."""

    interval: int
    """Steps between two updates; each takes a pass through the network."""

    def update(self, step: int, denoised: Tensor) -> Tensor:
        """Return for which fits to keep the present weights in place of those kept so far.

        Every fit is judged by its images alone. The first update must keep all of them.

        Args:
            step: Counted from 1, rising; the last step is always among them.
            denoised: Images with the present weights, (b, c, h, w), not to be changed.

        Returns:
            Truth values, shape (b,), on the device of the images.
        """
        ...


@runtime_checkable
class Estimator(Protocol):
    """How the denoised image is made from the weights that training went through.

    Optional method: `checkpoint_selector(steps) -> CheckpointSelector | None`, asked once per
    stack, for estimators that stop early. Training goes on to the end, so that fits of a stack stay
    in step; the result is made from the weights that the selector kept.

    Optional attribute: `dropout = False`, True to keep the network's dropout on while estimating.

    `estimate` may name two more arguments, and is then given them: `draw`, a function from images
    (b, c, h, w) to a fresh split by the fits' samplers, whose mask `mask_of` returns; and `rng`, a
    `StackRandom`. Both begin anew at every call, so that a result does not depend on how often
    somebody looked at it.
    """

    def averaging_weight(self, step: int, steps: int) -> float:
        """Return how far the kept weights move to the current ones after `step`: 1 keeps the last."""
        ...

    def estimate(self, denoise: Split, noisy: Tensor) -> Tensor:
        """Return the denoised image, (b, c, h, w); `denoise` maps images to a tuple of one.

        With a sampler that `replaces_input`, `noisy` is what it puts in place of the noisy image.
        """
        ...


@runtime_checkable
class Metric(Protocol):
    """Scores a denoised image.

    Optional attributes, with the value that is assumed when they are missing:

    - `higher_is_better = True`, `unit = ""`.
    - `full_reference = True`: False if it does not look at the clean image.
    - `at_end = False`: True if it costs too much for every point of a curve, of which a fit has some
      25. It is then measured once, at the end, and has no curve.
    - `smallest = 1`: rows and columns that an image needs at least.
    - `channels = ()`: how many channels an image may have; empty for any number.
    - `convention = ""`: of several in use, which one its values follow: what a paper has to say.
    """

    def measure(self, denoised: Tensor, clean: Tensor, noisy: Tensor) -> Tensor:
        """Return one value per image, shape (b,), from images of shape (b, c, h, w)."""
        ...


@runtime_checkable
class Strategy(Protocol):
    """Chooses the next trial of a search. Optuna's word for it is sampler.

    Optional attribute: `stores_pickles = False`, True if what `sampler` returns keeps pickles in the
    search's database. To read a pickle is to run code, so such a strategy is refused in a database
    that others can write to.
    """

    def sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        """Return a sampler of Optuna's.

        It is made once per command, always with the seed of the search. A command that goes on with
        a search lets it choose again, in memory, what it chose before, and tells it the same scores.
        """
        ...


PROTOCOLS: dict[str, type] = {
    "noise": Noise,
    "sampler": Sampler,
    "backbone": Backbone,
    "loss": Loss,
    "training": Training,
    "estimator": Estimator,
    "metric": Metric,
    "strategy": Strategy,
}
