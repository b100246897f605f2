"""Range of values: what came in as counts goes out as counts, and a scale changes nothing else."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image as Pillow

from n2n_ablate.errors import ImageError
from n2n_ablate.images import Reading, open_stack, pages, write_images
from n2n_ablate.report.text import methods
from n2n_ablate.runner.session import Request, open_session

rng = np.random.default_rng(0)
RAMP = np.linspace(40, 200, 48)[:, None] + rng.normal(0, 20, (48, 48))
GREY = RAMP.clip(0, 255).astype(np.uint8)


def saved(folder, array, name="noisy.tif"):
    tifffile.imwrite(folder / name, array, photometric="minisblack")
    return folder / name


@pytest.mark.parametrize(
    ("dtype", "scale", "offset"),
    [
        ("uint16", 16, 0),
        ("uint16", 4, 100),
        ("uint16", 257, 0),
        ("uint32", 1_000, 7),
        ("int16", 100, -12_000),
        ("int32", 3, -5),
        ("uint64", 10**6, 10**9),
        ("float32", 0.5, -1),
        ("float64", 1e-6, 3e-5),
        ("float64", 1e9, 0),
    ],
)
def test_of_a_scaled_image_the_pixels_are_the_same(tmp_path, dtype, scale, offset):
    (plain,) = open_stack(saved(tmp_path, GREY, "plain.tif"))
    (other,) = open_stack(saved(tmp_path, (GREY.astype(float) * scale + offset).astype(dtype)))
    torch.testing.assert_close(other.pixels, plain.pixels, atol=2e-6, rtol=0)
    if not dtype.startswith("float"):
        assert torch.equal(other.pixels, plain.pixels)
    assert other.range.dtype == dtype
    assert other.range.scale == pytest.approx(plain.range.scale * scale, rel=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "uint32", "float32", "float64"])
@pytest.mark.parametrize("suffix", [".tif", ".npy"])
def test_what_is_read_is_written_back_exactly(tmp_path, dtype, suffix):
    array = (RAMP * 100).clip(0, 255 if dtype == "uint8" else 30_000).astype(dtype)
    images = open_stack(saved(tmp_path, array))
    write_images(tmp_path / f"again{suffix}", images)
    path = tmp_path / f"again{suffix}"
    again = np.load(path) if suffix == ".npy" else tifffile.imread(path)
    assert again.dtype == array.dtype
    np.testing.assert_allclose(again, array, rtol=0 if array.dtype.kind in "iu" else 1e-5)


def test_values_are_clipped_at_the_limits_of_the_type_only(tmp_path):
    (image,) = open_stack(saved(tmp_path, GREY))
    far = replace(image, pixels=image.pixels * 3 - 1)
    write_images(tmp_path / "far.tif", [far])
    samples = image.range.offset + image.range.scale * far.pixels[0, 0].double().numpy()
    assert samples.min() < 0
    assert np.array_equal(tifffile.imread(tmp_path / "far.tif"), np.rint(samples).clip(0, 255))
    (floats,) = open_stack(saved(tmp_path, RAMP.astype(np.float32), "floats.tif"))
    far = replace(floats, pixels=floats.pixels * 3 - 1)
    write_images(tmp_path / "float-far.tif", [far])
    assert tifffile.imread(tmp_path / "float-far.tif").min() < 0


def test_a_stack_has_one_range(tmp_path):
    stack = np.stack([GREY, GREY // 4]).astype(np.uint16)
    bright, dark = open_stack(saved(tmp_path, stack))
    assert bright.range == dark.range
    assert dark.pixels.max() < bright.pixels.max() / 3


def test_hot_pixels_do_not_set_the_range(tmp_path):
    array = GREY.astype(np.uint16)
    array[3, 4] = 65_535
    (image,) = open_stack(saved(tmp_path, array))
    assert image.range.scale < 300
    assert image.pixels.max() > 100


def test_a_flat_image_stays_flat(tmp_path):
    (image,) = open_stack(saved(tmp_path, np.full((9, 9), 777, np.uint16)))
    assert torch.equal(image.pixels, torch.zeros(1, 1, 9, 9))
    write_images(tmp_path / "out.png", [image])
    with Pillow.open(tmp_path / "out.png") as file:
        assert np.asarray(file).max() == 777


@pytest.mark.parametrize(("bits", "guess"), [(10, 1023), (12, 4095), (13, 8191)])
def test_a_study_asks_where_integers_use_little_of_their_range(tmp_path, bits, guess):
    array = (GREY.astype(np.uint16) << (bits - 8)).astype(np.uint16)
    path = saved(tmp_path, array)
    with pytest.raises(ImageError, match=rf"no value above {array.max()}.*--white {guess}"):
        pages(path)
    (image,) = pages(path, Reading(white=guess))
    assert image.pixels.max() == pytest.approx(array.max() / guess)
    with pytest.raises(ImageError, match="outside 0 to --white 100"):
        pages(path, Reading(white=100))


def test_a_study_takes_14_and_16_bits_as_they_are(tmp_path):
    for bits in (14, 16):
        (image,) = pages(saved(tmp_path, GREY.astype(np.uint16) << (bits - 8)))
        assert image.range.scale == 65_535


def test_bits_that_a_file_packs_are_known(tmp_path):
    array = GREY.astype(np.uint16) * 16
    tifffile.imwrite(tmp_path / "packed.tif", array, bitspersample=12, photometric="minisblack")
    (image,) = pages(tmp_path / "packed.tif")
    assert image.pixels.max() == pytest.approx(array.max() / 4095)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((9, 9), -5, np.int16), "a study needs values from 0 on"),
        (np.full((9, 9), 900.0, np.float32), "say which value is white with --white"),
        (np.full((9, 9), 900, np.uint32), "--white 1023"),
    ],
)
def test_a_study_refuses_a_range_that_it_would_have_to_guess(tmp_path, array, message):
    with pytest.raises(ImageError, match=message):
        pages(saved(tmp_path, array))


def test_metadata_come_back(tmp_path):
    icc = bytes(range(128)) * 4
    stack = np.stack([GREY, GREY // 2, GREY // 3]).astype(np.uint16)
    meta = {"axes": "ZYX", "spacing": 0.5, "unit": "um"}
    tifffile.imwrite(tmp_path / "z.tif", stack, imagej=True, metadata=meta, resolution=(300, 300))
    tifffile.imwrite(
        tmp_path / "one.tif", GREY, resolution=(72, 72), resolutionunit="INCH", iccprofile=icc
    )
    sizes = {"PhysicalSizeX": 0.1, "PhysicalSizeXUnit": "µm"}
    tifffile.imwrite(tmp_path / "t.ome.tif", stack, ome=True, metadata={"axes": "TYX", **sizes})
    for name in ("z.tif", "one.tif", "t.ome.tif"):
        write_images(tmp_path / f"new-{name}", open_stack(tmp_path / name))
    with tifffile.TiffFile(tmp_path / "new-z.tif") as file:
        assert file.is_imagej
        assert file.series[0].axes == "ZYX"
        assert file.imagej_metadata["spacing"] == 0.5
    with tifffile.TiffFile(tmp_path / "new-t.ome.tif") as file:
        assert file.is_ome
        assert file.series[0].axes == "TYX"
        assert 'PhysicalSizeX="0.1"' in file.ome_metadata
    with tifffile.TiffFile(tmp_path / "new-one.tif") as file:
        assert file.pages[0].tags.valueof(34675) == icc
        assert file.pages[0].tags.valueof(282) == (72, 1)
    (image,) = open_stack(tmp_path / "one.tif")
    write_images(tmp_path / "one.png", [image])
    deep = replace(image, range=replace(image.range, dtype="uint16"))
    write_images(tmp_path / "deep.png", [deep])
    for name in ("one.png", "deep.png"):
        with Pillow.open(tmp_path / name) as file:
            assert file.info["icc_profile"] == icc
            assert file.info["dpi"][0] == pytest.approx(72, abs=0.1)


def test_noise_levels_are_told_in_samples_of_the_data(folder, tiny):
    """Sigma is on the scale of 0 to 255 whatever the files hold: 25 is 401 of 12 bits."""
    saved(folder, (GREY.astype(np.uint16) * 16), "deep.tif")
    saved(folder, GREY, "plain.tif")
    told = {}
    for name, white in (("deep", 4095), ("plain", None)):
        request = Request(
            str(tiny), images=[f"{name}.tif"], white=white, settings=["noise.sigma=25"]
        )
        data = open_session(request).paired_data
        told[name] = (" ".join(data.notes), methods.noise(data.header()))
    for text in told["deep"]:
        assert "sigma = 25 is 401.5 where white is 4095" in text
    for text in told["plain"]:
        assert "white is" not in text
