"""Fits on their way to other processes: plain data there, the same fit at the other end, or a refusal."""

import dataclasses
import importlib.util
import json
import math

import numpy as np
import pytest
import torch

from n2n_ablate import engine, hookimpl
from n2n_ablate.engine import StackSizeCache, device, pool
from n2n_ablate.engine.compiled import Kernel
from n2n_ablate.engine.identity import Fingerprints
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.errors import AblateError, DeviceError, ExecutorError, StudyError
from n2n_ablate.execute import Choice, Local, bundle, task
from n2n_ablate.records.fit import from_arrays, to_arrays
from n2n_ablate.registry import Registry
from n2n_ablate.runner.run import open_runner
from n2n_ablate.runner.session import Request, RunOptions, open_session
from n2n_ablate.storage.output import Output
from n2n_ablate.study import plan, read

EXACT = engine.Machine("cpu", "fp32", 2, 1, "test")
MINE = '''
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


@pytest.fixture(autouse=True)
def _fresh():
    task._loaded.cache_clear()


def sent(fits, registry):
    """Return what a task is made of: text, plugins, images."""
    images = [task.content(image) for item in fits for image in (item.noisy, item.clean)]
    prints = Fingerprints(registry)
    return task.written(fits, EXACT, prints), bundle.packed(registry), *dict.fromkeys(images)


def baseline(study, registry, sampler=None):
    """Return the fits of the baseline, or of the baseline with another sampler."""
    settings = ["training.steps=3", "backbone.width=4"]
    bench = PairedData(plan(read(study), registry, settings=settings), registry, EXACT)
    recipe = bench.plan.baseline.recipe
    if sampler is not None:
        recipe = recipe.replace("sampler", sampler).resolved(registry)
    return bench.fits(recipe)


def same(first, second):
    assert first.key == second.key
    assert first.figures == second.figures
    assert np.array_equal(first.denoised, second.denoised)
    for name, values in first.curves.items():
        assert np.array_equal(values, second.curves[name])


def test_a_worker_trains_the_same_fits_from_plain_data(tiny, registry):
    fits = baseline(tiny, registry)
    answer = task.train(*sent(fits, registry))
    theirs = {item.key: item for item in (task.unpacked(*parts) for parts in answer["results"])}
    ours = list(engine.fit_all(fits, EXACT))
    assert len(ours) == len(theirs) == 2
    for result in ours:
        same(result, theirs[result.key])


def test_what_travels_is_text_and_bytes(tiny, registry):
    text, plugins, *images = sent(baseline(tiny, registry), registry)
    told = json.loads(text)
    assert told["fits"][0]["spec"]["recipe"]["sampler"]["center"] == 0.01
    assert json.loads(plugins)["files"] == {"./plugins": {}, "--plugins-dir": {}}
    assert {type(image) for image in images} == {bytes}
    answer = task.train(text, plugins, *images)
    assert {type(part) for parts in answer["results"] for part in parts} == {str, bytes}


def test_a_component_within_a_component_travels_with_its_code(tiny, registry):
    fits = baseline(tiny, registry, "schedule")
    code = fits[0].spec.code(Fingerprints(registry))
    samplers = [name for kind, name in code if kind == "sampler"]
    assert samplers[0] == "schedule"
    assert len(samplers) > 1
    assert "results" in task.train(*sent(fits, registry))


def test_plugin_files_travel_as_content(tiny, folder):
    (folder / "plugins").mkdir()
    (folder / "more").mkdir()
    (folder / "plugins" / "mine.py").write_text(MINE)
    (folder / "more" / "mine.py").write_text(MINE.replace('"mine"', '"other"'))
    registry = Registry(plugins_dir=folder / "more")
    for name in ("mine", "other"):
        fits = baseline(tiny, registry, name)
        parcel = sent(fits, registry)
        files = [folder / "plugins" / "mine.py", folder / "more" / "mine.py"]
        for file in files:
            file.rename(file.with_suffix(".away"))
        answer = task.train(*parcel)
        theirs = [task.unpacked(*parts) for parts in answer["results"]]
        for ours in engine.fit_all(fits, EXACT):
            same(ours, next(item for item in theirs if item.key == ours.key))
        for file in files:
            file.with_suffix(".away").rename(file)


@pytest.mark.parametrize(
    ("encoding", "head"), [("latin-1", "# -*- coding: latin-1 -*-\n"), ("utf-8-sig", "")]
)
def test_a_plugin_file_may_have_any_encoding_that_python_reads(tiny, folder, encoding, head):
    (folder / "plugins").mkdir()
    text = head + MINE.replace("Even rows", "\u00c9ven rows") + '\n\nTITLE = "\u00c9ven"\n'
    (folder / "plugins" / "mine.py").write_text(text, encoding=encoding)
    registry = Registry()
    fits = baseline(tiny, registry, "mine")
    answer = task.train(*sent(fits, registry))
    theirs = [task.unpacked(*parts) for parts in answer["results"]]
    assert {item.key for item in theirs} == {item.key for item in fits}


def test_a_worker_with_other_code_refuses_and_says_which(tiny, folder):
    (folder / "plugins").mkdir()
    (folder / "plugins" / "mine.py").write_text(MINE)
    registry = Registry()
    text, plugins, *images = sent(baseline(tiny, registry, "mine"), registry)
    ours = Fingerprints(registry).code_of("sampler", "mine")
    edited = json.loads(plugins)
    edited["files"]["./plugins"]["mine.py"] = MINE.replace("1::2", "0:-1:2")
    told = task.train(text, json.dumps(edited).encode(), *images)["refused"]
    assert "the source of plugin 'mine' (sampler 'mine') has the hash" in told
    assert f"and {ours} here" in told
    edited["files"]["./plugins"] = {}
    assert (
        "no sampler is called 'mine'"
        in task.train(text, json.dumps(edited).encode(), *images)["refused"]
    )


def test_a_worker_with_another_version_refuses(tiny, registry):
    text, *rest = sent(baseline(tiny, registry), registry)
    told = json.loads(text)
    told["versions"]["torch"] = "1.0.0"
    refused = task.train(json.dumps(told).encode(), *rest)["refused"]
    assert f"torch is {task.versions()['torch']} there and 1.0.0 here" in refused


def test_a_worker_without_the_kernel_refuses_fits_for_it(tiny, registry, monkeypatch):
    text, *rest = sent(baseline(tiny, registry), registry)
    asked = json.loads(text)
    asked["machine"]["way"] = "kernel"
    monkeypatch.setattr(device, "kernel", lambda: Kernel("", "no C compiler"))
    refused = task.train(json.dumps(asked).encode(), *rest)["refused"]
    assert "the study computes with the compiled kernel, which is not here (no C comp" in refused
    assert "start the study with N2N_ABLATE_KERNEL=off" in refused


def test_an_image_that_was_changed_on_the_way_is_refused(tiny, registry):
    text, plugins, first, *others = sent(baseline(tiny, registry), registry)
    refused = task.train(text, plugins, bytes([first[0] ^ 1]) + first[1:], *others)["refused"]
    assert "did not arrive whole" in refused


def test_a_seed_that_was_changed_on_the_way_is_refused(tiny, registry):
    text, *rest = sent(baseline(tiny, registry), registry)
    told = json.loads(text)
    told["fits"][0]["spec"]["seed"] += 1
    assert "it would train another fit" in task.train(json.dumps(told).encode(), *rest)["refused"]


def test_a_fit_that_fails_arrives_with_its_reason():
    class Lost:
        key = "0" * 32

    result = engine.failed(Lost(), "lost its worker, which died, 4 times")
    back = task.unpacked(*task.packed(result))
    assert back.failure == result.failure
    assert back.passing
    assert len(back.steps) == 0
    about, arrays = to_arrays(dataclasses.replace(result, passing=False))
    assert "passing" not in about
    assert not from_arrays(about, arrays).passing


def test_this_process_is_an_executor(tiny, registry):
    fits = baseline(tiny, registry)
    points = []
    with Local(EXACT) as executor:
        assert executor.width == 2
        found = list(executor.run(fits, points.append, points.append))
    assert {item.key for item in found} == {item.key for item in fits}
    assert {point.key for point in points} == {item.key for item in fits}


class Ear:
    """Hears what a user would."""

    @hookimpl
    def note(self, message):
        pass


class Growing(Local):
    """Gets a second worker after the first fits."""

    def __init__(self, machine):
        super().__init__(machine)
        self.sent = []

    @property
    def width(self):
        return 2 if not self.sent else 4

    def run(self, fits, listener, note):
        self.sent.append(len(fits))
        yield from super().run(fits, listener, note)


def test_workers_that_join_get_work_of_the_same_plan(tiny, folder):
    asked = Request(str(tiny), settings=["training.steps=2"], trials=3, device="cpu")
    session = open_session(asked)
    executor = Growing(session.paired_data.machine)
    runner = open_runner(
        session, Output(folder / "mlruns"), Ear(), RunOptions(tracking="none"), executor=executor
    )
    runner.run()
    assert executor.sent == [2, 4]  # the baseline alone, then two trials together


def test_what_a_stack_learned_of_memory_the_next_ones_know(tiny, registry, monkeypatch):
    sizes, notes = [], []
    real = pool.train

    def small(stack, *rest, **options):
        sizes.append(len(stack))
        if len(stack) > 1:
            msg = "CUDA out of memory"
            raise torch.OutOfMemoryError(msg)
        return real(stack, *rest, **options)

    monkeypatch.setattr(pool, "train", small)
    fits = baseline(tiny, registry)
    with Local(dataclasses.replace(EXACT, stack=2, workers=1)) as executor:
        for _ in range(2):
            found = list(executor.run(fits, notes.append, notes.append))
            assert not any(item.failure for item in found)
    assert sizes == [2, 1, 1, 1, 1]
    assert [line for line in notes if isinstance(line, str)] == [
        "2 fits at once do not fit into the memory of test; going on with 1"
    ]
    text, *rest = sent(fits, registry)
    told = json.loads(text)
    assert task.train(text, *rest)["stack"] is None
    told["machine"]["stack"] = 2
    assert task.train(json.dumps(told).encode(), *rest)["stack"] == 1


def test_what_is_known_of_memory_is_known_of_fits_of_that_form(tiny, registry):
    sizes = StackSizeCache()
    small = baseline(tiny, registry)
    wide = [dataclasses.replace(item, noisy=item.noisy.repeat(1, 1, 2, 2)) for item in small]
    assert sizes.limit(wide[0]) == math.inf
    sizes.learn(wide[0], 0.5)
    sizes.learn(wide[1], 7)
    assert sizes.limit(wide[1]) == 1
    assert [len(stack) for stack in engine.stacks_of([*small, *wide], 64, sizes)] == [2, 1, 1]


@pytest.mark.parametrize(
    ("choice", "kind", "message"),
    [
        (Choice("slurm"), StudyError, "--executor cannot be 'slurm'. Use local or ray."),
        (Choice(address="10.0.0.1:6379"), StudyError, "add --executor ray"),
        (Choice(gpus=0.5), StudyError, "--gpus-per-stack 0.5 is for a Ray cluster"),
        (Choice("ray", gpus=2.0), StudyError, "must be in the range 0 to 1"),
    ],
)
def test_a_choice_that_makes_no_sense_is_one_line(choice, kind, message):
    with pytest.raises(kind, match=message) as found:
        choice.check()
    assert isinstance(found.value, AblateError)


def test_without_ray_one_line_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ExecutorError, match=r"pip install 'n2n-ablate\[ray\]'"):
        Choice("ray").check()


@pytest.mark.parametrize(
    ("choice", "device", "expected"),
    [
        (Choice("ray"), "auto", ("cpu", "fp32", 1)),
        (Choice("ray"), "cpu", ("cpu", "fp32", 1)),
        (Choice("ray"), "cuda", ("cuda", "fp32", 64)),
        (Choice("ray", gpus=0.25), "auto", ("cuda", "fp32", 16)),
    ],
)
def test_the_share_of_a_gpu_decides_what_fits_are_made_for(choice, device, expected):
    machine = choice.machine(device, "fp32")
    assert (machine.type, machine.precision, machine.stack) == expected
    assert machine.name == "Ray on this machine"


def test_devices_that_a_cluster_cannot_promise_are_refused():
    with pytest.raises(DeviceError, match="the cluster chooses the GPU"):
        Choice("ray").machine("cuda:1", "auto")
    with pytest.raises(DeviceError, match="contradict each other"):
        Choice("ray", gpus=0.5).machine("cpu", "auto")
    with pytest.raises(DeviceError, match="no precision is called 'fp8'"):
        Choice("ray", gpus=0.5).machine("auto", "fp8")
