"""Plugins that loop, sleep, exit, fork or raise what nobody catches: named, ended, and nothing else lost."""

import importlib
import json

import pytest
from helpers.program import here, run
from helpers.thinning import thinned

from n2n_ablate.components import watchdog

importlib.import_module("torch._dynamo")  # an optimiser's first use does, which takes seconds

TEXT = '''\
import os, sys, time
import torch
from torch import nn
from n2n_ablate import hookimpl


class Stop(BaseException):
    """Neither an Exception nor Ctrl-C."""


{load}


class Sampler:
    """Rows."""

    def draw(self, image, rng):
        {draw}
        return lambda image: (image[..., 0:-1:2, :], image[..., 1::2, :])


class Loss:
    """Noise2Noise."""

    def __call__(self, context):
        {loss}
        first, second = context.views(context.noisy)
        return ((context.denoise(first)[0] - second) ** 2).mean((1, 2, 3))


class Net(nn.Conv2d):
    """A layer."""

    def forward(self, image):
        {forward}
        return super().forward(image)


class Backbone:
    """A layer."""

    def build(self, channels):
        {build}
        return Net(channels, channels, 3, padding=1)


class Metric:
    """Mean."""

    def measure(self, denoised, clean, noisy):
        {measure}
        return denoised.mean((1, 2, 3))


class Noise:
    """None."""

    def apply(self, clean, rng):
        {apply}
        return clean + 0.1


@hookimpl
def register_samplers(register):
    {register}
    register("mine", Sampler)


@hookimpl
def register_losses(register):
    register("mine", Loss)


@hookimpl
def register_backbones(register):
    register("mine", Backbone)


@hookimpl
def register_metrics(register):
    register("mine", Metric)


@hookimpl
def register_noises(register):
    register("mine", Noise)
'''
PLACES = ("load", "register", "draw", "loss", "forward", "build", "measure", "apply")
USED = ("draw", "loss", "forward", "build", "measure", "apply")
LOOP, SLEEP = "while True: pass", "time.sleep(1000)"
HANGS = [(place, code) for place in USED for code in (LOOP, SLEEP)][1:]
FEW = {("draw", "os._exit"), ("loss", "BaseException"), ("apply", "sys.exit")}
STUDY = """
name = "mine"
question = "Does it end?"
design = "grid"
metrics = ["mine"]

[baseline]
sampler = "mine"
backbone = "mine"
loss = "mine"
training = { name = "adam", steps = 4 }

[[conditions]]
noise = "mine"

[factors]
"training.lr" = [0.001, 0.002]

[profiles.quick]
images = ["builtin:coffee"]
crop = 24
"""


@pytest.fixture
def quick(monkeypatch):
    """Half a minute would be long in a test."""
    monkeypatch.setattr(watchdog, "LIMIT", 3.0)


def plugin(folder, **code):
    """Write the plugin with some code in it; return the line of that."""
    (folder / "plugins").mkdir(exist_ok=True)
    text = TEXT.format(**dict.fromkeys(PLACES, "pass") | code)
    (folder / "plugins" / "mine.py").write_text(text)
    (folder / "mine.toml").write_text(STUDY)
    (what,) = code.values()
    return 1 + text[: text.index(f"{what}\n")].count("\n")


def study(folder, *words, start=here):
    return start(
        *("study", "mine.toml", "--tracking", "none", "--device", "cpu", *words), folder=folder
    )


@pytest.mark.parametrize(
    ("place", "code"),
    thinned(("register", LOOP), rare=[("load", LOOP), ("load", SLEEP), ("register", SLEEP)]),
)
def test_what_does_not_come_back_while_it_is_loaded_is_not_loaded(place, code, tmp_path, quick):
    line = plugin(tmp_path, **{place: code})
    listed = here("plugins", "--json", folder=tmp_path)
    assert listed.returncode == 0
    told = json.loads(listed.stdout)
    (broken,) = told["broken"]
    assert broken["where"] == f"plugins/mine.py:{line}"
    assert broken["why"] == "did not come to an end within 6 s"
    assert len(told["components"]) > 50


@pytest.mark.parametrize(
    ("place", "code"),
    [("draw", LOOP), *(pytest.param(*case, marks=pytest.mark.slow) for case in HANGS)],
)
def test_what_does_not_come_back_in_a_study_is_named_before_it_trains(place, code, tmp_path, quick):
    line = plugin(tmp_path, **{place: code})
    done = study(tmp_path)
    assert done.returncode == 1
    assert "did not come to an end within 3 s" in done.stderr
    assert f"plugins/mine.py:{line})" in done.stderr
    assert not watchdog.hangs()


LATER = "if context.progress > 0.4: {}"


def test_a_loop_in_training_costs_its_fit_and_is_named(tmp_path, quick):
    line = plugin(tmp_path, loss=LATER.format("\n            while True: pass"))
    done = study(tmp_path)
    assert done.returncode == 3, done.stderr
    said = " ".join((done.stdout + done.stderr).split())
    assert "loss 'mine' did not come to an end within 3 s" in said
    assert f"plugins/mine.py:{line + 1})" in said


@pytest.mark.slow
def test_what_cannot_be_ended_in_training_ends_the_study_with_its_line(tmp_path):
    plugin(tmp_path, loss=LATER.format(SLEEP))
    done = study(
        tmp_path,
        start=lambda *words, folder: run(*words, folder=folder, N2N_ABLATE_TIME_LIMIT="8"),
    )
    assert done.returncode == 1
    assert "error: loss did not come to an end within 8 s and cannot be ended" in done.stderr
    assert "plugins/mine.py:" in done.stderr


ENDS = {
    "sys.exit": ("sys.exit(3)", "SystemExit: 3"),
    "os._exit": ("os._exit(0)", "SystemExit: 0"),
    "BaseException": ("raise Stop('enough')", "Stop: enough"),
    "GeneratorExit": ("raise GeneratorExit", "GeneratorExit"),
    "no-text": ("raise type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})()", "Odd"),
    "recursion": ("(lambda f: f(f))(lambda f: f(f))", "RecursionError"),
}


@pytest.mark.parametrize("case", ENDS)
@pytest.mark.parametrize("place", ["load", "register"])
def test_what_ends_the_process_while_it_is_loaded_is_not_loaded(place, case, tmp_path):
    code, reason = ENDS[case]
    line = plugin(tmp_path, **{place: code})
    for words in (("plugins",), ("plan", "samplers")):
        done = here(*words, folder=tmp_path)
        assert done.returncode == 0, done.stderr
    told = json.loads(here("plugins", "--json", folder=tmp_path).stdout)
    (broken,) = told["broken"]
    assert broken["where"] == f"plugins/mine.py:{line}"
    assert reason in broken["why"]


@pytest.mark.parametrize(
    ("place", "case"),
    [
        pytest.param(place, case, marks=[pytest.mark.slow] if (place, case) not in FEW else [])
        for place in USED
        for case in ENDS
    ],
)
def test_what_ends_the_process_in_a_study_is_named_before_it_trains(place, case, tmp_path):
    code, reason = ENDS[case]
    line = plugin(tmp_path, **{place: code})
    done = study(tmp_path)
    assert done.returncode == 1
    assert reason in done.stderr
    assert f"plugins/mine.py:{line})" in done.stderr


@pytest.mark.parametrize("case", ["sys.exit", "os._exit", "BaseException"])
def test_what_ends_the_process_later_costs_its_fit(case, tmp_path):
    code, reason = ENDS[case]
    plugin(tmp_path, loss=LATER.format(code))
    done = study(tmp_path)
    assert done.returncode == 3, done.stderr
    assert f"loss 'mine' raises {reason}" in " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize("place", thinned("draw", rare=["load", "register", "loss"]))
def test_a_process_that_forks_goes_on_once(place, tmp_path):
    plugin(tmp_path, **{place: "os.fork()"})
    done = study(tmp_path, start=run)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("#  lr ") == 1
