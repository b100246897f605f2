"""Code of plugins that hangs: it is given up, and its line is known."""

import threading
import traceback

import pytest
import torch

from n2n_ablate.components import timeout
from n2n_ablate.components.timeout import OverdueError, hangs, seconds_for, try_corner, within


@pytest.fixture
def gate():
    """An event that what hangs waits for, set in the end."""
    event = threading.Event()
    yield event
    event.set()


def test_what_ends_in_time_gives_its_result_or_its_own_error():
    assert within(60, lambda: 3) == 3
    with pytest.raises(ZeroDivisionError) as seen:
        within(60, lambda: 1 / 0)
    assert traceback.extract_tb(seen.value.__traceback__)[-1].line.endswith("1 / 0)")


def test_gradients_are_on_or_off_as_where_it_was_called():
    assert within(60, torch.is_grad_enabled)
    with torch.no_grad():
        assert not within(60, torch.is_grad_enabled)


def test_what_hangs_is_given_up_and_its_line_is_known(gate):
    def inner():
        gate.wait()  # here

    with pytest.raises(OverdueError, match=r"did not come to an end within 0.1 s") as seen:
        within(0.1, lambda: inner())
    here = [frame.line for frame in traceback.extract_tb(seen.value.__traceback__)]
    assert "gate.wait()  # here" in here
    assert hangs()
    gate.set()
    for _ in range(1000):
        if not hangs():
            break
        threading.Event().wait(0.01)
    assert not hangs()


class Waits:
    def __init__(self, gate):
        self.gate = gate

    def draw(self, image, rng):
        self.gate.wait()


class Needs:
    def draw(self, image, rng):
        assert image.shape[-1] > 64, "too small for me"


def test_a_sampler_that_hangs_is_known_from_a_corner_and_one_that_fails_is_let_pass(
    gate, monkeypatch
):
    monkeypatch.setattr(timeout, "LIMIT", 0.1)
    image = torch.rand(1, 3, 96, 96)
    with pytest.raises(OverdueError):
        try_corner(Waits(gate), image, None)
    monkeypatch.setattr(timeout, "LIMIT", 60.0)
    try_corner(Needs(), image, None)


def test_large_images_have_more_time():
    assert seconds_for(torch.zeros(1, 3, 4, 4)) == timeout.LIMIT
    assert seconds_for(torch.zeros(1, 3, 96, 64)) == 6 * timeout.LIMIT
