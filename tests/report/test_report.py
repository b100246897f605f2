"""The report of a study: every format, of a real tiny study; names that would break it; nothing made up."""

import csv
import io
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D
from PIL import Image as Pillow
from rich.console import Console
from typer.testing import CliRunner

import n2n_ablate.report.page as pages
from n2n_ablate.cli import app
from n2n_ablate.errors import AblateError, StudyError
from n2n_ablate.records import StudyResult
from n2n_ablate.report import panels
from n2n_ablate.report.latex import escaped as tex
from n2n_ablate.report.latex import latex
from n2n_ablate.report.markdown import escaped as md
from n2n_ablate.report.markdown import markdown
from n2n_ablate.report.model import build
from n2n_ablate.report.page import page
from n2n_ablate.report.screen.console import Silent
from n2n_ablate.report.svg import inline
from n2n_ablate.report.write import FORMATS, written
from n2n_ablate.runner.session import Request, RunOptions, open_runner, open_session
from n2n_ablate.storage import reopen
from n2n_ablate.storage.output import Output
from n2n_ablate.storage.recovered_images import gallery

NASTY = "<script>alert(1)</script> & 50_% $x$"
HERE = "sigma 25"


@pytest.fixture(scope="module")
def root(tmp_path_factory, tiny_text):
    """The output folder of a study of seconds, with hostile names in it."""
    folder = tmp_path_factory.mktemp("reported")
    (folder / "photos").mkdir()
    rng = np.random.default_rng(0)
    for name in ("one & <b>two</b>", "three_$4$"):
        name = name.replace("/", "\u2215")
        pixels = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
        Pillow.fromarray(pixels).save(folder / "photos" / f"{name}.png")
    text = tiny_text.replace('"builtin:astronaut", "builtin:coffee"', '"photos"')
    text = text.replace("Does the centre matter?", f"Does {NASTY} matter?")
    text = text.replace("diagonal = {", f'"{NASTY}" = {{')
    (folder / "tiny.toml").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        request = Request(study="tiny.toml", trials=4, seeds=2, settings=["training.steps=5"])
        session = open_session(request)
        place = Output(request.output)
        open_runner(session, place, Silent(Console(stderr=True)), RunOptions(tracking="none")).run()
    return folder / "mlruns"


@pytest.fixture(scope="module")
def found(root):
    return reopen.reopen(root, "tiny")


@pytest.fixture(scope="module")
def whole(found, registry):
    """The report with images and diagnostics, and its page."""
    report = build(found, gallery(found.header, registry), registry)
    return report, page(report, registry)


def altered(found, change):
    """The study with every row of every trial changed, or left out where `change` gives None."""
    trials = [
        replace(item, rows=tuple(row for old in item.rows if (row := change(item, old))))
        for item in found.result.trials
    ]
    return replace(found, result=replace(found.result, trials=tuple(trials)))


class Reader(HTMLParser):
    """Collects tags, addresses and text, and checks that elements nest."""

    VOID = frozenset({"meta", "link", "img", "path", "use", "image", "stop", "br"})

    def __init__(self):
        super().__init__()
        self.tags, self.addresses, self.words, self.open = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [v for k, v in attrs if k in ("src", "href", "xlink:href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def read(text):
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    return reader


def test_the_page_needs_nothing_else_and_runs_nothing(whole):
    reader = read(whole[1])
    assert "script" not in reader.tags
    assert "b" not in reader.tags
    assert reader.addresses
    assert all(re.match(r"data:|#", address) for address in reader.addresses)
    assert "default-src 'none'" in whole[1]


def test_the_page_shows_hostile_names_as_they_are(whole):
    words = "".join(read(whole[1]).words)
    assert f"Does {NASTY} matter?" in words
    assert "one & <b>two<\u2215b>" in words
    assert "three_$4$" in words


def test_the_page_says_everything_a_reader_needs(whole, found):
    report, text = whole
    words = " ".join("".join(read(text).words).split())
    (section,) = report.sections
    assert section.answer in words
    assert "2 images of 24x24 pixels" in words
    for title in ("Results", "Diagnostics of the samplers", "Failures", "Methods", "Samplers"):
        assert title in words
    assert found.commands[0].invocation.versions["torch"] in words
    assert "None: every fit has a result." in words
    assert text.count("<svg") == 6  # forest, response, two of curves, diagnostics, loss
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_a_page_without_images_says_so_and_has_the_rest(found, registry, tmp_path):
    gone = replace(found, header=replace(found.header, folder=str(tmp_path)))
    plan = replace(gone.header.plan, profile=replace(gone.plan.profile, images=("nowhere",)))
    header = replace(gone.header, plan=plan)
    report = build(replace(gone, header=header), gallery(header, registry), registry)
    text = page(report, registry)
    assert "clean images not found" in text
    assert 'class="strips"' not in text
    assert text.count("<svg") == 5
    assert "Diagnostics of the samplers" not in text


def test_stored_images_that_are_damaged_are_named_and_cost_nothing_else(
    root, found, registry, tmp_path
):
    shutil.copytree(root, tmp_path / "mlruns")
    files = sorted((tmp_path / "mlruns" / "fits").rglob("*.safetensors"))
    for file in files:
        content = bytearray(file.read_bytes())
        content[-7] ^= 1  # the last bytes are the image's
        file.write_bytes(content)
    after = reopen.reopen(tmp_path / "mlruns", "tiny")
    text, problems = written(after, "html", registry, diagnostics=False)
    (told,) = [text for text in problems if "stored images that are damaged" in text]
    assert str(tmp_path / "mlruns" / "fits") in told
    assert "image not kept" in text
    assert not after.lost
    assert [x.figures for x in after.result.lines(HERE)] == [
        x.figures for x in found.result.lines(HERE)
    ]
    assert sorted((tmp_path / "mlruns" / "fits").rglob("*.*")) == files


def test_a_trial_has_one_colour_in_all_figures(whole, registry, monkeypatch):
    drawn = {}

    def watched(figure, name, description):
        drawn[name] = figure
        return inline(figure, name, description)

    monkeypatch.setattr(pages, "inline", watched)
    page(whole[0], registry)
    inks = {}
    for name in ("curves-0-sigma-25", "diagnostics-sigma-25", "loss-sigma-25"):
        legend = next(filter(None, (axes.get_legend() for axes in drawn[name].axes)))
        for text, item in zip(legend.texts, legend.legend_handles, strict=True):
            ink = item.get_color() if isinstance(item, Line2D) else item.get_facecolor()[0]
            inks.setdefault(text.get_text(), []).append(to_hex(ink))
    baseline, contrast = inks["0.01"], inks["0.2"]
    assert baseline == ["#000000"] * 3
    assert contrast == [contrast[0]] * 3 != baseline
    lines = [line.get_color() for line in drawn["curves-1-sigma-25"].axes[0].lines]
    assert contrast[0] in lines


def test_captions_say_how_many_trials_have_no_picture_and_which_go_first(
    whole, registry, monkeypatch
):
    told = {
        2: "2 of 4 trials are shown, 2 left out: first the baseline",
        9: "3 of 4 trials are shown, 1 left out: first the baseline",  # a place of the search
    }
    for room, sentence in told.items():
        monkeypatch.setattr(panels, "_ARMS", room)
        monkeypatch.setattr(pages, "_CURVES", room)
        own = re.findall("<figcaption>(.*?)</figcaption>", page(whole[0], registry), re.DOTALL)
        for start in ("Denoised images", "Mean PSNR by training step"):
            assert sentence in next(text for text in own if text.startswith(start))


def test_markdown_keeps_names_from_being_markup(found):
    text = markdown(build(found))
    assert "<script>" not in text
    assert md(NASTY) in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    tables = [re.split(r"(?<!\\)\|", row) for row in rows]
    assert {len(cells) for cells in tables} == {9}
    assert len(tables) > 8
    assert "## Methods" in text


def structure(text):
    """A strict reading of LaTeX: environments nest, braces balance, every row has its cells."""
    body = re.sub(r"(?<!\\)%.*", "", text)
    assert body.isascii() or not re.search(r"[\u2190-\u2bff\u2212\u00b1]", body)
    stack, columns = [], 0
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", body):
        if kind == "begin":
            stack.append(name)
        else:
            assert stack.pop() == name
    assert not stack
    assert len(re.findall(r"(?<!\\)\{", body)) == len(re.findall(r"(?<!\\)\}", body))
    for block in re.findall(r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end\{tabular\}", body, re.DOTALL):
        columns = len(block[0])
        rows = [row for row in block[1].splitlines() if row.rstrip().endswith(r"\\")]
        assert len(rows) > 1
        for row in rows:
            assert len(re.findall(r"(?<!\\)&", row)) == columns - 1
    assert not re.search(r"(?<!\\)[#_^]", re.sub(r"\\label\{[^}]*\}", "", body))
    assert len(re.findall(r"(?<!\\)\$", body)) % 2 == 0
    return columns


def test_latex_has_whole_tables_and_escapes_names(found):
    text = latex(build(found))
    assert structure(text) == 7
    assert r"\textless{}script\textgreater{}alert(1)" in text
    assert r"50\_\% \$x\$" in text
    assert r"\caption{" in text
    assert "t interval over images" in text
    assert "2 images of 24x24 pixels" in text


@pytest.mark.parametrize("letter", "\\{}$&%#_^~<>|")
def test_latex_escapes_every_letter_that_means_something(letter):
    assert structure(f"a {tex(letter)} b") == 0
    assert tex(letter) != letter


def test_csv_has_a_row_per_fit(found, registry):
    text, _ = written(found, "csv", registry)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == sum(len(item.rows) for item in found.result.trials) == 16
    assert {row["trial"] for row in rows} == {item.trial.name for item in found.result.trials}
    assert float(rows[0]["psnr"]) == found.result.trials[0].rows[0].result.figures["psnr"]


def test_json_is_that_of_the_live_study(found, registry):
    data = json.loads(written(found, "json", registry)[0])
    assert data["conditions"][0]["scope"].startswith("2 images of 24x24 pixels, 5 steps, 2 seeds")
    assert NASTY in data["recipes"]


def failing(_item, row):
    lost = replace(row.result, failure="it diverged", figures={}, curves={}, denoised=None)
    return replace(row, result=lost)


def not_finite(_item, row):
    figures = dict.fromkeys(row.result.figures, float("nan"))
    curves = {name: curve * np.nan for name, curve in row.result.curves.items()}
    return replace(row, result=replace(row.result, figures=figures, curves=curves))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (failing, "16 fits have no result"),
        (lambda _, row: row if row.image.startswith("three") else None, "one image"),
        (lambda _, row: row if row.seed == 0 else None, "With one seed per image"),
        (not_finite, "No trial has all its results|No contrast has a result yet"),
        (lambda item, row: row if item.trial.role == "reference" else None, "No contrast"),
    ],
    ids=["all failed", "one image", "one seed", "not finite", "no baseline"],
)
def test_what_cannot_be_said_is_said_in_a_sentence(found, registry, change, told):
    report = build(altered(found, change), gallery(found.header, registry))
    text = page(report)
    read(text)
    assert re.search(told, text, re.IGNORECASE)
    for other in (markdown(report), latex(report)):
        assert not re.search(r"\b(nan|inf)\b", other)
    assert not re.search(r">[^<]*\b(nan|inf)\b[^<]*<", text)


def test_a_study_without_any_trial_has_a_report(found):
    empty = replace(found, result=StudyResult(found.plan, ()))
    report = build(empty)
    assert "No contrast has a result yet" in page(report)
    assert "No contrast has a result yet" in markdown(report)
    assert "No trial has a result" in latex(report)


def test_only_what_is_confirmed_is_called_a_finding(found):
    shifted = altered(
        found,
        lambda item, row: replace(
            row,
            image=f"held out {row.image}",
            result=replace(
                row.result,
                figures={
                    **row.result.figures,
                    "psnr": 20
                    + 5 * row.image.startswith("t")
                    + (item.trial.role != "baseline") * (1 + 0.001 * row.image.startswith("t")),
                },
            ),
        ),
    ).result
    marks = tuple(replace(m, name=f"held out {m.name}") for m in found.header.images)
    later = replace(found.header, images=marks)
    confirmed = replace(
        found,
        result=found.result.with_confirmed(shifted),
        header=found.header.with_confirmed(later),
    )
    report = build(confirmed)
    text = page(report)
    assert "Confirmed on images and seeds that the search never saw: against" in text
    assert "0.2 is better (+1.00" in text
    assert "held out three" in text
    assert text.count("▲") == 1  # what the study said has no word beside it
    (section,) = report.sections
    (contrast,) = section.confirmed
    assert contrast.before.mean < 0  # so that a gain is all that was there, gone, and more
    assert contrast.shrinkage == pytest.approx(1 - contrast.before.mean, abs=0.001)
    assert "shrinkage" in markdown(report)
    assert "Confirmation on" in latex(report)
    assert "Confirmed on" not in page(build(found))


# ---- the command ----


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=True)


@pytest.mark.parametrize("kind", FORMATS[1:])
def test_the_command_writes_every_format(root, tmp_path, kind):
    out = tmp_path / "deep" / f"report.{kind}"
    done = call("report", "tiny", "--format", kind, "-o", out, "--output", root, "--no-diagnostics")
    assert done.exit_code == 0, done.output
    assert str(out) in done.stdout
    assert out.stat().st_size > 500
    assert "tiny" in out.read_text()


def test_a_page_goes_to_the_output_folder_and_text_is_printed(root, tmp_path):
    shutil.copytree(root, tmp_path / "mlruns")
    done = call("report", "tiny", "--no-diagnostics", "--output", tmp_path / "mlruns")
    assert done.exit_code == 0
    assert (tmp_path / "mlruns" / "reports" / "tiny.html").exists()
    assert call("report", "tiny", "--format", "csv", "--output", root).stdout.startswith("study,")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["report", "tinny"], "Did you mean 'tiny'"),
        (["report", "tiny", "--format", "pdf"], "Use html, md, latex, csv or json"),
        (["report", "tiny", "--profile", "quack"], "Did you mean 'quick'"),
        (["report", "tiny", "--format", "csv", "-o", "/proc/nothing/x.csv"], "cannot be written"),
        (["compare", "tiny", "0.22", "baseline"], "has no finished trial '0.22'"),
        (["compare", "tiny", "0.2", "sampler.center=0.2"], "are the same trial"),
        (["best", "tinny"], "Did you mean 'tiny'"),
    ],
)
def test_a_mistake_is_one_line(root, words, told):
    done = call(*words, "--output", root)
    assert isinstance(done.exception, AblateError)
    assert told in str(done.exception)
    assert "\n" not in str(done.exception)


def test_an_unknown_format_is_refused_before_anything_is_read(found, registry):
    with pytest.raises(StudyError, match="--format cannot be 'docx'"):
        written(found, "docx", registry)
