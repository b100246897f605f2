"""Any metric can decide: its margin, its unit, its direction, in verdicts, searches and what is best."""

from dataclasses import replace
from pathlib import Path

import pytest
from helpers import drawn_results as drawn

from n2n_ablate.analysis.analyse import analyse
from n2n_ablate.errors import StudyError
from n2n_ablate.storage import reopen
from n2n_ablate.study import read

LABEL = "sigma 25"
TEXT = drawn.TEXT.replace(
    'design = "search"',
    'design = "search"\ndecide = "whiteness"\nmargin = 0.02\nmetrics = ["whiteness"]',
)


def result(fit):
    """0.2 leaves structure in the residual, 0.1 does not; PSNR says the opposite of both."""
    centre, noise = getattr(fit.sampler, "center", 0.0), drawn.uniform(float(fit.noisy.sum()))
    left = {0.01: 0.5, 0.2: 0.8, 0.1: 0.3}.get(centre, 0.4 + abs(centre - 0.3)) + 0.01 * noise
    found = drawn.given(fit, 25 + 10 * left)
    small = 0.001 * drawn.uniform(fit.key)
    return replace(found, figures={**found.figures, "whiteness": left + small})


def test_a_metric_of_which_lower_is_better_decides_a_study(folder):
    drawn.prepare(folder, drawn.photo, text=TEXT)
    runner = drawn.opened(executor=drawn.Drawn(result=result))
    study = analyse(runner.run(), runner.header)
    metric = study.metric
    assert (metric.name, metric.unit, metric.higher_is_better) == ("whiteness", "", False)
    assert (metric.margin, metric.decides) == (0.02, True)
    assert [each.name for each in study.metrics[1:]] == ["psnr"]
    assert study.metrics[1].margin is None
    later = {x.contrast.name: x for x in study.deciding.condition(LABEL).contrasts}
    worse, better = later["sampler.center=0.2"], later["sampler.center=0.1"]
    assert (worse.verdict, better.verdict) == ("worse", "better")
    assert worse.estimate > 0 > better.estimate
    assert (better.wins.wins, worse.wins.wins) == (12, 0)
    assert (study.best.name, study.best.support) == ("sampler.center=0.1", "confirmed")
    beside = study.condition(LABEL).trial("sampler.center=0.2").secondary["psnr"]
    assert (beside.role, beside.verdict) == ("secondary", None)
    assert beside.estimate == pytest.approx(3, abs=0.1)
    ranks = [row.means["whiteness"] for row in study.condition(LABEL).trials if row.rank]
    assert ranks == sorted(ranks)
    assert study.condition(LABEL).highest.name == ranks_first(study)
    again = reopen.reopen(Path("mlruns"), "drawn")
    assert analyse(again.result, again.header).conditions == study.conditions


def ranks_first(study):
    return next(row.name for row in study.condition(LABEL).trials if row.rank == 1)


def test_a_search_goes_down_where_lower_is_better(folder):
    drawn.prepare(folder, drawn.photo, text=TEXT)
    drawn.opened(executor=drawn.Drawn(result=result)).run()
    entries = reopen.reopen(Path("mlruns"), "drawn").journal.trials
    assert entries["sampler.center=0.2"].score == pytest.approx(0.8, abs=0.02)
    import optuna

    (database,) = Path("mlruns").rglob("*optuna*.db")
    url = f"sqlite:///{database}"
    (name,) = optuna.get_all_study_names(url)
    found = optuna.load_study(study_name=name, storage=url)
    assert found.direction == optuna.study.StudyDirection.MINIMIZE
    assert found.best_value == min(trial.value for trial in found.trials if trial.value is not None)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('decide = "ssim"', "'margin' is missing: with decide = \"ssim\" say which"),
        ('decide = "sim"\nmargin = 0.1', "'decide' cannot be 'sim'. Did you mean 'ssim'"),
        ('decide = "ssim"\nmargin = 0', "margin"),
        ('decide = "ssim"\nmargin = -0.1', "margin"),
    ],
)
def test_a_deciding_metric_needs_a_margin_above_zero_and_a_name(folder, lines, message):
    drawn.prepare(
        folder,
        drawn.photo,
        text=drawn.TEXT.replace('design = "search"', f'design = "search"\n{lines}'),
    )
    with pytest.raises(StudyError) as error:
        read(Path("drawn.toml"))
    assert message in str(error.value)
