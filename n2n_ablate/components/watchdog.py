"""A time limit for code of plugins: what does not come back is named by its line, and ended where it can be.

Code of plugins runs in the thread that calls it. One thread of ours looks at all of them: where
nothing has happened for too long it raises `Overdue` inside the code itself. Loops of Python and
everything that a signal interrupts in the main thread end by that; C code that never returns cannot
be ended, and is given up.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from n2n_ablate.errors import PluginError

LIMIT = float(os.environ.get("N2N_ABLATE_TIME_LIMIT", "") or 60.0)
"""Seconds that one call into a plugin may take for an image of `SIDE` x `SIDE` pixels."""

SIDE = 256
_IMPORT = "<frozen importlib._bootstrap>"  # the file of the frames in which a module is imported
_TRIES = 3  # interruptions before code is given up: it may catch the first ones
end_process = os._exit


class Overdue(BaseException):
    """Raised inside code that does not come back. Not an `Exception`, so that few handlers catch it."""

    def __str__(self) -> str:
        return late(_sections.get(threading.get_ident()))


class OverdueError(Exception):
    """What `Overdue` becomes outside of the code: its traceback is that of the code."""


@dataclass
class _Section:
    """Code of a plugin that a thread is in."""

    label: str
    limit: float
    thread: int = field(default_factory=threading.get_ident)
    process: int = field(default_factory=os.getpid)
    idle: float = 0.0  # seconds since something happened, without imports
    imports: float = 0.0  # seconds of imports since then
    tries: int = 0
    due: bool = False


_sections: dict[int, _Section] = {}
_given_up: dict[int, str] = {}
_watcher: list[threading.Thread] = []
at_a_loss: list[Callable[[str], object]] = []
"""Called with what to say about code in the main thread that cannot be ended; may end the process."""


@contextmanager
def time_limit(seconds: float, label: str) -> Iterator[None]:
    """Run code of a plugin that may take so long between two calls of `alive`.

    A process that the code forks ends here, so that no command runs twice; `os._exit` raises
    `SystemExit` inside.

    Args:
        seconds: The limit; 0 for none.
        label: What runs, to be named if it cannot be ended.

    Raises:
        OverdueError: The time is over.
    """
    outer = _sections.get(threading.get_ident())
    section = _Section(label, seconds)
    _sections[section.thread] = section
    _given_up.pop(section.thread, None)  # numbers of threads that have ended come again
    _start()
    try:
        yield
    except Overdue as error:
        raise OverdueError(late(section)).with_traceback(error.__traceback__) from None
    finally:
        end_if_forked(section.process)
        if outer is None:
            _sections.pop(section.thread, None)
        else:
            outer.idle = 0.0
            _sections[section.thread] = outer


def alive(label: str = "") -> None:
    """Say that something has happened: a plugin was called, or came back.

    Args:
        label: What runs from now on.
    """
    if section := _sections.get(threading.get_ident()):
        end_if_forked(section.process)
        section.idle, section.imports, section.label = 0.0, 0.0, label or section.label


def end_if_forked(process: int) -> None:
    """End this process if it is a copy of the given one, which somebody's plugin made."""
    if os.getpid() != process:
        end_process(0)


def import_limit() -> float:
    """Return how long imports may take: a library with its own may need many seconds the first time."""
    return 2 * LIMIT


def importing(thread: int) -> bool:
    """Say whether a thread is importing a module."""
    frame = sys._current_frames().get(thread)
    while frame is not None and frame.f_code.co_filename != _IMPORT:
        frame = frame.f_back
    return frame is not None


def seconds_for(height: int, width: int, images: int = 1) -> float:
    """Return how long a call may take for images of this size."""
    return LIMIT * max(1.0, height * width / SIDE**2) * images


def given_up(thread: int) -> str:
    """Say what code in this thread could not be ended, and where it is; empty if none."""
    return _given_up.get(thread, "")


def require_ends(threads: Iterable[int]) -> None:
    """Check that no code in these threads is known never to come back.

    Raises:
        PluginError: Some is, and cannot be ended.
    """
    for message in filter(None, map(given_up, list(threads))):
        raise PluginError(message)


def hangs() -> bool:
    """Say whether code that nobody waits for any more still runs."""
    running = {thread.ident for thread in threading.enumerate()}
    return any(thread in running for thread in _given_up)


def late(section: _Section | None) -> str:
    """Return what is wrong with code that does not come back, as the rest of a sentence."""
    seconds = f" within {section.limit:g} s" if section else ""
    return f"did not come to an end{seconds}"


def _start() -> None:
    in_main = threading.current_thread() is threading.main_thread()
    if in_main and hasattr(signal, "SIGURG") and signal.getsignal(signal.SIGURG) == signal.SIG_DFL:
        # A signal that is ignored by default and that nobody uses: it wakes what sleeps.
        signal.signal(signal.SIGURG, _wake)
    os._exit = _exit  # type: ignore[assignment]
    if not _watcher or not _watcher[0].is_alive():  # a fork has no copy of it
        _watcher[:] = [threading.Thread(target=_watch, name="watchdog", daemon=True)]
        _watcher[0].start()


def _exit(status: int) -> None:
    section = _sections.get(threading.get_ident())
    if section is None or section.process != os.getpid():
        end_process(status)
    raise SystemExit(status)


def _wake(_: int, __: FrameType | None) -> None:
    section = _sections.get(threading.get_ident())
    if section is not None and section.due:
        section.due = False
        raise Overdue


def _watch() -> None:
    while True:
        pause = min(1.0, LIMIT / 4)
        time.sleep(pause)
        for section in list(_sections.values()):
            # Counted by looks and not by the clock: a process that is stopped must not come back to this.
            spent, limit = "idle", section.limit
            if importing(section.thread):
                spent, limit = "imports", max(section.limit, import_limit())
            setattr(section, spent, getattr(section, spent) + pause)
            late = section.limit and getattr(section, spent) > limit
            if late and not given_up(section.thread):
                setattr(section, spent, limit - 2 * pause)
                section.tries += 1
                (_interrupt if section.tries <= _TRIES else _give_up)(section)


def _interrupt(section: _Section) -> None:
    main = threading.main_thread().ident
    if section.thread == main and hasattr(signal, "pthread_kill"):
        section.due = True
        signal.pthread_kill(main, signal.SIGURG)
    else:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(section.thread), ctypes.py_object(Overdue)
        )


def _give_up(section: _Section) -> None:
    frame = sys._current_frames().get(section.thread)
    where = f" ({frame.f_code.co_filename}:{frame.f_lineno})" if frame else ""
    message = f"{section.label} {late(section)} and cannot be ended{where}"
    _given_up[section.thread] = message
    if section.thread == threading.main_thread().ident:
        for act in at_a_loss:
            act(message)
