"""The program from Python: what comes back, in which order, of which type; what is refused and how."""

import subprocess
import sys
import textwrap
import tomllib

import numpy as np
import pandas as pd
import pytest

import n2n_ablate
from n2n_ablate.analysis.records import Role, Verdict
from n2n_ablate.errors import AblateError, ImageError, StoreError, StudyError

STUDY = {
    "name": "width",
    "question": "Is a narrower network <b>worse</b>?",
    "design": "one-at-a-time",
    "baseline": {
        "sampler": "diagonal",
        "backbone": {"name": "zs-n2n", "width": 6},
        "loss": "residual-consistency",
        "training": {"name": "adam", "steps": 4},
    },
    "conditions": [
        {"noise": {"name": "gaussian", "sigma": 15.0}, "label": "weak"},
        {"noise": {"name": "gaussian", "sigma": 50.0}, "label": "strong"},
    ],
    "factors": {"backbone.width": [4, 3]},
    "references": {"stripe": {"sampler": "stripe"}},
    "profiles": {
        "quick": {
            "images": ["builtin:coffee", "builtin:rocket", "builtin:chelsea"],
            "crop": 24,
            "seeds": [0, 1],
            "confirm": {"images": ["builtin:camera", "builtin:coins"]},
        }
    },
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("api") / "out"


@pytest.fixture(scope="module")
def result(root):
    study = n2n_ablate.make_study(**STUDY)
    return n2n_ablate.run(study, device="cpu", tracking="none", output=root)


def test_a_frame_has_a_row_per_fit_and_a_column_per_metric(result):
    frame = result.to_frame()
    assert list(frame.columns) == [
        *("trial", "condition", "image", "seed", "psnr", "ssim", "loss", "seconds", "failure")
    ]
    assert len(frame) == 3 * 2 * 3 * 2  # trials, conditions, images, seeds; no reference rows
    assert list(frame["trial"].unique()) == ["baseline", "backbone.width=4", "backbone.width=3"]
    assert frame["psnr"].dtype == float
    assert frame["psnr"].notna().all()
    assert set(result.to_frame(references=True)["trial"]) - set(frame["trial"]) == {"stripe"}


def test_what_is_loaded_is_what_was_run(root, result):
    loaded = n2n_ablate.load("width", output=root)
    pd.testing.assert_frame_equal(loaded.to_frame(), result.to_frame())
    pd.testing.assert_frame_equal(loaded.summary(), result.summary())
    pd.testing.assert_frame_equal(loaded.curves(), result.curves())
    assert loaded.contrasts == result.contrasts
    assert (loaded.run, loaded.best) == (result.run, result.best)
    assert n2n_ablate.load(STUDY, output=root, run=result.run[:4]).run == result.run


def test_running_again_trains_nothing_and_gives_the_same_order(root, result):
    again = n2n_ablate.run(STUDY, device="cpu", tracking="none", output=root)
    pd.testing.assert_frame_equal(again.to_frame(), result.to_frame())


def test_a_summary_has_a_row_per_trial_and_condition_with_the_numbers_of_the_analysis(result):
    summary = result.summary().set_index(["condition", "trial"])
    for condition in result.analysis.conditions:
        for record in condition.contrasts:
            row = summary.loc[(condition.condition, record.contrast.name)]
            assert row["estimate"] == record.estimate
            assert row["ci_low"] == record.interval.low
            assert row["ci_level"] == record.interval.level == 1 - 0.05 / 4
            assert row["verdict"] == record.verdict
        assert np.isnan(summary.loc[(condition.condition, "baseline"), "estimate"])
    frame = result.to_frame()
    weak = frame[(frame["trial"] == "baseline") & (frame["condition"] == "weak")]
    by_image = weak.groupby("image")["psnr"].mean()
    assert summary.loc[("weak", "baseline"), "psnr"] == pytest.approx(by_image.mean())


def test_curves_end_in_the_final_values(result):
    curves = result.curves()
    assert list(curves.columns) == [
        *("trial", "condition", "image", "seed", "step", "metric", "value")
    ]
    keys = ["trial", "condition", "image", "seed"]
    last = curves[(curves["metric"] == "psnr") & (curves["step"] == 4)].set_index(keys)["value"]
    final = result.to_frame().set_index(keys)["psnr"]
    assert (last.reindex(final.index) - final).abs().max() < 1e-4


def test_findings_are_those_of_the_confirmation(result):
    assert len(result.contrasts) == 4
    assert all(record.role is Role.PRIMARY for record in result.contrasts)
    assert {record.verdict for record in result.contrasts} <= set(Verdict)
    later = result.confirmation
    assert later.contrasts == result.contrasts
    assert set(later.to_frame()["image"]) == {"camera", "coins"}
    assert set(later.to_frame()["seed"]) == {2, 3}
    assert later.confirmation is None


def test_a_notebook_shows_question_and_summaries_with_nothing_of_theirs_as_markup(result):
    html = result._repr_html_()
    assert "Is a narrower network &lt;b&gt;worse&lt;/b&gt;?" in html
    assert html.count("<table") == 2
    assert "backbone.width=4" in html


@pytest.mark.parametrize(("name", "start"), [("r.html", "<!doctype html>"), ("r.csv", "study,")])
def test_a_report_is_of_the_format_of_its_ending(result, tmp_path, name, start):
    path = result.report(tmp_path / "new" / name)
    assert path.read_text(encoding="utf-8").lower().startswith(start)


def test_a_report_of_no_format_is_refused(result, tmp_path):
    with pytest.raises(StudyError, match=r"cannot end in '\.htm'\. Did you mean '\.html'"):
        result.report(tmp_path / "report.htm")


def test_figures_are_those_of_the_report_and_matplotlibs(result, tmp_path):
    from matplotlib.figure import Figure

    figures = result.figures()
    assert any("differences" in name for name in figures), list(figures)
    assert any("curves" in name for name in figures), list(figures)
    for name, figure in figures.items():
        assert isinstance(figure, Figure)
        figure.savefig(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 1000


def test_a_plan_says_what_would_be_run(root, result):
    planned = n2n_ablate.plan(STUDY, device="cpu", output=root)
    assert planned.trials == ("baseline", "backbone.width=4", "backbone.width=3", "stripe")
    assert planned.fits == 4 * 2 * 3 * 2 + 3 * 2 * 2 * 2
    assert planned.cost.stored == 4 * 2 * 3 * 2
    assert planned.seconds == 0
    more = n2n_ablate.plan(STUDY, device="cpu", output=root, settings={"backbone.width": 5})
    assert "backbone.width=5" in more.trials
    assert more.seconds > 0


def test_nothing_is_printed(capfd, tmp_path):
    n2n_ablate.run(
        STUDY,
        device="cpu",
        tracking="none",
        output=tmp_path,
        trials=1,
        settings={"training.steps": 2},
    )
    assert capfd.readouterr() == ("", "")


def test_progress_is_shown_where_it_is_asked_for(capfd, tmp_path):
    n2n_ablate.run(STUDY, device="cpu", tracking="none", output=tmp_path, trials=1, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "baseline" in err


def test_mistakes_are_exceptions_with_what_would_work(root, result, tmp_path):
    with pytest.raises(
        StudyError, match=r"no study is called 'centre-weight'\. Did you mean 'center-"
    ):
        n2n_ablate.run("centre-weight")
    with pytest.raises(StudyError, match="study 'width': unknown key 'qestion'"):
        n2n_ablate.run(STUDY | {"qestion": "?"}, output=root)
    with pytest.raises(StoreError, match="study 'other' has not been run in"):
        n2n_ablate.load("other", output=root)
    with pytest.raises(AblateError, match="Did you mean 'steps'"):
        n2n_ablate.plan(STUDY, settings={"training.stepps": 3}, output=tmp_path)


def test_a_plugin_of_a_notebook_is_used(tmp_path):
    class Rows:
        """Even rows against odd rows."""

        def draw(self, image, rng):
            return lambda image: (image[..., 0:-1:2, :], image[..., 1::2, :])

    class Plugin:
        @n2n_ablate.hookimpl
        def register_samplers(self, register):
            register("rows-of-mine", Rows)

    study = STUDY | {"factors": {"sampler": ["rows-of-mine"]}, "references": {}}
    done = n2n_ablate.run(study, device="cpu", tracking="none", output=tmp_path, plugins=[Plugin()])
    assert "sampler=rows-of-mine" in set(done.to_frame()["trial"])


@pytest.mark.parametrize(
    ("shape", "kind", "scale"),
    [
        ((24, 26), "uint8", 255),
        ((24, 26, 3), "uint16", 65535),
        ((24, 26), "float32", 1000.0),
        ((24, 26, 3), "float64", 1.0),
        ((5, 24, 26), "uint8", 255),
    ],
)
def test_a_denoised_array_has_the_shape_type_and_range_of_the_noisy_one(shape, kind, scale):
    ramp = np.linspace(0.2, 0.8, shape[-1] if shape[-1] != 3 else shape[-2])
    clean = ramp[:, None] if shape[-1] == 3 else ramp
    noisy = np.random.default_rng(0).normal(clean, 0.1, size=shape).clip(0, 1) * scale
    denoised = n2n_ablate.denoise(noisy.astype(kind), steps=40, device="cpu")
    assert denoised.shape == shape
    assert denoised.dtype == kind
    truth = np.broadcast_to(clean * scale, shape)
    assert np.abs(denoised - truth).mean() < np.abs(noisy - truth).mean()


def test_denoising_is_the_same_every_time_and_follows_seed_and_recipe():
    noisy = np.random.default_rng(0).random((24, 24))
    first = n2n_ablate.denoise(noisy, steps=5, device="cpu")
    assert np.array_equal(first, n2n_ablate.denoise(noisy, steps=5, device="cpu"))
    assert not np.array_equal(first, n2n_ablate.denoise(noisy, steps=5, device="cpu", seed=1))
    other = n2n_ablate.denoise(noisy, recipe={"sampler": "stripe"}, steps=5, device="cpu")
    assert not np.array_equal(first, other)


def test_a_study_recommends_the_recipe(root, result):
    noisy = np.random.default_rng(0).random((24, 24))
    best = result.analysis.best.name
    by_study = n2n_ablate.denoise(noisy, from_study="width", output=root, device="cpu")
    by_trial = n2n_ablate.denoise(noisy, from_study="width", trial=best, output=root, device="cpu")
    assert np.array_equal(by_study, by_trial)


@pytest.mark.parametrize("array", [np.zeros((3, 24, 24)), np.zeros(5), np.array(["a"])])
def test_what_is_no_image_is_refused(array):
    with pytest.raises(ImageError, match="the array"):
        n2n_ablate.denoise(array, device="cpu")


def test_a_finished_study_opens_without_torch_mlflow_and_optuna(root, result):
    code = f"""
        import sys
        import n2n_ablate
        summary = n2n_ablate.load("width", output={str(root)!r}).summary()
        assert len(summary) == 2 * 8, summary
        loaded = {{"torch", "mlflow", "optuna", "skimage", "ray"}} & set(sys.modules)
        assert not loaded, loaded
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_object_and_its_text_are_one_study():
    study = n2n_ablate.make_study(**STUDY)
    assert tomllib.loads(study.text) == STUDY
