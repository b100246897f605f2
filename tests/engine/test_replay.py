"""A step is recorded only if the recording repeats what calls did. No GPU: operations are replayed.

`Operations` records like a CUDA graph: kernels and addresses, nothing of Python, no questions.
"""

import dataclasses

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from n2n_ablate import engine
from n2n_ablate.engine import device, pool
from n2n_ablate.engine import train as train_module
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.engine.pool import fit_all, stacks_of
from n2n_ablate.engine.replay import Replay, python_state
from n2n_ablate.errors import DeviceError
from n2n_ablate.execute.executor import Local
from n2n_ablate.study import plan, read

MACHINE = engine.Machine("cpu", "fp32", 1, 2, "test")
GPU = engine.Machine("cuda", "tf32", 1, 64, "a card")


class Tape(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten._local_scalar_dense.default:
            msg = "operation not permitted when stream is capturing"
            raise RuntimeError(msg)
        out = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, out))
        return out


class Operations:
    """See `Recorder`. A recording does the work, so what it changed is put back."""

    def __init__(self, state):
        self.state = state
        self.recordings = 0

    def call(self, work):
        return work()

    def record(self, work):
        self.recordings += 1
        before = [each.clone() for each in self.state()]
        with Tape() as tape:
            loss = work()
        for each, value in zip(self.state(), before, strict=True):
            each.detach().copy_(value)
        return lambda: self._replay(tape.calls), loss

    @staticmethod
    @torch.no_grad()
    def _replay(calls):
        for func, args, kwargs, out in calls:
            again = func(*args, **kwargs)
            for old, new in zip(tree_leaves(out), tree_leaves(again), strict=True):
                if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


@pytest.fixture
def fits(tiny, registry):
    planned = plan(read(tiny), registry, profile="other", settings=["backbone.width=8"])
    return PairedData(planned, registry, MACHINE).fits(planned.baseline.recipe)[:2]


def trained(fits, steps=9, record=True):
    """Return losses of every step, weights at the end, and the replay."""
    stack = train_module._Stack(fits, MACHINE)
    stack._optimizers = train_module.Optimizers(
        [one.training for one in fits],
        stack._networks.weights,
        stack._networks.packing,
        on_device=True,
    )
    replay = None
    if record:
        replay = stack.replay_with(Operations(lambda: stack._optimizers.tensors))
        stack._replay = replay
    losses = torch.stack([stack.step(step).detach().clone() for step in range(steps)])
    return losses, stack._networks.weights.detach().clone(), replay


def with_loss(fits, loss):
    return [dataclasses.replace(one, loss=loss(one.loss)) for one in fits]


@pytest.mark.parametrize("lr", [None, 0.002], ids=["one optimiser", "an optimiser per fit"])
def test_a_recorded_step_is_the_called_one(fits, lr):
    if lr:
        other = dataclasses.replace(fits[1].training, lr=lr)
        fits = [fits[0], dataclasses.replace(fits[1], training=other)]
    losses, weights, replay = trained(fits)
    called, expected, _ = trained(fits, record=False)
    assert replay.recorded, replay.failure
    assert torch.allclose(losses, called, rtol=1e-6)
    assert torch.allclose(weights, expected, atol=1e-6)


class Counting:
    """Its weight is a number in Python that rises with every call."""

    def __init__(self, inner):
        self.inner, self.calls = inner, 0

    def __call__(self, context):
        self.calls += 1
        return self.inner(context) * (1 + 0.5 * self.calls)


def by_closure(rise):
    """Return a loss whose state no attribute shows."""

    def wrap(inner):
        calls = iter(range(1000))
        return lambda context: inner(context) * (1 + rise * next(calls))

    return wrap


class Remembering:
    """Adds a mean over the steps, kept in a tensor that is another one after every step."""

    def __init__(self, inner):
        self.inner, self.mean = inner, torch.zeros(2)

    def __call__(self, context):
        loss = self.inner(context)
        self.mean = 0.5 * self.mean + 0.5 * loss.detach()
        return loss * (1 + self.mean)


@pytest.mark.parametrize(
    ("loss", "why"),
    [
        (Counting, "a component changes itself in every step"),
        (Remembering, "a component changes itself in every step"),
        (by_closure(0.5), "the loss is another when it is called"),
        (by_closure(0.002), "the loss is another when it is called"),
    ],
    ids=["counter", "running mean", "closure", "slow closure"],
)
def test_a_loss_with_a_memory_in_python_is_called(fits, loss, why):
    _, _, replay = trained(with_loss(fits, loss))
    assert why in replay.failure
    assert not replay.recorded


def test_what_is_seen_before_the_recording_costs_no_call(fits):
    losses, weights, _ = trained(with_loss(fits, Counting))
    called, expected, _ = trained(with_loss(fits, Counting), record=False)
    assert torch.equal(losses, called)
    assert torch.equal(weights, expected)


def test_a_memory_in_a_tensor_of_its_own_is_recorded(fits):
    class Kept(Remembering):
        def __call__(self, context):
            loss = self.inner(context)
            self.mean.mul_(0.5).add_(0.5 * loss.detach())
            return loss + self.mean * 0.0

    _, _, replay = trained(with_loss(fits, Kept))
    assert replay.recorded, replay.failure


def test_a_component_that_asks_for_a_value_is_called_and_said(fits):
    def asking(inner):
        def loss(context):
            found = inner(context)
            return found * (1.0 if float(found.sum().detach()) > 0 else 2.0)

        return loss

    losses, _, replay = trained(with_loss(fits, asking))
    called, _, _ = trained(with_loss(fits, asking), record=False)
    assert "operation not permitted when stream is capturing" in replay.failure
    assert torch.equal(losses, called)


def test_an_optimiser_that_moves_its_state_is_called(fits):
    class Moving(torch.optim.SGD):
        def step(self):
            super().step()
            for group in self.param_groups:
                for weight in group["params"]:
                    self.state[weight]["steps"] = torch.ones(()) + self.state[weight].get(
                        "steps", 0
                    )

    class Training:
        steps, elementwise = 9, True

        def optimizer(self, weights):
            return Moving(weights, lr=0.01)

        def learning_rate(self, step):
            return 0.01

    training = Training()
    fits = [dataclasses.replace(one, training=training) for one in fits]
    _, _, replay = trained(fits)
    assert "other tensors after every step" in replay.failure


class Recorder:
    """Calls, and fails to record with an error of one's choice."""

    def __init__(self, error):
        self.error = error

    def call(self, work):
        return work()

    def record(self, work):
        try:
            raise self.error
        except RuntimeError as error:  # as torch does at the end of a recording that broke
            msg = "operation failed due to a previous error during capture"
            raise RuntimeError(msg) from error


def test_running_out_of_memory_while_recording_is_running_out_of_memory():
    weight = torch.zeros(1)
    lack = torch.OutOfMemoryError("CUDA out of memory")
    replay = Replay(lambda: weight.add_(1), lambda: [weight], Recorder(lack))
    for _ in range(3):
        replay()
    with pytest.raises(torch.OutOfMemoryError):
        replay()
    assert float(weight) == 3


def test_why_a_recording_broke_is_where_it_began():
    weight = torch.zeros(1)
    replay = Replay(
        lambda: weight.add_(1), lambda: [weight], Recorder(RuntimeError("asked for a value\nmore"))
    )
    for _ in range(5):
        replay()
    assert replay.failure == "it cannot be recorded (RuntimeError: asked for a value)"
    assert float(weight) == 5


def test_a_fit_that_diverged_hides_nothing():
    weight, calls = torch.tensor([float("nan"), 0.0]), iter(range(99))

    def work():
        weight.add_(torch.tensor([1.0, float(next(calls))]))
        return torch.zeros(2)

    replay = Replay(work, lambda: [weight], Operations(lambda: [weight]))
    for _ in range(4):
        replay()
    assert "another way" in replay.failure


def test_generators_and_nested_values_are_python_state():
    class Loss:
        def __init__(self):
            self.rng, self.deep = torch.Generator(), {"weights": [1.0, (2,)]}

    loss = Loss()
    before = python_state(loss)
    assert python_state(loss) == before
    loss.deep["weights"][0] = 2.0
    assert python_state(loss) != before
    before = python_state(loss)
    torch.rand(1, generator=loss.rng)
    assert python_state(loss) != before


def test_a_stack_is_as_large_as_memory_is_foretold_to_hold(fits):
    asked = []

    def room(one):
        asked.append(one.key)
        return 3.7

    sizes = engine.StackSizeCache()
    many = [dataclasses.replace(fits[0], key=str(place)) for place in range(8)]
    for _ in range(2):
        assert [len(stack) for stack in stacks_of(many, 64, sizes, room)] == [3, 3, 2]
    assert asked == ["0"]


def test_a_training_whose_crop_fails_costs_no_batch(fits):
    class Broken:
        steps = 3

        @property
        def crop(self):
            msg = "no crop"
            raise ValueError(msg)

    broken = dataclasses.replace(fits[0], key="broken", training=Broken())
    found = {result.key: result for result in fit_all([broken, fits[1]], MACHINE)}
    assert "no crop" in found["broken"].failure
    assert not found[fits[1].key].failure


def test_a_gpu_that_has_stopped_ends_the_study_in_one_line(fits, monkeypatch):
    def dead(*_args, **_options):
        msg = (
            "CUDA error: an illegal memory access was encountered\nCompile with TORCH_USE_CUDA_DSA"
        )
        raise RuntimeError(msg)

    tried = []

    def broken(stack, *_args, **_options):
        tried.append(len(stack))
        dead()

    monkeypatch.setattr(torch.cuda, "synchronize", dead)
    monkeypatch.setattr(pool, "arithmetic", lambda _: device.arithmetic(MACHINE))
    monkeypatch.setattr(pool, "train", broken)
    monkeypatch.setattr(pool, "room_for", lambda *_: 64)
    with pytest.raises(DeviceError, match=r"a card has stopped .* illegal memory access") as told:
        list(fit_all(fits, GPU))
    assert "\n" not in str(told.value)
    assert "Compile" not in str(told.value)
    assert tried == [2]  # no halves: every further fit would fail


def test_a_cpu_needs_no_sign_of_life():
    device.require_alive(MACHINE)


def test_why_steps_are_called_is_said_once(fits, monkeypatch):
    monkeypatch.setattr(train_module._Stack, "unrecorded", "the sampler cuts in other places")
    notes, executor = [], Local(MACHINE)
    for _ in range(2):
        list(executor.run(fits, lambda _: None, notes.append))
    assert notes == [
        "steps are called one by one on the GPU, which is slower: the sampler cuts in other places"
    ]
