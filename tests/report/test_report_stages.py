"""What a report says of a confirmed, a raced and a factorial study is true of the stage that decides."""

import csv
import io
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import drawn_results as drawn

from n2n_ablate import stats
from n2n_ablate.analysis.analyse import analyse
from n2n_ablate.analysis.records import Role, Verdict
from n2n_ablate.analysis.study_records import Family
from n2n_ablate.registry import Registry
from n2n_ablate.report import supporting, tables
from n2n_ablate.report.build import report_document
from n2n_ablate.report.document import cell_text
from n2n_ablate.report.render.html import html
from n2n_ablate.report.render.latex import latex
from n2n_ablate.report.render.markdown import markdown
from n2n_ablate.report.sources import sources
from n2n_ablate.report.text import notes
from n2n_ablate.report.text.contrasts import digits_of
from n2n_ablate.report.text.methods import facts, paragraph
from n2n_ablate.report.write import written
from n2n_ablate.runner.interim import RaceOptions
from n2n_ablate.storage import reopen

LABEL = "sigma 25"
SECOND = 'label = "sigma 25"\n\n[[conditions]]\nnoise = { name = "gaussian", sigma = 50.0 }\nlabel = "b"\n'


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """The same study with a confirmation, with a raced one, and without any; two conditions each."""
    folder, found = tmp_path_factory.mktemp("stages"), {}
    whole = drawn.TEXT.replace('label = "sigma 25"\n', SECOND)
    plain = whole[: whole.index("[profiles.quick.confirm]")]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        drawn.prepare(folder, drawn.photo, text=whole)
        for name, text, race in (
            ("confirmed", whole, None),
            ("raced", whole, RaceOptions()),
            ("searched", plain, None),
        ):
            Path("drawn.toml").write_text(text)
            drawn.opened(race=race).run()
            found[name] = reopen.reopen(Path("mlruns"), "drawn")
            shutil.rmtree("mlruns")
    return found


def analysis(found):
    return analyse(found.result, found.header)


def methods(found):
    return paragraph(found, analysis(found))


def document(found):
    return report_document(sources(found))


def test_the_methods_describe_the_family_that_decides(studies):
    told = methods(studies["confirmed"])
    contrasts = len(studies["confirmed"].header.confirmed.plan.contrasts)
    assert contrasts == 3  # two declared, and the best of the search
    each = 100 * (1 - 0.05 / 6)  # under two conditions
    assert (
        f"Confidence intervals are two-sided {each:.4g} % t intervals across images, Bonferroni-corrected "
        "for 3 contrasts under 2 conditions (family-wise error 5 %)." in told
    )
    searched = methods(studies["searched"])
    assert "98.75 % t intervals across images, Bonferroni-corrected for 2 contrasts" in searched
    assert "confirmation" not in searched


def test_the_methods_describe_images_and_fits_of_the_confirmation(studies):
    found = studies["confirmed"]
    told = methods(found)
    assert "trained on 4 images of 24\u00d724 pixels" in told
    assert (
        "For confirmation, the baseline, 2 declared contrasts and the best trial of the search were "
        "retrained on held-out images with new seeds. There, each trial was trained on 12 images of "
        "24\u00d724 pixels, colour (centre crops), with 1 seed: 96 fits, of which none failed."
        in told
    )
    known = dict(facts(found))
    assert known["confirmation, images"].startswith("00")
    assert known["confirmation, seeds"] == "1"
    assert "for the confirmation" in known["training time"]


def test_the_methods_do_not_speak_of_a_best_that_was_not_tried(studies):
    found = studies["confirmed"]
    later = found.header.confirmed
    plan = replace(later.plan, contrasts=found.plan.contrasts)
    header = found.header.with_confirmed(replace(later, plan=plan))
    confirmed = replace(found.result.confirmed, plan=plan)
    told = methods(replace(found, header=header, result=replace(found.result, confirmed=confirmed)))
    assert "best trial of the search" not in told
    assert "the baseline and 2 declared contrasts were retrained" in told


def test_the_methods_of_a_race_describe_its_interim_analyses(studies):
    told = methods(studies["raced"])
    assert re.search(r"interim analyses after [\d, ]+ and 12 images with repeated 99.17 %", told)
    assert "(Jennison and Turnbull, 1989), Bonferroni-corrected for 3 contrasts" in told
    assert "square of the share of images (Kim and DeMets, 1987)" in told
    assert "each contrast was trained on up to 12 images" in told
    assert "Jennison" not in methods(studies["confirmed"])


@pytest.mark.parametrize("study", ["confirmed", "raced", "searched"])
def test_notes_explain_what_their_tables_hold_and_no_more(studies, study):
    found = analysis(studies[study])
    known = [tables.trials_table(found, found.condition(LABEL))]
    known += [tables.confirmation_table(found, LABEL)] if found.confirmation else []
    for table in known:
        notes = " ".join(table.notes)
        verdicts = [column.title for column in table.columns].count("verdict")
        shown = {cell.word for row in table.rows for cell in row.cells if hasattr(cell, "word")}
        for word in ("better", "worse", "equivalent", "inconclusive"):
            explained = re.search(rf"\b{word}\b[^.;]*:", notes, re.IGNORECASE) is not None
            assert explained == (bool(verdicts) and word in shown), (word, notes)
        assert ("valid at every interim analysis" in notes) == (
            study == "raced" and table is known[-1]
        )


@pytest.mark.parametrize("write", [markdown, latex, html])
def test_no_format_speaks_of_the_command_line(studies, write):
    text = write(document(studies["searched"])).partition("Methods")[0]
    assert "confirm-images" not in text
    assert "until-settled" not in text


def test_levels_in_the_notes_are_those_of_the_table(studies):
    for study in ("confirmed", "searched"):
        found = analysis(studies[study])
        rows = tables.shown_rows(found, found.condition(LABEL))
        levels = {
            f"{100 * row.contrast.interval.level:.4g} %"
            for row in rows
            if row.contrast and row.contrast.interval
        }
        notes = tables.trials_table(found, found.condition(LABEL)).notes
        assert levels <= set(re.findall(r"[\d.]+ %", notes[0]))


def test_supporting_statistics_are_those_of_the_confirmation(studies):
    for study in ("confirmed", "raced"):
        found = analysis(studies[study])
        later = found.confirmation.analysis.condition(LABEL)
        table = supporting.supporting_table(later.contrasts)
        assert [row.cells[0] for row in table.rows] == [
            f"center = {record.contrast.parameters['sampler.center']:g} vs 0.01"
            for record in later.contrasts
        ]
        text = markdown(document(studies[study]))
        for row in table.rows:
            assert f"| {row.cells[0]} | " in text
    contrasts = analysis(studies["searched"]).deciding.condition(LABEL).contrasts
    assert {record.n_images for record in contrasts} == {4}


def test_a_raced_table_says_how_many_images_each_contrast_had(studies):
    text = markdown(document(studies["raced"]))
    assert "| verdict | shrinkage | images |" in text
    assert "Decided at an interim analysis" in text
    caveat = "p values do not allow for interim analyses."
    assert caveat in text
    assert caveat in html(document(studies["raced"]))
    assert caveat not in markdown(document(studies["confirmed"]))
    assert "| images |" not in markdown(document(studies["confirmed"]))


def test_two_conditions_have_a_summary(studies):
    text = markdown(document(studies["confirmed"]))
    assert "Every contrast under every condition on held-out images, dB." in text
    assert f"| contrast | {LABEL} | b |" in text


def test_csv_gives_the_stage_of_every_fit(studies):
    text, _ = written(studies["confirmed"], "csv", Registry())
    rows = list(csv.DictReader(io.StringIO(text)))
    count = {
        stage: sum(row["stage"] == stage for row in rows) for stage in ("trials", "confirmation")
    }
    assert count == {"trials": 7 * 4 * 2, "confirmation": 4 * 12 * 2}
    assert {row["seed"] for row in rows if row["stage"] == "confirmation"} == {"1"}
    plain = csv.DictReader(io.StringIO(written(studies["searched"], "csv", Registry())[0]))
    assert {row["stage"] for row in plain} == {"trials"}


def test_a_factorial_says_its_effects_their_family_and_their_verdicts(folder):
    text = drawn.TEXT[: drawn.TEXT.index("[search]")] + '[profiles.quick]\nimages = ["seen"]\n'
    for old, new in {
        'design = "search"': 'design = "factorial"',
        'contrasts = [{ "sampler.center" = 0.2 }, { "sampler.center" = 0.1 }]\n': "",
        "{ low = 0.0, high = 0.5, levels = [0.2, 0.1] }": '[0.2]\nestimator = ["weight-ema"]',
    }.items():
        assert old in text
        text = text.replace(old, new)
    drawn.prepare(folder, drawn.photo, text=text)
    drawn.opened().run()
    found = reopen.reopen(Path("mlruns"), "drawn")
    told, each = methods(found), f"{100 * stats.Levels(3).difference:.4g} %"
    assert "The design was a factorial of sampler.center, estimator" in told
    assert f"two-sided {each} t intervals across images, Bonferroni-corrected for 3 effects" in told
    assert "An effect is called better or worse if" in told
    assert "above the sum, below the sum and additive" in told
    page = markdown(document(found))
    assert "Main effect: the change from the baseline's level" in page
    assert "Bonferroni-corrected for 3 effects" in page


def test_the_other_metrics_have_paired_differences_with_intervals_and_no_verdict(studies):
    found = analysis(studies["confirmed"])
    table = supporting.secondary_table(found.deciding.condition(LABEL))
    assert [column.title for column in table.columns] == [
        "contrast", "metric", "difference", "95 % CI", "better on",
    ]  # fmt: skip
    assert len(table.rows) == len(found.deciding.condition(LABEL).contrasts)
    texts = [cell_text(cell) for cell in table.rows[0].cells]
    assert texts[1] == "SSIM"
    assert re.fullmatch("[+\u2212]0\\.\\d{3,5}", texts[2])
    whole = document(studies["confirmed"])
    assert supporting.notes.SECONDARY_CAPTION in html(whole)
    assert f"| SSIM | {texts[2]} | {texts[3]} |" in markdown(whole)


def test_what_is_left_has_its_interval_in_every_format(studies):
    found = analysis(studies["confirmed"])
    table = tables.confirmation_table(found, LABEL)
    row = [cell_text(cell) for cell in table.rows[0].cells]
    assert re.fullmatch(r"\u2212\d\.\d{2,4}", row[1])
    assert re.fullmatch("[+\u2212]\\d\\.\\d{2,4} \u00b1 \\d\\.\\d{2,4}", row[5])
    whole = document(studies["confirmed"])
    assert f"| {row[5]} |" in markdown(whole)
    assert row[5] in html(whole)
    assert row[5].replace("\u00b1", r"$\pm$").replace("\u2212", "$-$") in latex(whole)


def test_a_difference_has_the_same_digits_before_and_after_its_confirmation(studies):
    found = analysis(studies["confirmed"])
    later = found.confirmation
    first, *others = later.contrasts[LABEL]
    close = replace(first.after.interval, low=-0.5, high=0.5)  # alone, this takes fewer digits
    before = replace(first.before, verdict=Verdict.INCONCLUSIVE, difference_interval=close)
    pairs = {**later.contrasts, LABEL: (replace(first, before=before), *others)}
    table = tables.confirmation_table(
        replace(found, confirmation=replace(later, contrasts=pairs)), LABEL
    )
    searched, held_out = (cell_text(cell) for cell in table.rows[0].cells[1:3])
    assert digits_of(before) < digits_of(first.after)
    assert len(searched.partition(".")[2]) == len(held_out.partition(".")[2])


def test_one_level_of_all_intervals_is_said_once(studies):
    rows = analysis(studies["confirmed"]).condition(LABEL).trials
    plain = next(
        row.contrast for row in rows if row.contrast and row.contrast.role is not Role.PRIMARY
    )
    declared = replace(plain, role=Role.PRIMARY)
    assert notes.interval_note([declared, plain], Family(1, 1)) == (
        "CI: 95 % confidence interval across images."
    )
    assert "95 % for other rows" in notes.interval_note([declared, plain], Family(2, 1))
