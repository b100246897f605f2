"""Racing: a decided contrast gets no more images; interim analyses cost no false verdicts."""

import io
import shutil
from pathlib import Path

import pytest
from helpers import drawn_results as drawn
from rich.console import Console

from n2n_ablate import stats
from n2n_ablate.analysis.analyse import analyse
from n2n_ablate.analysis.records import Caveat
from n2n_ablate.errors import StudyError
from n2n_ablate.report.live import Plain
from n2n_ablate.runner.interim import RaceOptions
from n2n_ablate.runner.session import race_of
from n2n_ablate.storage import reopen

LABEL = "sigma 25"


class Told(Plain):
    """What a log of the race holds."""

    def __init__(self):
        super().__init__(Console(file=io.StringIO(), width=200))

    @property
    def text(self):
        return self.console.file.getvalue()


@pytest.fixture
def home(folder):
    drawn.prepare(folder, drawn.photo)
    return folder


def given(result):
    return {item.trial.name: len(item.rows) for item in result.trials}


@pytest.fixture(scope="module")
def run_once(tmp_path_factory):
    """A race that ran through, and the same study without one, in a folder of their own."""
    folder = tmp_path_factory.mktemp("raced")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        drawn.prepare(folder, drawn.photo)
        plain = drawn.opened()
        result = plain.run()
        shutil.rmtree(folder / "mlruns")
        runner = drawn.opened(race=RaceOptions())
        return folder, runner, runner.run(), (plain, result)


@pytest.fixture
def raced(run_once, monkeypatch):
    monkeypatch.chdir(run_once[0])
    return run_once[1:3]


def contrasts(result, label=LABEL):
    """Primary contrasts of a result by name."""
    return {each.contrast.name: each for each in analyse(result).condition(label).contrasts}


def test_one_contrast_is_decided_early_and_the_other_goes_on(raced):
    runner, result = raced
    later = result.confirmed
    images = given(later)
    assert runner.header.confirmed.interim_sizes == (6, 8, 10, 12)
    assert images["sampler.center=0.2"] == 6
    assert images["baseline"] == images["sampler.center=0.1"] == 12
    found = contrasts(later)
    early, late = found["sampler.center=0.2"], found["sampler.center=0.1"]
    assert (early.verdict, early.interim.number, early.interim.decided) == ("worse", 1, True)
    assert {Caveat.RACED, Caveat.STOPPED_EARLY} <= {*early.caveats}
    assert (late.verdict, late.interim.last) == ("inconclusive", True)
    assert Caveat.STOPPED_EARLY not in late.caveats
    assert given(result)["baseline"] == 4  # the search itself does not race
    assert analyse(result).interim_sizes == ()


def test_intervals_of_a_race_are_wider_than_those_of_one_analysis(run_once):
    raced, plain = (contrasts(each.confirmed) for each in (run_once[2], run_once[3][1]))
    name = "sampler.center=0.1"
    assert sorted(x.difference for x in raced[name].images) == pytest.approx(
        sorted(x.difference for x in plain[name].images)
    )
    assert raced[name].difference_interval.half_width > plain[name].difference_interval.half_width
    assert raced[name].difference_interval.method == "repeated_t"
    assert raced["sampler.center=0.2"].n_images == 6


def test_images_of_a_race_come_in_the_order_of_their_pixels(raced, run_once):
    raced_order = [image.digest for image in raced[0].header.confirmed.images]
    assert raced_order == sorted(raced_order)
    plain_order = [image.digest for image in run_once[3][0].header.confirmed.images]
    assert sorted(plain_order) == raced_order != plain_order


def test_a_race_says_the_same_when_it_is_opened_again(raced):
    runner, result = raced
    found = reopen.reopen(Path("mlruns"), "drawn")
    assert not found.problems()
    again = analyse(found.result, found.header)
    assert again.confirmation.analysis.conditions == (
        analyse(result, runner.header).confirmation.analysis.conditions
    )


@pytest.mark.parametrize("fits", [5, 25])
def test_a_race_that_is_stopped_goes_on_to_the_same_verdicts(run_once, home, fits):
    expected = contrasts(run_once[2].confirmed)
    with pytest.raises(KeyboardInterrupt):
        drawn.opened(race=RaceOptions(), view=drawn.Stops(confirming=True, fits=fits)).run()
    left = reopen.reopen(Path("mlruns"), "drawn").result.confirmed
    for name, record in contrasts(left).items():
        if record.interim:
            assert record.interim.number <= expected[name].interim.number
        else:
            assert record.verdict == "withheld"
    found = drawn.opened(race=RaceOptions()).run().confirmed
    assert contrasts(found) == expected
    assert given(found) == given(run_once[2].confirmed)


def test_a_budget_begins_no_batch_that_would_pass_it(home, run_once):
    listener = drawn.Listens()
    slow = drawn.Drawn(seconds=0.05)
    # 7 trials on 4 images, then 4 on 6: 2.6 s. The next analysis would cost 6 fits more.
    runner = drawn.opened(race=RaceOptions(budget=2.7), view=listener, executor=slow)
    short = runner.run().confirmed
    assert "the budget ends before an interim analysis at" in "".join(listener.notes)
    assert given(short).get("baseline", 0) < 12
    whole = contrasts(run_once[2].confirmed)
    for name, record in contrasts(short).items():
        if record.interim:
            assert record.interim.number <= whole[name].interim.number


def test_without_a_race_no_error_is_spent_on_interim_analyses(run_once):
    runner, result = run_once[3]
    assert runner.header.confirmed.interim_sizes == ()
    assert all(record.interim is None for record in contrasts(result.confirmed).values())
    assert set(given(result.confirmed).values()) == {12}


def test_a_study_without_a_search_races_on_its_own_images(folder):
    drawn.prepare(folder, drawn.photo, seen=9, held=1, text=drawn.without_a_search())
    runner = drawn.opened(race=RaceOptions())
    result = runner.run()
    assert runner.header.interim_sizes == (6, 9)
    assert given(result) == {
        "baseline": 9,
        "sampler.center=0.2": 6,
        "sampler.center=0.1": 9,
        "diagonal": 6,
    }
    found = reopen.reopen(Path("mlruns"), "drawn")
    assert contrasts(found.result) == contrasts(result)
    assert not found.problems()


@pytest.mark.parametrize(
    ("failing", "reason"),
    [("sampler.center=0.1", "trial_lost_images"), ("baseline", "baseline_lost_images")],
)
def test_a_contrast_that_lost_images_is_withheld_and_gets_no_more(folder, failing, reason):
    drawn.prepare(folder, drawn.photo, seen=12, held=1, text=drawn.without_a_search())
    centre = {"baseline": 0.01, "sampler.center=0.1": 0.1}[failing]
    session = drawn.opened(race=RaceOptions())
    late = {float(sample.noisy.sum()) for sample in session.paired_data.samples[6:8]}

    def result(fit):
        lost = float(fit.noisy.sum()) in late and getattr(fit.sampler, "center", None) == centre
        return drawn.failed(fit) if lost else drawn.drawn(fit)

    runner = drawn.opened(race=RaceOptions(), executor=drawn.Drawn(result=result), view=Told())
    record = contrasts(runner.run())["sampler.center=0.1"]
    assert (record.verdict, record.reason) == ("withheld", reason)
    assert (record.interim.number, record.interim.decided, record.n_images) == (2, True, 6)
    found = reopen.reopen(Path("mlruns"), "drawn")
    assert contrasts(found.result)["sampler.center=0.1"] == record
    assert given(found.result)["sampler.center=0.1"] == 8


def test_the_best_of_a_race_is_best_on_the_images_that_all_have(folder):
    drawn.prepare(folder, drawn.photo, seen=12, held=1, text=drawn.without_a_search())
    order = [
        float(sample.noisy.sum()) for sample in drawn.opened(race=RaceOptions()).paired_data.samples
    ]
    spread = [1, -1] * 6

    def result(fit):
        """0.2 is 1 dB better and decided on six hard images, 0.1 is 0.35 better and needs more."""
        at, centre = order.index(float(fit.noisy.sum())), getattr(fit.sampler, "center", 0)
        gain = {0.2: 1 + 0.02 * spread[at], 0.1: 0.35 + 0.3 * spread[at]}.get(centre, 0)
        return drawn.given(fit, (24 if at < 6 else 32) + gain)

    result = drawn.opened(race=RaceOptions(), executor=drawn.Drawn(result=result)).run()
    assert given(result)["sampler.center=0.2"] < given(result)["sampler.center=0.1"]
    best = analyse(result).best
    assert (best.name, best.highest, best.support) == (*["sampler.center=0.2"] * 2, "declared")
    assert (best.n_images, best.mean) == (6, pytest.approx(25, abs=0.05))
    assert [rival.name for rival in best.rivals] == ["sampler.center=0.1"]
    ahead = best.rivals[0].ahead[LABEL]
    assert (ahead.n_images, ahead.role, ahead.verdict) == (6, "exploratory", None)
    assert 0.2 < ahead.estimate < 1.2
    highest = analyse(result).condition(LABEL).highest
    assert (highest.name, highest.n_images) == ("sampler.center=0.2", 6)


def test_a_race_needs_declared_contrasts_that_run(home):
    with pytest.raises(StudyError, match="is a search without a confirmation"):
        drawn.opened(race=RaceOptions(), images=["seen"])
    with pytest.raises(StudyError, match="at least 2 images of different scenes"):
        drawn.opened(race=RaceOptions(), images=["seen"], confirm_images=["held/00.png"])


@pytest.mark.parametrize(
    ("images", "sizes"),
    [
        (2, (2,)),
        (5, (5,)),
        (6, (6,)),
        (8, (6, 8)),
        (13, (6, 9, 11, 13)),
        (24, (8, 12, 16, 20, 24)),
        (40, (13, 20, 27, 33, 40)),
    ],
)
def test_interim_analyses_begin_at_a_third_of_the_images(images, sizes):
    assert stats.sizes_for(images) == sizes


def test_a_budget_is_a_time():
    assert race_of(until_settled=True, budget="1.5h").budget == 5400
    assert race_of(until_settled=True, budget="20m").budget == 1200
    assert race_of(until_settled=True, budget="").budget is None
    assert race_of(until_settled=False, budget="") is None
    with pytest.raises(StudyError, match="such as 90s, 20m or"):
        race_of(until_settled=True, budget="20 minutes")
    with pytest.raises(StudyError, match="--budget is for --until-settled"):
        race_of(until_settled=False, budget="20m")
