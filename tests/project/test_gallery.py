"""The gallery: its studies run, and draw every picture that its page shows."""

import importlib
from pathlib import Path

import pytest
from PIL import Image

DOCS = Path(__file__).resolve().parents[2] / "docs"
ASSETS = DOCS / "assets"
LARGEST = 300_000  # bytes of all pictures together


@pytest.fixture
def gallery(monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    return importlib.import_module("generator.gallery")


def test_the_page_shows_what_its_folder_has_and_all_pictures_are_small(gallery):
    assert {file.name for file in (ASSETS / "gallery").iterdir()} == gallery.pictures()
    assert sum(file.stat().st_size for file in ASSETS.rglob("*.*")) < LARGEST


def test_its_studies_draw_every_picture(gallery, folder):
    gallery.write(folder / "drawn", ["builtin:chelsea", "builtin:coffee"], crop=24, steps=2)
    assert {file.name for file in (folder / "drawn").iterdir()} == gallery.pictures()
    strip = "gallery-samplers-images.png"
    with (
        Image.open(ASSETS / "gallery" / strip) as shown,
        Image.open(folder / "drawn" / strip) as made,
    ):
        assert made.size == shown.size
    for file in (folder / "drawn").glob("*.svg"):
        assert "<svg" in file.read_text()
