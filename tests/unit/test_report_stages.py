"""What a report says of a confirmed, a raced and a factorial study is true of the stage that decides."""

import csv
import io
import re
import shutil
from dataclasses import replace
from pathlib import Path

import drawn
import pytest

from n2n_ablate import stats
from n2n_ablate.analysis.confirmed import told_shrinkage
from n2n_ablate.registry import Registry
from n2n_ablate.report import words
from n2n_ablate.report.model import build
from n2n_ablate.report.page import page
from n2n_ablate.report.render.latex import latex
from n2n_ablate.report.render.markdown import markdown
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


def methods(found):
    return build(found).methods


def test_the_methods_tell_the_family_that_decides(studies):
    told = methods(studies["confirmed"])
    contrasts = len(studies["confirmed"].header.confirmed.plan.contrasts)
    assert contrasts == 3  # two declared, and the best of the search
    each = 100 * stats.family_level(contrasts)
    assert (
        f"Intervals of the confirmation are t intervals over images, {each:.4g} % each for the 3 "
        "contrasts, so that under each condition all of these hold at once at 95 % (Bonferroni)."
    ) in told
    searched = methods(studies["searched"])
    assert "97.5 % each for the 2 contrasts, so that under each condition all" in searched
    assert "confirmation" not in searched


def test_the_methods_tell_images_and_fits_of_the_confirmation(studies):
    found = studies["confirmed"]
    told = methods(found)
    assert "trained on 4 images of 24x24 pixels" in told
    assert (
        "For the confirmation the baseline, 2 declared contrasts and the best of the search were "
        "trained again on images and with seeds that nothing was chosen on. Every trial was trained "
        "on 12 images of 24x24 pixels, colour (centre crops), with 1 seed: 96 fits, of which none "
        "failed."
    ) in told
    facts = dict(build(found).facts)
    assert facts["confirmation, images"].startswith("00")
    assert facts["confirmation, seeds"] == "1"
    assert "of them for the confirmation" in facts["training time"]


def test_the_methods_do_not_speak_of_a_best_that_was_not_tried(studies):
    found = studies["confirmed"]
    later = found.header.confirmed
    plan = replace(later.plan, contrasts=found.plan.contrasts)
    header = found.header.with_confirmed(replace(later, plan=plan))
    confirmed = replace(found.result.confirmed, plan=plan)
    told = methods(replace(found, header=header, result=replace(found.result, confirmed=confirmed)))
    assert "best of the search" not in told
    assert "the baseline and 2 declared contrasts were trained again" in told


def test_the_methods_of_a_race_tell_its_looks(studies):
    told = methods(studies["raced"])
    assert "repeated confidence intervals over images (Jennison and Turnbull, 1989)" in told
    assert "looks after 4, 6, 8 and 12 images" in told
    assert "square of the share of images (Kim and DeMets, 1987)" in told
    assert "at all looks under each condition hold at once at 95 %" in told
    assert "a contrast was trained on up to 12 images" in told
    assert "Jennison" not in methods(studies["confirmed"])


@pytest.mark.parametrize("study", ["confirmed", "raced", "searched"])
@pytest.mark.parametrize("write", [markdown, latex])
def test_legends_explain_what_their_tables_hold(studies, study, write):
    text = write(build(studies[study]))
    told = re.sub(r"\\([_%#*-])", r"\1", text).replace(r"$\pm$", "\u00b1")
    legends = [line for line in told.splitlines() if "Interval: " in line]
    assert legends
    for legend in legends:
        assert not re.search("\u00b1:|unclear", legend)
        assert "not distinguishable: neither" in legend or "Words are given to what is" in legend
    confirmed = [line for line in legends if "Interval: of the confirmation" in line]
    assert len(confirmed) == (0 if study == "searched" else 2)
    for legend in confirmed:
        assert "98.33 %" in legend
        assert ("repeated interval" in legend) == (study == "raced")
        assert ("at every look" in legend) == (study == "raced")


def test_the_legend_of_the_trials_tells_the_levels_in_its_table(studies):
    for study in ("confirmed", "searched"):
        (section, _) = build(studies[study]).sections
        levels = {
            f"{100 * line.difference.level:.4g} %" for line in section.lines if line.difference
        }
        assert levels <= set(re.findall(r"[\d.]+ %", section.legend[0]))


def test_evidence_and_account_are_those_of_the_confirmation(studies):
    for study in ("confirmed", "raced"):
        report = build(studies[study])
        (section, _) = report.sections
        later = report.result.confirmed
        assert [item.first for item in section.contrasts] == [x.trial.name for x in later.contrasts]
        lines = {line.name: line for line in later.lines(LABEL)}
        for item in section.contrasts:
            assert item.difference.gaps == lines[item.first].difference.gaps
        assert section.account.images == later.account(LABEL).images
    assert max(item.difference.n for item in section.contrasts) == 12
    (section, _) = build(studies["searched"]).sections
    assert {item.difference.n for item in section.contrasts} == {4}


def test_a_raced_table_says_how_many_images_each_contrast_had(studies):
    text = markdown(build(studies["raced"]))
    assert "| trial | before | confirmed | interval | verdict | images | shrinkage |" in text
    assert "settled early" in text
    told = "Sign-flip p: that of a single look, so too small in a race."
    assert told in text
    assert told in page(build(studies["raced"]))
    assert told not in markdown(build(studies["confirmed"]))
    assert "| images |" not in markdown(build(studies["confirmed"]))


def test_csv_tells_the_stage_of_every_fit(studies):
    text, _ = written(studies["confirmed"], "csv", Registry())
    rows = list(csv.DictReader(io.StringIO(text)))
    count = {
        stage: sum(row["stage"] == stage for row in rows) for stage in ("trials", "confirmation")
    }
    assert count == {"trials": 7 * 4 * 2, "confirmation": 4 * 12 * 2}
    assert {row["seed"] for row in rows if row["stage"] == "confirmation"} == {"1"}
    plain = csv.DictReader(io.StringIO(written(studies["searched"], "csv", Registry())[0]))
    assert {row["stage"] for row in plain} == {"trials"}


def test_a_factorial_tells_its_effects_their_family_and_their_words(folder):
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
    report = build(reopen.reopen(Path("mlruns"), "drawn"))
    each = f"{100 * stats.family_level(3):.4g} %"
    assert "The design was a factorial of sampler.center, estimator" in report.methods
    assert f"{each} each for the 3 effects, so that all of these hold at once" in report.methods
    assert "An effect is called equivalent" in report.methods
    assert "additive, above the sum or below the sum" in report.methods
    legend = " ".join(report.sections[0].effects_legend)
    assert f"Interval: {each} t interval over images, so that all 3 effects hold at once" in legend
    assert legend in markdown(report).replace("\\", "")
    assert not re.search("\u00b1:|unclear", legend)


def test_what_is_left_has_its_interval_in_every_format(studies):
    report = build(studies["confirmed"])
    (section, _) = report.sections
    row = words.confirmation_row(section.confirmed[0], section, report.result)
    assert re.fullmatch(r"\u2212\d\.\d\d \u00b1 \d\.\d\d", row[1])
    assert row[-1] == told_shrinkage(section.confirmed[0])
    assert "\u00b1" in row[-1]
    legend = " ".join(section.confirm_legend)
    assert "in the search, \u00b1 97.5 % t interval, 95 % for the search's best." in legend
    assert "\u00b1 95 % (Welch), as images and seeds are others" in legend
    assert f"{row[1]} |" in markdown(report)
    assert row[1] in page(report)
    assert row[-1].replace("\u00b1", r"$\pm$") in latex(report)
