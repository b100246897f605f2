"""The report of a study: every format, of a real tiny study; names that would break it; nothing made up."""

import csv
import io
import json
import re
import shutil
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D
from PIL import Image as Pillow
from rich.console import Console
from typer.testing import CliRunner

from n2n_ablate.analysis.analyse import analyse
from n2n_ablate.cli import app
from n2n_ablate.errors import AblateError, StudyError
from n2n_ablate.records import StudyTrials
from n2n_ablate.report import build as building
from n2n_ablate.report.build import report_document
from n2n_ablate.report.formats import FORMATS
from n2n_ablate.report.live import Silent
from n2n_ablate.report.render import html as pages
from n2n_ablate.report.render.html import html, inline
from n2n_ablate.report.render.latex import escape as tex
from n2n_ablate.report.render.latex import latex
from n2n_ablate.report.render.markdown import escape as md
from n2n_ablate.report.render.markdown import markdown
from n2n_ablate.report.sources import sources
from n2n_ablate.report.write import full_document, save_figures, written
from n2n_ablate.runner.run import open_runner
from n2n_ablate.runner.session import Request, RunOptions, open_session
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
    document, _ = full_document(found, registry)
    return document, html(document)


def built(found, images=None, registry=None, *, figures=False):
    """The report as a document."""
    return report_document(sources(found, images, None, registry, figures=figures), registry)


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
    words = " ".join("".join(read(whole[1]).words).split())
    assert "center = 0.2 vs 0.01: " in words
    assert "2 images of 24\u00d724 pixels" in words
    for title in ("Results", "Diagnostics of the samplers", "Methods", "Samplers"):
        assert title in words
    assert found.commands[0].invocation.versions["torch"] in words
    assert "none failed" in words
    assert "Failed fits" not in words
    # differences, response, two of curves, diagnostics; times where they differ
    assert whole[1].count("<svg") == 5 + ("against training time" in words)
    ids = re.findall(r'\bid="([^"]+)"', whole[1])
    assert len(ids) == len(set(ids))


def test_a_page_never_speaks_of_the_command_line(whole):
    body = whole[1].partition("</head>")[2].partition('<h2 id="methods"')[0]
    assert "--" not in re.sub(r"<[^>]*>", "", body)
    assert "[confirm]" not in body


def test_a_page_without_images_says_so_and_has_the_rest(found, registry, tmp_path):
    gone = replace(found, header=replace(found.header, folder=str(tmp_path)))
    plan = replace(gone.header.plan, profile=replace(gone.plan.profile, images=("nowhere",)))
    header = replace(gone.header, plan=plan)
    document = built(
        replace(gone, header=header), gallery(header, registry), registry, figures=True
    )
    text = html(document)
    assert "clean images not found" in text
    assert 'class="strips"' not in text
    assert text.count("<svg") == 4 + ("against training time" in text)
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
    assert "image not stored" in text
    assert not after.lost
    assert [row.means for row in analyse(after.result).condition(HERE).trials] == [
        row.means for row in analyse(found.result).condition(HERE).trials
    ]
    assert sorted((tmp_path / "mlruns" / "fits").rglob("*.*")) == files


def test_a_trial_has_one_colour_in_all_figures(whole, registry, monkeypatch):
    drawn = {}

    def watched(figure, name, description):
        drawn[name] = figure
        return inline(figure, name, description)

    monkeypatch.setattr(pages, "inline", watched)
    html(whole[0])
    inks = {}
    for name in ("curves-sigma-25-0", "diagnostics-sigma-25-0"):
        legend = next(filter(None, (axes.get_legend() for axes in drawn[name].axes)))
        for text, item in zip(legend.texts, legend.legend_handles, strict=True):
            ink = item.get_color() if isinstance(item, Line2D) else item.get_facecolor()[0]
            inks.setdefault(text.get_text(), []).append(to_hex(ink))
    baseline, contrast = inks["0.01"], inks["0.2"]
    assert baseline == ["#000000"] * 2
    assert contrast == [contrast[0]] * 2 != baseline
    lines = [line.get_color() for line in drawn["curves-sigma-25-1"].axes[0].lines]
    assert contrast[0] in lines


def test_captions_say_how_many_trials_have_no_picture_and_which_go_first(
    found, registry, monkeypatch
):
    searched = next(each.trial for each in found.result.trials if each.trial.role == "search")
    highest = analyse(found.result, found.header).condition(HERE).highest.name
    all_shown = searched.name == highest  # a trial of the search is shown only as the highest
    rest = "" if all_shown else "3 of 4 trials"
    for room, sentence in (
        (2, "2 of 4 trials are shown: the baseline"),
        (3, "3 of 4 trials are shown: the baseline"),
        (9, rest),
    ):
        monkeypatch.setattr(building, "_STRIPS", room)
        monkeypatch.setattr(building, "_CURVES", room)
        document, _ = full_document(found, registry, diagnostics=False)
        captions = [getattr(block, "caption", "") for block in document.blocks]
        for start in ("Denoised images", "Mean PSNR by training step"):
            caption = next(text for text in captions if text.startswith(start))
            assert sentence in caption
            assert ("trials are shown" in caption) == bool(sentence)


def test_figures_can_be_saved_for_a_paper(whole, tmp_path):
    paths = save_figures(whole[0], tmp_path / "figures", "pdf")
    assert {path.name for path in paths} >= {"differences-sigma-25.pdf", "curves-sigma-25-2.pdf"}
    assert all(path.read_bytes().startswith(b"%PDF") for path in paths)


def test_a_wrong_format_of_figures_is_refused_before_anything_is_read(found, registry, tmp_path):
    with pytest.raises(StudyError, match="Use pdf, svg or png"):
        written(found, "html", registry, figures=tmp_path, figure_format="gif")


def test_markdown_keeps_names_from_being_markup(found):
    text = markdown(built(found))
    assert "<script>" not in text
    assert md(NASTY) in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    tables = [re.split(r"(?<!\\)\|", row) for row in rows]
    assert len({len(cells) for cells in tables[:8]}) == 1
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
    text = latex(built(found))
    assert structure(text)
    assert r"\textless{}script\textgreater{}alert(1)" in text
    assert r"50\_\% \$x\$" in text
    assert r"\caption{" in text
    assert r"confidence interval across images" in text
    assert r"2 images of 24$\times$24 pixels" in text
    assert "Verdicts appear" not in text
    assert "--" not in text


@pytest.mark.parametrize("letter", "\\{}$&%#_^~<>|")
def test_latex_escapes_every_letter_that_means_something(letter):
    assert structure(f"a {tex(letter)} b") == 0
    assert tex(letter) != letter


def test_parquet_has_the_rows_of_csv(found, registry, monkeypatch):
    data, _ = written(found, "parquet", registry)
    rows = pd.read_parquet(io.BytesIO(data))
    text, _ = written(found, "csv", registry)
    pd.testing.assert_frame_equal(rows, pd.read_csv(io.StringIO(text)).astype(rows.dtypes))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(StudyError, match=r"needs pyarrow: pip install pyarrow\. .*--format csv"):
        written(found, "parquet", registry)


def test_csv_has_a_row_per_fit(found, registry):
    text, _ = written(found, "csv", registry)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == sum(len(item.rows) for item in found.result.trials) == 16
    assert {row["trial"] for row in rows} == {item.trial.name for item in found.result.trials}
    assert float(rows[0]["psnr"]) == found.result.trials[0].rows[0].result.figures["psnr"]


def test_json_is_that_of_the_live_study(found, registry):
    data = json.loads(written(found, "json", registry)[0])
    scope = data["conditions"][0]["scope"]
    assert (scope["n_images"], scope["steps"], scope["n_seeds"]) == (2, 5, 2)
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
        (failing, "16 fits failed"),
        (lambda _, row: row if row.image.startswith("three") else None, "one image gives no"),
        (lambda _, row: row if row.seed == 0 else None, "Result \\("),
        (not_finite, "The baseline failed on every image"),
        (lambda item, row: row if item.trial.role == "reference" else None, "has not run yet"),
    ],
    ids=["all failed", "one image", "one seed", "not finite", "no baseline"],
)
def test_what_cannot_be_said_is_said_in_a_sentence(found, registry, change, told):
    document = built(altered(found, change), gallery(found.header, registry), figures=True)
    text = html(document)
    read(text)
    assert re.search(told, text, re.IGNORECASE)
    for other in (markdown(document), latex(document)):
        assert not re.search(r"\b(nan|inf)\b", other)
    assert not re.search(r">[^<]*\b(nan|inf)\b[^<]*<", text)


def test_a_study_without_any_trial_has_a_report(found):
    document = built(replace(found, result=StudyTrials(found.plan, ())))
    assert "The baseline has not run yet" in html(document)
    assert "The baseline has not run yet" in markdown(document)
    assert "No trial has a result" in latex(document)


def test_only_what_is_confirmed_has_a_verdict(found):
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
    header = found.header.with_confirmed(later)
    result = found.result.with_confirmed(shifted)
    confirmed = replace(found, result=result, header=header)
    document = built(confirmed, figures=True)
    text = html(document)
    assert "Confirmed on held-out images (2 images" in text
    assert "center = 0.2 vs 0.01: better by 1.00" in text
    assert "held out three" in text
    assert text.count("\u25b2") == 1  # the table of the trials has no verdicts
    (pair,) = analyse(result, header).confirmation.contrasts[HERE]
    assert pair.before.estimate < 0  # so that a gain is all that was there, gone, and more
    assert pair.shrinkage == pytest.approx(1 - pair.before.estimate, abs=0.001)
    assert "shrinkage" in markdown(document)
    assert "on held-out images" in latex(document)
    assert "Confirmed on" not in html(built(found))


# ---- the command ----


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=True)


@pytest.mark.parametrize("kind", list(FORMATS)[1:])
def test_the_command_writes_every_format(root, tmp_path, kind):
    out = tmp_path / "deep" / f"report.{kind}"
    done = call("report", "tiny", "--format", kind, "-o", out, "--output", root, "--no-diagnostics")
    assert done.exit_code == 0, done.output
    assert str(out) in done.stdout
    assert out.stat().st_size > 500
    assert b"tiny" in out.read_bytes()


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
        (["report", "tiny", "--format", "pdf"], "Use html, md, latex, csv, parquet or json"),
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
