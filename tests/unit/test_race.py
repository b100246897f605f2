"""Racing: a contrast that has a word gets no more images, and looking often costs no false words."""

import io
import shutil
from pathlib import Path

import drawn
import numpy as np
import pytest
from rich.console import Console

from n2n_ablate.analysis import answer, export
from n2n_ablate.analysis.best import choose
from n2n_ablate.errors import StudyError
from n2n_ablate.report.screen import tables
from n2n_ablate.report.screen.console import Plain
from n2n_ablate.runner.interim import RaceOptions, sizes_for
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


def test_one_contrast_is_settled_early_and_the_other_goes_on(raced):
    runner, result = raced
    later = result.confirmed
    images = given(later)
    assert runner.header.confirmed.interim_sizes == (4, 6, 8, 12)
    assert images["sampler.center=0.2"] == 4
    assert images["baseline"] == images["sampler.center=0.1"] == 12
    looks = later.looks
    assert looks[LABEL, "sampler.center=0.2"].verdict == "worse"
    assert looks[LABEL, "sampler.center=0.2"].number == 1
    assert looks[LABEL, "sampler.center=0.1"].last
    assert given(result)["baseline"] == 4  # the search itself does not race
    assert not result.looks


def test_intervals_of_a_race_are_wider_than_those_of_one_look(run_once):
    lines, plain = (
        {line.name: line for line in result.confirmed.lines(LABEL)}
        for result in (run_once[2], run_once[3][1])
    )
    name = "sampler.center=0.1"
    assert lines[name].difference.gaps == plain[name].difference.gaps
    assert lines[name].difference.half_width > plain[name].difference.half_width
    assert lines["sampler.center=0.2"].difference.n == 4


def test_table_and_sentence_say_what_was_settled_and_what_is_open(raced):
    runner, result = raced
    told = answer.sentence(result, runner.header, LABEL)
    assert "0.2 is worse" in told
    assert "settled after 4 images" in told
    assert "open after 12 images" in told
    console = Console(width=80, file=io.StringIO())
    console.print(tables.confirm_table(result, LABEL))
    assert "images" in console.file.getvalue()
    legend = " ".join(tables.confirm_legend(result, LABEL))
    assert "to hold at every look for all" in legend
    assert "tends to lie too far out" in legend


def test_looks_are_the_same_when_the_race_is_opened_again(raced):
    runner, result = raced
    found = reopen.reopen(Path("mlruns"), "drawn")
    assert not found.problems()
    assert found.result.confirmed.looks == result.confirmed.looks
    assert (
        export.to_json(found.result, found.header)["confirmation"]["conditions"]
        == export.to_json(result, runner.header)["confirmation"]["conditions"]
    )


@pytest.mark.parametrize("fits", [5, 25])
def test_a_race_that_is_stopped_goes_on_to_the_same_looks(run_once, home, fits):
    expected = run_once[2].confirmed
    with pytest.raises(KeyboardInterrupt):
        drawn.opened(race=RaceOptions(), view=drawn.Stops(confirming=True, fits=fits)).run()
    left = reopen.reopen(Path("mlruns"), "drawn")
    for name, look in left.result.confirmed.looks.items():
        assert look.number <= expected.looks[name].number
    found = drawn.opened(race=RaceOptions()).run().confirmed
    assert found.looks == expected.looks
    assert given(found) == given(expected)


def test_a_budget_begins_no_batch_that_would_pass_it(home, run_once):
    listener = drawn.Listens()
    slow = drawn.Drawn(seconds=0.05)
    # 7 trials on 4 images, then 4 on 4: 2.2 s. The next look would cost 6 fits more, and the last one 12.
    runner = drawn.opened(race=RaceOptions(budget=2.3), view=listener, executor=slow)
    short = runner.run().confirmed
    assert "the budget ends before a look at" in "".join(listener.notes)
    assert given(short).get("baseline", 0) < 12
    whole = run_once[2].confirmed
    for name, look in short.looks.items():
        assert look.number <= whole.looks[name].number


def test_without_a_race_no_look_is_spent(run_once):
    runner, result = run_once[3]
    assert runner.header.confirmed.interim_sizes == ()
    assert not result.confirmed.looks
    assert set(given(result.confirmed).values()) == {12}


def test_a_study_without_a_search_races_on_its_own_images(folder):
    drawn.prepare(folder, drawn.photo, seen=9, held=1, text=drawn.without_a_search())
    runner = drawn.opened(race=RaceOptions())
    result = runner.run()
    assert runner.header.interim_sizes == (4, 6, 9)
    assert given(result) == {
        "baseline": 9,
        "sampler.center=0.2": 4,
        "sampler.center=0.1": 9,
        "diagonal": 4,
    }
    found = reopen.reopen(Path("mlruns"), "drawn")
    assert found.result.looks == result.looks
    assert not found.problems()


@pytest.mark.parametrize("failing", ["sampler.center=0.1", "baseline"])
def test_a_batch_without_a_usable_image_is_no_look(folder, failing):
    drawn.prepare(folder, drawn.photo, seen=12, held=1, text=drawn.without_a_search())
    centre = {"baseline": 0.01, "sampler.center=0.1": 0.1}[failing]
    place = drawn.places()

    def result(fit):
        lost = (
            place[float(fit.noisy.sum())] in (4, 5)
            and getattr(fit.sampler, "center", None) == centre
        )
        return drawn.failed(fit) if lost else drawn.drawn(fit)

    view = Told()
    runner = drawn.opened(race=RaceOptions(), executor=drawn.Drawn(result=result), view=view)
    look = runner.run().looks[LABEL, "sampler.center=0.1"]
    assert (look.number, look.last, look.difference.n) == (4, True, 10)
    assert "after 6 images: sampler.center=0.1 is open" in view.text
    found = reopen.reopen(Path("mlruns"), "drawn")
    assert found.result.looks[LABEL, "sampler.center=0.1"] == look
    assert "open after 12 images" in answer.sentence(found.result, found.header, LABEL)


def test_the_best_of_a_race_is_best_on_the_images_that_all_have(folder):
    drawn.prepare(folder, drawn.photo, seen=12, held=1, text=drawn.without_a_search())
    place, spread = drawn.places(), np.random.default_rng(0).normal(size=12)

    def result(fit):
        """0.2 is 1 dB better and settled on four hard images, 0.1 is 0.3 better and needs more."""
        at, centre = place[float(fit.noisy.sum())], getattr(fit.sampler, "center", 0)
        gain = {0.2: 1 + 0.02 * spread[at], 0.1: 0.3 + 0.25 * spread[at]}.get(centre, 0)
        return drawn.given(fit, (24 if at < 4 else 32) + gain)

    result = drawn.opened(race=RaceOptions(), executor=drawn.Drawn(result=result)).run()
    assert given(result)["sampler.center=0.2"] < given(result)["sampler.center=0.1"]
    found = choose(result)
    assert (found.trial.name, found.highest) == ("sampler.center=0.2", "sampler.center=0.2")
    assert (found.images, found.psnr) == (4, pytest.approx(25, abs=0.05))
    assert found.reasons[1].startswith(
        "sampler.center=0.1 is better than the baseline too; against it sampler.center=0.2 has +0."
    )
    assert "on the 4 images that both have" in found.reasons[1]
    told = answer.best_sentence(result, LABEL)
    assert "over the 4 images that all trials have: sampler.center=0.2 with 25.0" in told


def test_a_race_needs_declared_contrasts_that_run(home):
    with pytest.raises(StudyError, match="is a search without a confirmation"):
        drawn.opened(race=RaceOptions(), images=["seen"])
    with pytest.raises(StudyError, match="at least 2 images"):
        sizes_for(1)


@pytest.mark.parametrize(
    ("images", "sizes"),
    [
        (2, (2,)),
        (5, (5,)),
        (6, (4, 6)),
        (8, (4, 6, 8)),
        (13, (4, 6, 8, 13)),
        (40, (4, 6, 8, 12, 16, 24, 40)),
    ],
)
def test_looks_are_cut_to_the_images_there_are(images, sizes):
    assert sizes_for(images) == sizes


def test_a_budget_is_a_time():
    assert race_of(until_settled=True, budget="1.5h").budget == 5400
    assert race_of(until_settled=True, budget="20m").budget == 1200
    assert race_of(until_settled=True, budget="").budget is None
    assert race_of(until_settled=False, budget="") is None
    with pytest.raises(StudyError, match="such as 90s, 20m or"):
        race_of(until_settled=True, budget="20 minutes")
    with pytest.raises(StudyError, match="--budget is for --until-settled"):
        race_of(until_settled=False, budget="20m")
