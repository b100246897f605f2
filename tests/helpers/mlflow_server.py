"""MLflow's server as a team runs it: PostgreSQL behind it, files through it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from pathlib import Path

from helpers.postgres import free_port

LEAN = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "OMP_NUM_THREADS": "1",
}


class MlflowServer:
    """A server that can be killed, held up and started again."""

    def __init__(self, folder, database):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder, self._database = Path(folder), database
        self._process = None

    @property
    def runs(self):
        return self._process is not None and self._process.poll() is None

    def start(self):
        assert not self.runs, "a second one would fail, and the first would answer for it"
        words = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1"]
        words += ["--port", str(self.port), "--backend-store-uri", self._database]
        words += ["--serve-artifacts", "--artifacts-destination", str(self._folder / "artifacts")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                words,
                cwd=self._folder,
                env=os.environ | LEAN,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{self.url}/health", timeout=5).close()
                return
            assert self._process.poll() is None, (self._folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def kill(self):
        self.signal(signal.SIGKILL)
        self._process.wait()

    def signal(self, number):
        os.killpg(self._process.pid, number)

    @contextlib.contextmanager
    def held_up(self):
        """Let it take requests and answer none."""
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)

    def forget(self):
        """Give the names of all experiments free, for the next test."""
        from mlflow import MlflowClient

        client = MlflowClient(self.url)
        for experiment in client.search_experiments():
            if experiment.name != "Default":
                client.rename_experiment(experiment.experiment_id, uuid.uuid4().hex)
                client.delete_experiment(experiment.experiment_id)


@contextlib.contextmanager
def running(folder, database):
    server = MlflowServer(folder, database)
    server.start()
    try:
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):  # a test may have killed it
            server.kill()
