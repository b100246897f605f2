"""Search, then confirm: on other pictures and seeds, once, and only that is called a finding."""

import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import drawn_results as drawn
from rich.console import Console

from n2n_ablate.analysis.analyse import _shrinkage, analyse, to_json
from n2n_ablate.analysis.contrast import plain
from n2n_ablate.analysis.paired import Rule
from n2n_ablate.analysis.records import Contrast, Metric, Role, Verdict
from n2n_ablate.analysis.study_records import Origin
from n2n_ablate.errors import ImageError, StudyError
from n2n_ablate.images import collect
from n2n_ablate.images.gather import gather, require_apart
from n2n_ablate.report.build import report_document
from n2n_ablate.report.render.console import print_document
from n2n_ablate.report.render.markdown import markdown
from n2n_ablate.report.sources import sources
from n2n_ablate.report.study import study_document
from n2n_ablate.report.tables import confirmation_table, trials_table
from n2n_ablate.report.text.study import failures_text, unconfirmed_text
from n2n_ablate.stats import Levels, t_critical
from n2n_ablate.storage import reopen
from n2n_ablate.study import chosen, confirmation, plan, read, shipped

LABEL = "sigma 25"


@pytest.fixture
def home(folder):
    drawn.prepare(folder, drawn.photo, held=6)
    return folder


def written(folder, **changes):
    text = drawn.TEXT
    for old, new in changes.values():
        assert old in text
        text = text.replace(old, new)
    path = folder / "changed.toml"
    path.write_text(text)
    return read(path)


# The study file and the command line.


def test_a_profile_adds_to_what_the_study_says_of_its_confirmation(folder, registry):
    shared = (
        "[profiles.quick.confirm]",
        '[confirm]\nimages = ["other"]\ntop = 2\n\n[profiles.quick.confirm]',
    )
    asked = written(folder, shared=shared)
    assert asked.profiles["quick"].confirm.images == ("held",)
    assert asked.profiles["quick"].confirm.top == 2
    found = plan(asked, registry).profile.confirm
    assert (found.crop, found.seeds) == (24, (1,))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("seeds = [0]", "uses seed 0, which its trials use too. Seeds from 1 are free"),
        ("seeds = [1, 1]", "must be a list of whole numbers from 0, each once"),
        ("top = -1", "must not be negative"),
        ("tops = 1", r"unknown key 'profiles.quick.confirm.tops'. Did you mean 'top'"),
        ("crop = 1.5", "must be a whole number, got 1.5"),
    ],
)
def test_a_mistake_in_a_confirmation_is_one_line(folder, registry, line, reason):
    changed = ('images = ["held"]', f'images = ["held"]\n{line}')
    with pytest.raises(StudyError, match=reason) as error:
        plan(written(folder, changed=changed), registry)
    assert "\n" not in str(error.value)
    assert "changed.toml" in str(error.value)


def test_top_is_for_searches(folder, registry):
    changes = {
        "design": ('design = "search"', 'design = "one-at-a-time"'),
        "search": ('[search]\nstrategy = "random"\n', ""),
        "factor": ("{ low = 0.0, high = 0.5, levels = [0.2, 0.1] }", "[0.2, 0.1]"),
        "top": ('images = ["held"]', 'images = ["held"]\ntop = 2'),
    }
    with pytest.raises(StudyError, match="'top' is for searches; design 'one-at-a-time' has none"):
        plan(written(folder, **changes), registry)


def test_images_of_ones_own_need_held_out_images_of_ones_own(folder, registry):
    asked = written(folder)
    assert plan(asked, registry, images=["mine"]).profile.confirm is None
    both = plan(asked, registry, images=["mine"], confirm_images=["others"], seeds=2, crop=16)
    confirm = both.profile.confirm
    assert (confirm.images, confirm.seeds, confirm.crop) == (("others",), (2, 3), 16)
    none = written(folder, confirm=("[profiles.quick.confirm]\n" + 'images = ["held"]', ""))
    assert plan(none, registry, confirm_images=["others"]).profile.confirm.top == 1


@pytest.mark.parametrize("name", sorted(shipped()))
def test_searches_and_studies_of_few_contrasts_that_ship_are_confirmed_on_other_seeds(
    name, registry
):
    asked = read(shipped()[name])
    for profile in asked.profiles:
        planned = plan(asked, registry, profile=profile)
        few = len(planned.contrasts) * len(planned.conditions) <= 5
        if all(condition.pairs for condition in planned.conditions):
            assert planned.profile.confirm is None  # nothing but the user has other scenes
            continue
        if asked.design == "search" or (few and not planned.effects):
            assert planned.profile.confirm is not None
            assert not set(planned.profile.confirm.seeds) & set(planned.profile.seeds)


@pytest.mark.parametrize("name", sorted(set(shipped()) - {"real-noise"}))
def test_studies_that_ship_see_no_picture_twice(name, registry):
    asked = read(shipped()[name])
    for profile in asked.profiles.values():
        held = profile.confirm.images if profile.confirm else ()
        if profile.name in ("kodak", "bridge"):  # a set that may not be here: pictures by name
            names = [*profile.images, *held]
            assert len(set(names)) == len(names) == (24 if profile.name == "kodak" else 6)
            assert all(re.fullmatch(r"kodak24:kodim\d\d", name) for name in names)
            continue
        seen = gather(profile.images)
        assert len({image.scene for image in seen.images}) == len(seen.images)
        if held:
            require_apart(seen, gather(held))
        if profile.name == "quick" and held:
            # A first table, or a search, on three pictures; verdicts from all others.
            assert len(held) == 13
            assert len(seen.images) + len(held) == len(collect(["builtin", "builtin:grey"]))


# Pictures: see test_held_out.py.


def test_a_study_whose_images_are_not_held_out_is_refused(home):
    asked = Path("drawn.toml").read_text().replace('["held"]', '["held", "seen/02.png"]')
    Path("held/02.png").unlink()
    Path("drawn.toml").write_text(asked)
    with pytest.raises(ImageError, match="'02' shows the same picture as '02' among the images of"):
        drawn.opened()


# The plan of a confirmation.


def test_the_best_of_a_search_is_confirmed_beside_the_contrasts_and_nothing_twice(folder, registry):
    planned = plan(written(folder), registry)
    best = planned.search_trial({"sampler.center": 0.05}, registry)
    later = confirmation(planned, (best,))
    names = ("sampler.center=0.2", "sampler.center=0.1", "sampler.center=0.05")
    assert later.contrasts == names
    assert [trial.name for trial in later.fixed] == ["baseline", *names]
    assert {trial.role for trial in later.declared} == {"declared"}
    assert (later.confirming, later.searched, later.references) == (True, 0, ())
    assert later.key != planned.key
    again = confirmation(planned, (planned.declared[0], planned.baseline))
    assert again.contrasts == names[:2]
    ranked = [
        planned.references[0],
        best,
        planned.declared[0],
        planned.baseline,
        planned.declared[1],
    ]
    assert chosen(planned, ranked) == (best,)
    assert chosen(planned, [planned.baseline, best]) == ()


def test_a_declared_contrast_on_top_does_not_take_the_place_of_what_the_search_found(
    folder, registry
):
    planned = plan(written(folder), registry)
    found = [planned.search_trial({"sampler.center": at}, registry) for at in (0.2, 0.05, 0.03)]
    again, best, next_best = found  # the search came back to 0.2, which is a contrast
    ranked = [planned.declared[0], again, best, next_best, planned.baseline]
    assert chosen(planned, ranked) == (best,)
    assert confirmation(planned, chosen(planned, ranked)).contrasts[2:] == ("sampler.center=0.05",)
    assert chosen(planned, [planned.declared[0], planned.baseline, best]) == ()


# A whole run.


@pytest.fixture(scope="module")
def run_once(tmp_path_factory):
    """A study that ran through, in a folder of its own."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        drawn.prepare(folder, drawn.photo, held=6)
        runner = drawn.opened()
        return folder, runner, runner.run()


@pytest.fixture
def finished(run_once, tmp_path, monkeypatch):
    """The same with a copy of its folder, which a test may change."""
    shutil.copytree(run_once[0], tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return run_once[1:]


def test_a_confirmation_shares_neither_images_nor_seeds_nor_noise(finished):
    runner, result = finished
    seen, held = runner.header, runner.header.confirmed
    assert not {mark.digest for mark in seen.images} & {mark.digest for mark in held.images}
    assert not set(seen.plan.profile.seeds) & set(held.plan.profile.seeds)
    rows = [row for item in result.confirmed.trials for row in item.rows]
    assert {row.seed for row in rows} == {1}
    before = {row.result.key for item in result.trials for row in item.rows}
    assert not before & {row.result.key for row in rows}


def test_contrasts_and_best_are_compared_with_a_baseline_of_their_own(finished):
    result = finished[1]
    later = result.confirmed
    assert later.baseline is not result.baseline
    best = max(
        (item for item in result.trials if item.trial.role in ("search", "declared")),
        key=lambda item: item.mean("psnr", LABEL),
    )
    assert later.plan.contrasts[:2] == result.plan.contrasts
    assert later.plan.contrasts[2:] == (best.trial.name,)
    found = records(finished)
    assert found[best.trial.name].difference_interval.level == Levels(3).difference
    assert found["sampler.center=0.2"].verdict is Verdict.WORSE
    assert found["sampler.center=0.2"].n_images == 6


def records(finished):
    """The contrasts of the confirmation, by name of the trial."""
    runner, result = finished
    found = analyse(result, runner.header).confirmation.analysis.condition(LABEL)
    return {record.contrast.name: record for record in found.contrasts}


def printed(result, header, width=80):
    """What the terminal shows, in one line."""
    console = Console(width=width, file=io.StringIO())
    print_document(console, study_document(analyse(result, header)))
    return " ".join(console.file.getvalue().split())


def test_the_answer_speaks_of_what_is_confirmed(finished):
    runner, result = finished
    text = printed(result, runner.header, 120)
    assert (
        "Confirmed on held-out images (6 images of 24\u00d724 pixels, 4 steps, 1 seed, sigma 25):"
        in text
    )
    assert "center = 0.2 vs 0.01: worse by " in text
    assert "(best of the search)" in text
    assert unconfirmed_text(analyse(result, runner.header)) == ""


def test_the_second_table_says_what_is_left(finished):
    runner, result = finished
    analysis = analyse(result, runner.header)
    condition = analysis.condition(LABEL)
    assert "verdict" not in [x.title for x in trials_table(analysis, condition).columns]
    table = confirmation_table(analysis, LABEL)
    titles = ["contrast", "search", "held-out", "CI", "verdict", "shrinkage"]
    assert [column.title for column in table.columns] in (
        titles,
        [title.replace("CI", "98.33 % CI") for title in titles],
    )
    data = to_json(result, runner.header)
    json.dumps(data, allow_nan=False)
    pair = data["confirmation"]["contrasts"][LABEL][0]
    before, after = pair["before"]["estimate"], pair["after"]["estimate"]
    assert before < 0
    # Of a loss: it is smaller than it was.
    assert pair["shrinkage"] == pytest.approx(after - before)
    ends = pair["shrinkage_interval"]
    assert ends["low"] < pair["shrinkage"] < ends["high"]
    assert data["confirmation"]["analysis"]["family"]["contrasts"] == 3
    assert data["confirmation"]["analysis"]["fits"]["total"] == 4 * 6


def test_notes_state_the_level_of_every_interval(finished):
    runner, result = finished
    analysis = analyse(result, runner.header)
    condition = analysis.condition(LABEL)
    row = condition.trial("sampler.center=0.2")
    assert row.contrast.difference_interval.level == 0.975
    intervals, verdicts, unranked = trials_table(analysis, condition).notes
    assert intervals == (
        "CI: confidence interval across images, 97.5 % for declared contrasts (Bonferroni-corrected for "
        "2 contrasts), 95 % for other rows."
    )
    assert verdicts == "Verdicts appear in the confirmation table only."
    assert unranked == "Rows without a number are references, outside the ranking."
    assert (
        "98.33 % confidence interval across images (Bonferroni-corrected for 3 contrasts"
        in (confirmation_table(analysis, LABEL).notes[0])
    )


def change(before, after):
    """The shrinkage of a difference from its values on some images to those on others."""

    def record(values):
        sides = (
            {str(i): np.array([x]) for i, x in enumerate(each)} for each in (values, [0.0] * 9)
        )
        rule = Rule(Metric("psnr"), 1, tuple(map(str, range(len(values)))))
        return plain(Contrast("x"), LABEL, *sides, rule.order, rule, role=Role.EXPLORATORY)

    return _shrinkage(record(before), record(after))


def test_shrinkage_is_counted_in_the_direction_of_the_difference():
    assert change([-0.03, -0.04, -0.02], [-0.07, -0.08, -0.06])[0] == pytest.approx(-0.04)
    gone, ends = change([0.5, 0.6, 0.4], [0.0, 0.1, -0.1])
    assert gone == pytest.approx(0.5)
    # Equal spread 0.1 on 3 and 3 images: a pooled t interval with four degrees of freedom.
    half = t_critical(0.95, 5) * 0.1 * (2 / 3) ** 0.5
    assert (ends.low, ends.high) == pytest.approx((0.5 - half, 0.5 + half))
    turned = change([-0.5, -0.6, -0.4], [0.0, 0.1, -0.1])[1]
    assert (turned.low, turned.high) == pytest.approx((ends.low, ends.high))
    assert change([0.0], [0.07])[0] == pytest.approx(-0.07)
    assert change([0.0], [-0.07])[0] == pytest.approx(-0.07)
    assert change([0.5], [0.1, 0.2]) == (pytest.approx(0.35), None)


def test_a_confirmation_is_opened_again_from_disk(run_once, monkeypatch):
    folder, runner, result = run_once
    monkeypatch.chdir(folder)
    found = reopen.reopen(Path("mlruns"), "drawn")
    assert not found.problems()
    assert found.header == runner.header
    assert found.confirmation.plan == result.confirmed.plan
    paired_data = runner.confirmation_data.with_plan(result.confirmed.plan)
    assert found.confirmation.header == paired_data.header()
    assert found.commands[-1].confirmed == tuple(x.trial.name for x in result.confirmed.trials)
    assert to_json(found.result, found.header)["conditions"] == [
        *to_json(result, runner.header)["conditions"]
    ]
    again = printed(found.result, found.header)
    assert again.removesuffix(" 52 of 52 fits were cached.") == printed(result, found.header)


def test_the_same_command_again_trains_and_writes_nothing_new(run_once, monkeypatch):
    monkeypatch.chdir(run_once[0])
    path = next(Path("mlruns/studies/drawn").iterdir())
    lines = path.read_text().count('"line": "trial"')
    again = drawn.opened()
    again.run()
    assert again.trained == 0
    assert path.read_text().count('"line": "trial"') == lines
    assert path.read_text().count('"line": "confirm", "of": {"line": "study"') == 1


@pytest.mark.parametrize(("confirming", "fits"), [(False, 9), (True, 0), (True, 8)])
def test_a_study_that_is_stopped_anywhere_goes_on_as_if_it_had_not_been(
    home, run_once, confirming, fits
):
    stopped = drawn.opened(view=drawn.Stops(confirming=confirming, fits=fits))
    with pytest.raises(KeyboardInterrupt):
        stopped.run()
    left = reopen.reopen(Path("mlruns"), "drawn")
    assert left.commands[-1].status == "interrupted"
    assert bool(left.result.confirmed) is confirming
    assert left.problems()
    goes_on = drawn.opened()
    result = goes_on.run()
    _, undisturbed, expected = run_once
    assert stopped.trained + goes_on.trained == undisturbed.trained
    told = [to_json(r, x.header) for r, x in ((result, goes_on), (expected, undisturbed))]
    assert told[0]["conditions"] == told[1]["conditions"]
    later = [each["confirmation"]["analysis"]["conditions"] for each in told]
    assert later[0] == later[1]


def searched_on(**asked):
    """Open the study again with a larger search, which finds another best."""
    return drawn.opened(trials=12, executor=drawn.Drawn(result=drawn.luckier), **asked)


def test_a_larger_search_confirms_its_new_best_beside_the_old_one(finished):
    """The held-out images had their say on both, so the intervals allow for both."""
    before = finished[1].confirmed.plan.contrasts
    goes_on = searched_on()
    result = goes_on.run()
    later = result.confirmed
    new, old = later.plan.contrasts[2], before[2]
    assert new != old
    assert later.plan.contrasts == (*before[:2], new, old)
    assert later.plan.before == (old,)
    assert goes_on.trained == (12 - 7) * 4 + 6  # the confirmation trains its new best alone
    levels = {each.difference_interval.level for each in records((goes_on, result)).values()}
    assert levels == {Levels(4).difference}
    found = reopen.reopen(Path("mlruns"), "drawn")
    assert not found.problems()
    told = [
        to_json(one, header)["confirmation"]["analysis"]
        for one, header in ((result, goes_on.header), (found.result, found.header))
    ]
    assert told[0]["conditions"] == told[1]["conditions"]
    assert told[1]["family"]["contrasts"] == 4
    pairs = analyse(found.result, found.header).confirmation.contrasts[LABEL]
    origins = [(pair.after.contrast.name, pair.origin) for pair in pairs]
    assert origins[2:] == [(new, Origin.SEARCH), (old, Origin.EARLIER)]


def test_what_was_confirmed_before_is_said_wherever_the_confirmation_is(finished):
    goes_on = searched_on()
    result = goes_on.run()
    old = result.confirmed.plan.before[0].rpartition("=")[2]
    text = printed(result, goes_on.header, 120)
    assert f"{old} vs 0.01 (confirmed earlier)" in text
    assert "98.75 %" in text
    assert "Bonferroni-corrected for 4 contrasts" in text
    found = reopen.reopen(Path("mlruns"), "drawn")
    page = markdown(report_document(sources(found)))
    assert f"{old} vs 0.01 (confirmed earlier)" in page
    assert "Confirmed earlier: on these images, by an earlier command" in page
    assert "and 1 trial confirmed earlier on the same images were retrained" in page


def test_other_held_out_images_begin_a_family_of_their_own_and_the_first_are_remembered(finished):
    first = finished[1].confirmed.plan.contrasts[2]
    Path("fresh").mkdir()
    for place in range(6):
        drawn.photo(Path("fresh") / f"{place}.png", seed=200 + place)
    elsewhere = searched_on(confirm_images=["fresh"]).run().confirmed
    assert elsewhere.plan.before == ()
    back = searched_on().run().confirmed
    assert back.plan.before == (first,)
    both = drawn.opened(trials=7, confirm_images=["fresh", "held/00.png"]).run().confirmed
    assert both.plan.before == (elsewhere.plan.contrasts[2],)
    assert both.plan.contrasts[2] == first


def test_without_a_confirmation_a_hint_says_so(home):
    runner = drawn.opened(images=["seen"])
    result = runner.run()
    assert result.confirmed is None
    text = printed(result, runner.header, 120)
    assert "Result (not confirmed on held-out images; " in text
    assert text.count("Not confirmed on held-out images. Use --confirm-images") == 1


def test_a_study_that_is_no_search_says_that_it_is_not_confirmed(home):
    search = drawn.TEXT[drawn.TEXT.index("[search]") : drawn.TEXT.index("[profiles.quick]")]
    text = drawn.TEXT.replace('"search"', '"one-at-a-time"').replace(search, "")
    text = text.replace("low = 0.0, high = 0.5, ", "")
    Path("drawn.toml").write_text(text)
    confirmed = drawn.opened()
    result = confirmed.run()
    text = printed(result, confirmed.header)
    assert "Confirmed on held-out images (" in text
    assert "ot confirmed" not in text
    alone = drawn.opened(images=["seen"])
    result = alone.run()
    assert "Result (not confirmed on held-out images; " in printed(result, alone.header)


def test_failures_of_a_confirmation_count(finished):
    result = finished[1]
    assert result.failures == 0
    keys = [row.result.key for item in result.confirmed.trials for row in item.rows]
    for path in Path("mlruns/fits").glob("*/*"):
        if path.stem == keys[0]:
            path.unlink()
    found = reopen.reopen(Path("mlruns"), "drawn")
    assert found.result.failures == 1
    assert found.problems()[0].startswith("confirmation: 1 of 24 fits have no stored result")
    assert failures_text(analyse(found.result, found.header)).startswith("1 of ")


@pytest.mark.filterwarnings("ignore")  # mlflow's imports warn about their own imports
def test_runs_of_a_confirmation_have_that_role_and_are_written_once(home, registry):
    from n2n_ablate.runner.replay import sync
    from n2n_ablate.storage import journal
    from n2n_ablate.storage.output import Output
    from n2n_ablate.tracking.address import tracking_uri
    from n2n_ablate.tracking.store import MlflowStore

    result = drawn.opened(trials=2).run()  # few: every run costs pictures and a database
    output = Output(Path("mlruns"))
    (contents,) = journal.find(output.root, "drawn")
    first = sync(contents, output, registry)
    assert first.trials == len(result.trials) + len(result.confirmed.trials) == 4
    store = MlflowStore(output.root, tracking_uri(output.root))
    runs = list(store.runs(store.experiment_id("drawn"), ""))
    roles = [run.data.tags["role"] for run in runs]
    assert roles.count("confirm") == len(result.confirmed.trials) == 2
    assert roles.count("baseline") == roles.count("summary") == 1
    names = {run.info.run_name for run in runs if run.data.tags["role"] == "confirm"}
    assert names == {"baseline (confirm)", "sampler.center=0.2 (confirm)"}
    (summary,) = (run for run in runs if run.data.tags["role"] == "summary")
    assert "Confirmed on held-out images" in summary.data.tags["mlflow.note.content"]
    confirmed = next(run for run in runs if run.info.run_name == "sampler.center=0.2 (confirm)")
    assert confirmed.data.params["seeds"] == "1"
    assert confirmed.data.metrics["eval/psnr_gain"] == pytest.approx(-1, abs=0.05)
    assert sync(contents, output, registry).written == 0
