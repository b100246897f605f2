"""The confirmation of a study on measured noise: whole scenes that its trials do not see."""

import json

import numpy as np
import pytest
from helpers.measured_pairs import SIDE, pairs, run, save, scene, shot, study

from n2n_ablate.errors import AblateError, ImageError
from n2n_ablate.images.measured import read_measured
from n2n_ablate.runner.session import Request, open_session


def names(folder, **given):
    return {own.image.name for own in read_measured(folder, **given).scenes}


def test_scenes_are_split_and_names_alone_choose(tmp_path):
    pairs(tmp_path, scenes=(1, 2, 3, 4, 5))
    kept = names(tmp_path, held_out=2)
    later = names(tmp_path, held_out=2, confirming=True)
    assert (len(kept), len(later)) == (3, 2)
    assert kept | later == {"1", "2", "3", "4", "5"}
    save(tmp_path / f"{min(later)}_mean.png", scene(9))  # other pixels under the same name
    assert names(tmp_path, held_out=2) == kept
    assert names(tmp_path, held_out=2, crop=16) == kept


def test_crops_of_one_scene_are_held_out_together(tmp_path):
    for n in (1, 2, 3):
        whole, noisy = np.hstack([scene(n), scene(n + 5)]), np.hstack([shot(n, 1), shot(n + 5, 1)])
        for k, left in enumerate((0, 20)):
            save(tmp_path / f"s{n}c{k}_mean.png", whole[:, left : left + 50])
            save(tmp_path / f"s{n}c{k}_real.png", noisy[:, left : left + 50])
    for confirming, count in ((False, 4), (True, 2)):
        found = read_measured(tmp_path, held_out=1, confirming=confirming).scenes
        assert len(found) == count
        assert all(own.image.cluster for own in found)
    with pytest.raises(ImageError, match=r"3 scenes are to be held out .* has 3"):
        read_measured(tmp_path, held_out=3)


def test_a_study_confirms_on_scenes_that_no_trial_saw(folder):
    pairs(folder / "set", scenes=(1, 2, 3, 4, 5))
    path = study(folder, '{ pairs = "set" }')
    found = json.loads(run("study", path, "--confirm-scenes", "2", "--tracking", "none", "--json"))
    assert found["fits"]["total"] == 2 * 3
    assert found["confirmation"]
    header = open_session(Request(path, confirm_scenes=2))
    trained = {image.name for image in header.paired_data.images}
    held_out = {image.name for image in header.confirmation_data.images}
    assert len(trained) == 3
    assert len(held_out) == 2
    assert not trained & held_out
    run("report", "measured", "--format", "html", "-o", "page.html")
    text = (folder / "page.html").read_text(encoding="utf-8")
    assert "without the 2 held-out scenes" in text
    assert "confirmation, images" in text


def test_a_study_file_holds_scenes_out(folder):
    pairs(folder / "set", scenes=(1, 2, 3, 4))
    path = study(folder, '{ pairs = "set" }', "confirm = { scenes = 1 },")
    session = open_session(Request(path))
    assert [len(data.images) for data in (session.paired_data, session.confirmation_data)] == [3, 1]
    assert open_session(Request(path, confirm_scenes=0)).confirmation_data is None


def test_conditions_that_share_a_scene_hold_out_the_same(folder):
    for name in ("canon", "nikon"):
        pairs(folder / name, scenes=(1, 2, 3, 4))
    path = study(folder, '{ pairs = "canon" }, { pairs = "nikon" }')
    session = open_session(Request(path, confirm_scenes=1))
    later = {image.name.split(",")[0] for image in session.confirmation_data.images}
    assert len(later) == 1
    pairs(folder / "nikon", "{n}_mean.png", "{n}_real.png", scenes=())
    for n, old in ((7, 1), (8, 2), (9, 3)):  # one condition calls its scenes otherwise
        save(folder / "other" / f"x{n}_mean.png", scene(old))
        save(folder / "other" / f"x{n}_real.png", shot(old, 3))
    for count in (1, 2):
        other = study(folder, '{ pairs = "canon" }, { pairs = "other" }')
        with pytest.raises(ImageError, match="shows the same picture as"):
            open_session(Request(other, confirm_scenes=count))


@pytest.mark.parametrize(
    ("conditions", "profile", "given", "message"),
    [
        (
            '{ pairs = "set" }, { noise = "gaussian" }',
            'images = ["clean.png"],',
            {"confirm_images": ["other.png"]},
            "needs 'scenes'",
        ),
        (
            '{ pairs = "set" }, { noise = "gaussian" }',
            'images = ["clean.png"],',
            {"confirm_scenes": 1},
            "needs held-out images",
        ),
        (
            '{ noise = "gaussian" }',
            'images = ["clean.png"],',
            {"confirm_scenes": 1, "confirm_images": ["other.png"]},
            "are for measured noise",
        ),
        ('{ pairs = "set" }', "", {"confirm_scenes": -1}, "must not be negative"),
        ('{ pairs = "set" }', "", {"confirm_scenes": 3}, "has 3"),
        ('{ pairs = "set" }', "confirm = { top = 1 },", {}, "needs 'images', or 'scenes'"),
        ('{ pairs = "set" }', "", {"confirm_images": ["other.png"]}, "--confirm-scenes N"),
    ],
)
def test_what_cannot_be_confirmed_is_one_line(folder, photo, conditions, profile, given, message):
    pairs(folder / "set")
    for seed, name in enumerate(("clean.png", "other.png")):
        photo(folder / name, channels=1, size=SIDE, seed=seed)
    with pytest.raises(AblateError, match=message) as caught:
        open_session(Request(study(folder, conditions, profile), **given))
    assert str(caught.value).isprintable()


def test_a_mixed_study_needs_both_and_gets_them(folder, photo):
    pairs(folder / "set")
    for seed, name in enumerate(("clean.png", "other.png")):
        photo(folder / name, channels=1, size=SIDE, seed=seed)
    path = study(folder, '{ pairs = "set" }, { noise = "gaussian" }', 'images = ["clean.png"],')
    session = open_session(Request(path, confirm_scenes=1, confirm_images=["other.png"]))
    assert [len(data.images) for data in (session.paired_data, session.confirmation_data)] == [3, 2]
