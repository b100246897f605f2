"""`denoise` for daily work: folders, patterns, stacks, arrays, comparison, and nothing overwritten."""

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow
from typer.testing import CliRunner

from n2n_ablate.cli import app
from n2n_ablate.errors import AblateError

STEPS = ("--set", "training.steps=30", "--precision", "fp32")
rng = np.random.default_rng(0)
CLEAN = np.kron(rng.uniform(60, 190, (6, 6)), np.ones((8, 8)))


def noisy(seed=0, sigma=20.0):
    return CLEAN + np.random.default_rng(seed).normal(0, sigma, CLEAN.shape)


def save(path, array, dtype=np.uint8):
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.rint(array).clip(0, np.iinfo(dtype).max).astype(dtype)
    Pillow.fromarray(array).save(path)
    return path


def run(*words, stdin=None):
    found = CliRunner().invoke(app, ["denoise", *map(str, words), *STEPS], input=stdin)
    assert found.exit_code == 0, (found.output, found.exception)
    return found.output


def refused(*words):
    found = CliRunner().invoke(app, ["denoise", *map(str, words), *STEPS])
    assert isinstance(found.exception, AblateError), found.output
    assert str(found.exception).isprintable()
    return str(found.exception)


def test_a_folder_and_a_pattern(folder):
    for n in range(3):
        save(folder / "in" / f"{n}.png", noisy(n))
    (folder / "in" / "._0.png").write_bytes(b"\0")
    run("in", "--out-dir", "out")
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["0.png", "1.png", "2.png"]
    run("in/[12].png", "--out-dir", "some", "-q")
    assert sorted(path.name for path in (folder / "some").iterdir()) == ["1.png", "2.png"]
    assert "no file matches" in refused("in/*.tif", "--out-dir", "other")
    assert "Use --out-dir" in refused("in", "-o", "one.png")
    assert "give -o FILE" in refused("in")


def test_nothing_is_overwritten_without_asking(folder):
    path = save(folder / "noisy.png", noisy())
    before = path.read_bytes()
    assert "exists already" in refused("noisy.png", "-o", "noisy.png")
    assert "exists already" in refused("noisy.png", "--out-dir", ".")
    assert path.read_bytes() == before
    run("noisy.png", "-o", "noisy.png", "--overwrite")
    assert path.read_bytes() != before
    assert not [each for each in folder.iterdir() if each.name.startswith(".")]


def test_a_stack_comes_back_as_a_stack(folder):
    stack = np.stack([noisy(n) for n in range(3)]).clip(0, 255).astype(np.uint16) * 16
    tifffile.imwrite(folder / "z.tif", stack, imagej=True, metadata={"axes": "ZYX", "spacing": 0.3})
    run("z.tif", "-o", "out.tif")
    with tifffile.TiffFile(folder / "out.tif") as file:
        assert file.series[0].axes == "ZYX"
        assert file.imagej_metadata["spacing"] == 0.3
        found = file.asarray()
    assert (found.dtype, found.shape) == (np.uint16, stack.shape)
    clean = CLEAN * 16
    assert all(
        ((a - clean) ** 2).mean() < ((b - clean) ** 2).mean()
        for a, b in zip(found, stack, strict=True)
    )
    assert "holds one image, and there are 3" in refused("z.tif", "-o", "out.png")


@pytest.mark.parametrize(
    ("scale", "offset", "dtype"), [(16, 0, "uint16"), (100, -9000, "int16"), (3, 7, "uint32")]
)
def test_the_law_of_scale_and_offset_holds_for_integers(folder, scale, offset, dtype):
    plain = noisy().clip(0, 255).astype(np.uint8)
    tifffile.imwrite(folder / "plain.tif", plain.astype(np.float64))
    tifffile.imwrite(folder / "other.tif", (plain.astype(int) * scale + offset).astype(dtype))
    for name in ("plain", "other"):
        run(f"{name}.tif", "-o", f"{name}-out.tif", "-q")
    first, second = (tifffile.imread(folder / f"{name}-out.tif") for name in ("plain", "other"))
    assert second.dtype == dtype
    np.testing.assert_allclose(second, first * scale + offset, atol=0.51)


def test_floats_may_lie_anywhere(folder):
    plain = noisy()
    np.save(folder / "plain.npy", plain)
    np.save(folder / "other.npy", plain * 1e-6 - 3e-4)
    for name in ("plain", "other"):
        run(f"{name}.npy", "-o", f"{name}-out.npy", "-q")
    first, second = (np.load(folder / f"{name}-out.npy") for name in ("plain", "other"))
    np.testing.assert_allclose((second + 3e-4) * 1e6, first, atol=0.5)
    assert first.dtype == np.float64


def test_an_array_on_standard_input(folder):
    stream = io.BytesIO()
    np.save(stream, noisy().astype(np.float32))
    run("-", "-o", "out.npy", stdin=stream.getvalue())
    assert np.load(folder / "out.npy").shape == CLEAN.shape
    found = CliRunner().invoke(app, ["denoise", "-", "-o", "x.npy", *STEPS], input=b"no array")
    assert isinstance(found.exception, AblateError)


def test_a_reference_gives_psnr_and_ssim(folder):
    save(folder / "noisy.png", noisy())
    save(folder / "clean.png", CLEAN)
    text = run("noisy.png", "-o", "out.png", "--reference", "clean.png")
    line = next(line for line in text.splitlines() if "PSNR" in line and "before" in line)
    before, after = (float(line.split(word)[0].split()[-1]) for word in (" before", " after"))
    assert 20 < before < 24
    assert after > before
    assert "SSIM" in line
    save(folder / "small.png", CLEAN[:20])
    assert "different shapes" in refused("noisy.png", "-o", "x.png", "--reference", "small.png")


def test_shared_noise_is_said_with_the_sampler_that_fits(folder):
    from scipy import ndimage

    side = 256
    clean = np.kron(rng.uniform(80, 170, (4, 4)), np.ones((64, 64)))
    blurred = ndimage.gaussian_filter(np.random.default_rng(1).normal(0, 1, (side, side)), 0.9)
    save(folder / "blurred.png", clean + 12 * blurred / blurred.std())
    save(folder / "white.png", clean + np.random.default_rng(2).normal(0, 12, (side, side)))
    text = run("blurred.png", "-o", "a.png")
    assert "neighbouring pixels share their noise" in text
    assert "--set 'sampler=pixel-shuffle'" in text
    assert "share their noise" not in run("white.png", "-o", "b.png")
    assert "share their noise" not in run(
        "blurred.png", "-o", "c.png", "--set", "sampler=pixel-shuffle"
    )


@pytest.mark.skipif(
    os.geteuid() == 0 and not Path("/dev/full").exists(), reason="needs a full disk"
)
def test_an_output_that_cannot_be_written_is_told_before_the_training(folder):
    save(folder / "noisy.png", noisy())
    (folder / "file").write_text("")
    assert "give a file in a folder" in refused("noisy.png", "-o", "file/out.png")
    assert "can be written as" in refused("noisy.png", "-o", "out.xyz")


def test_channels_are_chosen(folder):
    planes = np.stack([noisy(n) for n in range(4)], axis=-1).clip(0, 255).astype(np.uint8)
    tifffile.imwrite(
        folder / "c.tif",
        planes,
        photometric="minisblack",
        planarconfig="contig",
        extrasamples=["unspecified"] * 3,
    )
    assert "--channels" in refused("c.tif", "-o", "out.tif")
    run("c.tif", "-o", "out.tif", "--channels", "2")
    assert tifffile.imread(folder / "out.tif").shape == CLEAN.shape


def test_the_range_costs_an_8_bit_picture_nothing(folder):
    """Over the whole range of 8 bits or over that of the pixels: the same, to 0.05 dB."""
    from skimage import data

    from n2n_ablate import engine
    from n2n_ablate.images import open_stack, read
    from n2n_ablate.registry import Registry
    from n2n_ablate.runner.denoising import choose_recipe, denoise_all

    clean = data.camera()[100:196, 100:196].astype(float)
    path = save(folder / "noisy.png", clean + np.random.default_rng(0).normal(0, 25, clean.shape))
    registry = Registry()
    recipe = choose_recipe(registry, output=Path("mlruns"), settings=["training.steps=300"])[1]
    psnr = []
    for image in (read(path), open_stack(path)[0]):
        found = denoise_all([image], recipe, registry, engine.machine("cpu", "fp32"))[0].image
        samples = image.range.to_samples(found[0, 0].numpy()).astype(float)
        psnr.append(10 * np.log10(255**2 / ((samples - clean) ** 2).mean()))
    assert psnr[1] > psnr[0] - 0.05, json.dumps(psnr)
