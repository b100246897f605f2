"""Studies that are stopped, or whose cluster is gone: they end within seconds and leave nothing behind."""

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from helpers.program import run

from n2n_ablate.execute.process_reaper import followed, running

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]
HEED = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
MAIN = "from n2n_ablate.cli import main; main()"
LONG = ("--set", "training.steps=100000", "--device", "cpu")


class Study:
    """A study that runs, with every process that it has been seen to start."""

    def __init__(self, process):
        self.process = process
        self.seen = {process.pid: running()[process.pid][1]}

    def look(self):
        self.seen = self.seen | followed(self.seen)

    def left(self):
        """Return whoever is still there, after some seconds to go."""
        deadline = time.monotonic() + 15
        while (there := followed(self.seen)) and time.monotonic() < deadline:
            time.sleep(0.1)
        return there

    def hear(self, wanted):
        """Read what it says up to a line with these words, then look whom it has started."""
        for line in self.process.stderr:
            if wanted in line:
                self.look()
                return
        raise AssertionError(wanted)

    def end(self, way=None):
        """Send a signal, wait; return what else was said, and after how many seconds it ended."""
        begun = time.monotonic()
        if way is not None:
            self.process.send_signal(way)
        _, errors = self.process.communicate(timeout=150)
        assert "Traceback" not in errors
        return errors, time.monotonic() - begun


@contextmanager
def started(study, folder, *words, code=""):
    with subprocess.Popen(
        [sys.executable, "-c", f"{HEED}{code}{MAIN}", "study", str(study), *LONG, *words],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        one = Study(process)
        try:
            yield one
        finally:
            process.kill()
            process.communicate()
            for left in followed(one.seen):
                os.kill(left, signal.SIGKILL)


def statuses(file):
    """Return the statuses of the runs in MLflow's database."""
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            return {status for (status,) in connection.execute("select status from runs")}
    except sqlite3.OperationalError:  # not there yet
        return set()


def wait_for(condition):
    deadline = time.monotonic() + 100
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_stop_ends_the_run_in_mlflow_too(tiny, tmp_path):
    file = tmp_path / "mlruns" / "mlflow.db"
    with started(tiny, tmp_path) as study:
        wait_for(lambda: statuses(file) == {"RUNNING"})
        study.look()
        errors, took = study.end(signal.SIGTERM)
        assert study.process.returncode == 130
        assert took < 20
        assert "To resume, run:" in errors
        assert statuses(file) == {"KILLED"}
        assert not study.left()


@contextmanager
def silent():
    """A server that takes connections and never answers, with its address."""
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        own.listen(50)
        own.settimeout(100)
        yield own, f"http://127.0.0.1:{own.getsockname()[1]}"


@pytest.mark.slow
def test_a_stop_does_not_wait_for_a_server_that_hangs(tiny, tmp_path):
    with silent() as (server, url), started(tiny, tmp_path, "--tracking-uri", url) as study:
        asked, _ = server.accept()
        with asked:
            wait_for(
                lambda: "reference_methods" in journal(tmp_path)
            )  # it trains without an answer
            errors, took = study.end(signal.SIGINT)
        assert study.process.returncode == 130
        assert took < 20
        assert "tracking is incomplete, the results are saved: the same command, or" in errors
        assert not study.left()


@pytest.mark.slow
def test_a_stop_before_anything_is_trained_waits_for_no_server_either(tiny, tmp_path):
    with silent() as (server, url), started(tiny, tmp_path, "--tracking-uri", url) as study:
        asked, _ = server.accept()
        with asked:
            errors, took = study.end(signal.SIGINT)
        assert study.process.returncode == 130
        assert took < 20
        assert "To resume, run:" in errors
        assert not study.left()


def test_a_second_signal_ends_it_at_once(tiny, tmp_path):
    with silent() as (server, url), started(tiny, tmp_path, "--tracking-uri", url) as study:
        asked, _ = server.accept()
        with asked:
            wait_for(lambda: "reference_methods" in journal(tmp_path))
            study.process.send_signal(signal.SIGINT)
            wait_for(lambda: "interrupted" in journal(tmp_path))  # MLflow is what it waits for now
            _, took = study.end(signal.SIGTERM)
        assert study.process.returncode == -signal.SIGTERM
        assert took < 3
        assert not study.left()


def journal(folder):
    """Return what the study's journal says."""
    return "".join(file.read_text() for file in folder.glob("mlruns/studies/*/*.jsonl"))


def test_a_terminal_that_is_closed_ends_it_in_order(tiny, tmp_path):
    ours, its = os.openpty()
    # The leader of a session that opens a terminal is told of its end.
    # `nohup` around the tests would have it ignored.
    heed = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL); "
    own = f"{heed}import os; os.open(os.ttyname({its}), os.O_RDWR); "
    with subprocess.Popen(
        [sys.executable, "-c", f"{own}{MAIN}", "study", str(tiny), *LONG, "--tracking", "none"],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1", "TERM": "dumb"},  # nobody reads a live view here
        start_new_session=True,
        pass_fds=[its],
        stdout=its,
        stderr=its,
    ) as process:
        try:
            os.close(its)
            wait_for(lambda: '"reference_methods"' in journal(tmp_path))
            os.close(ours)
            assert process.wait(timeout=100) == 130
        finally:
            process.kill()
    assert '"interrupted"' in journal(tmp_path)


ON_RAY = ("--executor", "ray", "--tracking", "none")
# As patient as a test can be; and while there is a file "hold", whatever was just seen of the cluster
# may have changed before it is asked anything else.
IMPATIENT = """
from pathlib import Path
from time import sleep
from n2n_ablate.execute import cluster_health as pulse
pulse._AWAY = 3.0
beats = pulse.ClusterHealth.beats
def held(self):
    answer = beats(self)
    while Path("hold").exists():
        Path("held").touch()
        sleep(0.01)
    return answer
pulse.ClusterHealth.beats = held
"""


@pytest.fixture
def on_ray(tiny, tmp_path):
    """A study whose first fits are trained by a cluster of its own."""
    pytest.importorskip("ray", reason="needs Ray: pip install 'n2n-ablate[ray]'")
    with started(tiny, tmp_path, *ON_RAY, code=IMPATIENT) as study:
        study.hear("Ray on this machine")
        wait_for(lambda: part_of(study, "ray::train"))
        yield study


def part_of(study, name):
    """Return the processes of a study whose command line begins like this."""
    study.look()
    found = []
    for process in study.seen:
        with contextlib.suppress(OSError):  # it has ended
            line = Path(f"/proc/{process}/cmdline").read_bytes()
            if name in line.split(b"\0")[0].decode():
                found.append(process)
    return found


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize("way", ["second Ctrl-C", "kill -9"])
def test_no_process_of_a_cluster_outlives_a_study_that_is_ended_at_once(on_ray, way):
    if way == "kill -9":
        on_ray.end(signal.SIGKILL)
    else:
        on_ray.process.send_signal(signal.SIGINT)
        on_ray.hear("To resume, run:")  # it stops the cluster now
        _, took = on_ray.end(signal.SIGINT)
        assert on_ray.process.returncode == -signal.SIGINT
        assert took < 3
    assert not on_ray.left()


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize(
    ("part", "told"),
    [
        ("/gcs_server", "its first node, '127.0.0.1:"),
        ("/raylet", "Ray on this machine was ended."),
    ],
)
def test_a_cluster_that_is_gone_ends_the_study_in_one_line(on_ray, tiny, tmp_path, part, told):
    (victim,) = part_of(on_ray, part)
    (tmp_path / "hold").touch()
    wait_for((tmp_path / "held").exists)
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: not part_of(on_ray, part))
    (tmp_path / "hold").unlink()
    errors, took = on_ray.end()
    assert on_ray.process.returncode == 1
    assert took < 60
    (line,) = [line for line in errors.splitlines() if line.startswith("error:")]
    assert line.startswith(f"error: the Ray cluster is gone: {told}")
    assert line.endswith("Finished fits are saved; to resume, run the same command.")
    assert "no node of the cluster" not in errors
    assert '"failed"' in journal(tmp_path)
    assert not on_ray.left()
    again = run("study", tiny, "--tracking", "none", "--set", "training.steps=2", folder=tmp_path)
    assert again.returncode == 0
