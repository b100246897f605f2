"""`n2n-ablate ui`: starts MLflow's web pages and says where to look."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from n2n_ablate.cli import options
from n2n_ablate.cli.screen import messages, say, show
from n2n_ablate.databases import sqlite_file
from n2n_ablate.errors import AblateError, BusyError, StoreError, nearest
from n2n_ablate.locks import opening
from n2n_ablate.redaction import redact
from n2n_ablate.tracking.address import (
    ORDER,
    PLAN,
    chart_link,
    is_server,
    tracking_uri,
    without_login,
)

_HOST, _FIRST_PORT = "127.0.0.1", 5000
_MOST, _LATEST = 1000, ["attributes.start_time DESC"]  # experiments asked for; order of runs
_PATIENCE = 120.0  # seconds; a busy machine needs 26 where a quiet one needs 5
_LEAN = {  # without its job queue: 2 processes and 0.5 GB, not 15 and 1.7 GB
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "INFO",  # its last words are shown if it does not start
}
_STUDY, _PORT = "Name of a study; by default the latest.", "By default 5000, or a free one."


def run(
    study: Annotated[str | None, typer.Argument(help=_STUDY, metavar="STUDY")] = None,
    output: options.Output = options.MLRUNS,
    port: Annotated[int | None, options.option(_PORT, "N", min=1, max=65535)] = None,
    *,
    no_browser: Annotated[bool, options.flag("Only print the link.", "--no-browser")] = False,
) -> None:
    """Browse the curves, images and tables of studies in MLflow.

    Stop it with Ctrl-C. Where MLFLOW_TRACKING_URI names a server, only its link is printed.

    Examples:
        n2n-ablate ui
        n2n-ablate ui center-weight --port 8080 --no-browser
    """
    if importlib.util.find_spec("mlflow") is None:
        msg = "MLflow, which makes these pages, is not installed: pip install mlflow"
        raise StoreError(msg)
    uri = tracking_uri(output)
    if is_server(uri):
        _show(_link(uri, study), open_browser=not no_browser)
        return
    file = sqlite_file(uri)
    if file is not None and not file.is_file():
        msg = (
            f"there is no study in '{output}' yet ('{file}' does not exist). "
            "Run a study first: n2n-ablate study center-weight"
        )
        raise StoreError(msg)
    chosen = _port(port)
    with _stoppable(), _server(uri, output, chosen) as server:
        _show(_link(f"http://{_HOST}:{chosen}", study), open_browser=not no_browser)
        messages().print("Ctrl-C stops the server.", style="dim")
        server.wait()


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Turn SIGINT, SIGTERM and the end of the terminal into a quiet end of the block."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    kinds = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    with contextlib.ExitStack() as before, contextlib.suppress(KeyboardInterrupt):
        for kind in kinds:
            if signal.getsignal(kind) != signal.SIG_IGN:  # what `nohup` ignores stays ignored
                before.callback(signal.signal, kind, signal.signal(kind, stop))
        yield


class _Server:
    """A running MLflow server: a group of processes and the file they complain to."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    def wait(self) -> None:
        """Wait for the end of the server."""
        self._process.wait()
        raise StoreError(self._complaint("stopped"))

    def await_health(self, url: str) -> None:
        """Wait until the server answers."""
        import urllib.request  # late: it alone takes a tenth of the time of --help

        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise StoreError(self._complaint("does not start"))
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{url}/health", timeout=5).close()
                return
            time.sleep(0.1)
        raise StoreError(self._complaint(f"does not answer within {_PATIENCE:.0f} s"))

    def stop(self) -> None:
        """End all processes of the server; those that do not go are killed."""
        for forced in (False, True):
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                _end_group(self._process, forced=forced)
                self._process.wait(timeout=10)
        self._process.wait()

    def _complaint(self, what: str) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        # The last line may only be advice; the reason is the last one that names an error.
        reasons = [line for line in lines if "error" in line.lower() and line[:1] != "("] or lines
        last = redact(reasons[-1].strip()[:300]) if lines else "it says nothing"
        return f"the MLflow server {what}: {last}"


def _end_group(process: subprocess.Popen[bytes], *, forced: bool) -> None:
    """Ask a process and those that it started to end, or end them."""
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL if forced else signal.SIGTERM)
        return
    words = ["taskkill", "/T", "/PID", str(process.pid), *(["/F"] if forced else [])]
    subprocess.run(words, capture_output=True, check=False, timeout=10)


@contextlib.contextmanager
def _server(uri: str, output_root: Path, port: int) -> Iterator[_Server]:
    """Start a server that answers; it is gone when the block is left, however it is left."""
    from n2n_ablate.storage.output import Output

    root = Output(output_root).root
    # In the environment: its password would stand in the list of processes.
    environment = {**os.environ, **_LEAN, "MLFLOW_BACKEND_STORE_URI": uri}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as at_end:
        log = Path(folder) / "server.log"
        with messages().status("starting MLflow"), opening(root, say), log.open("wb") as stream:
            process = subprocess.Popen(
                _command(root / "artifacts", port),
                stdout=stream,
                stderr=stream,
                stdin=subprocess.DEVNULL,
                cwd=folder,  # where MLflow would otherwise make folders for files it never gets
                env=environment,
                start_new_session=True,
            )
            server = _Server(process, log)
            at_end.callback(server.stop)
            server.await_health(f"http://{_HOST}:{port}")
        yield server


def _command(artifacts: Path, port: int) -> list[str]:
    """Return the command of the server. `artifacts` is for other programs that write to it."""
    command = [sys.executable, "-m", "mlflow", "ui", "--host", _HOST, "--port", str(port)]
    command += ["--workers", "1", "--artifacts-destination", artifacts.as_uri()]
    return [*command, "--uvicorn-opts", "--log-level warning"]


def _link(base_url: str, study: str | None) -> str:
    """Return the link to a study's charts, by default of the study that ran last.

    Raises:
        AblateError: There is no such study.
        StoreError: The server does not answer, refuses, or is not MLflow's.
    """
    from n2n_ablate.tracking.client import connect, experiments, explained

    shown = without_login(base_url)  # the browser asks for it
    with explained(base_url):
        client = connect(base_url)
        found = experiments(client, _MOST)
        studies = {one.name: one.experiment_id for one in found if one.name != "Default"}
        if study is not None and study not in studies:
            msg = f"no study called '{study}' was run here. {nearest(study, studies)}"
            raise AblateError(msg)
        numbers = list(studies.values()) if study is None else [studies[study]]
        latest = client.search_runs(numbers, order_by=_LATEST, max_results=1) if numbers else []
    if not latest:
        return shown
    tags = latest[0].data.tags
    return chart_link(shown, latest[0].info.experiment_id, tags.get(ORDER, ""), tags.get(PLAN, ""))


def _show(link: str, *, open_browser: bool) -> None:
    show(link)
    screen = sys.platform in ("darwin", "win32") or any(
        map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY"))
    )
    if open_browser and screen:
        webbrowser.open(link)


def _port(asked: int | None) -> int:
    """Return the port that was asked for, else the usual one, else any that is free."""
    if asked is None:
        return _bindable(_FIRST_PORT) or _bindable(0)
    if not _bindable(asked):
        msg = f"port {asked} is taken by another program. Leave --port out to get a free one."
        raise BusyError(msg)
    return asked


def _bindable(port: int) -> int:
    """Return a port, of 0 any that is free; 0 if it is taken."""
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((_HOST, port))
        return int(probe.getsockname()[1])
    return 0
