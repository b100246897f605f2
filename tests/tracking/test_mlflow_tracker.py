"""What goes into MLflow comes out, once, in a real SQLite store."""

import csv
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import mlflow_server
from PIL import Image as Pillow

from n2n_ablate import hookimpl
from n2n_ablate import study as studies
from n2n_ablate.analysis.analyse import analyse
from n2n_ablate.components.recipe import Recipe
from n2n_ablate.databases import sqlite_file
from n2n_ablate.images import Image
from n2n_ablate.records import (
    FitResult,
    Header,
    ImageRef,
    Invocation,
    NoisySample,
    Row,
    StudyTrials,
    TrialResult,
)
from n2n_ablate.runner.dispatcher import HookDispatcher
from n2n_ablate.runner.run_files import FilesOfStudy, FilesOfTrial, RunFiles
from n2n_ablate.storage.output import Output
from n2n_ablate.storage.runs import EndedRuns
from n2n_ablate.tracking import record
from n2n_ablate.tracking.address import chart_link, tracking_uri
from n2n_ablate.tracking.tags import run_tags
from n2n_ablate.tracking.tracker import MlflowTracker

pytestmark = pytest.mark.filterwarnings("ignore")  # mlflow's imports warn about their own imports

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
POINTS = 25


class Notes:
    """Keeps what the user would be told."""

    def __init__(self):
        self.said = []

    @hookimpl
    def note(self, message):
        self.said.append(message)


NAMES = ("boat", "käse (2)")
ABOUT = Invocation(
    "one", "n2n-ablate study tiny", "CPU", "fp32", {"python": "3.11", "torch": "2.13"}, "abc123"
)


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory):
    """An empty database. Making one takes seconds, copying it none."""
    output = Output(tmp_path_factory.mktemp("empty"))
    MlflowTracker(output.root).store.experiment_id("any")
    return sqlite_file(tracking_uri(output.root)).read_bytes()


both = pytest.mark.parametrize(
    "output", ["sqlite", pytest.param("server", marks=pytest.mark.postgres)], indirect=True
)
"""Marks a test that must hold for every kind of store."""


@pytest.fixture
def output(tmp_path, empty_store, monkeypatch, request):
    """An output folder, and an empty MLflow store for it."""
    made = Output(tmp_path / "out")
    if getattr(request, "param", "sqlite") == "server":
        server = request.getfixturevalue("mlflow_server")
        server.forget()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
        return made
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    sqlite_file(tracking_uri(made.root)).write_bytes(empty_store)
    return made


@pytest.fixture
def plan(tiny, registry):
    return studies.plan(studies.read(tiny), registry)


@pytest.fixture
def two(tiny, registry):
    """The same study under two conditions."""
    more = (
        '[[conditions]]\nnoise = { name = "gaussian", sigma = 50.0 }\nlabel = "sigma 50"\n[factors]'
    )
    tiny.write_text(tiny.read_text().replace("[factors]", more))
    return studies.plan(studies.read(tiny), registry)


def subjects_of(plan):
    clean = torch.full((1, 3, 16, 16), 0.5)
    images = [Image(name, clean) for name in NAMES]
    return [
        NoisySample(condition, image, seed, clean + 0.1)
        for condition in plan.conditions
        for image in images
        for seed in plan.profile.seeds
    ]


def fit(key, psnr, failure=""):
    steps = np.linspace(2, 50, POINTS).astype(np.int32)
    curve = (psnr - 5 * np.exp(-steps / 10)).astype(np.float32)
    curve[-1] = psnr
    return FitResult(
        key=key,
        figures={"psnr": float(curve[-1]), "ssim": 0.8, "loss": 0.01},
        steps=steps,
        curves={"psnr": curve, "ssim": curve / 40, "loss": 1 / curve},
        denoised=None if failure else np.full((3, 16, 16), 33000, np.uint16),
        seconds=1.5,
        failure=failure,
    )


def result_of(plan, trial, psnr=30.0, failed=()):
    """Make a result: the second image is 2 dB, the second condition 3 dB below."""
    rows = []
    for place, sample in enumerate(subjects_of(plan)):
        value = (
            psnr - 2 * NAMES.index(sample.image.name) - 3 * plan.conditions.index(sample.condition)
        )
        failure = "diverged by step 4" if place in failed else ""
        made = fit(f"{trial.name}/{place}", value, failure)
        rows.append(Row(sample.condition.label, sample.image.name, sample.seed, made))
    return TrialResult(trial, tuple(rows))


def begun(output, plan, about=ABOUT, ended=()):
    """Return a tracker that has heard of a study."""
    tracker = MlflowTracker(output.root)
    tracker.study_started(plan, about, ended, replayed=False, say=lambda _: None)
    return tracker


def hear(tracker, plan, results, registry=None):
    """Tell it of trials as a study does."""
    files = RunFiles(registry)
    for count, result in enumerate(results, 1):
        so_far, samples = StudyTrials(plan, tuple(results[:count])), subjects_of(plan)
        made = FilesOfTrial(files, result, so_far, samples)
        tracker.trial_finished(result, so_far, samples, made)
    return files


def track(output, plan, results, *, status="finished", registry=None, about=ABOUT):
    tracker = begun(output, plan, about)
    files = hear(tracker, plan, results, registry)
    whole = StudyTrials(plan, tuple(results), header=header_of(plan, results))
    tracker.study_finished(whole, status, FilesOfStudy(files, whole))
    return tracker


def header_of(plan, results):
    images = dict.fromkeys(row.image for result in results for row in result.rows)
    refs = tuple(ImageRef(name, name, (3, 8, 8)) for name in images)
    return Header(plan, refs, 30, "cpu", "fp32")


def runs_of(tracker, plan, wanted=""):
    experiment = tracker.store.experiment_id(plan.study.name)
    return {run.info.run_name: run for run in tracker.store.runs(experiment, wanted)}


def files_of(run, folder):
    """Return where the files of a run are, or a copy of them."""
    if run.info.artifact_uri.startswith("file:"):
        return Path(run.info.artifact_uri.removeprefix("file://"))
    from mlflow import MlflowClient

    assert run.info.artifact_uri.startswith("mlflow-artifacts:")
    copy = folder / run.info.run_id
    copy.mkdir()
    client = MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    return Path(client.download_artifacts(run.info.run_id, "", str(copy)))


@both
def test_a_trial_comes_out_as_it_went_in(output, plan, registry):
    trials = [result_of(plan, plan.baseline), result_of(plan, plan.declared[0], 31.0)]
    tracker = track(output, plan, trials, registry=registry)
    runs = runs_of(tracker, plan)
    assert set(runs) == {"baseline", "sampler.center=0.2", "summary"}
    run = runs["sampler.center=0.2"]
    assert run.info.status == "FINISHED"
    assert run.data.params["sampler"] == "three-by-three"
    assert run.data.params["sampler.center"] == "0.2"
    assert run.data.params["training.steps"] == "30"
    assert (run.data.params["noise"], run.data.params["noise.sigma"]) == ("gaussian", "25")
    assert run.data.params["images"] == "boat, käse (2)"
    assert run.data.tags["role"] == "declared"
    assert len({run.data.tags["mlflow.runColor"] for run in runs.values()}) == 3
    assert run.data.tags["invocation"] == "one"
    assert run.data.tags["version.torch"] == "2.13"
    assert run.data.tags["mlflow.source.git.commit"] == "abc123"
    assert "mlflow.parentRunId" not in run.data.tags
    assert run.data.metrics["eval/psnr"] == pytest.approx(30)  # of 31 and 29
    assert run.data.metrics["eval/psnr_std"] == pytest.approx(2**0.5)
    assert run.data.metrics["eval/psnr_gain"] == pytest.approx(1)
    assert run.data.metrics["training/seconds"] == pytest.approx(3)
    assert run.data.metrics["training/failures"] == 0
    assert runs["baseline"].data.metrics["eval/psnr_gain"] == 0


@both
def test_what_was_measured_of_the_samplers_is_kept(output, two, registry):
    results = [result_of(two, two.baseline), result_of(two, two.declared[0], 31.0)]
    runs = runs_of(track(output, two, results, registry=registry), two)
    run = runs["sampler.center=0.2"]
    leak = 0.04 / 1.04
    for suffix in ("sigma-25", "sigma-50"):
        error = run.data.metrics[f"sampler/leak_error.{suffix}"]
        assert abs(run.data.metrics[f"sampler/leak.{suffix}"] - leak) < 4 * error
        assert run.data.metrics[f"sampler/gap.{suffix}"] < 1e-3  # the images are flat
        assert f"sampler/bias.{suffix}" in run.data.metrics
    rows = list(
        csv.DictReader((files_of(run, output.root) / "diagnostics.csv").read_text().splitlines())
    )
    assert [row["image"] for row in rows] == ["all", *NAMES] * 2
    assert float(rows[0]["leak"]) == run.data.metrics["sampler/leak.sigma-25"]
    summary = files_of(runs["summary"], output.root) / "diagnostics.csv"
    rows = list(csv.DictReader(summary.read_text().splitlines()))
    assert {row["trial"] for row in rows} == {"baseline", "sampler.center=0.2"}
    assert "| leak | back |" in runs["summary"].data.tags["mlflow.note.content"]


@both
def test_a_trial_whose_sampler_is_gone_is_kept_without_diagnostics(output, plan, registry):
    gone = replace(plan.declared[0], recipe=plan.baseline.recipe.replace("sampler", "gone"))
    results = [result_of(plan, plan.baseline), result_of(plan, gone)]
    run = runs_of(track(output, plan, results, registry=registry), plan)["sampler.center=0.2"]
    assert run.info.status == "FINISHED"
    assert not [name for name in run.data.metrics if name.startswith("sampler/")]


@both
def test_curves_have_every_point_and_end_in_the_final_value(output, plan):
    result = result_of(plan, plan.baseline)
    tracker = track(output, plan, [result])
    run = runs_of(tracker, plan)["baseline"]
    for name in (
        "eval/psnr",
        "eval/ssim",
        "training/loss",
        "per-image/psnr.boat",
        "per-image/psnr.käse-2",
    ):
        history = tracker.store.client.get_metric_history(run.info.run_id, name)
        assert len(history) == POINTS, name
        assert [point.step for point in history] == list(result.rows[0].result.steps)
        assert run.info.start_time <= history[0].timestamp <= run.info.end_time
    history = tracker.store.client.get_metric_history(run.info.run_id, "eval/psnr")
    assert history[-1].value == result.mean("psnr", "sigma 25")


@both
def test_a_long_study_is_logged_in_batches_that_mlflow_accepts(output, plan):
    many = [f"image-{place:03d}" for place in range(60)]  # 60 x 25 points are more than a batch
    rows = tuple(Row("sigma 25", name, 0, fit(name, 30.0)) for name in many)
    clean = torch.full((1, 1, 16, 16), 0.5)
    samples = [NoisySample(plan.conditions[0], Image(name, clean), 0, clean) for name in many]
    tracker = begun(output, plan, replace(ABOUT, versions={f"plugin-{n}": "1" for n in range(120)}))
    result = TrialResult(plan.baseline, rows)
    so_far = StudyTrials(plan, (result,))
    files = FilesOfTrial(RunFiles(), result, so_far, samples)
    tracker.trial_finished(result, so_far, samples, files)
    run = runs_of(tracker, plan)["baseline"]
    assert len([name for name in run.data.metrics if name.startswith("per-image/psnr.")]) == 60
    assert run.data.tags["version.plugin-119"] == "1"


@both
def test_pictures_and_tables_are_kept_with_the_run(output, plan, registry):
    tracker = track(output, plan, [result_of(plan, plan.baseline)], registry=registry)
    runs = runs_of(tracker, plan)
    files = files_of(runs["baseline"], output.root)
    for name in ("images/contact_sheet", "images/boat", "images/käse-2", "sampler"):
        with Pillow.open(files / f"{name}.png") as picture:
            assert picture.width > 100, name
    rows = list(csv.DictReader((files / "fits.csv").read_text().splitlines()))
    assert [row["image"] for row in rows] == list(NAMES)
    assert float(rows[1]["psnr"]) == 28
    assert rows[0]["fit"] == "baseline/0"
    recipe = Recipe.from_json(json.loads((files / "recipe.json").read_text()))
    assert recipe == plan.baseline.recipe
    assert (
        files_of(runs["summary"], output.root) / "study.toml"
    ).read_text() == plan.study.path.read_text()


@both
def test_a_trial_that_is_there_is_not_written_again(output, plan):
    results = [result_of(plan, plan.baseline), result_of(plan, plan.declared[0])]
    first = runs_of(track(output, plan, results[:1]), plan)
    again = runs_of(track(output, plan, results, about=replace(ABOUT, id="two")), plan)
    assert again["baseline"].info.run_id == first["baseline"].info.run_id
    assert again["sampler.center=0.2"].data.metrics["eval/psnr_gain"] == 0
    assert again["sampler.center=0.2"].data.tags["invocation"] == "two"


@both
def test_fits_that_were_run_again_with_another_outcome_replace_their_run(output, plan):
    track(output, plan, [result_of(plan, plan.baseline, failed=[0])])
    tracker = track(output, plan, [result_of(plan, plan.baseline)])
    kept = list(tracker.store.runs(tracker.store.experiment_id("tiny"), "tags.role = 'baseline'"))
    assert [run.data.metrics["training/failures"] for run in kept] == [0]


@both
def test_failed_fits_are_counted_but_never_averaged(output, plan):
    results = [
        result_of(plan, plan.baseline, failed=[1]),
        result_of(plan, plan.declared[0], failed=[0, 1]),
    ]
    runs = runs_of(track(output, plan, results), plan)
    some, none = runs["baseline"], runs["sampler.center=0.2"]
    assert (some.info.status, some.data.metrics["training/failures"]) == ("FINISHED", 1)
    assert some.data.metrics["eval/psnr"] == 30
    assert (none.info.status, none.data.metrics["training/failures"]) == ("FAILED", 2)
    assert "eval/psnr" not in none.data.metrics


@both
def test_several_conditions_keep_their_figures_apart(output, two):
    results = [result_of(two, two.baseline), result_of(two, two.declared[0], 31)]
    run = runs_of(track(output, two, results), two)["sampler.center=0.2"]
    assert run.data.metrics["eval/psnr.sigma-25"] == pytest.approx(30)
    assert run.data.metrics["eval/psnr.sigma-50"] == pytest.approx(27)
    assert run.data.metrics["per-image/psnr.sigma-50.boat"] == pytest.approx(28)
    assert run.data.metrics["eval/psnr_gain.sigma-50"] == pytest.approx(1)
    assert run.data.params["noise.sigma-50"] == "gaussian"
    assert run.data.params["noise.sigma-50.sigma"] == "50"
    files = files_of(run, output.root)
    assert (files / "images" / "boat.sigma-50.png").is_file()
    assert (files / "images" / "boat.png").is_file()


@pytest.mark.parametrize(
    ("status", "expected"),
    [("finished", "FINISHED"), ("interrupted", "KILLED"), ("failed", "FAILED")],
)
@both
def test_the_summary_says_how_it_ended(output, plan, status, expected):
    results = [result_of(plan, plan.baseline), result_of(plan, plan.declared[0], 33, failed=[0])]
    tracker = track(output, plan, results, status=status)
    run = runs_of(tracker, plan)["summary"]
    assert run.info.status == expected
    tags = [run.data.tags[key] for key in ("status", "trials", "fits", "failures", "best")]
    assert tags == [status, "2", "4", "1", "baseline"]  # the other lost a fit
    table = list(
        csv.DictReader((files_of(run, output.root) / "table.csv").read_text().splitlines())
    )
    assert [row["trial"] for row in table] == ["baseline", "sampler.center=0.2"]
    assert "Does the centre matter?" in run.data.tags["mlflow.note.content"]


@both
def test_runs_of_a_dead_process_are_ended_and_those_of_a_living_one_left_alone(output, plan):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    tracker = begun(output, plan)
    client, experiment = tracker.store.client, tracker.store.experiment_id("tiny")
    (mine,) = tracker.store.runs(experiment, "")
    own = {key: mine.data.tags[key] for key in ("n2n.plan", "n2n.host")}
    pids = {"dead": gone.pid, "alive": os.getppid()}
    made = {
        name: client.create_run(experiment, tags={**own, "n2n.pid": str(pid)}, run_name=name)
        for name, pid in pids.items()
    }
    begun(output, plan, replace(ABOUT, id="two"))
    assert client.get_run(made["dead"].info.run_id).info.status == "KILLED"
    assert client.get_run(made["alive"].info.run_id).info.status == "RUNNING"
    (continued,) = tracker.store.runs(experiment, "tags.role = 'summary'")
    assert continued.info.run_id == mine.info.run_id
    assert (continued.info.status, continued.data.tags["invocation"]) == ("RUNNING", "two")


@both
def test_no_run_of_the_study_stays_running_when_its_command_is_over(output, plan, two):
    """Killed with other seeds; its number taken by another process; its machine renamed."""
    journals = output.root / "studies" / "tiny"
    journals.mkdir()

    def journal(key, *ids):
        lines = [
            {"line": "command", "host": "x", "at": 1, "invocation": asdict(replace(ABOUT, id=own))}
            for own in ids
        ]
        (journals / f"quick-{key}.jsonl").write_text("\n".join(map(json.dumps, lines)))

    journal("aa", "own", "same-journal")
    journal("bb", "other-journal", "container")
    journal("cc", "alive")
    places = {
        "same-journal": (plan, {"n2n.pid": "1"}),
        "other-journal": (two, {"n2n.pid": "1"}),
        "container": (two, {"n2n.host": "0123456789ab"}),
        "alive": (two, {"n2n.pid": "1"}),
        "stranger": (two, {"n2n.pid": "1"}),  # who knows: it is in no journal here
    }
    runs = {}
    store = MlflowTracker(output.root).store
    experiment = store.experiment("tiny", "")
    for own, (asked, tags) in places.items():
        about = replace(ABOUT, id=own)
        whole = run_tags(asked, about, "declared", number=1) | tags
        runs[own] = store.create(experiment, own, 0, whole)
    own = replace(ABOUT, id="own")
    with Output(output.root).lock("tiny-cc", "unused"):
        tracker = begun(output, plan, own, EndedRuns(output, "tiny", "own"))
    ended = {
        name for name, run in runs.items() if store.client.get_run(run).info.status == "KILLED"
    }
    assert ended == {"same-journal", "other-journal", "container"}
    assert tracker.known.repaired == 3
    begun(output, plan, own, EndedRuns(output, "tiny", "own"))  # now nobody holds its lock
    assert store.client.get_run(runs["alive"]).info.status == "KILLED"


def test_a_question_is_no_markup_on_the_page_of_its_experiment(output, plan):
    asked = replace(plan, study=replace(plan.study, question="<b>Is ![x](http://x) it?</b>"))
    tracker = begun(output, asked)
    page = tracker.store.client.get_experiment(tracker.store.experiment_id("tiny"))
    assert page.tags["mlflow.note.content"] == r"&lt;b&gt;Is !\[x\](http://x) it?&lt;/b&gt;"


@both
def test_a_run_that_could_not_be_written_whole_is_written_again(output, plan, monkeypatch):
    result = result_of(plan, plan.baseline)
    tracker = begun(output, plan)
    with monkeypatch.context() as patch:
        patch.setattr(tracker.store.client, "log_artifact", lambda *_: 1 / 0, raising=False)
        with pytest.raises(ZeroDivisionError):
            hear(tracker, plan, [result])
    assert runs_of(tracker, plan)["baseline"].info.status == "KILLED"
    tracker = track(output, plan, [result])
    kept = tracker.store.runs(tracker.store.experiment_id("tiny"), "tags.role = 'baseline'")
    assert [run.info.status for run in kept] == ["FINISHED"]


@both
def test_it_works_in_the_background_thread_that_runs_it(output, plan):
    notes = Notes()
    tracker = MlflowTracker(output.root)
    audience = HookDispatcher()
    audience.join(notes, "notes")
    audience.join(tracker, "tracking")
    trials = (result_of(plan, plan.baseline),)
    whole = StudyTrials(plan, trials, header=header_of(plan, trials))
    audience.study_started(plan, ABOUT, 2, 30)
    audience.trial_finished(result_of(plan, plan.baseline), whole, subjects_of(plan))
    audience.study_finished(whole, "finished")
    assert not notes.said
    assert set(runs_of(tracker, plan)) == {"baseline", "summary"}


@both
def test_runs_of_declared_contrasts_hold_their_verdicts(output, plan):
    trials = [result_of(plan, plan.baseline), result_of(plan, plan.declared[0], 31.0)]
    header = header_of(plan, trials)
    tracker = track(output, plan, trials)
    run = runs_of(tracker, plan)["sampler.center=0.2"]
    expected = analyse(StudyTrials(plan, tuple(trials), header=header)).conditions[0].contrasts[0]
    assert run.data.tags["verdict"] == expected.verdict == "withheld"
    assert run.data.tags["verdict_reason"] == expected.reason == "no_spread"
    assert run.data.tags["mlflow.note.content"] == "sigma 25: withheld, +1.000 dB vs baseline"
    assert run.data.metrics["verdict/difference"] == pytest.approx(expected.estimate)
    beside = analyse(StudyTrials(plan, tuple(trials), header=header)).conditions[0].trials
    ssim = next(row for row in beside if row.name == run.info.run_name).secondary["ssim"]
    assert run.data.metrics["secondary/ssim_difference"] == pytest.approx(ssim.estimate)
    assert "verdict" not in runs_of(tracker, plan)["baseline"].data.tags


@both
def test_a_study_has_one_summary_that_the_next_command_updates(output, plan):
    one = result_of(plan, plan.baseline)
    first = runs_of(track(output, plan, [one]), plan)["summary"]
    both_trials = [one, result_of(plan, plan.declared[0], 31.0)]
    about = replace(ABOUT, id="two", command="n2n-ablate study tiny --trials 2")
    tracker = track(output, plan, both_trials, about=about)
    (summary,) = tracker.store.runs(tracker.store.experiment_id("tiny"), "tags.role = 'summary'")
    assert summary.info.run_id == first.info.run_id
    assert (summary.info.status, summary.data.tags["trials"]) == ("FINISHED", "2")
    assert summary.data.tags["invocation"] == "two"
    assert summary.data.tags["mlflow.source.name"].endswith("--trials 2")


@both
def test_a_run_says_what_it_was_evaluated_on(output, plan):
    runs = runs_of(track(output, plan, [result_of(plan, plan.baseline)]), plan)
    ((used,),) = [runs["baseline"].inputs.dataset_inputs]
    images = {sample.image.name: sample.image.digest for sample in subjects_of(plan)}
    assert json.loads(used.dataset.source) == images
    assert json.loads(used.dataset.profile)["images"] == 2
    assert [(tag.key, tag.value) for tag in used.tags] == [("mlflow.data.context", "evaluation")]
    assert not runs["summary"].inputs.dataset_inputs


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.45999999999999996, "0.46"), (25.0, "25"), (0.1 + 0.2, "0.3"), (1e-7, "1e-07"), (3, "3")],
)
def test_a_parameter_is_as_short_as_in_a_name(value, text):
    assert record.short(value) == text


def test_runs_that_are_written_anew_keep_colours_of_their_own(output, plan):
    trials = [result_of(plan, trial) for trial in (*plan.fixed, *plan.references)]
    for value in (30.0, 29.0):
        tracker = track(output, plan, [result_of(plan, item.trial, value) for item in trials])
    runs = runs_of(tracker, plan)
    assert len({run.data.tags["mlflow.runColor"] for run in runs.values()}) == len(runs)


def test_the_machine_is_watched_where_that_is_switched_on(output, plan, monkeypatch):
    pytest.importorskip("psutil", reason="pip install psutil")
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true")
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.05")
    tracker = begun(output, plan)
    time.sleep(0.5)
    nothing = StudyTrials(plan, (), header=header_of(plan, []))
    tracker.study_finished(nothing, "finished", FilesOfStudy(RunFiles(), nothing))
    summary = runs_of(tracker, plan)["summary"]
    watched = {name for name in summary.data.metrics if name.startswith("system/")}
    assert {"system/cpu_utilization_percentage", "system/system_memory_usage_percentage"} <= watched
    assert summary.info.status == "FINISHED"


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here: apt-get install -y chromium installs it"
)
def test_the_chart_page_opens_with_the_metric_that_decides(output, plan, registry, tmp_path):
    from playwright.sync_api import sync_playwright

    trials = [result_of(plan, plan.baseline), result_of(plan, plan.declared[0], 31.0)]
    tracker = track(output, plan, trials, registry=registry)
    server = mlflow_server.MlflowServer(tmp_path, tracker.store.uri)
    server.start()
    try:
        link = chart_link(
            server.url, tracker.store.experiment_id("tiny"), record.order(plan), plan.key
        )
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1600, "height": 3000})
            page.goto(link, wait_until="load")
            page.get_by_text("eval/psnr", exact=True).first.wait_for(timeout=60_000)
            page.get_by_text("verdict", exact=True).first.wait_for(timeout=60_000)
            lines = page.inner_text("body").splitlines()
            browser.close()
    finally:
        server.kill()
    sections = [
        above for above, line in itertools.pairwise(lines) if re.fullmatch(r"\(\d+\)", line)
    ]
    assert sections == [
        *("eval", "per-image", "sampler", "secondary", "training", "verdict"),
        *("Model metrics", "System metrics"),
    ]
    charts = [line for line in lines if re.fullmatch(r"[a-z-]+/[\w. ()-]+", line)]
    assert charts[:4] == ["eval/psnr", "eval/psnr_gain", "eval/psnr_std", "eval/ssim"]


def test_a_verdict_that_did_not_change_is_not_written_again(output, plan):
    trials = [result_of(plan, plan.baseline), result_of(plan, plan.declared[0], 31.0)]
    for _ in range(2):
        tracker = track(output, plan, trials)
    run = runs_of(tracker, plan)["sampler.center=0.2"]
    history = tracker.store.client.get_metric_history(run.info.run_id, "verdict/difference")
    assert len(history) == 1
