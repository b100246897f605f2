"""Plugins that are broken on purpose: each is named with file, line and promise; the rest works."""

import json
import re

import pytest
from helpers.program import here, run

from n2n_ablate.components.torch_state import preserve_torch_state, reset
from n2n_ablate.errors import PluginError
from n2n_ablate.testing import child

SAMPLER = '''\
import random
import torch
from n2n_ablate import hookimpl


class Mine:
    """A sampler of a test."""

    {declares}

    def draw(self, image, rng):
        {draw}
        return lambda image: {views}


@hookimpl
def register_samplers(register):
    register("mine", Mine)
'''
ROWS = "(image[..., 0:-1:2, :], image[..., 1::2, :])"
DRAW = 12  # the line of `draw` that changes


def sampler(declares="pass", draw="pass", views=ROWS):
    return SAMPLER.format(declares=declares, draw=draw, views=views)


GOOD = sampler()
NOT_LOADED = {
    "import": (
        "x = 1\n" + GOOD.replace("random", "nothing_of_this_name"),
        2,
        "ModuleNotFoundError",
    ),
    "syntax": (GOOD.replace("def draw(", "def draw)"), 11, "syntax error"),
    "hook-argument": (GOOD.replace("(register):", "(registry):"), 17, "'registry'"),
    "misspelt": (
        GOOD.replace("def register_s", "def registre_s"),
        17,
        "Did you mean 'register_samplers'",
    ),
    "coroutine": (GOOD.replace("def register_s", "async def register_s"), 17, "'async def'"),
    "generator": (GOOD.replace('    register("mine"', '    yield register("mine"'), 17, "'yield'"),
    "raising": (
        GOOD.replace('    register("mine"', '    1 / 0\n    register("mine"'),
        18,
        "ZeroDivisionError",
    ),
}
BROKEN = {
    "nan": (sampler(views=ROWS.replace("[...", "[...", 1)[:-1] + " * float('nan'))"), "views_are_finite", "not finite"),
    "global": (sampler(draw="shift = random.randrange(2)", views="(image.roll(shift, 2)[..., 0:-1:2, :], image.roll(shift, 2)[..., 1::2, :])"), "all_randomness_comes_from_rng", "generator of Python"),
    "writes": (sampler(draw="image.mul_(2)"), "input_is_left_alone", "image changed"),
    "dtype": (sampler(draw="torch.set_default_dtype(torch.float64)"), "what_all_share_is_left_alone", "it changes torch's default dtype"),
    "raises": (sampler(draw="1 / 0"), "views_match", "ZeroDivisionError"),
    "leaks": (sampler(declares="leaks = True"), "a_declared_leak_is_real", "leaks = True"),
    "fixed": (sampler(declares="fixed = True", draw="shift = int(torch.randint(2, (), generator=rng))", views="(image.roll(shift, 2)[..., 0:-1:2, :], image.roll(shift, 2)[..., 1::2, :])"), "fixed_is_true", "fixed = True"),
    "pairs": (sampler(declares="pairs = ((0, 2), (2, 0))"), "declared_pairs_exist", "(0, 2) of 2 views"),
}  # fmt: skip

LATER = GOOD.replace(
    "    def draw(",
    "    step = 0\n\n    def at(self, step, steps):\n        other = Mine()\n"
    "        other.step = step\n        return other\n\n    def draw(",
).replace(ROWS, ROWS[:-1] + " / (self.step < 1))")


def put(folder, text, name="mine"):
    place = folder / "plugins"
    place.mkdir(exist_ok=True)
    (place / f"{name}.py").write_text(text)


def study(folder, *words):
    return here(
        *("study", "loss-parts", *words, "--crop", "24", "--images", "builtin:coffee"),
        *("--set", "training.steps=2", "--tracking", "none"),
        folder=folder,
    )


@pytest.mark.parametrize("case", NOT_LOADED)
def test_what_cannot_be_loaded_is_named_with_its_line_and_the_rest_is_listed(case, tmp_path):
    text, line, reason = NOT_LOADED[case]
    put(tmp_path, text)
    listed = here("plugins", "--json", folder=tmp_path)
    assert listed.returncode == 0
    told = json.loads(listed.stdout)
    (broken,) = told["broken"]
    assert broken["where"].endswith(f"plugins/mine.py:{line}")
    assert reason in broken["why"]
    assert len(told["components"]) > 50
    needed = study(tmp_path, "--set", "sampler=mine")
    assert needed.returncode == 1
    assert f"plugins/mine.py:{line}" in needed.stderr
    assert reason in needed.stderr


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("torch.set_default_dtype(torch.float64)", "torch's default dtype"),
        ("torch.set_grad_enabled(False)", "whether torch records gradients"),
        ("torch.backends.cudnn.benchmark = True", "cudnn.benchmark of torch"),
        ("torch.use_deterministic_algorithms(True)", "whether torch is deterministic"),
        ("__import__('os').chdir('/')", "the working folder"),
    ],
)
def test_what_changes_a_setting_of_all_is_not_loaded_and_the_setting_stays(line, name, tmp_path):
    put(tmp_path, f"{GOOD}\n\n{line}\n")
    told = json.loads(here("plugins", "--json", folder=tmp_path).stdout)
    (broken,) = told["broken"]
    assert broken["where"] == "plugins/mine.py"
    assert broken["why"] == f"changes {name}, which all components share, when it is loaded"
    with preserve_torch_state() as changed:
        reset()
    assert not changed
    needed = study(tmp_path, "--set", "sampler=mine")
    assert needed.returncode == 1
    assert broken["why"] in needed.stderr


def test_a_study_that_needs_none_of_them_runs(tmp_path, tiny):
    for case, (text, *_) in NOT_LOADED.items():
        put(tmp_path, text, case.replace("-", "_"))
    done = here(
        *("study", tiny, "--trials", "1", "--tracking", "none", "--images", "builtin:coffee"),
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    shown = here("plugins", folder=tmp_path)
    assert shown.returncode == 0
    assert shown.stderr.count("not loaded: plugin") == len(NOT_LOADED)


def test_a_name_that_two_claim_is_unusable_and_both_are_named(tmp_path):
    put(tmp_path, GOOD, "one")
    put(tmp_path, GOOD + "\n# another file\n", "two")
    for done in (
        here("plugins", "mine", folder=tmp_path),
        study(tmp_path, "--set", "sampler=mine"),
    ):
        assert done.returncode == 1
        assert "twice, by 'plugins/one.py:6' and by 'plugins/two.py:6'" in done.stderr
    assert here("plugins", "diagonal", folder=tmp_path).returncode == 0


def test_a_name_that_a_package_has_is_told_with_version_file_and_line(tmp_path):
    put(tmp_path, GOOD.replace('"mine"', '"diagonal"'))
    done = here("plugins", "diagonal", folder=tmp_path)
    assert done.returncode == 1
    ours = r"twice, by 'zs-n2n [\d.]+' \(\S+zs_n2n\.py:\d+\) and by 'plugins/mine\.py:6'"
    assert re.search(ours, done.stderr), done.stderr


def test_a_draw_that_aborts_is_a_cross_with_its_line(tmp_path):
    put(tmp_path, sampler(draw="__import__('os').abort()"))
    done = here("check", "mine", folder=tmp_path)
    assert done.returncode == 1
    assert f"it ended the process with status -6 (Aborted) (plugins/mine.py:{DRAW})" in done.stdout


def test_what_a_plugin_prints_is_no_part_of_the_result(tmp_path):
    loud = "print('loaded')\n__import__('os').write(1, b'by number')\n"
    put(tmp_path, loud + sampler(draw="print('drawn')"))
    done = run("plugins", "mine", "--json", folder=tmp_path)
    assert json.loads(done.stdout)["components"][0]["name"] == "mine"
    assert "loaded" in done.stderr
    assert "by number" in done.stderr
    put(tmp_path, sampler(draw="print('drawn')"))
    done = here("diagnose", "mine", "--json", folder=tmp_path)
    assert json.loads(done.stdout)
    assert "drawn" in done.stderr
    assert run("plugins", "--help", folder=tmp_path).stdout.count("Usage") == 1


@pytest.mark.slow  # processes that end
def test_another_plugin_that_ends_the_process_is_named_with_its_line(tmp_path):
    put(tmp_path, "import os\n\nos.abort()\n", "other")
    done = here("check", "diagonal", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "error: 'diagonal' cannot be loaded: plugin 'other' (plugins/other.py:3): "
        "it ended the process with status -6 (Aborted)\n"
    )


def test_a_check_takes_no_module_from_the_working_folder_and_heeds_no_greeting(tmp_path):
    put(tmp_path, "import neighbour\n\n" + GOOD)
    (tmp_path / "neighbour.py").touch()
    (tmp_path / "random.py").write_text("raise SystemExit('my script')\n")
    (tmp_path / "greets").mkdir()
    (tmp_path / "greets" / "sitecustomize.py").write_text("print('hello')\nprint(3)\n")
    done = here("check", "mine", folder=tmp_path, PYTHONPATH=str(tmp_path / "greets"))
    assert done.returncode == 1
    assert "plugins/mine.py:1): ModuleNotFoundError: No module named 'neighbour'" in done.stderr


HOOKS = """\
from n2n_ablate import hookimpl


@hookimpl
def trial_finished(result):
    raise OSError("no paper left")
"""


def test_a_hook_that_raises_is_named_once_and_the_study_goes_on(tmp_path):
    put(tmp_path, HOOKS, "diary")
    done = study(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("no paper left") == 1
    assert "plugins/diary.py:6" in done.stderr
    assert "hook trial_finished failed" in done.stderr
    assert "baseline" in done.stdout


def checked(target, monkeypatch):
    """Return the broken promises of a plugin, by name, as the checking process tells them."""
    monkeypatch.setattr(child, "_wind", lambda limit: None)
    found = {}

    def tell(event, **told):
        if event == "outcome" and told["broken"]:
            found[told["name"]] = told["broken"][0]

    for entry in child.chosen(target):
        child.check(entry, 10, tell)
    return found


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_promise_is_named_with_what_was_seen_file_and_line(case, tmp_path, monkeypatch):
    text, promise, seen = BROKEN[case]
    put(tmp_path, text)
    monkeypatch.chdir(tmp_path)
    found = checked("mine", monkeypatch)
    assert seen in found[promise]["problem"]
    line = DRAW if case == "raises" else DRAW - 1
    assert found[promise]["where"] == f"plugins/mine.py:{line}"


def test_what_cannot_be_read_is_named_by_check(tmp_path, monkeypatch):
    put(tmp_path, sampler(declares="leaks = property(lambda self: self.nothing)"))
    monkeypatch.chdir(tmp_path)
    told = checked("mine", monkeypatch)["made"]["problem"]
    assert told.startswith("sampler 'mine' has 'leaks', but reading it fails: AttributeError: ")
    assert told.endswith("(plugins/mine.py:9)")


def test_what_cannot_be_checked_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put(tmp_path, NOT_LOADED["syntax"][0])
    with pytest.raises(PluginError, match=r"plugins/mine.py:11.*syntax error"):
        child.chosen("plugins/mine.py")
    put(tmp_path, GOOD.replace('"mine"', '"diagonal"'))
    with pytest.raises(PluginError, match=r"'diagonal' is registered twice.*plugins/mine.py"):
        child.chosen("plugins/mine.py")
    put(tmp_path, HOOKS, "diary")
    with pytest.raises(PluginError, match=r"it listens to trial_finished, so there is nothing"):
        child.chosen("plugins/diary.py")
    with pytest.raises(PluginError, match=r"there is no file 'other\.py'"):
        child.chosen("other.py")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BROKEN["nan"][0], "cuts into a view with"),
        (BROKEN["writes"][0], "writes into the image"),
        (BROKEN["raises"][0], "ZeroDivisionError"),
        (BROKEN["dtype"][0], "changes torch's default dtype, which all components share"),
        (sampler(draw="torch.set_grad_enabled(False)"), "changes whether torch records gradients"),
        (sampler(declares="def __init__(self): torch.set_num_threads(3)"), "'mine' changes torch's number of threads"),
        (BROKEN["pairs"][0], "a pair of the views 0 and 2, but its split returns 2"),
        (sampler(views="image"), "must cut into a tuple of views"),
        (sampler(draw="return None"), "must return a function"),
        (LATER, "NaN or infinite (at step 1 of 2)"),
        (GOOD.replace("(self, image, rng)", "(self, image)"), "draw(image) is called as draw(image, rng)"),
        (GOOD.replace("def draw", "async def draw"), "draw is written with 'async def'"),
        (sampler(draw="yield"), "draw has a 'yield'"),
        (GOOD.replace("def draw", "def drow"), "has no draw(image, rng), which every sampler needs"),
    ],
    ids=lambda item: item[:20] if len(item) < 80 else "",
)  # fmt: skip
def test_a_study_refuses_such_a_sampler_before_it_trains(text, reason, tmp_path):
    put(tmp_path, text)
    done = study(tmp_path, "--set", "sampler=mine")
    assert done.returncode == 1
    assert "sampler 'mine'" in done.stderr
    assert reason in done.stderr
    assert "plugins/mine.py:" in done.stderr
