"""What measured noise is like: known noise has known figures, and they are drawn."""

import json
import math
import warnings

import numpy as np
import pytest
import torch
from helpers.measured_pairs import pairs, run
from matplotlib.figure import Figure
from scipy import ndimage

from n2n_ablate.diagnostics.measured_noise import REACH, noise_figures
from n2n_ablate.report.figures import fonts
from n2n_ablate.report.figures.diagnostics import measured_noise

SIDE = 128
CLEAN = torch.linspace(0.2, 0.8, SIDE).expand(1, 3, SIDE, SIDE).contiguous()


def shots(noise, count):
    rng = np.random.default_rng(0)
    return [
        CLEAN + torch.from_numpy(noise(rng.normal(size=(1, 3, SIDE, SIDE)))).float()
        for _ in range(count)
    ]


@pytest.mark.parametrize("count", [1, 4])
def test_white_noise_is_seen_as_white(count):
    found = noise_figures(CLEAN, shots(lambda z: 0.05 * z, count))
    assert found.shots == count
    assert found.sigma == pytest.approx(0.05 * 255, rel=0.02)
    assert found.psnr == pytest.approx(-20 * math.log10(0.05), abs=0.1)
    table = np.array(found.correlations)
    assert table[REACH, REACH] == pytest.approx(1)
    table[REACH, REACH] = 0
    assert np.abs(table).max() < 0.03
    assert abs(found.colours) < 0.03
    assert found.bright == pytest.approx(1, abs=0.05)


def test_correlation_has_the_direction_of_the_noise():
    def rows(z):
        return ndimage.uniform_filter1d(z, 3, axis=-1)

    found = noise_figures(CLEAN, shots(lambda z: 0.1 * rows(z), 2))
    assert found.across == pytest.approx(2 / 3, abs=0.03)
    assert found.correlations[REACH][REACH + 2] == pytest.approx(1 / 3, abs=0.03)
    assert abs(found.down) < 0.03
    assert found.correlations[REACH][REACH - 2] == found.correlations[REACH][REACH + 2]


def test_dependence_on_the_signal_is_seen():
    root = CLEAN.sqrt().numpy()
    found = noise_figures(CLEAN, shots(lambda z: 0.1 * root * z, 2))
    for level, deviation in found.levels:
        assert deviation == pytest.approx(25.5 * math.sqrt(level / 255), rel=0.06)
    assert found.bright == pytest.approx(math.sqrt(0.725 / 0.275), rel=0.06)


def test_images_without_noise_or_of_few_pixels_are_drawn_too():
    still = noise_figures(CLEAN, [CLEAN])
    assert math.isnan(still.down)
    tiny = noise_figures(CLEAN[..., :2, :3], [CLEAN[..., :2, :3] + 0.1 * torch.rand(1, 3, 2, 3)])
    assert measured_noise({"still": still}, {}) == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(measured_noise({"still": still, "tiny": tiny}, {})) == 2


def test_diagnose_draws_and_counts(folder):
    pairs(folder / "set", noisy="{n}_real_{k}.png", shots=2)
    text = run("diagnose", "diagonal", "--pairs", "set", "--figures", "noise", "--json")
    told = json.loads(text[text.index("[") :])
    assert set(told[0]["noise"]) == {"1", "2", "3"}
    assert abs(told[0]["noise"]["1"]["across"]) < 0.2
    assert len(list((folder / "noise").glob("*.png"))) == 3


def test_names_in_any_script_are_written_without_warnings(tmp_path):
    figure = Figure()
    figure.add_subplot().set_title("场景 1, Δ")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in ("png", "svg", "pdf"):
            fonts.save(figure, tmp_path / f"a.{kind}")
    assert fonts.file_for("Δ").endswith("DejaVuSans.ttf")
    assert fonts.file_for("a", bold=True).endswith("DejaVuSans-Bold.ttf")
    assert fonts.families()[0] == "DejaVu Sans"
