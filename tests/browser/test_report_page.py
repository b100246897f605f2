"""The report in headless Chromium: every figure is seen, nothing is fetched, it fits any width."""

import contextlib
import re
import sys

import pytest
from helpers.chromium import CHROMIUM, FLAGS
from rich.console import Console

from n2n_ablate.registry import Registry
from n2n_ablate.report.live import Silent
from n2n_ablate.report.write import written
from n2n_ablate.runner.interim import RaceOptions
from n2n_ablate.runner.run import open_runner
from n2n_ablate.runner.session import Request, RunOptions, open_session
from n2n_ablate.storage import reopen
from n2n_ablate.storage.output import Output

SIZES = """() => [...document.querySelectorAll('svg, img')].map(item => {
    const box = item.getBoundingClientRect();
    const whole = item.tagName !== 'IMG' || (item.complete && item.naturalWidth > 0);
    return [item.getAttribute('aria-label') || item.alt, box.width, box.height, whole];
})"""
# Of every text in a figure: what it says, the size of its letters on the screen, and whether it lies
# inside the figure; of every two in one figure whether they lie on each other.
LETTERS = """() => [...document.querySelectorAll('svg')].map(figure => {
    const frame = figure.getBoundingClientRect();
    const texts = [...figure.querySelectorAll('text')].map(item => [item, item.getBoundingClientRect()]);
    const scale = m => Math.sqrt(Math.abs(m.a * m.d - m.b * m.c));
    const within = box => box.left > frame.left - 3 && box.right < frame.right + 3
        && box.top > frame.top - 3 && box.bottom < frame.bottom + 3;
    const over = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
        && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3;
    return [figure.getAttribute('aria-label'), texts.map(([item, box], place) => [
        item.textContent,
        parseFloat(getComputedStyle(item).fontSize) * scale(item.getScreenCTM()),
        within(box),
        texts.slice(place + 1).filter(other => over(box, other[1])).map(other => other[0].textContent),
    ])];
})"""
HEADINGS = "() => [...document.querySelectorAll('h2, h3, h4')].map(item => item.textContent)"
CAPTIONS = "() => [...document.querySelectorAll('figcaption')].map(item => item.textContent)"
MISSING = "() => [...document.querySelectorAll('.missing')].map(item => item.textContent)"
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


DIM = """
from dataclasses import dataclass

from n2n_ablate import KernelSplit, hookimpl


@dataclass(frozen=True)
class Dim:
    def draw(self, image, rng):
        weight = 0.5 if image.mean() < 0.6 else float("nan")
        return KernelSplit.of(image, [[weight, weight]], [[weight, weight]], stride=2, name="dim")


@hookimpl
def register_samplers(register):
    register("dim", Dim)
"""
"""A plugin whose views are no numbers on bright images: of those of the study, on `coffee`."""

IMAGES = '["builtin:astronaut", "builtin:coffee"]'


def texts(tiny):
    """Studies that differ in what their pages show, by name."""
    search = tiny[: tiny.index("[profiles.other]")]
    held = '[profiles.quick.confirm]\nimages = ["builtin:rocket", "builtin:chelsea"]\n'
    apart = changed(
        search,
        ('design = "search"', 'design = "one-at-a-time"'),
        ('[search]\nstrategy = { name = "tpe", startup = 2 }\n', ""),
        ("trials = 4\n", ""),
        ("= { low = 0.0, high = 0.5, levels = [0.2] }", "= [0.2]\n#MORE"),
    )
    two = '{ "sampler.center" = 0.2 }, '
    return {
        "confirmed": search + held,
        "raced": changed(
            apart,
            ("#MORE", '"training.lr" = [1e-6]'),
            ('{ "sampler.center" = 0.2 }', two + '{ "training.lr" = 1e-6 }'),
            (IMAGES, '["builtin"]'),
        ),
        "failed": changed(
            apart,
            ("#MORE", 'sampler = ["dim"]'),
            ('{ "sampler.center" = 0.2 }', two + '{ sampler = "dim" }'),
            (IMAGES, IMAGES.replace("]", ', "builtin:rocket"]')),
        ),
        "two": changed(
            search,
            ("levels = [0.2] }", 'levels = [0.2] }\n"training.lr" = { low = 1e-4, high = 1e-2 }'),
            ("trials = 4", "trials = 12"),
        ),
    }


def changed(text, *pairs):
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


def reported(folder, text, name):
    """Run a study of seconds and return the address of its page."""
    (folder / "tiny.toml").write_text(text)
    (folder / "plugins").mkdir()
    (folder / "plugins" / "dim.py").write_text(DIM)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        session = open_session(Request(study="tiny.toml", settings=["training.steps=8"]))
        place = Output(folder / "mlruns")
        view, race = Silent(Console(stderr=True)), RaceOptions() if name == "raced" else None
        open_runner(session, place, view, RunOptions(tracking="none", race=race)).run()
        registry = session.registry if name == "failed" else Registry()
        text, problems = written(reopen.reopen(place.root, "tiny"), "html", registry)
    assert not problems
    (folder / "report.html").write_text(text, encoding="utf-8")
    return (folder / "report.html").as_uri()


@pytest.fixture(scope="module")
def addresses(tmp_path_factory, tiny_text):
    """The pages of four studies, as files."""
    return {
        name: reported(tmp_path_factory.mktemp(name), text, name)
        for name, text in texts(tiny_text).items()
    }


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
def opened(browser, addresses):
    """Open a page and return it with all that it asked for and complained of."""
    contexts = []

    def open_page(width, scheme, study="confirmed"):
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        contexts.append(context)
        page, asked, said = context.new_page(), [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(addresses[study])
        return page, asked, said

    yield open_page
    for context in contexts:
        context.close()


DIFFERENCES = "Difference in PSNR of every trial from the baseline"
CURVES = 2 * ["Mean PSNR by training step"]
SCATTERED = ["PSNR against leak and gap"]
PANELS = ["noisy, ", "clean", "error"]
FIGURES = {
    "confirmed": [
        *(2 * [DIFFERENCES]),  # of the trials, and of the confirmation
        "Difference from the baseline (diamond) against sampler.center",
        *CURVES,
        *SCATTERED,
        *PANELS,
        *["0.01, ", "0.2, "],
        "three-by-three(center=0.01",
        "three-by-three(center=0.2,",
        "diagonal",
    ],
    "raced": [
        *[DIFFERENCES, *CURVES, *SCATTERED, *PANELS],
        *["baseline, ", "sampler.center=0.2, ", "training.lr=1e-06, ", "diagonal, "],
        "three-by-three(center=0.2,",
    ],
    "failed": [
        *[DIFFERENCES, *CURVES, *SCATTERED, *PANELS],
        *["baseline, ", "sampler.center=0.2, ", "sampler=dim, ", "diagonal, "],
        "dim: which pixels feed which view",
    ],
    "two": [
        DIFFERENCES,
        *CURVES,
        *SCATTERED,
        *PANELS,
        "diagonal",
    ],
}
"""How the description of every figure begins that a page has to show, at least so many times."""

HEAD = ["Results", "Diagnostics of the samplers", "Choosing without clean images", "Samplers"]


@pytest.mark.parametrize("study", FIGURES)
def test_every_figure_and_its_caption_are_there(opened, study):
    page, _, _ = opened(1280, "light", study)
    names = [name for name, *_ in page.evaluate(SIZES)]
    for start in FIGURES[study]:
        found = sum(name.startswith(start) for name in names)
        assert found >= FIGURES[study].count(start), start
    assert {*HEAD, "Methods"} <= set(page.evaluate(HEADINGS))
    assert ("Failed fits" in page.evaluate(HEADINGS)) == (study == "failed")
    captions = page.evaluate(CAPTIONS)
    assert all(captions)
    for start in ("Trials ranked by mean PSNR", "Supporting statistics", "Denoised images"):
        assert any(text.startswith(start) for text in captions), start
    # Three images at most, each with noisy, clean, and two panels for every trial.
    strips = sum(name == "clean" for name in names)
    assert 2 <= strips <= 3
    assert sum(name.startswith("noisy") for name in names) == strips


def test_what_was_confirmed_is_drawn_of_the_confirmation(opened):
    page, _, _ = opened(1280, "light")
    captions = page.evaluate(CAPTIONS)
    held_out = "on held-out images (2 images of 24\u00d724 pixels"
    assert any(held_out in text for text in captions)
    assert any(text.startswith("Denoised images of the confirmation") for text in captions)
    assert any(text.startswith("Mean PSNR by training step on held-out") for text in captions)
    headings = page.evaluate(HEADINGS)
    assert {re.split(r"\s", text)[0] for text in headings} >= {"rocket", "chelsea"}
    assert not {re.split(r"\s", text)[0] for text in headings} & {"astronaut", "coffee"}


def test_a_failed_fit_has_a_panel_that_says_why(opened):
    page, _, _ = opened(1280, "light", "failed")
    told = page.evaluate(MISSING)
    assert len(told) == 2  # in place of the image and of its error
    assert all("diverged" in text for text in told)
    assert "nan" not in page.inner_text("main")


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("study", FIGURES)
def test_every_figure_is_seen_and_its_letters_can_be_read(opened, study, width):
    page, _, _ = opened(width, "light", study)
    for name, wide, high, whole in page.evaluate(SIZES):
        assert name
        assert min(wide, high) > 20, name
        assert whole, name
    for name, letters in page.evaluate(LETTERS):
        assert letters, name
        for text, size, within, below in letters:
            assert size > 8.5, (name, text)
            assert within, (name, text)
            assert not below, (name, text)
    scrolled, inner = page.evaluate(TALLEST)
    assert scrolled <= inner


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("study", FIGURES)
def test_nothing_leaves_the_page(opened, addresses, study, scheme):
    _, asked, said = opened(1280, scheme, study)
    assert said == []
    assert [url for url in asked if not url.startswith(("data:", addresses[study]))] == []


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
