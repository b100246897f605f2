"""Work in a thread of its own: in order, over outages, and never waited for without an end."""

import _thread
import signal
import threading
import time

import pytest

from n2n_ablate.errors import StoreUnavailableError
from n2n_ablate.runner import background
from n2n_ablate.runner.background import Background


class Store:
    """A store outside that does what a test wants."""

    def __init__(self):
        self.away = False
        self.since = 0.0
        self.kept = []

    def later(self):
        return "n2n-ablate sync writes the rest"

    def unanswered(self):
        return self.since

    def keep(self, what):
        def job():
            if self.away:
                raise StoreUnavailableError("the server is down")
            self.kept.append(what)

        return job


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def said():
    return []


@pytest.fixture
def work(store, said, monkeypatch):
    monkeypatch.setattr(background, "_FIRST_PAUSE", 0.02)
    return Background("tracking", said.append, store)


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_everything_is_done_in_order_before_it_is_finished(work, store, said):
    for number in range(50):
        work.put(store.keep(number))
    work.finish()
    assert store.kept == list(range(50))
    assert said == []


def test_an_outage_is_said_once_and_costs_nothing_but_time(work, store, said):
    work.put(store.keep("before"))
    wait_for(lambda: store.kept)
    store.away = True
    work.put(store.keep("meanwhile"))
    work.put(store.keep("later"))
    wait_for(lambda: said)
    time.sleep(0.1)  # several tries
    assert said == ["tracking is waiting, the study continues: the server is down"]
    store.away = False
    work.finish()
    assert store.kept == ["before", "meanwhile", "later"]
    assert said[1:] == ["tracking continues"]


def test_what_is_still_away_at_the_end_is_given_up_with_a_way_out(work, store, said, monkeypatch):
    monkeypatch.setattr(background, "_FIRST_PAUSE", 30.0)
    store.away = True
    work.put(store.keep("one"))
    work.put(store.keep("two"))
    wait_for(lambda: said)
    begun = time.monotonic()
    work.finish()
    assert time.monotonic() - begun < 5  # the end does not wait for the pause between two tries
    assert said[1:] == [
        "tracking is incomplete, the results are saved: n2n-ablate sync writes the rest"
    ]
    store.away = False
    assert store.kept == []


def test_the_end_has_one_more_try(work, store, said, monkeypatch):
    monkeypatch.setattr(background, "_FIRST_PAUSE", 30.0)
    store.away = True
    work.put(store.keep("one"))
    wait_for(lambda: said)
    store.away = False
    work.finish()
    assert store.kept == ["one"]
    assert said[1:] == ["tracking continues"]


def test_a_server_that_hangs_is_not_waited_for(work, store, said):
    hung = threading.Event()
    work.put(lambda: hung.wait(60))
    store.since = 11.0
    begun = time.monotonic()
    work.finish()
    assert time.monotonic() - begun < 5
    assert said == [
        "tracking is incomplete, the results are saved: n2n-ablate sync writes the rest"
    ]
    work.put(store.keep("late"))
    hung.set()
    assert work._done.wait(20)
    assert store.kept == []  # whoever was given up does not begin anew


def test_an_end_where_nothing_moves_is_said_and_bounded(work, said, monkeypatch):
    monkeypatch.setattr(background, "_QUIET", 0.1)
    monkeypatch.setattr(background, "_STILL", 0.5)
    hung = threading.Event()
    work.put(lambda: hung.wait(60))
    work.finish()
    hung.set()
    assert said[0] == "tracking is still being written; Ctrl-C skips the rest"
    assert said[1].startswith("tracking is incomplete")


def test_an_end_that_moves_is_never_given_up(work, store, said, monkeypatch):
    monkeypatch.setattr(background, "_STILL", 0.6)
    monkeypatch.setattr(background, "_PATIENCE", 0.6)

    def slow(number):
        time.sleep(0.3)
        store.kept.append(number)

    def many_requests():
        for tenths in (1, 2, 3) * 5:  # a request, and then the next
            store.since = tenths / 10
            time.sleep(0.1)
        store.since = 0.0
        store.kept.append("many")

    for number in range(4):
        work.put(lambda number=number: slow(number))
    work.put(many_requests)
    work.finish()
    assert store.kept == [0, 1, 2, 3, "many"]
    assert said == []


def test_in_a_hurry_what_is_quick_is_done_whole(work, store, said):
    for number in range(50):
        work.put(store.keep(number))
    work.finish(store.keep("last"), hurry=True)
    assert store.kept == [*range(50), "last"]
    assert said == []


def test_in_a_hurry_a_long_queue_is_left_out_and_the_last_job_done(work, store, said, monkeypatch):
    monkeypatch.setattr(background, "_HURRY", 1.0)

    def slow(number):
        time.sleep(0.2)
        store.kept.append(number)

    for number in range(50):
        work.put(lambda number=number: slow(number))
    begun = time.monotonic()
    work.finish(store.keep("last"), hurry=True)
    assert time.monotonic() - begun < 3
    assert store.kept[-1] == "last"
    assert store.kept[:-1] == list(range(len(store.kept) - 1))
    assert len(store.kept) < 30
    assert said == [
        "tracking is incomplete, the results are saved: n2n-ablate sync writes the rest"
    ]


def test_in_a_hurry_one_job_that_hangs_is_not_waited_for(work, store, said, monkeypatch):
    monkeypatch.setattr(background, "_HURRY", 0.5)
    hung = threading.Event()
    work.put(lambda: hung.wait(60))
    begun = time.monotonic()
    work.finish(store.keep("last"), hurry=True)
    assert time.monotonic() - begun < 3
    assert said == [
        "tracking is incomplete, the results are saved: n2n-ablate sync writes the rest"
    ]
    hung.set()
    assert work._done.wait(20)
    assert store.kept == []


@pytest.fixture
def heeded():
    """Ctrl-C as a terminal has it: a shell starts its background jobs with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded")
def test_ctrl_c_ends_the_waiting_and_not_the_study(work, said):
    hung = threading.Event()
    work.put(lambda: hung.wait(60))
    timer = threading.Timer(0.3, _thread.interrupt_main)
    timer.start()
    begun = time.monotonic()
    work.finish()
    timer.join()
    hung.set()
    assert time.monotonic() - begun < 5
    assert said[0].startswith("tracking is incomplete, the results are saved")


def test_an_error_that_will_not_pass_ends_it_at_once(work, store, said):
    work.put(lambda: 1 / 0)
    work.put(store.keep("after"))
    work.finish()
    assert store.kept == []
    left = "tracking is incomplete, the results are saved"
    assert said == [
        "tracking stopped, the study continues: division by zero",
        f"{left}: once that is put right, n2n-ablate sync writes the rest",
    ]
