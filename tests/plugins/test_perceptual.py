"""Metrics of torchmetrics: published values, sizes that they need, measured once per fit."""

import sys

import pytest
import torch

from n2n_ablate import engine
from n2n_ablate import study as studies
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.errors import ImageError, ParameterError
from n2n_ablate.registry import Registry
from n2n_ablate.runner.session import Request, open_session
from n2n_ablate.testing import picture

torchmetrics = pytest.importorskip(
    "torchmetrics", reason="pip install 'n2n-ablate[metrics]' installs it"
)


@pytest.mark.parametrize("name", ["uqi", "vif", "ms-ssim"])
def test_noise_costs_what_torchmetrics_says(registry, name):
    metric = registry.build("metric", name, {})
    clean = picture(2, 3, 176, 176)
    denoised = (clean + 0.05 * torch.randn(clean.shape)).clamp(0, 1)
    image = torchmetrics.functional.image
    expected = {
        "uqi": lambda a, b: image.universal_image_quality_index(a, b),
        "vif": lambda a, b: image.visual_information_fidelity(255 * a, 255 * b),
        "ms-ssim": lambda a, b: image.multiscale_structural_similarity_index_measure(
            a, b, data_range=1.0
        ),
    }[name](denoised, clean)
    values = metric.measure(denoised, clean, clean)
    assert float(values.mean()) == pytest.approx(float(expected), abs=2e-3)
    assert float(values.max()) < 1


def test_an_image_that_is_too_small_is_refused_before_training(tiny):
    tiny.write_text(
        tiny.read_text().replace("[baseline]", 'metrics = ["ms-ssim"]\n\n[baseline]', 1)
    )
    with pytest.raises(ImageError, match="24x24 pixels, and metric 'ms-ssim' needs 176 a side"):
        open_session(Request(study=str(tiny)))


def test_without_torchmetrics_one_line_says_what_to_install(registry, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchmetrics.functional", None)
    metric = registry.build("metric", "uqi", {})
    with pytest.raises(ParameterError, match=r"pip install 'n2n-ablate\[metrics\]'"):
        metric.measure(*(picture(1, 3, 24, 24) for _ in range(3)))


COUNTED = """
from n2n_ablate import hookimpl

calls = []


class Counted:
    at_end = True
    channels = (3,)

    def measure(self, denoised, clean, noisy):
        calls.append(len(denoised))
        return (denoised - clean).abs().mean(dim=(1, 2, 3))


@hookimpl
def register_metrics(register):
    register("counted", Counted)
"""


def test_what_is_measured_at_the_end_has_a_figure_and_no_curve(tiny, tmp_path):
    (tmp_path / "counted.py").write_text(COUNTED)
    registry = Registry(file=tmp_path / "counted.py")
    tiny.write_text(
        tiny.read_text().replace("[baseline]", 'metrics = ["counted"]\n\n[baseline]', 1)
    )
    planned = studies.plan(studies.read(tiny), registry)
    machine = engine.machine("cpu", "fp32")
    data = PairedData(planned, registry, machine)
    fits = data.fits(planned.baseline.recipe, data.samples[:1])
    (result,) = engine.fit_all(fits, machine)
    assert "counted" in result.figures
    assert set(result.curves) == {"loss", "psnr"}
