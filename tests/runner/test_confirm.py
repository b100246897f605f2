"""Search, then confirm: on other pictures and seeds, once, and only that is called a finding."""

import io
import json
import shutil
from pathlib import Path

import pytest
from helpers import drawn_results as drawn

from n2n_ablate.analysis import answer, export
from n2n_ablate.analysis.confirmed import Pair, told_shrinkage, unconfirmed
from n2n_ablate.engine.header import header_of
from n2n_ablate.errors import ImageError, StudyError
from n2n_ablate.images.gather import gather, require_apart
from n2n_ablate.report.markdown import markdown
from n2n_ablate.report.model import build
from n2n_ablate.report.screen import tables
from n2n_ablate.stats import family_level, paired, t_critical
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
        seen = gather(profile.images)
        assert len({image.scene for image in seen.images}) == len(seen.images)
        if held:
            require_apart(seen, gather(held))
        if profile.name == "quick" and held:
            assert len(held) == 8


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
    lines = {line.name: line for line in later.lines(LABEL)}
    assert lines[best.trial.name].difference.level == family_level(3)
    assert lines["sampler.center=0.2"].verdict == "worse"
    assert lines["sampler.center=0.2"].difference.n == 6


def test_the_answer_speaks_of_what_is_confirmed(finished):
    runner, result = finished
    told = answer.sentence(result, runner.header, LABEL)
    assert told.startswith(
        "Confirmed on images and seeds that the search never saw: against the baseline"
    )
    assert "0.2 is worse (" in told
    assert "the search's best 0." in told
    assert told.endswith("6 images of 24x24 pixels, 4 steps, 1 seed, sigma 25.")
    assert unconfirmed(result) == ""


def test_the_second_table_says_what_is_left(finished):
    from rich.console import Console

    runner, result = finished
    console = Console(width=80, file=io.StringIO())
    console.print(tables.study_table(result, LABEL, 80))
    assert "verdict" not in console.file.getvalue()
    console.print(tables.confirm_table(result, LABEL))
    text = console.file.getvalue()
    for word in ("search", "confirmed", "shrinkage", "(search's best)", "worse"):
        assert word in text
    data = export.to_json(result, runner.header)
    json.dumps(data, allow_nan=False)
    pair = data["conditions"][0]["confirmed"][0]
    before, after = pair["difference_before"], pair["difference"]
    assert before < 0
    assert pair["shrinkage"] == pytest.approx(
        after - before
    )  # of a loss: it is smaller than it was
    assert pair["shrinkage_interval"][0] < pair["shrinkage"] < pair["shrinkage_interval"][1]
    assert data["confirmation"]["conditions"][0]["family"]["contrasts"] == 3
    assert data["confirmation"]["fits"] == 4 * 6


def test_the_legends_state_the_level_of_every_interval(finished):
    result = finished[1]
    (trials, _), told = tables.legend(result, LABEL), tables.confirm_legend(result, LABEL)
    lines = {line.name: line for line in result.lines(LABEL)}
    assert lines["sampler.center=0.2"].difference.level == 0.975
    assert trials == "\u00b1: 95 % t interval over images; declared contrasts 97.5 %."
    assert told[0] == (
        "\u00b1 confirmed: t interval over images, 98.3 %, so that all 3 hold at once."
    )
    assert told[1] == "\u00b1 search: 97.5 %, 95 % for its best."
    assert max(map(len, [trials, *told])) <= 80


def change(before, after):
    differences = (
        paired(dict(enumerate(values)), dict.fromkeys(range(9), 0.0)) for values in (before, after)
    )
    return Pair("x", False, *differences, "")


def test_shrinkage_is_counted_in_the_direction_of_the_difference():
    grown = change([-0.03, -0.04, -0.02], [-0.07, -0.08, -0.06])
    assert grown.shrinkage == pytest.approx(-0.04)
    gone = change([0.5, 0.6, 0.4], [0.0, 0.1, -0.1])
    assert gone.shrinkage == pytest.approx(0.5)
    # Equal spread 0.1 on 3 and 3 images: a pooled t interval with four degrees of freedom.
    half = t_critical(0.95, 5) * 0.1 * (2 / 3) ** 0.5
    assert gone.shrinkage_interval == pytest.approx((0.5 - half, 0.5 + half))
    assert told_shrinkage(gone) == f"+0.50 \u00b1 {half:.2f}"
    turned = change([-0.5, -0.6, -0.4], [0.0, 0.1, -0.1])
    assert turned.shrinkage_interval == pytest.approx(gone.shrinkage_interval)
    assert change([0.0], [0.07]).shrinkage == pytest.approx(-0.07)
    assert change([0.0], [-0.07]).shrinkage == pytest.approx(-0.07)
    one = change([0.5], [0.1, 0.2])
    assert one.shrinkage_interval is None
    assert told_shrinkage(one) == "+0.35"
    assert told_shrinkage(Pair("x", False, None, None, "")) == ""


def test_a_confirmation_is_opened_again_from_disk(run_once, monkeypatch):
    folder, runner, result = run_once
    monkeypatch.chdir(folder)
    found = reopen.reopen(Path("mlruns"), "drawn")
    assert not found.problems()
    assert found.header == runner.header
    assert found.confirmation.plan == result.confirmed.plan
    assert found.confirmation.header == header_of(
        runner.confirmation_data.with_plan(result.confirmed.plan)
    )
    assert found.commands[-1].confirmed == tuple(x.trial.name for x in result.confirmed.trials)
    assert export.to_json(found.result, found.header)["conditions"] == [
        *export.to_json(result, runner.header)["conditions"]
    ]
    assert answer.sentence(found.result, found.header, LABEL) == answer.sentence(
        result, runner.header, LABEL
    )


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
    told = [export.to_json(r, x.header) for r, x in ((result, goes_on), (expected, undisturbed))]
    assert told[0]["conditions"] == told[1]["conditions"]
    assert told[0]["confirmation"]["conditions"] == told[1]["confirmation"]["conditions"]


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
    gaps = {line.name: line.difference for line in later.lines(LABEL)}
    assert {gaps[name].level for name in later.plan.contrasts} == {family_level(4)}
    found = reopen.reopen(Path("mlruns"), "drawn")
    assert not found.problems()
    told = [
        export.to_json(one, header)["confirmation"]
        for one, header in ((result, goes_on.header), (found.result, found.header))
    ]
    assert told[0]["conditions"] == told[1]["conditions"]
    assert told[1]["conditions"][0]["family"]["contrasts"] == 4
    rows = export.to_json(found.result, found.header)["conditions"][0]["confirmed"]
    marks = [(row["name"], row["best_of_search"], row["confirmed_before"]) for row in rows]
    assert marks[2:] == [(new, True, False), (old, False, True)]


def test_what_was_confirmed_before_is_told_wherever_the_confirmation_is(finished):
    from rich.console import Console

    result = searched_on().run()
    old = result.confirmed.plan.before[0].rpartition("=")[2]
    console = Console(width=100, file=io.StringIO())
    console.print(tables.confirm_table(result, LABEL))
    assert f"{old} (confirmed before)" in console.file.getvalue()
    legend = tables.confirm_legend(result, LABEL)
    assert "98.8 %, so that all 4 hold at once" in legend[0]
    assert "the intervals allow for it" in " ".join(legend)
    assert max(map(len, legend)) <= 80
    found = reopen.reopen(Path("mlruns"), "drawn")
    assert f"{old} (confirmed before) is" in answer.sentence(found.result, found.header, LABEL)
    page = markdown(build(found))
    assert f"{old} (confirmed before)" in page
    assert "Confirmed before: an earlier command tried it on these images" in page
    assert "and 1 trial that was confirmed on these images before were trained again" in page


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
    assert "the contrasts and the search's best again" in unconfirmed(result)
    told = answer.sentence(result, runner.header, LABEL)
    assert not told.startswith("Confirmed")
    assert told.endswith("sigma 25; not confirmed.")


def test_a_study_that_is_no_search_says_that_it_is_not_confirmed(home):
    search = drawn.TEXT[drawn.TEXT.index("[search]") : drawn.TEXT.index("[profiles.quick]")]
    text = drawn.TEXT.replace('"search"', '"one-at-a-time"').replace(search, "")
    text = text.replace("low = 0.0, high = 0.5, ", "")
    Path("drawn.toml").write_text(text)
    confirmed = drawn.opened()
    told = answer.sentence(confirmed.run(), confirmed.header, LABEL)
    assert told.startswith("Confirmed on images and seeds that no trial ever saw")
    assert "not confirmed" not in told
    alone = drawn.opened(images=["seen"])
    result = alone.run()
    assert answer.sentence(result, alone.header, LABEL).endswith("sigma 25; not confirmed.")
    assert "tries the contrasts again on images that no trial saw" in unconfirmed(result)


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
    assert "1 of" in answer.failures(found.result)


@pytest.mark.filterwarnings("ignore")  # mlflow's imports warn about their own imports
def test_runs_of_a_confirmation_have_that_role_and_are_written_once(home, registry):
    from n2n_ablate.storage import journal
    from n2n_ablate.storage.output import Output
    from n2n_ablate.tracking.address import tracking_uri
    from n2n_ablate.tracking.store import MlflowStore
    from n2n_ablate.tracking.sync import sync

    result = drawn.opened(trials=2).run()  # few: every run costs pictures and a database
    output = Output(Path("mlruns"))
    (contents,) = journal.find(output.root, "drawn")
    first = sync(contents, output, registry)
    assert first.trials == len(result.trials) + len(result.confirmed.trials) == 4
    store = MlflowStore(output, tracking_uri(output.root, None))
    runs = list(store.runs(store.experiment_id("drawn"), ""))
    roles = [run.data.tags["role"] for run in runs]
    assert roles.count("confirm") == len(result.confirmed.trials) == 2
    assert roles.count("baseline") == roles.count("summary") == 1
    names = {run.info.run_name for run in runs if run.data.tags["role"] == "confirm"}
    assert names == {"baseline (confirm)", "sampler.center=0.2 (confirm)"}
    (summary,) = (run for run in runs if run.data.tags["role"] == "summary")
    assert "Confirmed on images and seeds" in summary.data.tags["mlflow.note.content"]
    confirmed = next(run for run in runs if run.info.run_name == "sampler.center=0.2 (confirm)")
    assert confirmed.data.params["seeds"] == "1"
    assert confirmed.data.metrics["psnr_gain"] == pytest.approx(-1, abs=0.05)
    assert sync(contents, output, registry).written == 0
