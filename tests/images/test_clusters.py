"""One scene counts once, whatever its files are called and however they were saved again."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageOps

from n2n_ablate.errors import ImageError
from n2n_ablate.images import Image, builtin, collect, gather, to_pixels, write
from n2n_ablate.images.clusters import _GREYS, _alike, clustered, fingerprint
from n2n_ablate.images.gather import require_apart

EVERY = ("builtin", "builtin:grey")


@pytest.fixture(scope="module")
def shipped():
    return collect(EVERY)


def same_picture(*pictures):
    return clustered([fingerprint(image) for image in pictures]) == [0] * len(pictures)


def apart(prints):
    return clustered(prints) == list(range(len(prints)))


def pillow(image):
    array = np.rint(image.pixels[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    return Pillow.fromarray(array.squeeze())


def jpeg(picture, quality):
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Pillow.open(file)


def resized(picture, share):
    return picture.resize([max(1, int(side * share)) for side in picture.size])


AGAIN = {
    "luma": lambda picture: picture.convert("L"),
    "jpeg": lambda picture: jpeg(picture, 40),
    "half": lambda picture: resized(picture, 0.5),
    "third": lambda picture: resized(picture, 0.37),
    "larger": lambda picture: resized(picture, 1.3),
    "mirrored": ImageOps.mirror,
    "turned": lambda picture: picture.rotate(90, expand=True),
    "darker": lambda picture: picture.point(lambda value: int(255 * (value / 255) ** 1.5)),
    "all": lambda picture: jpeg(ImageOps.flip(resized(picture.convert("L"), 0.6)), 60),
}


@pytest.fixture(scope="module")
def prints(shipped):
    return {image.name: fingerprint(image) for image in shipped}


@pytest.mark.parametrize("way", AGAIN)
@pytest.mark.parametrize("name", ["rocket", "moon", "clock"])  # with little to see in them
def test_a_picture_that_was_saved_again_is_the_same_picture(shipped, prints, name, way):
    image = next(image for image in shipped if image.name == name)
    again = Image("again", to_pixels(np.asarray(AGAIN[way](pillow(image))), "again"))
    assert clustered([prints[name], fingerprint(again)]) == [0, 0]


@pytest.mark.parametrize("grey", range(len(_GREYS)), ids=["mean", "601", "709"])
def test_a_crop_of_a_grey_version_is_the_same_picture(shipped, grey):
    image = shipped[0]
    colours = np.rint(image.pixels[0].numpy() * 255)
    version = np.floor(np.tensordot(_GREYS[grey], colours, 1) + 0.5).astype(np.uint8)
    crop = Image("crop", to_pixels(version[101:197, 53:149], "crop"))
    assert same_picture(image, crop)


def test_pillows_luma_is_one_of_the_greys(shipped):
    picture = pillow(shipped[0])
    levels = np.floor(np.tensordot(_GREYS[1], np.asarray(picture).transpose(2, 0, 1), 1) + 0.5)
    assert np.array_equal(levels, np.asarray(picture.convert("L")))


def test_no_two_of_the_pictures_that_ship_look_the_same(prints):
    assert apart(list(prints.values()))


def test_other_parts_of_a_picture_are_other_pictures(shipped):
    """A hundred tiles of photographs stand for a collection of photographs."""
    tiles = [
        Image(f"{image.name} {top} {left}", image.pixels[..., top : top + 128, left : left + 128])
        for image in shipped
        if image.name not in ("retina", "hubble", "moon", "cell", "tissue")
        for top, left in itertools.product((0, 128), (0, 64, 192))
    ]
    small = {tile.name: fingerprint(tile).small for tile in tiles}
    others = [
        (one, other)
        for one, other in itertools.combinations(small, 2)
        if one.split()[0] != other.split()[0]
    ]
    turned = [(one, np.rot90(small[other], k)) for one, other in others[::3] for k in range(4)]
    assert not [one for one, other in turned if _alike(small[one], other)]


def framed(image):
    """A picture as a microscope shows it: round, and black around."""
    inside = np.asarray(pillow(image).convert("RGB").resize((256, 256))).astype(float)
    y, x = np.mgrid[:256, :256] - 127.5
    array = np.where((x**2 + y**2 < 120**2)[..., None], inside, 0).astype(np.uint8)
    return Image(image.name, to_pixels(array, image.name))


def test_a_shared_frame_does_not_make_pictures_the_same(shipped):
    assert apart([fingerprint(framed(image)) for image in shipped])


def test_nothing_to_see_is_no_likeness():
    flat = [Image(str(n), to_pixels(np.full((40, 40), n, np.uint8), "flat")) for n in (7, 90)]
    assert not same_picture(*flat)
    assert same_picture(flat[0], flat[0])


# Sources.


def save(picture, path):
    picture.save(path)
    return str(path)


def check(seen, held):
    require_apart(gather(seen), gather(held))


def test_the_same_picture_is_known_under_any_name(tmp_path, photo):
    (tmp_path / "seen").mkdir()
    (tmp_path / "held").mkdir()
    path = photo(tmp_path / "seen" / "one.png", size=48)
    photo(tmp_path / "held" / "one.png", size=48, seed=9)  # another picture of that name
    sources = [str(tmp_path / "seen")], [str(tmp_path / "held")]
    check(*sources)
    picture = Pillow.open(path)
    for name, again in {
        "copy": picture,
        "crop": picture.crop((7, 11, 40, 44)),
        "grey": picture.convert("L"),
        "flip": ImageOps.flip(picture),
    }.items():
        again.save(tmp_path / "held" / f"{name}.png")
        with pytest.raises(
            ImageError, match=f"image '{name}' shows the same picture as 'one' among the images of"
        ) as error:
            check(*sources)
        assert "\n" not in str(error.value)
        (tmp_path / "held" / f"{name}.png").unlink()


def test_two_crops_of_one_picture_are_one_cluster(tmp_path, photo):
    whole = Pillow.open(photo(tmp_path / "whole.png", size=64))
    crops = [
        save(whole.crop((0, 0, 40, 40)), tmp_path / "left.png"),
        save(whole.crop((16, 16, 64, 64)), tmp_path / "right.png"),
    ]
    other = str(photo(tmp_path / "other.png", seed=3))
    found = gather([*crops, other])
    assert [(image.name, image.scene) for image in found.images] == [
        ("left", "left"),
        ("right", "left"),
        ("other", "other"),
    ]
    assert (
        "left, right show parts of one scene and count as one image in the intervals" in found.notes
    )
    with pytest.raises(
        ImageError, match="image 'right' shows the same picture as 'left' among the"
    ):
        check([crops[0], other], [crops[1]])


def test_a_chain_of_overlaps_is_one_cluster(tmp_path, photo):
    """As pictures 12 and 13 of McMaster18, which share a part: the set is usable as it is."""
    whole = Pillow.open(photo(tmp_path / "whole.png", size=96))
    crops = [
        save(whole.crop((left, 0, left + 40, 96)), tmp_path / f"part{left}.png")
        for left in (0, 28, 56)
    ]
    assert {image.scene for image in gather(crops).images} == {"part0"}
    ends = gather([crops[0], crops[2]])
    assert [image.scene for image in ends.images] == ["part0", "part56"]


def test_equal_images_are_dropped_with_a_line(tmp_path, photo):
    photo(tmp_path / "one.png", size=48)
    (tmp_path / "two.png").write_bytes((tmp_path / "one.png").read_bytes())
    write(tmp_path / "three.tif", collect([str(tmp_path / "one.png")])[0].pixels)
    photo(tmp_path / "zebra.png", size=48, seed=1)
    found = gather([str(tmp_path)])
    assert [image.name for image in found.images] == ["one", "zebra"]
    assert [line for line in found.notes if "left out" in line] == [
        "image 'three' has the same pixels as 'one' and is left out",
        "image 'two' has the same pixels as 'one' and is left out",
    ]


def test_pages_of_a_stack_are_pictures_of_their_own(tmp_path):
    rng = np.random.default_rng(0)
    pages = [rng.integers(0, 255, (32, 32)).astype(np.uint8) for _ in range(2)]
    stack = [Pillow.fromarray(page) for page in pages]
    stack[0].save(tmp_path / "stack.tif", save_all=True, append_images=stack[1:])
    assert len({image.scene for image in gather([str(tmp_path / "stack.tif")]).images}) == 2
    with pytest.raises(ImageError, match="'again' shows the same picture as 'stack-p2'"):
        check([str(tmp_path / "stack.tif")], [save(stack[1], tmp_path / "again.png")])


@pytest.mark.parametrize(
    ("seen", "held"),
    [("builtin:camera", "builtin:camera"), ("builtin", "builtin:coffee"), ("builtin:grey",) * 2],
)
def test_built_in_pictures_are_held_out_or_not(seen, held):
    with pytest.raises(ImageError, match=r"shows the same picture as '\w+' among the images of"):
        check([seen], [held])
    check(["builtin"], ["builtin:grey"])


def test_a_built_in_picture_is_known_in_a_file(tmp_path):
    (coffee,) = builtin(["coffee"])
    write(tmp_path / "mine.png", coffee.pixels[..., 40:140, 60:160], bits=8)
    with pytest.raises(ImageError, match="'mine' shows the same picture as 'coffee' among"):
        check(["builtin:coffee"], [str(tmp_path / "mine.png")])


def test_a_study_says_which_images_count_as_one(folder, photo, tiny):
    from n2n_ablate.runner.session import Request, open_session

    picture = Pillow.open(photo(folder / "one.png", size=48))
    save(picture.crop((0, 4, 40, 48)), folder / "two.png")
    session = open_session(Request(str(tiny), images=["one.png", "two.png"]))
    assert [mark.cluster for mark in session.paired_data.header().images] == ["one", "one"]
    assert any("one, two show parts of one scene" in line for line in session.notes)


def test_noisy_pictures_given_as_clean_ones_are_named(tmp_path):
    (image,) = builtin(["coffee"])
    rng = np.random.default_rng(0)
    noisy = image.pixels.numpy() + rng.normal(0, 10 / 255, image.pixels.shape)
    samples = np.rint(noisy.clip(0, 1) * 255).astype(np.uint8)[0].transpose(1, 2, 0)
    Pillow.fromarray(samples).save(tmp_path / "noisy.png")
    write(tmp_path / "clean.png", builtin(["chelsea"])[0].pixels)
    with pytest.raises(
        ImageError, match="noisy shots with references, not clean images: use --pairs"
    ):
        gather([str(tmp_path)])  # by their names they are a pair
    lines = gather([str(tmp_path / name) for name in ("noisy.png", "clean.png")]).notes
    assert len(lines) == 1
    assert lines[0].startswith("1 of 2 images look noisy ('noisy': standard deviation 8")
    assert "--pairs" in lines[0]
