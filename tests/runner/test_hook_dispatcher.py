"""Life-cycle hooks: who is told what, in which order, and what a hook that fails costs."""

import inspect
import re
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from n2n_ablate import hookimpl
from n2n_ablate.errors import StoreError, StoreUnavailableError
from n2n_ablate.records import Point
from n2n_ablate.registry import Registry, hookspecs
from n2n_ablate.runner import background
from n2n_ablate.runner.dispatcher import HookDispatcher
from n2n_ablate.runner.run import open_runner
from n2n_ablate.runner.session import Request, RunOptions, open_session
from n2n_ablate.storage.output import Output

PAGE = Path(__file__).resolve().parents[2] / "docs" / "plugins" / "hooks.md"
POINT = Point("a", 1, 2, {"psnr": 20.0})


class Ear:
    """Hears everything."""

    def __init__(self):
        self.heard = []

    @hookimpl
    def study_started(self, plan, invocation, fits, steps):
        self.heard.append(("study_started", plan.study.name, invocation.precision, fits, steps))

    @hookimpl
    def trial_started(self, trial, fits, cached):
        self.heard.append(("trial_started", trial.name, fits, cached))

    @hookimpl
    def point(self, point):
        self.heard.append(("point", point.step))

    @hookimpl
    def fit_finished(self, result):
        self.heard.append(("fit_finished", result.key))

    @hookimpl
    def trial_finished(self, result, so_far, samples):
        images = sum(row.result.denoised is not None for row in result.rows)
        kept = sum(row.result.denoised is not None for row in so_far.trials[-1].rows)
        self.heard.append(
            ("trial_finished", result.trial.name, len(so_far.trials), images, kept, len(samples))
        )

    @hookimpl
    def study_finished(self, result, status):
        self.heard.append(("study_finished", len(result.trials), status))

    @hookimpl
    def note(self, message):
        self.heard.append(("note", message))

    def names(self):
        return [name for name, *_ in self.heard]

    def notes(self):
        return [rest[0] for name, *rest in self.heard if name == "note"]


def plugin_file(folder, text, name="mine"):
    (folder / "plugins").mkdir(exist_ok=True)
    (folder / "plugins" / f"{name}.py").write_text(text)


def run(tiny, folder, **options):
    """Run two trials of the tiny study; return what was heard and the runner."""
    request = Request(
        str(tiny),
        settings=["training.steps=3"],
        trials=2,
        device="cpu",
        precision="fp32",
        output=folder / "mlruns",
    )
    ear = Ear()
    session = open_session(request)
    runner = open_runner(
        session, Output(request.output), ear, RunOptions(tracking="none", **options)
    )
    return ear, runner


def test_the_order_of_calls_and_what_they_carry(tiny, folder):
    ear, runner = run(tiny, folder)
    runner.run()
    names = [name for name in ear.names() if name not in ("point", "note")]
    assert names[0] == "study_started"
    assert names[-1] == "study_finished"
    assert names.count("study_finished") == 1
    assert names.count("fit_finished") == 4
    heard = [item for item in ear.heard if item[0] not in ("point", "fit_finished", "note")]
    assert heard[0] == ("study_started", "tiny", "fp32", 2, 3)
    trials = ["baseline", "sampler.center=0.2"]
    finished = [item for item in heard if item[0] == "trial_finished"]
    assert finished == [
        ("trial_finished", name, place, 2, 0, 2) for place, name in enumerate(trials, 1)
    ]
    for own in finished:
        assert heard.index(("trial_started", own[1], 2, 0)) < heard.index(own)
    assert heard[-1] == ("study_finished", 2, "finished")
    again, runner = run(tiny, folder)
    runner.run()
    assert "fit_finished" not in again.names()
    assert ("trial_started", "baseline", 2, 2) in again.heard


def test_a_result_is_stored_before_anybody_is_told(tiny, folder):
    stored = []

    class Looks(Ear):
        @hookimpl
        def fit_finished(self, result):
            stored.append(bool(list((folder / "mlruns" / "fits").glob(f"*/{result.key}*"))))

        @hookimpl
        def trial_finished(self, result):
            (journal,) = (folder / "mlruns" / "studies").glob("*/*.jsonl")
            stored.append(f'"{result.trial.name}"' in journal.read_text())

    _, runner = run(tiny, folder)
    runner.dispatcher.join(Looks(), "looks")
    runner.run()
    assert stored == [True] * 6


def test_the_plugin_of_the_page_writes_what_it_says(tiny, folder):
    text = re.search(r'```python title="plugins/diary.py"\n(.*?)```', PAGE.read_text(), re.DOTALL)
    plugin_file(folder, text[1], "diary")
    ear, runner = run(tiny, folder)
    runner.run()
    assert not [note for note in ear.notes() if "diary" in note]
    first, second, last = (folder / "diary.tsv").read_text().splitlines()
    assert re.fullmatch(r"tiny\tsigma 25\tbaseline\t\d+\.\d\d dB", first)
    assert second.startswith("tiny\tsigma 25\tsampler.center=0.2\t")
    assert last == "tiny\tfinished\t2 trials"


@pytest.mark.parametrize("what", ['raise ValueError("no good")', "import sys; sys.exit(3)"])
@pytest.mark.parametrize(
    ("hook", "argument"),
    [
        ("study_started", "plan"),
        ("point", "point"),
        ("trial_finished", "result"),
        ("study_finished", "status"),
    ],
)
def test_a_hook_that_fails_is_named_once_and_costs_nothing(tiny, folder, hook, argument, what):
    text = "from n2n_ablate import hookimpl\n\n@hookimpl\ndef {}({}):\n    {}\n"
    plugin_file(folder, text.format(hook, argument, what))
    ear, runner = run(tiny, folder)
    result = runner.run()
    assert len(result.trials) == 2
    assert not any(item.failures for item in result.trials)
    (said,) = [note for note in ear.notes() if "mine" in note]
    assert f"plugin 'mine' (plugins/mine.py:5): hook {hook} failed" in said
    assert ("no good" in said) == ("no good" in what)
    assert "\n" not in said
    assert ear.heard[-1][:3] in {("study_finished", 2, "finished"), ("note", said)}


def test_ctrl_c_inside_a_hook_stops_the_study_and_everybody_hears_of_it(tiny, folder):
    text = "from n2n_ablate import hookimpl\n\n@hookimpl\ndef trial_finished():\n"
    plugin_file(folder, text + "    raise KeyboardInterrupt\n")
    ear, runner = run(tiny, folder)
    with pytest.raises(KeyboardInterrupt):
        runner.run()
    assert len(runner.result.trials) == 1
    assert ear.heard[-1] == ("study_finished", 1, "interrupted")


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ("trial_finish(result)", "unknown hook 'trial_finish'. Did you mean 'trial_finished'"),
        (
            "trial_finished(results)",
            "hook 'trial_finished' has no argument 'results'. Did you mean 'result'",
        ),
    ],
)
def test_a_misspelt_hook_or_argument_is_named_and_said_in_the_study(
    tiny, folder, definition, message
):
    plugin_file(folder, f"from n2n_ablate import hookimpl\n\n@hookimpl\ndef {definition}: ...\n")
    (broken,) = Registry().broken
    assert message in broken.why
    ear, _ = run(tiny, folder)
    (said,) = ear.notes()
    assert said.startswith("not loaded: plugin 'mine'")


def test_a_listener_that_says_what_writes_the_rest_is_heard_when_it_fails():
    class Store:
        background = True

        @hookimpl
        def point(self, point):
            msg = "the server is gone"
            raise StoreError(msg)

        def later(self):
            return "the same command writes the rest"

        def unanswered(self):
            return 0.0

    ear, audience = Ear(), HookDispatcher()
    audience.join(Store(), "tracking")
    audience.join(ear, "ear")
    audience.point(POINT)
    audience.point(POINT)
    audience.study_finished(SimpleNamespace(trials=()), "finished")
    assert ear.notes() == [
        "tracking stopped, the study continues: the server is gone",
        (
            "tracking is incomplete, the results are saved: once that is put right, "
            "the same command writes the rest"
        ),
    ]


def test_a_plugin_whose_server_is_away_is_called_again(monkeypatch):
    monkeypatch.setattr(background, "_FIRST_PAUSE", 0.01)
    tries, heard = [], []

    class Away:
        background = True

        @hookimpl
        def point(self, point):
            tries.append(point)
            if len(tries) < 3:
                msg = "the server is away"
                raise StoreUnavailableError(msg)
            heard.append(point)

    ear, audience = Ear(), HookDispatcher()
    audience.join(Away(), "away")
    audience.join(ear, "ear")
    audience.point(POINT)
    deadline = time.monotonic() + 10
    while not heard and time.monotonic() < deadline:
        time.sleep(0.01)
    audience.study_finished(None, "finished")
    assert (len(tries), heard) == (3, [POINT])
    assert ear.notes() == [
        "away is waiting, the study continues: the server is away",
        "away continues",
    ]


def test_a_listener_in_the_background_is_heard_out_before_the_study_ends():
    threads, gate = [], threading.Event()

    class Slow:
        background = True

        @hookimpl
        def point(self, point):
            gate.wait(10)
            threads.append(threading.current_thread())

    audience = HookDispatcher()
    audience.join(Slow(), "slow")
    audience.point(POINT)
    assert not threads  # nobody waited
    gate.set()
    audience.point(POINT)
    audience.study_finished(None, "finished")
    assert len(threads) == 2
    assert threading.main_thread() not in threads


APART = """
import threading

from n2n_ablate import hookimpl

background = True
heard = []


@hookimpl
def trial_finished(result):
    images = sum(row.result.denoised is not None for row in result.rows)
    heard.append((threading.current_thread() is threading.main_thread(), images))


@hookimpl
def study_finished(status):
    raise OSError("no paper left")
"""


def test_a_plugin_can_ask_for_a_thread_of_its_own(tiny, folder):
    plugin_file(folder, APART, "apart")
    ear, runner = run(tiny, folder)
    assert not runner.dispatcher.wants_images
    runner.run()
    module = next(own for name, own in sys.modules.items() if name.endswith("_apart"))
    assert module.heard == [(False, 0), (False, 0)]
    (said,) = [note for note in ear.notes() if "no paper left" in note]
    assert said.startswith("plugin 'apart' (plugins/apart.py:18): hook study_finished failed")


@pytest.mark.parametrize("status", ["finished", "interrupted"])
def test_only_a_study_that_was_stopped_leaves_a_listener_in_the_background_behind(
    monkeypatch, status
):
    monkeypatch.setattr(background, "_HURRY", 0.6)
    heard = []

    class Slow:
        background = True

        @hookimpl
        def point(self, point):
            time.sleep(0.1)
            heard.append(point)

        @hookimpl
        def study_finished(self, status):
            heard.append(status)

    audience = HookDispatcher()
    audience.join(Slow(), "slow")
    for _ in range(20):
        audience.point(POINT)
    audience.study_finished(None, status)
    assert heard[-1] == status
    assert (len(heard) == 21) == (status == "finished")


def test_no_listener_is_called_twice_at_the_same_time():
    inside, most = [], []

    class Counts:
        @hookimpl
        def point(self, point):
            inside.append(1)
            most.append(len(inside))
            threading.Event().wait(0.001)
            inside.pop()

    audience = HookDispatcher()
    audience.join(Counts(), "counts")
    threads = [threading.Thread(target=audience.point, args=(POINT,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 8


@pytest.mark.parametrize("name", hookspecs.LIFE_CYCLE)
def test_every_life_cycle_hook_is_documented_and_called(name):
    spec = getattr(hookspecs, name)
    doc = spec.__doc__
    assert "Since" in doc
    arguments = list(inspect.signature(spec).parameters)
    assert all(f"    {argument}: " in doc for argument in arguments)
    given = [*list(inspect.signature(getattr(HookDispatcher, name)).parameters)[1:], "files", "say"]
    assert [argument for argument in given if argument in arguments] == arguments
    assert f"| `{name}` |" in PAGE.read_text(encoding="utf-8")
