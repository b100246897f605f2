"""What keeps watch over a Ray cluster, without one: a guard that outlives its owner, and a pulse."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from n2n_ablate.errors import ExecutorError
from n2n_ablate.execute import cluster_health as pulse
from n2n_ablate.execute.cluster_health import ClusterHealth
from n2n_ablate.execute.process_reaper import ProcessReaper, followed, running

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
# A process in a group of its own, with a child, as Ray's workers are.
FAMILY = "import os, subprocess, time; os.setpgid(0, 0); subprocess.Popen(['sleep', '100']); time.sleep(100)"
OWNER = f"""
import subprocess, sys, time
from n2n_ablate.execute.process_reaper import ProcessReaper
child = subprocess.Popen([sys.executable, "-c", {FAMILY!r}])
guard = ProcessReaper()
guard.watch([child.pid])
print(child.pid, flush=True)
time.sleep(100)
"""


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def family(process):
    """Return a process and its child, once both are there."""
    started = {process: running()[process][1]}
    wait_for(lambda: len(followed(started)) == 2)
    return followed(started)


@linux
def test_a_guard_ends_what_its_owner_left_with_all_that_it_started():
    guard = ProcessReaper()
    with subprocess.Popen([sys.executable, "-c", FAMILY]) as child:
        guard.watch([child.pid])
        both = family(child.pid)
        guard.close()
        assert not followed(both)
        assert child.wait() == -signal.SIGKILL
    guard.close()


@linux
def test_a_guard_outlives_an_owner_that_is_killed_and_knows_orphans():
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE) as owner:
        child = int(owner.stdout.readline())
        both = family(child)
        time.sleep(2)  # the guard has seen both by now
        os.kill(child, signal.SIGKILL)  # its child is nobody's now
        owner.kill()
    wait_for(lambda: not followed(both))


@linux
def test_a_guard_leaves_a_process_alone_that_got_a_number_again():
    with subprocess.Popen(["sleep", "100"]) as other:
        assert followed({other.pid: running()[other.pid][1] + 1}) == {}
        assert set(followed({os.getpid(): running()[os.getpid()][1]})) >= {os.getpid(), other.pid}
        other.kill()


def test_whoever_starts_nothing_needs_no_guard():
    guard = ProcessReaper()
    guard.watch([])
    assert guard._process is None
    guard.close()


@contextlib.contextmanager
def listening(*place):
    """Listen at a socket's path, or at a port of the loopback, until the block ends."""
    with socket.socket(socket.AF_UNIX if place else socket.AF_INET) as own:
        own.bind(place[0] if place else ("127.0.0.1", 0))
        own.listen(50)
        yield own.getsockname()


@pytest.fixture
def local(tmp_path):
    with listening(str(tmp_path / "raylet")) as place:
        yield place


def test_a_cluster_that_answers_has_a_pulse(local):
    with listening() as (host, port):
        assert ClusterHealth(f"{host}:{port}", local).beats()
        assert ClusterHealth(f"{host}:{port}", f"tcp://{host}:{port}").beats()


def test_a_first_node_may_be_away_for_some_time(local, monkeypatch):
    with listening() as (host, port):
        one = ClusterHealth(f"{host}:{port}", local)
        assert one.beats()
    assert not one.beats()
    monkeypatch.setattr(pulse, "_AWAY", 0.2)
    time.sleep(0.3)
    with pytest.raises(ExecutorError) as told:
        one.beats()
    assert str(told.value) == (
        f"the Ray cluster is gone: its first node, '{host}:{port}', does not answer (Connection "
        "refused). Finished fits are saved; to resume, run the same command."
    )


def test_a_first_node_that_answers_again_is_as_good_as_new(local, monkeypatch):
    monkeypatch.setattr(pulse, "_AWAY", 0.2)
    answers = iter(["no answer", "", "no answer"])
    monkeypatch.setattr(pulse, "unanswered", lambda _: next(answers))
    one = ClusterHealth("10.0.0.1:6379", local)
    assert not one.beats()
    time.sleep(0.3)
    assert one.beats()
    assert not one.beats()


def test_a_node_of_this_machine_that_was_ended_is_gone_at_once(tmp_path):
    with listening() as (host, port):
        place = str(tmp_path / "raylet")
        with listening(place):
            one = ClusterHealth(f"{host}:{port}", place)
            assert one.beats()
        with pytest.raises(ExecutorError, match="Ray on this machine was ended"):
            one.beats()
        Path(place).unlink()
        with pytest.raises(ExecutorError, match="Ray on this machine was ended"):
            one.beats()
