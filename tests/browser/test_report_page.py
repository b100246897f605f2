"""The report in headless Chromium: every figure is seen, nothing is fetched, it fits any width."""

import contextlib
import shutil
import sys

import pytest
from rich.console import Console

from n2n_ablate.journal import reopen
from n2n_ablate.output import Output
from n2n_ablate.registry import Registry
from n2n_ablate.report.write import written
from n2n_ablate.screen.console import Silent
from n2n_ablate.session import Request, open_runner, open_session

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIZES = """() => [...document.querySelectorAll('svg, img')].map(item => {
    const box = item.getBoundingClientRect();
    const whole = item.tagName !== 'IMG' || (item.complete && item.naturalWidth > 0);
    return [item.getAttribute('aria-label') || item.alt, box.width, box.height, whole];
})"""
TALLEST = "() => [document.documentElement.scrollWidth, window.innerWidth]"
CONTRAST = """() => {
    const text = document.querySelector('main p'), page = document.body;
    return [getComputedStyle(text).color, getComputedStyle(page).backgroundColor,
            getComputedStyle(document.querySelector('svg text')).fill];
}"""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None, reason="no Chromium here: apt-get install -y chromium installs it"
    ),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory, tiny_text):
    """The page of a study of seconds, as a file."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "tiny.toml").write_text(tiny_text)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        session = open_session(Request(study="tiny.toml", settings=["training.steps=5"]))
        place = Output(folder / "mlruns")
        open_runner(session, place, Silent(Console(stderr=True)), tracking="none").run()
    text, problems = written(reopen.reopen(place.root, "tiny"), "html", Registry())
    assert not problems
    (folder / "report.html").write_text(text, encoding="utf-8")
    return (folder / "report.html").as_uri()


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip(
        "playwright.sync_api", reason=f"{sys.executable} -m pip install playwright"
    )
    with (
        api.sync_playwright() as driver,
        contextlib.closing(driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)) as found,
    ):
        yield found


@pytest.fixture
def opened(browser, address):
    """Open the page and return it with all that it asked for and complained of."""
    contexts = []

    def open_page(width, scheme):
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        contexts.append(context)
        page, asked, said = context.new_page(), [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(address)
        return page, asked, said

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_every_figure_is_seen_and_nothing_leaves_the_page(opened, address, width, scheme):
    page, asked, said = opened(width, scheme)
    figures = page.evaluate(SIZES)
    assert len(figures) > 15
    for name, wide, high, whole in figures:
        assert name
        assert min(wide, high) > 20, name
        assert whole, name
    assert said == []
    assert [url for url in asked if not url.startswith(("data:", address))] == []
    scrolled, inner = page.evaluate(TALLEST)
    assert scrolled <= inner


def test_text_and_figures_follow_light_and_dark(opened):
    light, dark = (opened(800, scheme)[0].evaluate(CONTRAST) for scheme in ("light", "dark"))

    def brightness(colour):
        return sum(map(int, colour[colour.index("(") + 1 : -1].split(",")[:3])) / 3

    for text, paper, letters in (light, dark):
        assert abs(brightness(text) - brightness(paper)) > 150
        assert abs(brightness(letters) - brightness(paper)) > 150
    assert brightness(light[1]) > 240
    assert brightness(dark[1]) < 40


def test_the_page_prints(opened):
    page, _, said = opened(1000, "light")
    assert page.pdf(format="A4").startswith(b"%PDF")
    assert said == []
