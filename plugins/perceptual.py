"""Metrics of the package torchmetrics: MS-SSIM, VIF, UQI. `pip install 'n2n-ablate[metrics]'`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from n2n_ablate import ParameterError, Register, hookimpl

if TYPE_CHECKING:
    from torch import Tensor


def _functional(metric: str) -> Any:
    try:
        from torchmetrics.functional import image
    except ModuleNotFoundError as error:
        msg = f"metric '{metric}' needs torchmetrics: pip install 'n2n-ablate[metrics]'"
        raise ParameterError(msg) from error
    return image


@dataclass(frozen=True)
class MsSsim:
    """Structural similarity at five scales, 1 for identical images (Wang et al., 2003).

    As torchmetrics has it: Gaussian window of 11x11 pixels, sigma 1.5, K1 = 0.01, K2 = 0.03, data range
    1, the published weights of the scales; the mean over channels and pixels at each scale. The
    denoised image is clamped to 0..1.
    """

    higher_is_better: ClassVar[bool] = True
    convention: ClassVar[str] = (
        "five scales, Gaussian window of 11x11 pixels, sigma 1.5, K1 0.01, K2 0.03, data range 1, mean "
        "over channels"
    )
    smallest: ClassVar[int] = 176
    at_end: ClassVar[bool] = True

    def measure(self, denoised: Tensor, clean: Tensor, noisy: Tensor) -> Tensor:
        """See `n2n_ablate.Metric.measure`."""
        score = _functional("ms-ssim").multiscale_structural_similarity_index_measure
        images = denoised.float().clamp(0, 1), clean.float()
        values: Tensor = score(*images, data_range=1.0, reduction="none").reshape(-1)
        return values


@dataclass(frozen=True)
class Vif:
    """Visual information fidelity in the pixel domain, 1 for identical images (Sheikh and Bovik, 2006).

    As torchmetrics has it, with a noise variance of 2 on the 0-255 scale; the mean over channels. It can
    exceed 1 for images of more contrast.
    """

    higher_is_better: ClassVar[bool] = True
    smallest: ClassVar[int] = 41
    at_end: ClassVar[bool] = True

    def measure(self, denoised: Tensor, clean: Tensor, noisy: Tensor) -> Tensor:
        """See `n2n_ablate.Metric.measure`."""
        score = _functional("vif").visual_information_fidelity
        images = 255 * denoised.float().clamp(0, 1), 255 * clean.float()
        values: Tensor = score(*images, reduction="none").reshape(-1)
        return values


@dataclass(frozen=True)
class Uqi:
    """Universal image quality index, SSIM without constants, 1 for identical images (Wang and Bovik, 2002).

    As torchmetrics has it: Gaussian window of 11x11 pixels, sigma 1.5; the mean over channels and pixels.
    The denoised image is clamped to 0..1.
    """

    higher_is_better: ClassVar[bool] = True
    convention: ClassVar[str] = "Gaussian window of 11x11 pixels, sigma 1.5, mean over channels"
    smallest: ClassVar[int] = 12
    at_end: ClassVar[bool] = True

    def measure(self, denoised: Tensor, clean: Tensor, noisy: Tensor) -> Tensor:
        """See `n2n_ablate.Metric.measure`."""
        score = _functional("uqi").universal_image_quality_index
        images = denoised.float().clamp(0, 1), clean.float()
        values: Tensor = score(*images, reduction="none").mean(dim=(1, 2, 3))
        return values


@hookimpl
def register_metrics(register: Register) -> None:
    """Register the metrics of this file."""
    register("ms-ssim", MsSsim)
    register("vif", Vif)
    register("uqi", Uqi)
