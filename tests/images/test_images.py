"""Images: every usual file read exactly, every bad one named in one line."""

import io
import tracemalloc
import zlib

import numpy as np
import png
import pytest
import tifffile
import torch
from PIL import Image as Pillow

from n2n_ablate.errors import ImageError
from n2n_ablate.images import Image, builtin, builtin_names, collect, read, to_pixels, write


def test_the_builtin_set_is_eight_colour_images():
    images = builtin()
    assert [image.name for image in images] == builtin_names()
    assert len(images) == 8
    for image in images:
        assert image.pixels.shape[:2] == (1, 3)
        assert min(image.pixels.shape[-2:]) >= 256
        assert 0 <= image.pixels.min() < image.pixels.max() <= 1
    assert len({image.digest for image in images}) == 8


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_what_is_written_is_read_back_exactly(tmp_path, bits, channels, suffix):
    top = 2**bits - 1
    samples = torch.randint(
        0, top + 1, (1, channels, 6, 9), generator=torch.Generator().manual_seed(0)
    )
    pixels = (samples.double() / top).float()
    path = tmp_path / f"image{suffix}"
    write(path, pixels, bits=bits)
    image = read(path)
    assert image.bits == bits
    assert torch.equal((image.pixels.double() * top).round().long(), samples)


def test_a_16_bit_colour_png_keeps_its_16_bits(tmp_path):
    write(tmp_path / "deep.png", torch.full((1, 3, 4, 4), 257 / 65535), bits=16)
    assert read(tmp_path / "deep.png").pixels[0, 0, 0, 0] == pytest.approx(257 / 65535)


def deep_png(*, interlaced, more=0):
    """A PNG of 11 x 9 random pixels of 16 bits, with so many bytes too many packed in it."""
    samples = np.random.default_rng(0).integers(0, 65536, (9, 11, 3), np.uint16)
    stream = io.BytesIO()
    png.Writer(11, 9, greyscale=False, bitdepth=16, interlace=interlaced).write(
        stream, samples.reshape(9, -1)
    )
    chunks = list(png.Reader(bytes=stream.getvalue()).chunks())
    packed = b"".join(data for kind, data in chunks if kind == b"IDAT")
    content = zlib.compress(zlib.decompress(packed) + bytes(more))
    stream = io.BytesIO()
    png.write_chunks(stream, [chunks[0], (b"IDAT", content), (b"IEND", b"")])
    return samples, stream.getvalue()


@pytest.mark.parametrize("interlaced", [False, True])
def test_no_more_of_a_16_bit_png_is_unpacked_than_its_size_needs(tmp_path, interlaced):
    path = tmp_path / "deep.png"
    samples, content = deep_png(interlaced=interlaced)
    path.write_bytes(content)
    found = (read(path).pixels[0].permute(1, 2, 0).double() * 65535).round()
    assert np.array_equal(found.numpy(), samples)
    for more in (1, 32 * 2**20):
        path.write_bytes(deep_png(interlaced=interlaced, more=more)[1])
        tracemalloc.start()
        with pytest.raises(ImageError, match="more is packed in it than its 11 x 9 pixels"):
            read(path)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 2**20


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1", "I;16"])
def test_other_kinds_of_pixels_become_grey_or_colour(tmp_path, mode):
    picture = Pillow.fromarray(np.tile(np.arange(0, 240, 10, dtype=np.uint8), (24, 1)))
    if mode == "I;16":
        picture = Pillow.fromarray(np.asarray(picture).astype(np.uint16) * 256)
    else:
        picture = picture.convert("RGB").convert(mode) if mode != "LA" else picture.convert("LA")
    picture.save(tmp_path / "image.png")
    image = read(tmp_path / "image.png")
    assert image.pixels.shape[1] in (1, 3)
    assert 0 <= image.pixels.min() < image.pixels.max() <= 1


def test_a_palette_with_transparency_is_read_without_it(tmp_path):
    picture = Pillow.fromarray(np.tile(np.arange(0, 240, 10, dtype=np.uint8), (24, 1))).convert("P")
    picture.save(tmp_path / "image.png", transparency=bytes(range(256)))
    assert read(tmp_path / "image.png").pixels.shape == (1, 3, 24, 24)


def test_crops_are_central_and_never_larger_than_the_image():
    image = Image("x", torch.arange(30.0).reshape(1, 1, 5, 6) / 30)
    assert torch.equal(image.cropped(3).pixels, image.pixels[..., 1:4, 1:4])
    assert image.cropped(5).pixels.shape[-2:] == (5, 5)
    assert image.cropped(0) is image
    assert image.cropped(99) is image


def test_the_digest_is_of_the_pixels_not_of_the_name():
    pixels = torch.rand(1, 1, 4, 4)
    assert Image("a", pixels).digest == Image("b", pixels.clone()).digest
    assert Image("a", pixels).digest != Image("a", pixels.reshape(1, 1, 2, 8)).digest


def bad_files(folder):
    photo = folder / "photo.png"
    Pillow.fromarray(np.zeros((9, 9), np.uint8)).save(photo)
    (folder / "cut.png").write_bytes(photo.read_bytes()[:-30])
    (folder / "text.png").write_text("this is no image")
    (folder / "empty.png").write_bytes(b"")
    tifffile.imwrite(folder / "nan.tif", np.full((9, 9), np.nan, np.float32))
    tifffile.imwrite(folder / "scale.tif", np.full((9, 9), 900.0, np.float32))
    tifffile.imwrite(folder / "signed.tif", np.full((9, 9), -5, np.int32))
    tifffile.imwrite(
        folder / "five.tif",
        np.zeros((9, 9, 5), np.uint8),
        photometric="minisblack",
        planarconfig="contig",
    )
    tifffile.imwrite(folder / "pages.tif", np.zeros((4, 9, 9), np.uint8), photometric="minisblack")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cut.png", "cannot be read as an image"),
        ("text.png", "cannot be read as an image"),
        ("empty.png", "cannot be read as an image"),
        ("missing.png", "does not exist"),
        ("nan.tif", "not finite"),
        ("scale.tif", "scale them to 0 to 1"),
        ("signed.tif", "samples of type int32"),
        ("five.tif", "has shape"),
        ("pages.tif", "pages"),
    ],
)
def test_a_bad_file_is_named_in_one_line(tmp_path, name, message):
    bad_files(tmp_path)
    with pytest.raises(ImageError) as caught:
        read(tmp_path / name)
    assert message in str(caught.value)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_sources_are_folders_files_and_builtin_names(tmp_path, photo):
    photo(tmp_path / "b.png")
    photo(tmp_path / "a.png", seed=1)
    (tmp_path / "notes.txt").write_text("not an image")
    names = [image.name for image in collect([str(tmp_path), "builtin:coffee"])]
    assert names == ["a", "b", "coffee"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere", "does not exist"),
        ("builtin:cofee", "Did you mean 'coffee'"),
        (".", "no images in"),
    ],
)
def test_a_source_without_images_is_named(folder, source, message):
    with pytest.raises(ImageError, match=message):
        collect([source])


def test_two_images_of_one_name_are_refused(folder, photo):
    (folder / "one").mkdir()
    (folder / "two").mkdir()
    photo(folder / "one" / "x.png")
    photo(folder / "two" / "x.png", seed=1)
    with pytest.raises(ImageError, match="two images are called 'x'"):
        collect(["one", "two"])


def test_an_output_that_cannot_hold_the_image_is_refused(tmp_path):
    with pytest.raises(ImageError, match=r"images of 16 bits can be written as \.png"):
        write(tmp_path / "out.jpg", torch.zeros(1, 1, 4, 4), bits=16)
    with pytest.raises(ImageError, match=r"got '\.xyz'"):
        write(tmp_path / "out.xyz", torch.zeros(1, 1, 4, 4))


def test_bool_and_float_arrays_are_images_too():
    assert to_pixels(np.ones((3, 4), bool), "x").max() == 1
    assert to_pixels(np.full((3, 4), 0.25), "x").dtype == torch.float32
