"""What only a CUDA device can show: parity with the CPU, recorded steps, memory that runs out.

    pytest -m gpu tests/gpu

Needs torch, numpy, pluggy and pytest; no MLflow and no Optuna.
"""

import dataclasses
import threading

import numpy as np
import pytest
import torch

from n2n_ablate import engine, study
from n2n_ablate.engine import memory
from n2n_ablate.engine import train as train_module
from n2n_ablate.engine.device import arithmetic
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.engine.pool import fit_all
from n2n_ablate.engine.train import train

pytestmark = pytest.mark.gpu


def bench_on(registry, precision, *settings, images=("builtin:astronaut", "builtin:chelsea")):
    machine = engine.machine("cuda", precision)
    planned = study.plan(
        study.read(study.shipped()["samplers"]),
        registry,
        profile="quick",
        settings=["training.steps=60", *settings],
        images=images,
        crop=64,
    )
    return PairedData(planned, registry, machine)


def results(fits, machine, **options):
    return {result.key: result for result in fit_all(fits, machine, **options)}


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_a_gpu_gives_the_psnr_of_the_cpu(registry, precision):
    bench = bench_on(registry, precision)
    fits = bench.fits(bench.plan.baseline.recipe)
    here = results(fits, bench.machine)
    there = results(fits, engine.machine("cpu", "fp32"))
    for key, result in here.items():
        assert not result.failure
        assert abs(result.figures["psnr"] - there[key].figures["psnr"]) < 0.1


def test_exact_mode_gives_the_same_bits_twice(registry):
    bench = bench_on(registry, "fp32")
    fits = bench.fits(bench.plan.baseline.recipe)
    first, second = results(fits, bench.machine), results(fits, bench.machine)
    for key, result in first.items():
        assert np.array_equal(result.denoised, second[key].denoised)


@pytest.mark.parametrize("lr", [None, 0.002], ids=["one optimiser", "an optimiser per fit"])
def test_a_recorded_step_is_the_step(registry, monkeypatch, lr):
    bench = bench_on(registry, "fp32")
    recipe = bench.plan.baseline.recipe
    fits = bench.fits(recipe)
    if lr:
        fits += bench.fits(recipe.replace("training.lr", lr))
    with arithmetic(bench.machine):
        stack = train_module._Stack(fits, bench.machine)
        for step in range(6):
            stack.step(step)
        assert stack._replay is not None
        assert stack._replay.recorded, stack.unrecorded
        recorded = train(fits, bench.machine)
        monkeypatch.setattr(train_module._Stack, "_why_changing", lambda _: "called")
        called = train(fits, bench.machine)
    for one, other in zip(recorded, called, strict=True):
        assert one.curves["loss"] == pytest.approx(other.curves["loss"], rel=1e-3)
        assert abs(one.figures["psnr"] - other.figures["psnr"]) < 0.02


def test_a_step_that_cannot_be_recorded_is_called(registry):
    class Asking:
        def __init__(self, inner):
            self.inner = inner

        def __call__(self, context):
            loss = self.inner(context)
            return loss * (1.0 if float(loss.sum()) > 0 else 2.0)  # waits for the device

    bench = bench_on(registry, "tf32")
    fits = bench.fits(bench.plan.baseline.recipe)
    before, notes = torch.cuda.current_stream(), []
    asking = [dataclasses.replace(one, loss=Asking(one.loss)) for one in fits]
    there = train(asking, bench.machine, note=notes.append)
    assert torch.cuda.current_stream() == before
    assert "it cannot be recorded" in notes[0]
    for one, other in zip(there, train(fits, bench.machine), strict=True):
        assert not one.failure
        assert abs(one.figures["psnr"] - other.figures["psnr"]) < 0.02


def test_a_loss_that_counts_in_python_is_called(registry):
    def counting(inner):
        calls = iter(range(1000))
        return lambda context: inner(context) * (1 + next(calls) / 10)

    bench = bench_on(registry, "tf32")
    fits = [
        dataclasses.replace(one, loss=counting(one.loss))
        for one in bench.fits(bench.plan.baseline.recipe)[:1]
    ]
    with arithmetic(bench.machine):
        stack = train_module._Stack(fits, bench.machine)
        for step in range(6):
            stack.step(step)
    assert "the loss is another when it is called" in stack.unrecorded


def test_a_step_is_recorded_while_another_thread_uses_the_card(registry):
    bench = bench_on(registry, "tf32")
    fits = bench.fits(bench.plan.baseline.recipe)
    done, notes = threading.Event(), []

    def busy():
        while not done.is_set():
            torch.zeros(1000, device="cuda").add(1).sum().item()

    beside = threading.Thread(target=busy)
    beside.start()
    try:
        found = train(fits, bench.machine, note=notes.append)
    finally:
        done.set()
        beside.join()
    assert not notes
    assert not any(one.failure for one in found)


def test_random_samplers_are_not_recorded(registry):
    bench = bench_on(registry, "tf32", "sampler=avg-stochastic")
    fits = bench.fits(bench.plan.baseline.recipe)
    stack = train_module._Stack(fits, bench.machine)
    for step in range(6):
        stack.step(step)
    assert stack._replay is None
    assert stack.unrecorded == "the sampler cuts in other places at every step"


def test_a_stack_gives_each_fit_what_it_gets_alone(registry):
    bench = bench_on(registry, "tf32", images=("builtin",))
    fits = bench.fits(bench.plan.baseline.recipe)
    together = results(fits, bench.machine)
    alone = results(fits, dataclasses.replace(bench.machine, stack=1))
    for key, result in alone.items():
        assert abs(result.figures["psnr"] - together[key].figures["psnr"]) < 0.02


def test_a_diverged_fit_leaves_the_others_bit_for_bit(registry):
    bench = bench_on(registry, "fp32")
    calm = bench.fits(bench.plan.baseline.recipe)
    poisoned = dataclasses.replace(calm[0], key="x", noisy=calm[0].noisy * float("nan"))
    healthy = dataclasses.replace(calm[0], key="x")
    with_nan = results([*calm, poisoned], bench.machine)
    without = results([*calm, healthy], bench.machine)
    assert with_nan["x"].failure.startswith("diverged by step ")
    for one in calm:
        assert np.array_equal(with_nan[one.key].denoised, without[one.key].denoised)


def test_when_memory_runs_out_the_stack_is_halved_and_no_fit_lost(registry):
    bench = bench_on(registry, "tf32", "training.steps=2")
    one = bench.fits(bench.plan.baseline.recipe)[0]
    wide = one.noisy.repeat(1, 1, 32, 32)
    fits = [
        dataclasses.replace(one, key=str(place), noisy=wide, clean=None, metrics={})
        for place in range(8)
    ]
    total = torch.cuda.get_device_properties(0).total_memory
    room = 3.5 * memory.memory_of(fits[0], bench.machine).of(wide.shape[-1] * wide.shape[-2])
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(min(1.0, room / total))
    notes = []
    try:
        found = results(fits, bench.machine, note=notes.append)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert len(found) == 8
    assert not any(result.failure for result in found.values())
    assert any("do not fit into the memory" in note for note in notes)


def test_memory_follows_the_model(registry):
    bench = bench_on(registry, "tf32")
    one = bench.fits(bench.plan.baseline.recipe)[0]
    model = memory.memory_of(one, bench.machine)
    seen = (
        memory._peak(memory._tiled(one, 512), bench.machine)
        + memory._uncounted(bench.machine).fixed
    )
    assert seen == pytest.approx(model.of(512 * 512), rel=0.2)
