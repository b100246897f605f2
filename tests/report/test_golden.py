"""Pages as people read them, one per renderer and case. Regenerate all with `make golden`, then read them."""

import io
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import sample_analysis as samples
from rich.console import Console

from n2n_ablate.analysis.records import to_plain
from n2n_ablate.report import study, supporting
from n2n_ablate.report.document import Document, Heading
from n2n_ablate.report.render.console import print_document
from n2n_ablate.report.render.html import html
from n2n_ablate.report.render.latex import latex
from n2n_ablate.report.render.markdown import markdown

FOLDER = Path(__file__).parent / "golden"
CASES = ("confirmed", "unconfirmed", "troubled")


def page(analysis):
    """Answer, tables and supporting statistics, as a report begins."""
    (condition,) = analysis.conditions
    decided = analysis.deciding.conditions[0]
    known = (supporting.supporting_table(decided.contrasts), supporting.training_table(condition))
    return Document(
        analysis.question,
        f"Study {analysis.study}",
        [
            *study.answer_blocks(analysis, condition, dots=False),
            Heading("Results", 2, "results"),
            *study.trial_blocks(analysis, condition),
            *(table for table in known if table),
        ],
    )


def console(analysis, width):
    screen = Console(file=io.StringIO(), width=width)
    print_document(screen, study.study_document(analysis))
    return "\n".join(line.rstrip() for line in screen.file.getvalue().splitlines()) + "\n"


def pages():
    """Yield the name and the text of every page."""
    for case in CASES:
        analysis = getattr(samples, case)()
        for width in (80, 120):
            yield f"{case}.{width}.txt", console(analysis, width)
    analysis = samples.confirmed()
    document = page(analysis)
    yield "confirmed.md", markdown(document)
    yield "confirmed.tex", latex(document)
    yield "confirmed.html", html(document)
    record = analysis.deciding.conditions[0].contrasts[1]
    plain = to_plain(replace(record, images=record.images[:1]))
    yield "contrast.json", json.dumps(plain, indent=2, allow_nan=False) + "\n"


@pytest.mark.parametrize(("name", "text"), list(pages()), ids=[name for name, _ in pages()])
def test_pages_are_as_they_were_read(name, text):
    path = FOLDER / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert path.exists(), f"{name} is new: run `make golden` and read it"
    assert text == path.read_text("utf-8"), f"{name} changed: run `make golden` and read it"


def test_no_page_is_left_over():
    assert {path.name for path in FOLDER.iterdir()} == {name for name, _ in pages()}
