"""Pictures: the right size, the right pixels, and never the reason that a trial is lost."""

import gc

import numpy as np
import pytest
import torch
from PIL import ImageFont

from n2n_ablate.report.figures import figures
from n2n_ablate.report.figures.figures import Sight
from n2n_ablate.report.figures.sampler import FIRST, anatomy, sampler_picture
from n2n_ablate_plugins.noises import Gaussian, Poisson


def sight(size=40, channels=3, **changes):
    clean = np.full((channels, size, size), 0.5, np.float32)
    own = {
        "name": "ramp",
        "noisy": clean + 0.1,
        "clean": clean,
        "denoised": clean + 0.01,
        "psnr": 40.0,
    }
    return Sight(**{**own, **changes})


def panels(picture, size):
    """Cut a strip into its four panels, without the labels."""
    width = (picture.width - 3 * 6) // 4
    assert width == size
    pixels = np.asarray(picture)[-size:]
    return [pixels[:, place * (width + 6) :][:, :width] for place in range(4)]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_strip_shows_noisy_denoised_clean_and_error(channels):
    noisy, denoised, clean, error = panels(figures.strip(sight(200, channels)), 200)
    assert (noisy == round(0.6 * 255)).all()
    assert (denoised == round(0.51 * 255)).all()
    assert (clean == round(0.5 * 255)).all()
    assert len(np.unique(error.reshape(-1, 3), axis=0)) == 1


def test_small_images_are_enlarged_and_large_ones_shrunk_to_whole_pixels():
    assert figures.strip(sight(96)).width == 4 * 192 + 18
    assert figures.strip(sight(512), side=256).width == 4 * 256 + 18
    assert figures.strip(sight(500), side=256).width == 4 * 250 + 18


def test_the_error_scale_is_fixed_so_that_maps_of_two_trials_can_be_compared():
    none, some, most = (
        panels(figures.strip(sight(200, denoised=np.full((3, 200, 200), 0.5 + gap))), 200)[3]
        for gap in (0.0, figures.LARGEST_ERROR, 3 * figures.LARGEST_ERROR)
    )
    assert none.sum() < some.sum()
    assert (some == most).all()


def test_a_failed_fit_gets_a_strip_with_the_reason_instead_of_a_picture():
    drawn = figures.strip(sight(200, denoised=None, psnr=None, failure="diverged by step 7"))
    _, denoised, _, error = panels(drawn, 200)
    assert (denoised[-1, -1] == 236).all()
    assert (error[-1, -1] == 236).all()
    assert (denoised[:20] < 200).any(), "the reason is not there"


def test_images_that_are_gone_leave_the_denoised_one_and_say_so():
    drawn = figures.strip(sight(200, noisy=None, clean=None))
    noisy, denoised, clean, error = panels(drawn, 200)
    assert (denoised == round(0.51 * 255)).all()
    for empty in (noisy, clean, error):
        assert (empty[-1, -1] == 236).all()
        assert (empty[:20] < 200).any(), "the reason is not there"


def test_a_contact_sheet_holds_every_strip():
    strips = {name: figures.strip(sight(60)) for name in ("boat", "lena", "käse")}
    sheet = figures.contact_sheet(strips, title="three images")
    assert sheet.width >= strips["boat"].width
    assert sheet.height > sum(row.height for row in strips.values())


def test_psnr_of_a_constant_error_by_hand():
    # an error of 0.1 everywhere: 10 log10(1 / 0.01) = 20 dB; values above 1 count as 1
    clean = np.full((1, 8, 8), 0.5)
    assert figures.psnr(clean + 0.1, clean) == pytest.approx(20)
    assert figures.psnr(clean + 9, clean) == pytest.approx(10 * np.log10(4))
    assert figures.psnr(clean, clean) == np.inf


def test_the_anatomy_of_the_cross_against_x_by_hand(registry):
    sampler = registry.build("sampler", "three-by-three", {"center": 0.2})
    found = anatomy(sampler)
    share = 0.5 / 2.2
    cross = [[0, share, 0], [share, 0.2 / 2.2, share], [0, share, 0]]
    # cells of 3x3 pixels tile the image; cell (2, 2) of 4x4 starts at pixel 6
    np.testing.assert_allclose(found.cell[0][6:9, 6:9], cross, atol=1e-6)
    assert found.cell[0].sum() == pytest.approx(1)
    both = (found.total[0] != 0) & (found.total[1] != 0)
    assert both.sum() == 16, "the centre of each of the 4x4 cells feeds both views"


def drawn(sampler, name):
    required_noise = {"poisson-thinning": Poisson(), "recorruption": Gaussian()}
    return sampler_picture(sampler, title=name, noise=required_noise.get(name))


@pytest.mark.slow
def test_every_installed_sampler_can_be_drawn(registry):
    for name in registry.names("sampler"):
        picture = np.asarray(drawn(registry.build("sampler", name, {}), name))
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 3, name
        assert (picture == FIRST).all(axis=-1).any(), name


def test_a_sampler_that_fails_gives_a_picture_that_says_why():
    class Needy:
        def draw(self, image, rng):
            msg = "needs 99x99"
            raise ValueError(msg)

    class Detached:
        def draw(self, image, rng):
            return lambda image: (torch.zeros(1, 1, 6, 6), torch.zeros(1, 1, 6, 6))

    small = sampler_picture(Needy())
    assert small.height < 100
    assert sampler_picture(Detached()).height > 300


def test_titles_that_differ_share_their_fonts():
    def fonts():
        gc.collect()
        return sum(type(each) is ImageFont.FreeTypeFont for each in gc.get_objects())

    strips = {"ramp": figures.strip(sight())}
    figures.contact_sheet(strips, title="center 0")
    before = fonts()
    for number in range(1, 20):
        figures.contact_sheet(strips, title=f"center 0.{number}")
    assert fonts() == before
