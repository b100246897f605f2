"""Code of plugins that does not come back: its line is known, and it is ended where it can be."""

import os
import subprocess
import sys
import threading
import time
import traceback
from contextlib import suppress

import pytest

from n2n_ablate.components import watchdog
from n2n_ablate.components.watchdog import (
    OverdueError,
    alive,
    given_up,
    hangs,
    seconds_for,
    time_limit,
)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """A watchdog that looks often."""
    monkeypatch.setattr(watchdog, "LIMIT", 0.2)


def loops():
    while True:
        pass  # here


def catches():
    for _ in range(2):
        with suppress(BaseException):
            time.sleep(60)
    time.sleep(60)


@pytest.mark.parametrize(
    "code",
    [loops, lambda: time.sleep(60), lambda: threading.Event().wait(), catches],
    ids=["loop", "sleep", "wait", "catches"],
)
def test_what_does_not_come_back_in_the_main_thread_is_ended(code):
    with pytest.raises(OverdueError) as seen, time_limit(0.2, "it"):
        code()
    lines = [frame.line for frame in traceback.extract_tb(seen.value.__traceback__)]
    assert any("code()" in line for line in lines)
    assert not hangs()


def test_the_line_of_a_loop_is_in_the_traceback_and_the_message_says_how_long():
    with pytest.raises(OverdueError) as seen, time_limit(0.2, "it"):
        loops()
    assert str(seen.value) == "did not come to an end within 0.2 s"
    names = [frame.name for frame in traceback.extract_tb(seen.value.__traceback__)]
    assert "loops" in names


def test_a_loop_in_another_thread_is_ended_too():
    ended = []

    def work():
        try:
            with time_limit(0.2, "it"):
                loops()
        except OverdueError as error:
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    assert ended


def test_what_cannot_be_ended_is_given_up_with_its_line():
    gate = threading.Event()

    def work():
        with suppress(OverdueError), time_limit(0.2, "the loss"):
            gate.wait()  # another thread than the main one: nothing can wake it

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(300):
        if given_up(thread.ident):
            break
        time.sleep(0.1)
    message = given_up(thread.ident)
    assert message.startswith("the loss did not come to an end within 0.2 s and cannot be ended (")
    assert "threading.py:" in message
    assert hangs()
    gate.set()
    thread.join(30)
    assert not hangs()


def test_work_that_says_that_it_is_alive_is_left_alone():
    with time_limit(1.0, "it"):
        for _ in range(15):
            time.sleep(0.1)
            alive()


def test_inside_another_limit_the_inner_one_counts_and_then_the_outer_one_again():
    def nested():
        with suppress(OverdueError), time_limit(0.2, "inner"):
            time.sleep(60)
        time.sleep(60)

    with pytest.raises(OverdueError, match="within 1 s"), time_limit(1.0, "outer"):
        nested()


def test_no_limit_is_no_limit():
    with time_limit(0, "it"):
        time.sleep(1.0)


def test_exit_inside_is_an_error_and_outside_what_it_was():
    with pytest.raises(SystemExit), time_limit(60, "it"):
        os._exit(3)
    code = (
        "import os; from n2n_ablate.components.watchdog import time_limit\n"
        "with time_limit(60, 'it'): pass\nos._exit(7)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 7


def test_a_copy_of_the_process_ends_where_the_code_of_the_plugin_does():
    code = """
import os
from n2n_ablate.components.watchdog import alive, time_limit
with time_limit(60, "it"):
    os.fork()
print("once")
with time_limit(60, "it"):
    os.fork()
    alive()
    print("once more", flush=True)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert sorted(done.stdout.splitlines()) == ["once", "once more"]


def test_large_images_and_many_of_them_have_more_time():
    assert seconds_for(4, 4) == watchdog.LIMIT
    assert seconds_for(512, 256) == 2 * watchdog.LIMIT
    assert seconds_for(512, 256, 3) == 6 * watchdog.LIMIT


def test_a_slow_import_is_not_counted_and_an_endless_one_is_ended(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(watchdog, "LIMIT", 0.4)
    (tmp_path / "slow_library.py").write_text("import time\ntime.sleep(0.7)\n")
    (tmp_path / "endless_library.py").write_text("while True: pass\n")
    with time_limit(0.4, "it"):
        import slow_library  # noqa: F401
    with pytest.raises(OverdueError), time_limit(0.4, "it"):
        import endless_library  # noqa: F401
