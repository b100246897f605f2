"""Held-out images that are used again and again are counted; scenes count once, through the program."""

import itertools
from pathlib import Path

import pytest
from helpers import drawn_results as drawn
from PIL import Image as Pillow

from n2n_ablate.analysis.analyse import analyse
from n2n_ablate.runner.interim import RaceOptions
from n2n_ablate.storage import reopen

LABEL = "sigma 25"


def rerun(text, **asked):
    Path("drawn.toml").write_text(text)
    runner = drawn.opened(**asked)
    return analyse(runner.run(), runner.header).confirmation


def test_earlier_confirmations_on_the_same_images_are_counted_whoever_made_them(folder):
    drawn.prepare(folder, drawn.photo, held=6)
    assert rerun(drawn.TEXT).earlier == ()
    other = drawn.TEXT.replace('name = "drawn"', 'name = "other"').replace("0.01", "0.02")
    assert rerun(other).earlier == ("drawn",)
    third = other.replace('name = "other"', 'name = "third"')
    assert rerun(third).earlier == ("drawn", "other")
    # The same command again is no further use, and what it once counted stands.
    assert rerun(other).earlier == ("drawn",)
    again = reopen.reopen(Path("mlruns"), "third")
    assert analyse(again.result, again.header).confirmation.earlier == ("drawn", "other")


def test_a_confirmation_on_other_images_is_none_of_them(folder):
    drawn.prepare(folder, drawn.photo, held=6)
    rerun(drawn.TEXT)
    (folder / "new").mkdir()
    for index in range(4):
        drawn.photo(folder / "new" / f"{index}.png", seed=500 + index)
    other = drawn.TEXT.replace('name = "drawn"', 'name = "other"')
    assert rerun(other.replace('images = ["held"]', 'images = ["new"]')).earlier == ()


@pytest.mark.parametrize("race", [None, RaceOptions()])
def test_crops_of_one_picture_are_one_unit(folder, race):
    text = drawn.without_a_search().replace("crop = 24", "crop = 0")
    drawn.prepare(folder, drawn.photo, seen=0, held=1, text=text)
    for index in range(8):
        path = folder / "seen" / f"{index}.png"
        drawn.photo(path, seed=index, size=96)
        if index < 2:  # two halves that overlap
            whole = Pillow.open(path).copy()
            whole.crop((0, 0, 80, 96)).save(folder / "seen" / f"{index}-left.png")
            whole.crop((16, 0, 96, 96)).save(folder / "seen" / f"{index}-right.png")
            path.unlink()
    runner = drawn.opened(race=race)
    study = analyse(runner.run(), runner.header)
    assert len(study.images) == 10
    assert len(set(study.clusters.values())) == 8
    scope = study.condition(LABEL).scope
    assert (scope.n_images, scope.n_clusters) == (10, 8)
    if race:
        order = [study.clusters[name] for name in study.images]
        assert len(order) - 8 == sum(a == b for a, b in itertools.pairwise(order))
        # 6 and 8 scenes, in images: no scene is divided between two analyses.
        assert [len(set(order[:size])) for size in study.interim_sizes] == [6, 8]
        assert all(set(order[:size]).isdisjoint(order[size:]) for size in study.interim_sizes)
    else:
        record = study.condition(LABEL).contrasts[0]
        assert (record.n_images, record.n_clusters) == (10, 8)
        assert "clustered" in record.caveats
