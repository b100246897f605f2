"""A study is opened again from its journal and its fits: nothing trained, nothing needed, nothing hidden."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.program import here
from PIL import Image as Pillow
from rich.console import Console

from n2n_ablate import study
from n2n_ablate.analysis.analyse import analyse
from n2n_ablate.engine.reference_methods import reference_methods
from n2n_ablate.errors import StoreError
from n2n_ablate.registry import Registry
from n2n_ablate.report.live import Silent
from n2n_ablate.report.text.study import failures_text
from n2n_ablate.runner import plan_runner
from n2n_ablate.runner.run import open_runner
from n2n_ablate.runner.session import Request, RunOptions, open_session
from n2n_ablate.storage import journal, reopen
from n2n_ablate.storage.journal_writer import Journal
from n2n_ablate.storage.output import Output
from n2n_ablate.storage.recovered_images import gallery
from n2n_ablate.study import saved

MINE = """
from n2n_ablate import hookimpl


class Mine:
    def draw(self, image, rng):
        return lambda image: (image[..., 0:-1:2, :], image[..., 1::2, :])


class Dim:
    def apply(self, clean, rng):
        return clean / 2


@hookimpl
def register_samplers(register):
    register("mine", Mine)


@hookimpl
def register_noises(register):
    register("dim", Dim)
"""


def run(request):
    """Run a study in this process, without a tracker, and return its runner."""
    session = open_session(request)
    runner = open_runner(
        session, Output(request.output), Silent(Console(stderr=True)), RunOptions(tracking="none")
    )
    runner.run()
    return runner


@pytest.fixture(scope="module")
def home(tmp_path_factory, tiny_text):
    """A folder in which a study was run: its own file, its own plugin, its own images."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "plugins").mkdir()
    (folder / "photos").mkdir()
    (folder / "plugins" / "own.py").write_text(MINE)
    rng = np.random.default_rng(0)
    for name in ("one", "two"):
        noise = rng.integers(0, 255, (30, 28, 3), dtype=np.uint8)
        Pillow.fromarray(noise).save(folder / "photos" / f"{name}.png")
    text = tiny_text.replace('"builtin:astronaut", "builtin:coffee"', '"photos"')
    text = text.replace('{ name = "diagonal" }', '{ name = "mine" }')
    more = '[[conditions]]\nnoise = { name = "dim" }\nlabel = "half"\n[factors]'
    (folder / "own.toml").write_text(text.replace("[factors]", more))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        runner = run(Request(study="own.toml", settings=["training.steps=5"]))
    return folder, runner


@pytest.fixture
def moved(home, tmp_path, monkeypatch):
    """The output folder alone, somewhere else: no study file, no plugin, no images."""
    folder = tmp_path / "elsewhere"
    shutil.copytree(home[0] / "mlruns", folder / "mlruns")
    header = journal.find(folder / "mlruns", "tiny")[0].path
    # What the journal says of the old folder leads nowhere.
    text = header.read_text().replace(str(home[0]), str(tmp_path / "gone"))
    header.write_text(text)
    monkeypatch.chdir(folder)
    return folder / "mlruns"


def test_a_plan_survives_as_plain_data(tiny, registry):
    for name, path in {**study.shipped(), "tiny": tiny}.items():
        asked = study.read(path)
        for profile in asked.profiles:
            plan = study.plan(asked, registry, profile=profile, seeds=2)
            again = saved.from_json(json.loads(json.dumps(saved.to_json(plan))))
            assert again == plan, name
            assert again.key == plan.key


def test_everything_comes_back_without_study_file_plugins_and_images(home, moved):
    runner = home[1]
    found = reopen.reopen(moved, "tiny")
    assert found.plan == runner.plan
    assert found.plan.settings == ("training.steps=5",)
    assert found.result.reference_methods == runner.result.reference_methods
    assert not found.problems()
    for condition in ("sigma 25", "half"):
        before, after = (
            analyse(each, found.header).condition(condition)
            for each in (runner.result, found.result)
        )
        assert len(before.trials) > 3
        for mine, theirs in zip(before.trials, after.trials, strict=True):
            assert mine == theirs, mine.name  # role, parameters, means, difference, curve, seconds
        assert after.highest == before.highest
    assert [mark.name for mark in found.header.images] == ["one", "two"]
    assert found.header.images[0].shape == (3, 24, 24)
    assert found.header.steps == 5
    (command,) = found.commands
    assert command.status == "finished"
    assert command.invocation == runner.invocation
    assert command.started < found.result.trials[0].finished < command.ended


def test_denoised_images_are_read_when_asked_for(home, moved):
    found = reopen.reopen(moved, "tiny")
    row = found.result.trials[0].rows[0]
    assert row.result.denoised is None
    image = found.denoised(row)
    assert image.shape == (3, 24, 24)
    assert image.dtype == np.float32
    whole = found.with_images(found.result.trials[0])
    assert whole.rows[0].result.denoised.dtype == np.uint16
    assert found.result.trials[0].rows[0].result.denoised is None


def test_images_that_are_gone_are_named_and_found_elsewhere_by_content(home, moved, tmp_path):
    header = reopen.reopen(moved, "tiny").header
    nothing = gallery(header, Registry())
    assert nothing.clean == {}
    assert nothing.samples == ()
    assert "clean images not found: one, two" in nothing.problems[0]
    (tmp_path / "attic").mkdir()
    shutil.copy(home[0] / "photos" / "two.png", tmp_path / "attic" / "renamed.png")
    some = gallery(header, Registry(), [str(tmp_path / "attic")])
    assert list(some.clean) == ["two"]
    assert "clean images not found: one " in some.problems[0]
    assert "noisy images of 'half' cannot be made again" in some.problems[1]
    assert {s.condition.label for s in some.samples} == {"sigma 25"}
    plugins = Registry(plugins_dir=home[0] / "plugins")
    everything = gallery(header, plugins, [str(home[0] / "photos")])
    assert not everything.problems
    before = home[1].paired_data.samples
    assert len(everything.samples) == len(before) == 4
    for mine, theirs in zip(everything.samples, before, strict=True):
        assert (mine.condition, mine.image.name, mine.seed) == (
            theirs.condition,
            theirs.image.name,
            theirs.seed,
        )
        assert torch.equal(mine.noisy, theirs.noisy)


def test_lost_fits_are_counted_named_and_kept_out_of_the_means(moved):
    before = reopen.reopen(moved, "tiny")
    trial = before.result.trials[1]
    first, second = trial.rows[0], trial.rows[1]
    before.store.path(first.result.key).unlink()
    before.store.path(second.result.key).write_bytes(b"half")
    damaged = before.store.path(second.result.key)
    for aside in (False, True):
        if aside:  # as a study does it that runs again
            damaged.rename(damaged.with_suffix(".damaged"))
        after = reopen.reopen(moved, "tiny")
        assert [(x.trial, x.image, x.why) for x in after.lost] == [
            (trial.trial.name, "one", "missing"),
            (trial.trial.name, "two", "damaged"),
        ]
        assert "2 of 16 fits have no stored result (1 missing, 1 damaged)" in after.problems()[0]
        item = after.result.trials[1]
        assert item.failures == 2
        assert item.by_image("psnr", "sigma 25") == {}
        assert item.by_image("psnr", "half") == trial.by_image("psnr", "half")
        assert "missing" in failures_text(analyse(after.result, after.header))
        assert damaged.exists() != aside


def test_a_fit_that_stopped_with_an_error_keeps_its_reason(folder, tiny):
    (folder / "plugins").mkdir()
    # Past the step that is tried beforehand, and before the last of the training.
    broken = MINE.replace(
        "return lambda image:",
        "return lambda image: image.requires_grad and next(CALLS) > 6 and 1/0 or",
    )
    broken += "\n\nimport itertools\n\nCALLS = itertools.count()\n"
    (folder / "plugins" / "own.py").write_text(broken)
    tiny.write_text(tiny.read_text().replace('{ name = "diagonal" }', '{ name = "mine" }'))
    run(Request(study=str(tiny), trials=3, settings=["training.steps=20"]))
    found = reopen.reopen(Path("mlruns"), "tiny")
    assert not found.lost
    reasons = {row.result.failure for item in found.result.trials for row in item.rows}
    where = Path("plugins/own.py").resolve()
    assert reasons == {
        "",
        f"stopped: sampler 'mine' raises ZeroDivisionError: division by zero ({where}:7)",
    }


def test_what_needs_no_training_is_measured_once_and_again_where_the_journal_lacks_it(
    folder, tiny, monkeypatch
):
    calls = []

    def measured(paired_data):
        calls.append(paired_data)
        return reference_methods(paired_data)

    monkeypatch.setattr(plan_runner, "reference_methods", measured)
    request = Request(study=str(tiny), trials=1, settings=["training.steps=2"])
    first = run(request).result.reference_methods
    assert run(request).result.reference_methods == first
    assert len(calls) == 1
    path = reopen.reopen(Path("mlruns"), "tiny").journal.path
    text = path.read_text()
    path.write_text(text.replace('"dct"', '"gone"'))  # as one that had other methods wrote it
    assert run(request).result.reference_methods == first
    assert len(calls) == 2
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if '"line": "trial"' not in line))
    assert run(request).result.reference_methods == first
    assert len(calls) == 3


def test_the_journal_used_last_is_opened_and_a_profile_can_be_chosen(folder, tiny):
    quick = Request(study=str(tiny), trials=1, settings=["training.steps=2"])
    other = Request(study=str(tiny), trials=1, settings=["training.steps=2"], profile="other")
    run(quick)
    run(other)
    assert reopen.reopen(Path("mlruns"), "tiny").plan.profile.name == "other"
    assert reopen.reopen(Path("mlruns"), "tiny", "quick").plan.profile.name == "quick"
    run(quick)
    found = reopen.reopen(Path("mlruns"), "tiny")
    assert found.plan.profile.name == "quick"
    assert len(found.commands) == 2
    assert len(found.result.trials) == 1
    text = found.journal.path.read_text()
    assert text.count('"line": "study"') == 1
    assert text.count('"line": "reference_methods"') == 1
    assert text.count('"line": "trial"') == 1
    with pytest.raises(StoreError, match=r"not run with profile 'papr'.*Known: other, quick"):
        reopen.reopen(Path("mlruns"), "tiny", "papr")
    with pytest.raises(StoreError, match=r"study 'tyny' has not been run.*Did you mean 'tiny'"):
        reopen.reopen(Path("mlruns"), "tyny")


def test_a_larger_budget_or_another_margin_is_told_by_a_later_header(folder, tiny):
    run(Request(study=str(tiny), trials=1, settings=["training.steps=2"]))
    tiny.write_text(tiny.read_text().replace("contrasts", "margin = 0.5\ncontrasts"))
    run(Request(study=str(tiny), trials=2, settings=["training.steps=2"]))
    assert len(list(Path("mlruns/studies/tiny").iterdir())) == 1
    found = reopen.reopen(Path("mlruns"), "tiny")
    assert found.plan.study.margin == 0.5
    assert found.plan.profile.trials == 2
    assert not found.unfinished


def test_what_a_kill_left_is_opened_and_said(moved):
    path = journal.find(moved, "tiny")[0].path
    lines = path.read_text().splitlines(keepends=True)
    kept = [line for line in lines if '"line": "end"' not in line]
    path.write_text("".join(kept[:5]) + kept[5][:40])
    found = reopen.reopen(moved, "tiny")
    assert found.commands[0].status == ""
    assert [item.trial.name for item in found.result.trials] == ["baseline", "sampler.center=0.2"]
    assert found.unfinished == ("diagonal",)
    told = "\n".join(found.problems())
    assert "planned trials that are not finished: diagonal" in told
    assert f"1 line of '{path}' cannot be read. Running the study again writes" in told
    writer = Journal(Output(moved), found.plan, found.journal.key)
    writer.begin(found.header, found.commands[0].invocation)
    writer.end("interrupted", replace(found.result, trials=found.result.trials[:1]))
    again = reopen.reopen(moved, "tiny")
    assert not again.journal.unreadable
    assert again.commands[-1].status == "interrupted"
    assert again.commands[-1].trials == ("baseline",)
    assert len(again.result.trials) == 2


@pytest.mark.parametrize("damage", ["words", "[" * 200_000], ids=["words", "nested"])
def test_damaged_lines_are_told_until_the_study_has_run_again(folder, tiny, damage):
    words = ("study", tiny, "--tracking", "none", "--set", "training.steps=2", "--quiet")
    for _ in range(2):  # the second finds everything written
        assert here(*words, folder=folder).returncode == 0
    (path,) = folder.glob("mlruns/studies/tiny/*.jsonl")
    lines = path.read_text().splitlines(keepends=True)
    for kind in ("study", "reference_methods", "trial"):
        place = next(n for n, line in enumerate(lines) if f'"line": "{kind}"' in line)
        path.write_text("".join([*lines[:place], f"{damage}\n", *lines[place + 1 :]]))
        assert journal.read(path).unreadable == 1
        assert here(*words, folder=folder).returncode == 0
        assert not journal.read(path).unreadable
        assert not reopen.reopen(Path("mlruns"), "tiny").problems()


@pytest.mark.parametrize("key", ["../../../../etc/passwd", "AB" * 16, "ab" * 17, "", 1, None])
def test_a_journal_cannot_name_other_files_as_fits(moved, key):
    path = journal.find(moved, "tiny")[0].path
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    spoilt = next(line for line in lines if line.get("name") == "diagonal")
    spoilt["fits"][1] = key
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    found = reopen.reopen(moved, "tiny")
    assert found.journal.unreadable == 1
    assert found.unfinished == ("diagonal",)


@pytest.mark.parametrize("key", journal.Entry.__dataclass_fields__)
def test_a_line_of_a_trial_that_lost_a_part_is_unreadable(moved, key):
    path = journal.find(moved, "tiny")[0].path
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    del next(line for line in lines if line.get("name") == "diagonal")[key]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert journal.read(path).unreadable == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"name": "baseline", "role": "baseline"}\n', "it has no header"),
        ("", "it has no header"),
        ('{"line": "study", "format": 99}\n', "written by a newer version"),
    ],
)
def test_a_journal_that_cannot_be_opened_is_one_line(tmp_path, text, reason):
    path = tmp_path / "studies" / "old" / "quick-0123456789.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(StoreError, match=reason) as error:
        reopen.reopen(tmp_path, "old")
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_that_is_only_read_is_left_as_it_is(moved):
    before = {path: path.stat().st_mtime_ns for path in moved.rglob("*")}
    found = reopen.reopen(moved, "tiny")
    found.with_images(found.result.trials[0])
    assert {path: path.stat().st_mtime_ns for path in moved.rglob("*")} == before
    with pytest.raises(StoreError, match="does not exist"):
        Output(moved / "not", reading=True)
    assert not (moved / "not").exists()
