"""A search that was tracked, opened by Optuna and by MLflow: both know the same trials."""

from datetime import timedelta

import optuna
import pytest
from helpers.program import here

import n2n_ablate
from n2n_ablate.databases import sqlite_url

pytestmark = pytest.mark.filterwarnings("ignore")  # of other libraries' imports


def test_optuna_has_every_trial_with_its_curve_and_finds_its_mlflow_run(
    tiny, tmp_path, monkeypatch
):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    done = here("study", tiny, "--quiet", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    root = tmp_path / "mlruns"
    result = n2n_ablate.load("tiny", output=root)
    trials = {each.trial.name: each for each in result.record.trials}

    url = sqlite_url(root / "optuna.db")
    (name,) = optuna.get_all_study_names(url)
    study = optuna.load_study(study_name=name, storage=url)
    assert study.metric_names == ["psnr"]
    known = {trial.user_attrs["name"]: trial for trial in study.trials}
    searched = {name for name, each in trials.items() if each.trial.role == "search"}
    assert set(known) == searched | {"baseline", "sampler.center=0.2"}
    for name, trial in known.items():
        own = trials[name]
        assert trial.value == pytest.approx(own.mean("psnr", "sigma 25"))
        curve = own.curves("psnr", "sigma 25")
        points = dict(zip(map(int, curve.steps), curve.mean, strict=True))
        assert 2 <= len(trial.intermediate_values) <= 10
        assert trial.intermediate_values == pytest.approx(
            {step: points[step] for step in trial.intermediate_values}
        )
        took = timedelta(seconds=own.seconds)
        if name in searched:  # from question to answer; its two fits may have been trained at once
            assert took * 0.45 < trial.duration < took + timedelta(seconds=60)
        else:
            assert abs(trial.duration - took) < timedelta(seconds=0.1)

    import mlflow

    # Not by `mlflow.set_tracking_uri`: it sets the variable for all tests after this one.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", sqlite_url(root / "mlflow.db"))
    for name, trial in known.items():
        found = mlflow.search_runs(
            experiment_names=["tiny"], filter_string=trial.user_attrs["mlflow"]
        )
        assert list(found["tags.mlflow.runName"]) == [name]
        assert found["metrics.eval/psnr"][0] == pytest.approx(trial.value)
