"""The documentation site: built strictly, complete, read without a network, at any width."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from helpers.chromium import CHROMIUM, FLAGS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
CONFIG = ROOT / "zensical.toml"
ZENSICAL = Path(sys.executable).with_name("zensical")
PAGES = (
    *("index", "tutorial", "gallery", "how-to/denoise", "components/sampler"),
    *("reference/plugin-names", "reference/cli", "results/center-weight"),
)
needs_zensical = pytest.mark.skipif(
    not ZENSICAL.is_file(), reason="no Zensical here: pip install '.[docs]' installs it"
)


def build(folder):
    """Build the pages of a folder; return what zensical said, and its exit status."""
    shutil.copy(CONFIG, folder)
    words = [ZENSICAL, "build", "--strict"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr, done.returncode


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(DOCS, folder / "docs")
    said, status = build(folder)
    assert status == 0, said
    return folder / "site"


@needs_zensical
def test_every_page_is_built_and_asks_no_other_host(site):
    built = {page.relative_to(site).with_suffix("").as_posix() for page in site.rglob("*.html")}
    written = {page.relative_to(DOCS).with_suffix("").as_posix() for page in DOCS.rglob("*.md")}
    assert built - {"404"} == written
    assert not list(site.rglob("*.py*"))
    for page in set(site.rglob("*.html")) - {site / "404.html"}:  # its addresses start at the host
        text = page.read_text(encoding="utf-8")
        fetched = re.findall(r'<(?:script|img|iframe|source)[^>]* src="?([^" >]+)', text)
        fetched += re.findall(r'<link[^>]* href="?([^" >]+)', text)
        assert fetched
        for address in fetched:
            assert "//" not in address, f"{page.name}: {address}"
            assert (page.parent / address.partition("?")[0]).is_file(), f"{page.name}: {address}"


@needs_zensical
@pytest.mark.parametrize("target", ["other.md", "other.md#nowhere", "nowhere.md"])
def test_a_link_to_nothing_stops_the_build(target, tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text(f"# First\n\n[there]({target})\n")
    (tmp_path / "docs" / "other.md").write_text("# Other\n")
    said, status = build(tmp_path)
    assert (status == 0) == (target == "other.md"), said


def test_zensical_knows_every_setting():
    """It ignores the others without a word."""
    project = tomllib.loads(CONFIG.read_text())["project"]
    assert project.keys() == {
        *("site_name", "site_description", "docs_dir", "site_dir", "exclude_docs", "nav"),
        *("copyright", "plugins", "extra", "validation", "theme", "markdown_extensions"),
    }


@needs_zensical
@pytest.mark.browser
@pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here: apt-get install -y chromium installs it"
)
def test_pages_opened_as_files_fit_any_width_and_can_be_searched(site):
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install '.[dev]'")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for width in (1280, 390):
            page = browser.new_page(viewport={"width": width, "height": 900})
            asked, wrong = [], []
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            page.on("pageerror", lambda error, wrong=wrong: wrong.append(str(error)))
            for name in PAGES:
                page.goto(f"file://{site / name}.html")
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
                assert page.evaluate(
                    "[...document.images].every(one => one.complete && one.naturalWidth > 0)"
                ), name
            page.keyboard.press("Control+k")
            page.keyboard.type("three-by-three")
            page.get_by_text(re.compile(r"\d+ results")).wait_for()
            assert not wrong
            assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
        browser.close()
