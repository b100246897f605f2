"""Every usual form of image is read as what a viewer shows; everything else is one line."""

import io
import os
import random
import struct
import zlib

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image as Pillow

from n2n_ablate.errors import ImageError
from n2n_ablate.images import collect, pages, read

SIDE = 12
rng = np.random.default_rng(0)
GREY = rng.integers(0, 256, (SIDE, SIDE + 1), np.uint8)
RGB = rng.integers(0, 256, (SIDE, SIDE + 1, 3), np.uint8)


def pixels(array):
    """What `read` should give for 8-bit samples."""
    array = array[..., None] if array.ndim == 2 else array
    return torch.from_numpy(array.astype(np.float32) / 255).permute(2, 0, 1)[None]


def close(path, array, tolerance=1e-6):
    torch.testing.assert_close(read(path).pixels, pixels(array), atol=tolerance, rtol=0)


def test_a_stack_of_pages_is_as_many_images(tmp_path):
    stack = np.stack([GREY, 255 - GREY, GREY // 2])
    tifffile.imwrite(tmp_path / "cells.tif", stack, photometric="minisblack")
    found = collect([str(tmp_path)])
    assert [image.name for image in found] == ["cells-p1", "cells-p2", "cells-p3"]
    for image, page in zip(found, stack, strict=True):
        torch.testing.assert_close(image.pixels, pixels(page))
    with pytest.raises(ImageError, match="3 pages; save the one"):
        read(tmp_path / "cells.tif")


def test_pages_may_differ_in_shape_and_colour(tmp_path):
    with tifffile.TiffWriter(tmp_path / "mixed.tif") as file:
        file.write(GREY, photometric="minisblack")
        file.write(RGB[:5], photometric="rgb")
    first, second = pages(tmp_path / "mixed.tif")
    assert first.pixels.shape == (1, 1, SIDE, SIDE + 1)
    assert second.pixels.shape == (1, 3, 5, SIDE + 1)


def test_planes_one_after_the_other_are_colours(tmp_path):
    path = tmp_path / "planar.tif"
    planes = np.moveaxis(RGB, -1, 0)
    tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate")
    close(path, RGB)


def test_a_tiff_palette_is_looked_up(tmp_path):
    path = tmp_path / "palette.tif"
    table = rng.integers(0, 256, (3, 256)).astype(np.uint16) * 257
    tifffile.imwrite(path, GREY, photometric="palette", colormap=table)
    close(path, np.moveaxis(table[:, GREY] // 257, 0, -1))


def test_where_zero_is_white_it_is_turned_around(tmp_path):
    path = tmp_path / "inverted.tif"
    tifffile.imwrite(path, GREY, photometric="miniswhite")
    close(path, 255 - GREY)


@pytest.mark.parametrize("dtype", [np.uint32, np.float32, np.float64, np.float16, bool])
def test_32_bits_and_float_and_one_bit(tmp_path, dtype):
    path = tmp_path / "deep.tif"
    top = np.iinfo(dtype).max if dtype is np.uint32 else 1
    made = GREY > 127 if dtype is bool else (GREY / 255 * top).astype(dtype)
    tifffile.imwrite(path, made, photometric="minisblack")
    close(path, made * np.uint8(255) if dtype is bool else GREY, 1e-3)


def test_the_orientation_that_a_camera_noted_is_applied(tmp_path):
    path = tmp_path / "turned.png"
    image = Pillow.fromarray(RGB)
    exif = image.getexif()
    exif[0x0112] = 6  # shown after a quarter turn to the right
    image.save(path, exif=exif)
    close(path, np.rot90(RGB, -1).copy())


def test_ink_is_turned_into_colour_or_refused(tmp_path):
    Pillow.fromarray(RGB).convert("CMYK").save(tmp_path / "ink.jpg")
    assert read(tmp_path / "ink.jpg").pixels.shape == (1, 3, SIDE, SIDE + 1)
    ink = np.zeros((SIDE, SIDE, 4), np.uint8)
    tifffile.imwrite(tmp_path / "ink.tif", ink, photometric="separated")
    with pytest.raises(ImageError, match="save it as RGB"):
        read(tmp_path / "ink.tif")


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
def test_an_animation_is_refused_and_one_frame_is_not(tmp_path, suffix):
    frames = [Pillow.fromarray(255 - RGB * np.uint8(k)) for k in range(3)]
    path = tmp_path / f"moving{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match=f"moving{suffix}' is animated, with 3 frames"):
        read(path)
    frames[1].save(path)
    assert read(path).pixels.shape == (1, 3, SIDE, SIDE + 1)


def test_what_a_file_holds_decides_not_its_ending(tmp_path):
    Pillow.fromarray(RGB).save(tmp_path / "photo.png")
    (tmp_path / "photo.png").rename(tmp_path / "photo.tif")
    close(tmp_path / "photo.tif", RGB)
    tifffile.imwrite(tmp_path / "scan.tif", RGB)
    (tmp_path / "scan.tif").rename(tmp_path / "scan.jpg")
    close(tmp_path / "scan.jpg", RGB)


def chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png_that_claims(width, height, depth=8, colour=2):
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


BOMBS = {
    "wide.png": png_that_claims(200_000, 200_000),
    "deep.png": png_that_claims(30_000, 30_000, 16),
    "none.png": png_that_claims(0, 10),
    "over.png": png_that_claims(2**31 - 1, 2**31 - 1),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_file_that_claims_to_be_enormous_is_refused_at_once(tmp_path, name):
    (tmp_path / name).write_bytes(BOMBS[name])
    with pytest.raises(ImageError, match=name):
        read(tmp_path / name)


def test_a_tiff_that_claims_to_be_enormous_is_refused_at_once(tmp_path):
    path = tmp_path / "wide.tif"
    tifffile.imwrite(path, GREY)
    text = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        places = [file.pages[0].tags[name].valueoffset for name in ("ImageWidth", "ImageLength")]
    for place in places:
        text[place : place + 2] = b"\xff\xff"
    path.write_bytes(text)
    with pytest.raises(ImageError, match=r"samples; at most"):
        read(path)


def test_programs_are_never_started_for_an_image(tmp_path):
    """Pillow would hand PostScript to Ghostscript."""
    path = tmp_path / "drawing.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    with pytest.raises(ImageError, match="cannot be read as an image"):
        read(path)


@pytest.mark.parametrize("name", ["a\nb.png", "\x1b[31mred.png", "x" * 200 + ".png", "...png"])
def test_a_name_that_tables_and_files_cannot_bear_is_refused(tmp_path, name):
    Pillow.fromarray(GREY).save(tmp_path / "photo.png")
    (tmp_path / "photo.png").rename(tmp_path / name)
    with pytest.raises(ImageError) as caught:
        collect([str(tmp_path)])
    assert "rename it" in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("source", ["x" * 5000, "a\0b", "\udc80", "", "builtin:", "builtin:\n"])
def test_a_source_that_cannot_be_a_path_is_one_line(folder, source):
    with pytest.raises(ImageError) as caught:
        collect([source])
    assert str(caught.value).isprintable()


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ImageError, match=r"pipe.png"):
        collect([str(tmp_path)])
    with pytest.raises(ImageError, match=r"pipe.png"):
        collect([str(tmp_path / "pipe.png")])


def saved(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def tiff(array, **options):
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **options)
    return stream.getvalue()


def png16():
    stream = io.BytesIO()
    import png

    png.Writer(SIDE, SIDE, greyscale=False, bitdepth=16).write(
        stream, (RGB[:, :SIDE].astype(np.uint16) * 257).reshape(SIDE, -1)
    )
    return stream.getvalue()


WHOLE = {
    "grey.png": saved(Pillow.fromarray(GREY), "PNG"),
    "rgb.png": saved(Pillow.fromarray(RGB), "PNG"),
    "rgba.png": saved(Pillow.fromarray(RGB).convert("RGBA"), "PNG"),
    "palette.png": saved(Pillow.fromarray(RGB).quantize(8), "PNG"),
    "one.png": saved(Pillow.fromarray(GREY > 99), "PNG"),
    "deep.png": png16(),
    "photo.jpg": saved(Pillow.fromarray(RGB), "JPEG"),
    "ink.jpg": saved(Pillow.fromarray(RGB).convert("CMYK"), "JPEG"),
    "flat.bmp": saved(Pillow.fromarray(RGB), "BMP"),
    "web.webp": saved(Pillow.fromarray(RGB), "WEBP"),
    "one.gif": saved(Pillow.fromarray(GREY), "GIF"),
    "grey.tif": tiff(GREY),
    "deep.tif": tiff(RGB.astype(np.uint16) * 257, photometric="rgb"),
    "float.tif": tiff(GREY.astype(np.float32) / 255),
    "stack.tif": tiff(np.stack([GREY, GREY]), photometric="minisblack"),
    "packed.tif": tiff(GREY, compression="zlib"),
}
DAMAGES = 24  # of each file: 16 files x 24 seeds


def damaged(whole, seed):
    """Cut, overwrite, repeat or insert bytes; what, where and with what is drawn from the seed."""
    draw = random.Random(seed)
    data = bytearray(whole)
    kind = seed % 6
    place = draw.randrange(len(data))
    if kind == 0:
        del data[place:]
    elif kind == 1:
        for _ in range(draw.randint(1, 20)):
            data[draw.randrange(len(data))] = draw.randrange(256)
    elif kind == 2:
        data[place : place + 8] = bytes(8)
    elif kind == 3:
        data[4:40] = draw.randbytes(36)
    elif kind == 4:
        data[place:place] = draw.randbytes(draw.randint(1, 64))
    else:
        del data[place : place + draw.randint(1, 64)]
    return bytes(data)


@pytest.mark.parametrize("name", WHOLE)
def test_a_damaged_file_is_read_or_refused_in_one_line(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(WHOLE[name])
    assert collect([str(path)])
    refused = 0
    for seed in range(DAMAGES):
        path.write_bytes(damaged(WHOLE[name], seed))
        found, told = [], None
        try:
            found = collect([str(path)])
        except ImageError as error:
            refused, told = refused + 1, str(error)
        assert told is None or (name in told and told.isprintable()), seed
        for image in found:
            assert image.pixels.dtype == torch.float32, seed
            assert torch.isfinite(image.pixels).all(), seed
            assert image.pixels.shape[1] in (1, 3), seed
    assert refused


def test_a_file_that_ends_early_is_never_filled_with_black(tmp_path):
    for name in (
        "grey.tif",
        "deep.tif",
        "photo.jpg",
        "flat.bmp",
        "rgb.png",
        "deep.png",
        "web.webp",
    ):
        for share in (0.1, 0.5, 0.8):
            data = WHOLE[name]
            (tmp_path / name).write_bytes(data[: int(share * len(data))])
            with pytest.raises(ImageError, match=name):
                read(tmp_path / name)
