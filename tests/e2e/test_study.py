"""From the command line: a study of seconds, its table, its stores, and everything that can go wrong."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from helpers.program import command, here, run

from n2n_ablate.storage import journal
from n2n_ablate.storage.output import Output, this_process

ROW_PAIR = '''
"""Even rows against odd rows."""

from n2n_ablate import hookimpl


class RowPair:
    """Even rows against odd rows; an odd last row is dropped."""

    def draw(self, image, rng):
        return lambda image: (image[..., 0:-1:2, :], image[..., 1::2, :])


@hookimpl
def register_samplers(register):
    register("mine", RowPair)
'''


def study(tiny, *words, folder, **env):
    return here("study", tiny, "--tracking", "none", *words, folder=folder, **env)


def told(tiny, *words, folder):
    done = study(tiny, "--json", *words, folder=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_study_ends_with_a_table_an_answer_and_the_next_commands(tiny, tmp_path):
    done = run("study", tiny, "--tracking", "none", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for word in ("noisy", "nl-means", "diagonal", "baseline", "0.01", "0.2"):
        assert word in done.stdout
    assert "center = 0.2 vs 0.01: " in done.stdout
    assert "2 images of 24\u00d724 pixels, 30 steps, 1 seed, sigma 25" in " ".join(
        done.stdout.split()
    )
    assert "n2n-ablate denoise" in done.stdout
    assert done.stderr.count("dB") == 4  # a plain line per trial


def test_json_is_complete_and_agrees_with_itself(tiny, tmp_path):
    data = told(tiny, folder=tmp_path)
    (condition,) = data["conditions"]
    rows = {row["name"]: row for row in condition["trials"]}
    roles = [row["role"] for row in rows.values()]
    assert sorted(roles) == [
        "baseline",
        "declared",
        "reference",
        "search",
        *["untrained"] * 4,
    ]
    means = {name: row["means"]["psnr"] for name, row in rows.items()}
    (contrast,) = condition["contrasts"]
    difference = means["sampler.center=0.2"] - means["baseline"]
    assert contrast["estimate"] == pytest.approx(difference, abs=1e-5)
    ends = contrast["difference_interval"]
    assert ends["low"] < contrast["estimate"] < ends["high"]
    assert contrast["verdict"] in ("better", "worse", "equivalent", "inconclusive")
    assert 15 < means["noisy"] < 25 < means["nl-means"] < means["dct"]
    assert (data["fits"]["total"], data["fits"]["failed"]) == (8, 0)


def test_the_same_command_goes_on_and_more_trials_search_on(tiny, tmp_path):
    first = told(tiny, folder=tmp_path)
    again = told(tiny, folder=tmp_path)
    assert first["fits"]["cached"] == 0
    assert again["fits"]["cached"] == again["fits"]["total"] == 8
    assert again["conditions"] == first["conditions"]
    more = told(tiny, "--trials", 6, folder=tmp_path)
    assert more["fits"]["cached"] == 8
    assert more["fits"]["total"] == 12
    assert set(first["recipes"]) < set(more["recipes"])


def test_fresh_searches_anew_and_keeps_the_fits(tiny, tmp_path):
    told(tiny, folder=tmp_path)
    fresh = told(tiny, "--fresh", folder=tmp_path)
    assert fresh["fits"]["cached"] >= 6  # baseline, contrast and reference are trained only once


def test_refit_trains_again_and_finds_the_same(tiny, tmp_path):
    first = told(tiny, folder=tmp_path)
    again = told(tiny, "--refit", folder=tmp_path)
    assert again["fits"]["cached"] == 0

    def figures(data):
        return [(row["name"], row["means"]["psnr"]) for row in data["conditions"][0]["trials"]]

    assert figures(first) == figures(again)


@pytest.mark.parametrize(
    "way", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_stop_keeps_what_is_finished_and_says_how_to_go_on(tiny, tmp_path, way):
    # A suite that runs in the background inherits a shell's "ignore Ctrl-C".
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    start = [sys.executable, "-c", heed + "from n2n_ablate.cli import main; main()"]
    asked = command("study", tiny, "--tracking", "none", "--set", "training.steps=20000")
    words = [*start, *asked[3:]]
    process = subprocess.Popen(
        words,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    line = "".join(process.stderr.readline() for _ in range(3))
    assert "4 trials \u00d7 2 fits" in line
    time.sleep(0.5)
    start = time.monotonic()
    process.send_signal(way)
    _, err = process.communicate(timeout=20)
    assert time.monotonic() - start < 10
    assert process.returncode == 130
    assert "To resume, run:" in err
    assert "Traceback" not in err


def test_a_second_run_of_the_same_study_is_refused(tiny, tmp_path):
    from n2n_ablate.runner.session import Request, open_session

    name = open_session(Request(study=str(tiny))).lock_name
    with Output(tmp_path / "mlruns").lock(name, "unused"):
        done = study(tiny, folder=tmp_path)
    assert done.returncode == 1
    assert f"study 'tiny' is being run by {this_process()} in 'mlruns'. Wait" in done.stderr


def test_a_sampler_of_ten_lines_is_listed_and_studied(tmp_path, tiny):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "mine.py").write_text(ROW_PAIR)
    listed = here("plugins", "--kind", "sampler", "--json", folder=tmp_path)
    assert "Even rows against odd rows" in listed.stdout
    tiny.write_text(
        tiny.read_text()
        .replace('design = "search"', 'design = "one-at-a-time"')
        .replace('[search]\nstrategy = { name = "tpe", startup = 2 }\n', "")
        .replace('contrasts = [{ "sampler.center" = 0.2 }]', "")
        .replace(
            '"sampler.center" = { low = 0.0, high = 0.5, levels = [0.2] }', 'sampler = ["stripe"]'
        )
    )
    data = told(tiny, "--set", "sampler=mine", folder=tmp_path)
    rows = {row["name"]: row for row in data["conditions"][0]["trials"]}
    assert rows["sampler=mine"]["contrast"]["verdict"]
    assert {"sampler=stripe", "sampler=mine"} < set(rows)


def test_a_broken_plugin_stops_only_what_needs_it(tmp_path, tiny):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "bad.py").write_text("x = 1\nimport not_there\n")
    listed = here("plugins", folder=tmp_path, COLUMNS="200")
    assert listed.returncode == 0
    assert "not loaded: plugin 'bad' (plugins/bad.py:2): ModuleNotFoundError" in listed.stderr
    assert study(tiny, "--trials", 1, folder=tmp_path).returncode == 0
    needed = study(tiny, "--set", "sampler=bad-pair", folder=tmp_path)
    assert needed.returncode == 1
    assert "plugins/bad.py:2" in needed.stderr


def with_mine(folder, tiny, old, new):
    """Put a changed sampler of ten lines beside the study and into its table."""
    (folder / "plugins").mkdir()
    assert old in ROW_PAIR
    (folder / "plugins" / "mine.py").write_text(ROW_PAIR.replace(old, new))
    tiny.write_text(tiny.read_text().replace('{ name = "diagonal" }', '{ name = "mine" }'))


def test_a_sampler_that_cannot_draw_is_named_before_anything_is_trained(tmp_path, tiny):
    with_mine(tmp_path, tiny, "return lambda", "raise RuntimeError('oh no')\n        return lambda")
    done = study(tiny, folder=tmp_path)
    assert done.returncode == 1
    assert "sampler 'mine' fails on an image of shape (1, 3, 24, 24)" in done.stderr
    assert "oh no" in done.stderr
    assert "[1/" not in done.stderr


def test_a_sampler_that_breaks_in_the_first_step_is_named_before_anything_is_trained(
    tmp_path, tiny
):
    broken = "return lambda image: image.requires_grad and 1 / 0 or"
    with_mine(tmp_path, tiny, "return lambda image:", broken)
    done = study(tiny, "--trials", 3, folder=tmp_path)
    assert done.returncode == 1
    assert "sampler 'mine' raises ZeroDivisionError" in done.stderr
    assert "[1/" not in done.stderr
    assert not list((tmp_path / "mlruns").glob("fits/*/*"))


def test_a_sampler_that_breaks_in_training_costs_its_own_fits_only(tmp_path, tiny):
    # Past the step that is tried beforehand.
    broken = "return lambda image: image.requires_grad and next(CALLS) > 6 and 1 / 0 or"
    with_mine(tmp_path, tiny, "return lambda image:", broken)
    with (tmp_path / "plugins" / "mine.py").open("a") as file:
        file.write("\n\nimport itertools\n\nCALLS = itertools.count()\n")
    done = study(tiny, "--trials", 3, folder=tmp_path)
    assert done.returncode == 3
    assert "2 of 6 fits failed" in done.stdout
    assert "ZeroDivisionError" in done.stdout
    again = study(tiny, "--trials", 3, folder=tmp_path)
    assert "2 of 6 fits failed" in again.stdout  # an error is not stored: it was tried again
    assert again.stderr.count("cached") == 2


def test_failed_fits_are_counted_and_change_the_exit_status(tmp_path, tiny):
    with_mine(tmp_path, tiny, "0:-1:2, :],", "0:-1:2, :] * 1e30,")
    done = study(tiny, "--trials", 3, folder=tmp_path)
    assert done.returncode == 3
    assert "2 of 6 fits failed" in done.stdout
    assert "diverged by step" in done.stdout


def test_the_users_own_images_are_used(tiny, tmp_path, photo):
    (tmp_path / "photos").mkdir()
    photo(tmp_path / "photos" / "one.png")
    photo(tmp_path / "photos" / "two.png", channels=1, seed=1)
    data = told(tiny, "--trials", 2, "--images", "photos", folder=tmp_path)
    assert data["images"] == ["one", "two"]


def test_a_metric_of_ones_own_stands_in_the_table_and_nothing_needs_ssim(tiny, tmp_path):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "grey.py").write_text(
        "from n2n_ablate import hookimpl\n\n\n"
        "class Brightness:\n"
        '    """Mean of the denoised image."""\n\n'
        "    def measure(self, denoised, clean, noisy):\n"
        "        return denoised.mean(dim=(1, 2, 3))\n\n\n"
        "@hookimpl\n"
        "def register_metrics(register):\n"
        '    register("brightness", Brightness)\n'
    )
    tiny.write_text(
        tiny.read_text().replace("[baseline]", 'metrics = ["brightness"]\n\n[baseline]', 1)
    )
    done = study(tiny, "--trials", 1, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "brightness" in done.stdout
    assert "SSIM" not in done.stdout


def test_an_image_added_to_the_folder_makes_another_search(tiny, tmp_path, photo):
    (tmp_path / "photos").mkdir()
    photo(tmp_path / "photos" / "one.png")
    told(tiny, "--images", "photos", folder=tmp_path)
    photo(tmp_path / "photos" / "two.png", seed=1)
    told(tiny, "--images", "photos", folder=tmp_path)
    journals = list((tmp_path / "mlruns" / "studies" / "tiny").glob("*.jsonl"))
    assert len(journals) == 2
    for path in journals:
        assert len(journal.read(path).trials) == 4


def test_a_search_that_has_tried_everything_ends(tiny, tmp_path):
    tiny.write_text(tiny.read_text().replace("low = 0.0, high = 0.5", "choices = [0.01, 0.2, 0.3]"))
    done = study(tiny, "--trials", 9, "--set", "training.steps=2", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "the search proposed no new point" in done.stderr
    assert done.stderr.count("center=0.3 ") == 1


def test_plan_lists_trials_and_time_and_trains_nothing(tiny, tmp_path):
    done = here("plan", tiny, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "4 trials, 8 fits: about " in done.stdout
    assert "1 more, chosen by tpe(startup=2): sampler.center in 0 to 0.5" in done.stdout
    assert "noise: sigma 25; seed 0\n" in done.stdout
    assert not list((tmp_path / "mlruns" / "fits").glob("*/*"))
    assert "Power for 1 contrast on 2 images with 1 seed" in done.stdout
    data = json.loads(here("plan", tiny, "--json", folder=tmp_path).stdout)
    assert data["fits"] == 8
    assert (data["power"]["n_images"], data["power"]["equivalence"], data["longer"]) == (
        2,
        None,
        None,
    )
    assert data["power"]["spread_limit"] > 0
    assert data["seconds"] > 0


def test_denoise_uses_the_recipe_that_best_prints(tiny, tmp_path, photo):
    from n2n_ablate import images

    told(tiny, folder=tmp_path)
    photo(tmp_path / "noisy.png", size=33)
    done = here(
        "denoise", "noisy.png", "-o", "out/clean.png", "--from-study", "tiny", folder=tmp_path
    )
    assert done.returncode == 0, done.stderr
    best = json.loads(here("best", "tiny", "--json", folder=tmp_path).stdout)
    assert f"by {best['name']} of tiny (quick) (three-by-three" in done.stderr
    before = images.read(tmp_path / "noisy.png").pixels
    after = images.read(tmp_path / "out" / "clean.png").pixels
    assert after.shape == before.shape
    assert not torch.equal(after, before)


def test_denoise_keeps_grey_and_16_bits(tmp_path):
    from n2n_ablate import images

    pixels = torch.rand(1, 1, 20, 21, generator=torch.Generator().manual_seed(0))
    images.write(tmp_path / "noisy.tif", pixels, bits=16)
    done = here(
        "denoise", "noisy.tif", "-o", "clean.png", "--set", "training.steps=5", folder=tmp_path
    )
    assert done.returncode == 0, done.stderr
    found = images.read(tmp_path / "clean.png")
    assert found.bits == 16
    assert found.pixels.shape == pixels.shape


MISTAKES = [
    (["study", "centre-weight"], "Did you mean 'center-weight'"),
    (["study", "TINY", "--device", "cuda"], "torch sees no NVIDIA GPU"),
    (["study", "TINY", "--set", "sampler.center=2"], "must be in the range 0 to 0.5"),
    (["study", "TINY", "--images", "nowhere"], "'nowhere' does not exist"),
    (["study", "TINY", "--images", "empty"], "no images in 'empty'"),
    (["study", "TINY", "--images", "bad.png"], "'bad.png' cannot be read as an image"),
    (["study", "TINY", "--images", "small.png"], "needs an image of at least 3x3 pixels, got 2x2"),
    (["study", "TINY", "--profile", "quik"], "Did you mean 'quick'"),
    (["study", "TINY", "--trials", "0"], "--trials must be at least 1"),
    (["study", "TINY", "--tracking", "wandb"], "--tracking cannot be 'wandb'"),
    (["study", "TINY", "--output", "file"], "the output folder 'file' cannot be written"),
    (["study", "TINY", "--output", "/proc/n2n"], "the output folder '/proc/n2n' cannot be written"),
    (["study", "missing.toml"], "study file 'missing.toml' does not exist"),
    (["plugins", "--kind", "samplers"], "Did you mean 'sampler'"),
    (["plugins", "--plugins-dir", "nowhere"], "'nowhere' is not a folder"),
    (["denoise", "nowhere.png", "-o", "x.png"], "'nowhere.png' does not exist"),
    (["denoise", "small.png", "-o", "x.gif"], "got '.gif'"),
    (["denoise", "small.png", "-o", "x.png", "--from-study", "tiny"], "has not been run"),
    (["denoise", "tiny.png", "-o", "x.png", "--trial", "x"], "--trial needs --from-study"),
]


@pytest.mark.parametrize(
    ("words", "message"), MISTAKES, ids=[" ".join(m[0])[:40] for m in MISTAKES]
)
def test_a_mistake_is_one_line_and_a_non_zero_exit(words, message, tiny, tmp_path, photo):
    if "cuda" in words and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.png").write_text("no image")
    (tmp_path / "file").write_text("")
    photo(tmp_path / "small.png", size=2)
    photo(tmp_path / "tiny.png", size=20)
    done = here(*[tiny if word == "TINY" else word for word in words], folder=tmp_path)
    assert done.returncode == 1
    assert message in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1


def test_help_is_quick_and_does_not_wait_for_torch():
    code = (
        "import sys, n2n_ablate, n2n_ablate.cli; "
        "slow = {'torch', 'mlflow', 'optuna', 'matplotlib', 'skimage', 'scipy'} & set(sys.modules); "
        "sys.exit(str(slow) if slow else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_command_has_help():
    for name in ("study", "plan", "studies", "plugins", "denoise", "sync", "ui"):
        done = here(name, "--help", folder=Path.cwd())
        assert done.returncode == 0
        assert name in done.stdout


def test_studies_lists_the_shipped_and_the_local(tmp_path, tiny):
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "tiny.toml").write_text(tiny.read_text())
    done = here("studies", folder=tmp_path)
    assert "center-weight" in done.stdout
    assert "Does the centre matter?" in done.stdout
