"""A Ray cluster that runs already: how it is reached, what it is told, and a worker that refuses."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from helpers.postgres import free_port
from helpers.program import here, run, table_of

from n2n_ablate.errors import ExecutorError, StudyError
from n2n_ablate.execute import Choice
from n2n_ablate.execute.process_reaper import followed, running

pytest.importorskip("ray", reason="needs Ray: pip install 'n2n-ablate[ray]'")
pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

QUICK = ("--tracking", "none", "--trials", 2, "--set", "training.steps=3", "--precision", "fp32")
# As on every machine of a cluster; and Ray would take the machine's outward address for the loopback's.
THERE = {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": uuid.uuid4().hex + uuid.uuid4().hex,
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "OMP_NUM_THREADS": "1",
}
SAMPLER = '''
"""Rows."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from n2n_ablate import Range, hookimpl

{once}


@dataclass(frozen=True)
class Rows:
    """Even rows against odd rows."""

    center: Annotated[float, Range(0, 0.5)] = 0.0

    def draw(self, image, rng):
        {each}
        return lambda image: (image[..., 0:-1:2, :], image[..., 1::2, :])


@hookimpl
def register_samplers(register):
    register("rows", Rows)
'''
# A worker that has another version of a plugin reads another source.
ANOTHER = 'if "default_worker" in sys.argv[0]: Path(__file__).write_text(Path(__file__).read_text() + "A = 1")'
# Which GPU a fit was given.
SHARES = 'with open({file!r}, "a") as told: told.write(os.environ["CUDA_VISIBLE_DEVICES"] + "\\n")'


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The address of a cluster of one node, started as the documentation says; its GPU is a number."""
    place = f"127.0.0.1:{free_port()}"
    words = ["start", "--head", "--port", place.partition(":")[2], "--disable-usage-stats"]
    words += ["--node-ip-address", "127.0.0.1", "--include-dashboard", "false", "--block"]
    words += ["--num-cpus", "3", "--num-gpus", "1", "--object-store-memory", str(2**27)]
    with subprocess.Popen(
        [sys.executable, "-m", "ray.scripts.scripts", *words],
        cwd=tmp_path_factory.mktemp("cluster"),
        env=os.environ | THERE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        started = {process.pid: running()[process.pid][1]}
        try:
            deadline = time.monotonic() + 120
            while not listens(place) or "raylet/raylet" not in names(followed(started)):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield place
        finally:
            everyone = followed(started)
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            for left in followed(everyone):
                os.kill(left, signal.SIGKILL)


def listens(place):
    host, _, port = place.partition(":")
    try:
        socket.create_connection((host, int(port)), 1).close()
    except OSError:
        return False
    return True


def names(processes):
    """Return the command lines of processes."""
    found = []
    for process in processes:
        with contextlib.suppress(OSError):
            found.append(Path(f"/proc/{process}/cmdline").read_text())
    return " ".join(found)


@pytest.mark.slow
def test_a_study_on_a_running_cluster_gives_the_same_table(cluster, tiny, tmp_path):
    words = ("study", tiny, *QUICK, "--json", "--output")
    ours = here(*words, "ours", folder=tmp_path)
    there = ("--executor", "ray", "--address", cluster)
    theirs = run(*words, "theirs", *there, folder=tmp_path, **THERE)
    assert (ours.returncode, theirs.returncode) == (0, 0), theirs.stderr
    assert table_of(ours) == table_of(theirs)
    assert listens(cluster)  # it is somebody else's, and goes on


@pytest.mark.slow
def test_a_worker_that_refuses_ends_the_study_with_one_line(cluster, tiny, tmp_path):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "rows.py").write_text(SAMPLER.format(once=ANOTHER, each="pass"))
    words = ("study", tiny, *QUICK, "--set", "sampler=rows", "--executor", "ray")
    done = run(*words, "--address", cluster, folder=tmp_path, **THERE)
    assert done.returncode == 1, done.stderr
    assert "error:" in done.stderr, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert line.startswith("error: a worker on '")
    assert "refuses: the source of plugin 'rows' (sampler 'rows') has the hash" in line
    assert not list((tmp_path / "mlruns" / "fits").rglob("*.safetensors"))


SHARING = """
import json
from pathlib import Path
from n2n_ablate import engine
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.execute.ray import Ray
from n2n_ablate.registry import Registry
from n2n_ablate.study import plan, read

registry, machine = Registry(), engine.Machine("cpu", "fp32", 1, 1, "test")
asked = plan(read(Path("tiny.toml")), registry, settings=["training.steps=2", "sampler=rows"])
fits = PairedData(asked, registry, machine).fits(asked.baseline.recipe)
told = []
for share in (0.5, 0.3, 1.0):
    with Ray(machine, registry, ADDRESS, share) as executor:
        found = list(executor.run(fits, lambda _: None, lambda _: None))
        told.append([executor.width, *(result.failure for result in found)])
print(json.dumps(told))
"""


@pytest.mark.slow  # it starts clusters of its own
def test_a_share_of_a_gpu_is_what_a_stack_gets(cluster, tiny, tmp_path):
    (tmp_path / "plugins").mkdir()
    each = SHARES.format(file=str(tmp_path / "told"))
    (tmp_path / "plugins" / "rows.py").write_text(SAMPLER.format(once="", each=each))
    done = subprocess.run(
        [sys.executable, "-c", SHARING.replace("ADDRESS", repr(cluster))],
        cwd=tmp_path,
        env=os.environ | THERE,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [[2, "", ""], [3, "", ""], [1, "", ""]]
    assert set((tmp_path / "told").read_text().split()) == {"0"}


@pytest.mark.slow  # it starts clusters of its own
def test_a_cluster_that_wants_a_token_is_not_joined_without_one(cluster, tiny, tmp_path):
    words = ("study", tiny, *QUICK, "--executor", "ray", "--address", cluster)
    done = run(*words, folder=tmp_path, **THERE | {"RAY_AUTH_MODE": "disabled"})
    assert done.returncode == 1
    line = " ".join(done.stderr.split())
    assert f"error: no Ray cluster can be used at '{cluster}'" in line
    assert "If it wants a token: export RAY_AUTH_MODE=token" in line


@pytest.mark.parametrize("address", ["here", "10.0.0.1", "10.0.0.1:", ":6379", "10.0.0.1:ray"])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(StudyError, match="--address must be HOST:PORT"):
        Choice("ray", address).check()


def test_an_address_where_nobody_listens_is_said_with_what_to_do(tiny, tmp_path):
    address = f"127.0.0.1:{free_port()}"
    done = here("study", tiny, "--executor", "ray", "--address", address, folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"error: no Ray cluster answers at '{address}': Connection refused."
    )
    assert "Start one with: ray start --head --disable-usage-stats" in " ".join(done.stderr.split())


def test_what_listens_there_may_be_something_else():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        with pytest.raises(ExecutorError, match="no Ray cluster answers"):
            Choice("ray", f"127.0.0.1:{other.getsockname()[1]}").check()
