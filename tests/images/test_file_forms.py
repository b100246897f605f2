"""A table of forms that people really have: each is read as equal pixels, or refused in one line."""

import io
import struct
import zipfile

import numpy as np
import png
import pytest
import tifffile
from PIL import Image as Pillow

from n2n_ablate.errors import ImageError
from n2n_ablate.images import Reading, pages

H, W = 32, 48
rng = np.random.default_rng(1)
GREY = rng.integers(0, 256, (H, W), np.uint8)
GREY[0, 0], GREY[0, 1] = 255, 0
RGB = rng.integers(0, 256, (H, W, 3), np.uint8)
SMOOTH = np.clip(np.add.outer(np.arange(H), np.arange(W)) * 3, 0, 255).astype(np.uint8)
STACK = np.stack([np.roll(GREY, 5 * k, axis=k % 2) for k in range(5)])
DEEP = GREY.astype(np.uint16) * 257
ALPHA = np.full((H, W, 1), 255, np.uint8)
HALF = rng.integers(0, 256, (H, W, 1), np.uint8)
BITS = GREY > 127
TABLE = rng.integers(0, 256, (3, 256)).astype(np.uint16) * 257

FORMS = {}


def form(name, expected, channels=()):
    """Register a function that writes a file: the pixels (or list of images) it holds, or a refusal."""

    def keep(write):
        FORMS[name] = (write, expected, channels)
        return write

    return keep


def tiff(name, expected, array, channels=(), **options):
    FORMS[name] = (lambda path: tifffile.imwrite(path, array, **options), expected, channels)


def pillow(name, expected, image, **options):
    FORMS[name] = (lambda path: image.save(path, **options), expected, ())


def array(name, expected, content, channels=()):
    FORMS[name] = (lambda path: np.save(path, content), expected, channels)


grey = {"photometric": "minisblack"}
rgb = {"photometric": "rgb"}
separate = {"planarconfig": "separate"}

# TIFF: types of samples.
tiff("u8.tif", GREY / 255, GREY, **grey)
tiff("u16.tif", GREY / 255, DEEP, **grey)
tiff("u32.tif", GREY / 255, GREY.astype(np.uint32) * 16_843_009, **grey)
tiff("f16.tif", GREY / 255, (GREY / 255).astype(np.float16), **grey)
tiff("f32.tif", GREY / 255, (GREY / 255).astype(np.float32), **grey)
tiff("f64.tif", GREY / 255, GREY / 255, **grey)
tiff("i16-positive.tif", GREY.astype(float) * 128 / 32767, GREY.astype(np.int16) * 128, **grey)
tiff(
    "i8-negative.tif",
    "study needs values from 0 on",
    (GREY.astype(int) - 128).astype(np.int8),
    **grey,
)
tiff("i16-negative.tif", "study needs values from 0 on", GREY.astype(np.int16) - 99, **grey)
tiff("f32-counts.tif", "scale them to 0 to 1", GREY.astype(np.float32), **grey)
tiff("f32-nan.tif", "not finite", np.full((H, W), np.nan, np.float32), **grey)
tiff("complex.tif", "no real number", GREY.astype(np.complex64), **grey)
tiff("twelve-in-sixteen.tif", "--white 4095", GREY.astype(np.uint16) * 16, **grey)
tiff(
    "twelve-packed.tif",
    GREY.astype(float) * 16 / 4095,
    GREY.astype(np.uint16) * 16,
    bitspersample=12,
    **grey,
)
tiff("one-bit.tif", BITS, BITS, **grey)
tiff("one-bit-inverted.tif", ~BITS, BITS, photometric="miniswhite")
tiff("four-bits.tif", (GREY >> 4) / 15, GREY >> 4, bitspersample=4, **grey)
tiff("two-bits.tif", (GREY >> 6) / 3, GREY >> 6, bitspersample=2, **grey)
tiff("big-endian.tif", GREY / 255, DEEP, byteorder=">", **grey)
tiff("bigtiff.tif", GREY / 255, GREY, bigtiff=True, **grey)
tiff("inverted.tif", 1 - GREY / 255, GREY, photometric="miniswhite")
tiff("inverted16.tif", 1 - GREY / 255, DEEP, photometric="miniswhite")
tiff("inverted-float.tif", "white at zero", GREY.astype(np.float32), photometric="miniswhite")

# TIFF: colours.
tiff("rgb.tif", RGB / 255, RGB, **rgb)
tiff("rgb16.tif", RGB / 255, RGB.astype(np.uint16) * 257, **rgb)
tiff("rgb-float.tif", RGB / 255, (RGB / 255).astype(np.float32), **rgb)
tiff("rgb-planes.tif", RGB / 255, np.moveaxis(RGB, -1, 0), **rgb, **separate)
tiff("rgba.tif", RGB / 255, np.dstack([RGB, HALF]), extrasamples=["unassalpha"], **rgb)
tiff("rgba-opaque.tif", RGB / 255, np.dstack([RGB, ALPHA]), extrasamples=["assocalpha"], **rgb)
tiff(
    "rgba-premultiplied.tif",
    "multiplied into",
    np.dstack([RGB, HALF]),
    extrasamples=["assocalpha"],
    **rgb,
)
tiff("grey-alpha.tif", GREY / 255, np.dstack([GREY, HALF]), extrasamples=["unassalpha"], **grey)
tiff(
    "rgb-infrared.tif",
    "no colours.*--channels",
    np.dstack([RGB, HALF]),
    extrasamples=["unspecified"],
    **rgb,
)
tiff(
    "rgb-infrared-4.tif",
    HALF[..., 0] / 255,
    np.dstack([RGB, HALF]),
    (4,),
    extrasamples=["unspecified"],
    **rgb,
)
four = np.stack([*STACK[:4]], axis=-1)
tiff(
    "four-channels.tif",
    "no colours",
    four,
    planarconfig="contig",
    extrasamples=["unspecified"] * 3,
    **grey,
)
tiff(
    "four-planes.tif",
    "no colours",
    np.moveaxis(four, -1, 0),
    extrasamples=["unspecified"] * 3,
    **grey,
    **separate,
)
tiff(
    "channel-2.tif",
    STACK[1] / 255,
    four,
    (2,),
    planarconfig="contig",
    extrasamples=["unspecified"] * 3,
    **grey,
)
tiff(
    "channel-1-3.tif",
    [STACK[0] / 255, STACK[2] / 255],
    four,
    (1, 3),
    planarconfig="contig",
    extrasamples=["unspecified"] * 3,
    **grey,
)
tiff(
    "channel-5.tif",
    "has 4 channels, --channels asks for 5",
    four,
    (5,),
    planarconfig="contig",
    extrasamples=["unspecified"] * 3,
    **grey,
)
three = {"planarconfig": "contig", "extrasamples": ["unspecified"] * 2}
tiff("three-channels.tif", "no colours", RGB, **grey, **three)
tiff(
    "palette.tif",
    np.moveaxis(TABLE[:, GREY], 0, -1) / 65535,
    GREY,
    photometric="palette",
    colormap=TABLE,
)
tiff(
    "palette16.tif",
    np.moveaxis((TABLE + 1)[:, GREY], 0, -1) / 65535,
    GREY,
    photometric="palette",
    colormap=np.minimum(TABLE, 65534) + 1,
)
FORMS["palette16.tif"] = (
    FORMS["palette16.tif"][0],
    np.moveaxis((np.minimum(TABLE, 65534) + 1)[:, GREY], 0, -1) / 65535,
    (),
)
tiff(
    "palette8.tif",
    np.moveaxis(TABLE[:, GREY] // 257, 0, -1) / 255,
    GREY,
    photometric="palette",
    colormap=TABLE // 257,
)
tiff("cmyk.tif", "save it as RGB", np.dstack([RGB, HALF]), photometric="separated")
tiff("lab.tif", "L\\*a\\*b\\*", RGB, photometric="cielab")
tiff("icclab.tif", "L\\*a\\*b\\*", RGB, photometric="icclab")
tiff("ycbcr.tif", "YCbCr", RGB, photometric="ycbcr")
tiff("mask.tif", "mask", BITS, photometric="mask")
tiff("filter-array.tif", "colour filter array", DEEP, photometric="cfa")
tiff("linear-raw.tif", "linear raw", RGB, photometric=34892)
tiff("depth-map.tif", "depth map", DEEP, photometric=51177)

# TIFF: orientation.
TURNS = {
    1: RGB,
    2: RGB[:, ::-1],
    3: RGB[::-1, ::-1],
    4: RGB[::-1],
    5: RGB.swapaxes(0, 1),
    6: np.rot90(RGB, -1),
    7: RGB[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90(RGB, 1),
}
for code, upright in TURNS.items():
    tiff(
        f"orientation-{code}.tif", upright / 255, RGB, extratags=[(274, "H", 1, code, True)], **rgb
    )

# TIFF: compression.
for packing in ("lzw", "deflate", "zlib", "packbits", "lzma", "zstd"):
    tiff(f"{packing}.tif", GREY / 255, GREY, compression=packing, **grey)
tiff("lzw-predictor.tif", RGB / 255, RGB, compression="lzw", predictor=True, **rgb)
tiff(
    "float-predictor.tif",
    GREY / 255,
    (GREY / 255).astype(np.float32),
    compression="zlib",
    predictor=3,
    **grey,
)
tiff("tiles.tif", GREY / 255, GREY, tile=(16, 16), **grey)
tiff("strips.tif", RGB / 255, RGB, rowsperstrip=5, **rgb)
tiff("jpegxr.tif", "compression JPEGXR", GREY, compression="jpegxr", **grey)
tiff("webp.tif", RGB / 255, RGB, compression="webp", compressionargs={"lossless": True}, **rgb)
for packing, mode in (
    ("group3", "1"),
    ("group4", "1"),
    ("tiff_lzw", "RGB"),
    ("tiff_adobe_deflate", "L"),
):
    source = {"1": BITS, "RGB": RGB, "L": GREY}[mode]
    wanted = source if mode == "1" else source / 255
    pillow(f"pillow-{packing}.tif", wanted, Pillow.fromarray(source), compression=packing)

# TIFF: pages, stacks, copies.
tiff("pages.tif", list(STACK / 255), STACK, **grey)
tiff("rgb-pages.tif", [RGB / 255, RGB[::-1] / 255], np.stack([RGB, RGB[::-1]]), **rgb)
tiff("imagej-z.tif", list(STACK / 255), STACK, imagej=True, metadata={"axes": "ZYX"})
tiff(
    "imagej-one-ifd.tif",
    list(STACK / 255),
    STACK,
    imagej=True,
    truncate=True,
    metadata={"axes": "ZYX"},
)
tiff(
    "imagej-t-one-ifd.tif",
    list(STACK / 255),
    DEEP[None] * 0 + np.stack([s.astype(np.uint16) * 257 for s in STACK]),
    imagej=True,
    truncate=True,
    metadata={"axes": "TYX"},
)
tiff("imagej-channels.tif", "no colours", STACK[:2], imagej=True, metadata={"axes": "CYX"})
tiff("imagej-channel-2.tif", STACK[1] / 255, STACK[:2], (2,), imagej=True, metadata={"axes": "CYX"})
tiff(
    "imagej-zc.tif",
    "no colours",
    STACK[:4].reshape(2, 2, H, W),
    imagej=True,
    metadata={"axes": "ZCYX"},
)
tiff(
    "imagej-zc-1.tif",
    [STACK[0] / 255, STACK[2] / 255],
    STACK[:4].reshape(2, 2, H, W),
    (1,),
    imagej=True,
    metadata={"axes": "ZCYX"},
)
tiff("imagej-rgb.tif", RGB / 255, RGB, imagej=True)
tiff("ome-t.ome.tif", list(STACK / 255), STACK, ome=True, metadata={"axes": "TYX"})
tiff(
    "ome-tz.ome.tif",
    list(STACK[:4] / 255),
    STACK[:4].reshape(2, 2, H, W),
    ome=True,
    metadata={"axes": "TZYX"},
)
tiff("ome-c.ome.tif", "no colours", STACK[:3], ome=True, metadata={"axes": "CYX"})
tiff("ome-c3.ome.tif", STACK[2] / 255, STACK[:3], (3,), ome=True, metadata={"axes": "CYX"})
tiff("ome-rgb.ome.tif", RGB / 255, RGB, ome=True, metadata={"axes": "YXS"}, **rgb)
tiff("shaped-one-ifd.tif", list(STACK / 255), STACK, truncate=True, **grey)
tiff("lifetimes.tif", "axis 'H'", STACK, metadata={"axes": "HYX"}, **grey)


@form("thumbnail.tif", RGB / 255)
def _thumbnail(path):
    with tifffile.TiffWriter(path) as file:
        file.write(RGB, **rgb)
        file.write(RGB[::4, ::4], subfiletype=1, **rgb)


@form("thumbnail-first.tif", RGB / 255)
def _thumbnail_first(path):
    with tifffile.TiffWriter(path) as file:
        file.write(RGB[::4, ::4], subfiletype=1, **rgb)
        file.write(RGB, **rgb)


@form("only-thumbnail.tif", "thumbnails or masks")
def _only_thumbnail(path):
    tifffile.imwrite(path, RGB, subfiletype=1, **rgb)


@form("mask-page.tif", RGB / 255)
def _mask_page(path):
    with tifffile.TiffWriter(path) as file:
        file.write(RGB, **rgb)
        file.write(BITS, subfiletype=4, photometric="mask")


@form("pyramid.tif", RGB / 255)
def _pyramid(path):
    with tifffile.TiffWriter(path) as file:
        file.write(RGB, subifds=1, **rgb)
        file.write(RGB[::2, ::2], subfiletype=1, **rgb)


@form("mixed-pages.tif", [GREY / 255, RGB / 255])
def _mixed(path):
    with tifffile.TiffWriter(path) as file:
        file.write(GREY, **grey)
        file.write(RGB, **rgb)


@form(
    "palettes-differ.tif",
    [np.moveaxis(TABLE[k:, GREY] if k else TABLE[:, GREY], 0, -1) / 65535 for k in (0,)] * 2,
)
def _palettes(path):
    with tifffile.TiffWriter(path) as file:
        file.write(GREY, photometric="palette", colormap=TABLE)
        file.write(GREY, photometric="palette", colormap=TABLE)


@form("dng.tif", "raw camera file")
def _dng(path):
    tifffile.imwrite(path, GREY, extratags=[(50706, "B", 4, (1, 4, 0, 0), True)], **grey)


@form("cut.tif", "ends early")
def _cut(path):
    tifffile.imwrite(path, GREY, **grey)
    path.write_bytes(path.read_bytes()[:-100])


@form("cut-imagej.tif", "ends early")
def _cut_imagej(path):
    tifffile.imwrite(path, STACK, imagej=True, truncate=True, metadata={"axes": "ZYX"})
    path.write_bytes(path.read_bytes()[:-100])


@form("cr2.tif", "raw camera file")
def _cr2(path):
    path.write_bytes(b"II*\0\x10\0\0\0CR\x02\0" + bytes(400))


# PNG and the others.
pillow("rgb.png", RGB / 255, Pillow.fromarray(RGB))
pillow("grey.png", GREY / 255, Pillow.fromarray(GREY))
pillow("one-bit.png", BITS, Pillow.fromarray(BITS))
pillow("rgba.png", RGB / 255, Pillow.fromarray(np.dstack([RGB, HALF])))
pillow("la.png", GREY / 255, Pillow.fromarray(np.dstack([GREY, HALF])))
pillow("deep.png", GREY / 255, Pillow.fromarray(DEEP))
pillow("trns.png", RGB / 255, Pillow.fromarray(RGB), transparency=(1, 2, 3))
pillow("flat.bmp", RGB / 255, Pillow.fromarray(RGB))
pillow("lossless.webp", RGB / 255, Pillow.fromarray(RGB), lossless=True)
pillow("one.gif", np.dstack([GREY] * 3) / 255, Pillow.fromarray(GREY))
pillow("grey.pgm", GREY / 255, Pillow.fromarray(GREY))
pillow("colour.ppm", RGB / 255, Pillow.fromarray(RGB))
pillow("jpeg2000.png", "JPEG 2000", Pillow.fromarray(RGB), format="JPEG2000")
pillow("avif.png", "AVIF", Pillow.fromarray(RGB), format="AVIF")
pillow("eps.png", "PostScript", Pillow.fromarray(RGB), format="EPS")
pillow("pdf.png", "PDF", Pillow.fromarray(RGB), format="PDF")
pillow(
    "apng.png",
    "animated",
    Pillow.fromarray(RGB),
    save_all=True,
    append_images=[Pillow.fromarray(RGB[::-1])],
)


def deep_png(path, samples, **options):
    with path.open("wb") as file:
        writer = png.Writer(W, H, bitdepth=16, **options)
        writer.write(file, samples.reshape(H, -1))


@form("deep-rgb.png", RGB / 255)
def _deep_rgb(path):
    deep_png(path, RGB.astype(np.uint16) * 257, greyscale=False)


@form("deep-rgba.png", RGB / 255)
def _deep_rgba(path):
    deep_png(path, np.dstack([RGB, HALF]).astype(np.uint16) * 257, greyscale=False, alpha=True)


@form("deep-la.png", GREY / 255)
def _deep_la(path):
    deep_png(path, np.dstack([GREY, HALF]).astype(np.uint16) * 257, greyscale=True, alpha=True)


@form("four-bits.png", (GREY >> 4) / 15)
def _four_bits(path):
    with path.open("wb") as file:
        png.Writer(W, H, greyscale=True, bitdepth=4).write(file, GREY >> 4)


@form("orientation-6.jpg", "turned")
def _turned_jpeg(path):
    picture = Pillow.fromarray(SMOOTH)
    exif = picture.getexif()
    exif[274] = 6
    picture.save(path, exif=exif, quality=100)


FORMS["orientation-6.jpg"] = (_turned_jpeg, np.rot90(SMOOTH, -1) / 255, ())


@form("pgm-12-bits.pgm", GREY.astype(float) * 16 / 4095)
def _pgm12(path):
    path.write_bytes(
        b"P5 %d %d 4095\n" % (W, H) + (GREY.astype(np.uint16) * 16).astype(">u2").tobytes()
    )


@form("dicom.png", "DICOM")
def _dicom(path):
    path.write_bytes(bytes(128) + b"DICM" + bytes(99))


@form("fits.tif", "FITS")
def _fits(path):
    path.write_bytes(b"SIMPLE  =                    T" + bytes(99))


@form("photoshop.png", "Photoshop")
def _psd(path):
    path.write_bytes(b"8BPS\0\1" + bytes(99))


@form("text.png", "cannot be read as an image")
def _text(path):
    path.write_text("no image")


# NumPy.
array("grey.npy", GREY / 255, GREY)
array("rgb.npy", RGB / 255, RGB)
array("float.npy", GREY / 255, GREY / 255)
array("bool.npy", BITS, BITS)
array("columns-first.npy", GREY / 255, np.asfortranarray(GREY))
array("stack.npy", list(STACK / 255), STACK)
array("stack-1.npy", list(STACK / 255), STACK[..., None])
array("rgb-stack.npy", [RGB / 255, RGB[::-1] / 255], np.stack([RGB, RGB[::-1]]))
array("colours-first.npy", "one colour image or three grey ones", np.moveaxis(RGB, -1, 0))
array("four.npy", "no colours", four)
array("four-2.npy", STACK[1] / 255, four, (2,))
array("line.npy", "has shape", GREY[0])
array("five.npy", "has shape", GREY.reshape(1, 1, 1, H, W))
array("complex.npy", "type complex64", GREY.astype(np.complex64))
array("text.npy", "type <U1", np.array([["a", "b"]]))


@form("objects.npy", "Python objects")
def _objects(path):
    np.save(path, np.array([[1, "a"]], dtype=object), allow_pickle=True)


@form("cut.npy", "ends early")
def _cut_npy(path):
    np.save(path, GREY)
    path.write_bytes(path.read_bytes()[:-10])


@form("bomb.npy", "samples; at most")
def _bomb(path):
    head = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 1000000), }\n"
    path.write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head)


@form("two.npz", [GREY / 255, RGB / 255])
def _npz(path):
    np.savez(path, first=GREY, second=RGB)


@form("one.npz", GREY / 255)
def _npz_one(path):
    np.savez_compressed(path, GREY)


@form("zip.npz", "without NumPy arrays")
def _zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "hello")


def test_the_table_is_long_enough():
    assert len(FORMS) >= 10 + 60


@pytest.mark.parametrize("name", FORMS)
def test_a_form_is_read_as_what_it_is_or_refused_in_one_line(tmp_path, name):
    write, expected, channels = FORMS[name]
    path = tmp_path / name
    write(path)
    if isinstance(expected, str):
        with pytest.raises(ImageError, match=expected) as caught:
            pages(path, Reading(channels=channels))
        assert name in str(caught.value)
        assert str(caught.value).isprintable()
        return
    found = pages(path, Reading(channels=channels))
    wanted = expected if isinstance(expected, list) else [expected]
    assert len(found) == len(wanted)
    for image, one in zip(found, wanted, strict=True):
        pixels = image.pixels[0].permute(1, 2, 0).numpy()
        full = np.asarray(one, float)
        full = full[..., None] if full.ndim == 2 else full
        assert pixels.shape == full.shape
        tolerance = (
            1.5 / 255
            if name.endswith(".jpg")
            else 1e-3
            if "f16" in name
            else 1e-5
            if "pgm" in name
            else 1e-6
        )
        np.testing.assert_allclose(pixels, full, atol=tolerance, rtol=0)
    assert len({image.name for image in found}) == len(found)


@pytest.mark.parametrize("colours", ["rgb", "grey"])
def test_a_jpeg_in_a_tiff_is_what_pillow_reads(tmp_path, colours):
    source = Pillow.fromarray(
        np.dstack([SMOOTH, SMOOTH.T.repeat(2, 0)[:H, :W].repeat(2, 1)[:, :W], SMOOTH])
        if colours == "rgb"
        else SMOOTH
    )
    source.save(tmp_path / "photo.tif", compression="jpeg")
    (image,) = pages(tmp_path / "photo.tif")
    with Pillow.open(tmp_path / "photo.tif") as file:
        wanted = np.asarray(file)
    pixels = (image.pixels[0].permute(1, 2, 0).numpy() * 255).squeeze()
    np.testing.assert_allclose(pixels, wanted, atol=1)


def test_a_decoder_that_is_not_installed_is_named(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "packed.tif", GREY, compression="lzw", **grey)

    def missing(*_):
        msg = "<COMPRESSION.LZW: 5> requires the 'imagecodecs' package"
        raise ValueError(msg)

    monkeypatch.setattr(tifffile.TiffPage, "asarray", missing)
    with pytest.raises(ImageError, match="pip install imagecodecs"):
        pages(tmp_path / "packed.tif")


def test_planes_in_other_files_are_refused(tmp_path):
    stream = io.BytesIO()
    tifffile.imwrite(stream, STACK[:2], ome=True, metadata={"axes": "TYX"})
    content = stream.getvalue().replace(b'SizeT="2"', b'SizeT="4"')
    (tmp_path / "part.ome.tif").write_bytes(content)
    with pytest.raises(ImageError, match=r"part.ome.tif"):
        pages(tmp_path / "part.ome.tif")


def test_hidden_files_are_no_images_plugins_or_studies(folder, photo, monkeypatch):
    from n2n_ablate.images import collect
    from n2n_ablate.registry import Registry
    from n2n_ablate.study import known

    photo(folder / "cells.png")
    (folder / "._cells.png").write_bytes(b"\0\5\x16\7")
    (folder / ".DS_Store").write_bytes(b"\0")
    assert [image.name for image in collect(["."])] == ["cells"]
    for place in ("plugins", "studies"):
        (folder / place).mkdir()
        (folder / place / "._mine.py").write_bytes(b"\0\5\x16\7")
        (folder / place / "._mine.toml").write_bytes(b"\0\5\x16\7")
    assert not Registry().broken
    assert not [name for name in known() if name.startswith(".")]
