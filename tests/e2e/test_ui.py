"""A study is run and its pages are served; a client that knows nothing of us finds everything."""

import io
import json
import os
import signal
import socket
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from helpers.program import SEEN, command, run
from PIL import Image as Pillow

NARROW = {"COLUMNS": "40"}  # a link that is wrapped by the terminal can be clicked in part only


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(base, path, wanted=None):
    body = None if wanted is None else json.dumps(wanted).encode()
    request = urllib.request.Request(base + path, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


def is_alive(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def children_of(pid):
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks for processes in /proc")
def test_a_study_can_be_looked_at_and_the_server_leaves_nothing_behind(folder, tiny):
    done = run("study", tiny, folder=folder)
    assert done.returncode == 0, done.stderr
    base = f"http://127.0.0.1:{free_port()}"
    port = base.rpartition(":")[2]
    words = command("ui", "--port", port, "--no-browser")
    pipe = subprocess.PIPE
    with subprocess.Popen(
        words, cwd=folder, env=os.environ | SEEN | NARROW, stdout=pipe, text=True
    ) as server:
        try:
            child = check_server(server, base, folder)
        finally:
            server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=30) == 0
    assert not is_alive(child)
    assert sorted(path.name for path in folder.iterdir()) == ["mlruns", "tiny.toml"]


def check_server(server, base, folder):
    """Check what a running server gives, and return its process group."""
    link = server.stdout.readline().strip()
    (child,) = children_of(server.pid)
    check_link(base, link)
    check_runs(base)
    check_nobody_else_gets_in(base)
    port = base.rpartition(":")[2]
    assert f"port {port} is taken" in run("ui", "--port", port, folder=folder, **NARROW).stderr
    remote = run("ui", "tiny", folder=folder, **NARROW, MLFLOW_TRACKING_URI=base)
    assert (remote.returncode, remote.stdout.strip()) == (0, link)
    wrong = run("ui", "tinny", folder=folder, **NARROW, MLFLOW_TRACKING_URI=base)
    assert "no study called 'tinny' was run here. Did you mean 'tiny'?" in wrong.stderr
    return child


def check_nobody_else_gets_in(base):
    """Only the loopback listens, and a page of another site cannot talk to it by a name of its own."""
    port = int(base.rpartition(":")[2])
    tables = [Path(f"/proc/net/{name}") for name in ("tcp", "tcp6")]
    rows = [
        line.split() for path in tables if path.is_file() for line in path.read_text().splitlines()
    ]
    listening = {row[1] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "0A"}
    assert listening == {f"0100007F:{port:04X}"}
    for host in ("evil.example", "evil.example:80"):
        asked = urllib.request.Request(f"{base}/api/2.0/mlflow/experiments/search", b"{}")
        asked.add_header("Content-Type", "application/json")
        asked.add_header("Host", host)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(asked, timeout=30)
        assert refused.value.code == 403
        refused.value.close()


def check_link(base, link):
    page, _, queries = link.partition("?")
    found = json.loads(ask(base, "/api/2.0/mlflow/experiments/get-by-name?experiment_name=tiny"))
    number = found["experiment"]["experiment_id"]
    assert page == f"{base}/#/experiments/{number}/runs"
    queries = urllib.parse.parse_qs(queries)
    assert queries["workflowType"] == ["machine_learning"]
    assert queries["compareRunsMode"] == ["CHART"]
    assert (queries["orderByKey"], queries["orderByAsc"]) == (["metrics.`eval/psnr`"], ["false"])
    assert queries["searchFilter"][0].startswith("tags.`n2n.plan` = '")
    assert not [tag for tag in found["experiment"]["tags"] if "ViewState" in tag["key"]]


def check_runs(base):
    experiments = json.loads(ask(base, "/api/2.0/mlflow/experiments/search", {"max_results": 10}))
    numbers = [item["experiment_id"] for item in experiments["experiments"]]
    wanted = {"experiment_ids": numbers, "filter": "tags.role != 'summary'"}
    runs = json.loads(ask(base, "/api/2.0/mlflow/runs/search", wanted))["runs"]
    assert len(runs) == 4
    assert {run["info"]["status"] for run in runs} == {"FINISHED"}
    names = {run["info"]["run_name"]: run for run in runs}
    params = {item["key"]: item["value"] for item in names["sampler.center=0.2"]["data"]["params"]}
    assert params["sampler"] == "three-by-three"
    assert params["sampler.center"] == "0.2"
    assert params["training.steps"] == "30"
    check_curve_and_picture(base, names["sampler.center=0.2"])


def check_curve_and_picture(base, run):
    number = run["info"]["run_id"]
    metrics = {item["key"]: item["value"] for item in run["data"]["metrics"]}
    path = f"/api/2.0/mlflow/metrics/get-history?run_id={number}&metric_key=eval/psnr"
    history = json.loads(ask(base, path))["metrics"]
    assert len({point["step"] for point in history}) >= 20
    last = max(history, key=lambda point: point["step"])
    assert last["value"] == metrics["eval/psnr"]
    assert 5 < last["value"] < 60
    files = json.loads(ask(base, f"/api/2.0/mlflow/artifacts/list?run_id={number}&path=images"))
    names = {item["path"] for item in files["files"]}
    assert {"images/contact_sheet.png", "images/astronaut.png", "images/coffee.png"} <= names
    picture = ask(base, f"/get-artifact?run_id={number}&path=images/astronaut.png")
    with Pillow.open(io.BytesIO(picture)) as image:
        assert image.width > 4 * 48


def test_without_a_study_it_says_what_to_run_first(folder):
    done = run("ui", folder=folder)
    assert done.returncode == 1
    assert "there is no study in 'mlruns' yet" in done.stderr
    assert "Run a study first: n2n-ablate study center-weight" in done.stderr
    assert not (folder / "mlruns").exists()


def test_a_server_that_does_not_start_is_one_line_with_its_last_word(folder):
    (folder / "mlruns").mkdir()
    (folder / "mlruns" / "mlflow.db").write_text("this is not a database, but it is long enough")
    done = run("ui", "--no-browser", folder=folder)
    assert done.returncode == 1
    assert "the MLflow server does not start: " in done.stderr
    assert "database" in done.stderr
