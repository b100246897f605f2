"""Kill -9 at drawn moments of every command that writes; the same command then makes all of it whole."""

import hashlib
import json
import random
import shutil
import sqlite3
import time
import uuid
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import torch
from helpers import forked
from helpers.small_study import small_study

from n2n_ablate import files
from n2n_ablate.images import write
from n2n_ablate.tracking.address import tracking_uri
from n2n_ablate.tracking.store import MlflowStore

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore"),  # mlflow's imports warn about their own imports
]

STUDY = small_study("killed", '"sampler.center" = [0.0, 0.2]', width=4, crop=16)
SEARCH = (
    small_study(
        "killed", '"sampler.center" = { low = 0.0, high = 0.5 }', design="search", width=4, crop=16
    )
    + 'trials = 4\n[search]\nstrategy = { name = "tpe", startup = 1 }\n'
)
RUN = ("study", "killed.toml", "--quiet", "--device", "cpu", "--precision", "fp32")
SEARCHING = ("study", "search.toml", *RUN[2:])
UNTRACKED = ("--tracking", "none")
LATER = ("--confirm-images", "later")
SCENARIOS = {
    "the first opening of stores": ([], SEARCHING),
    "a race": ([], (*RUN, "--until-settled")),
    "a confirmation": ([SEARCHING], (*SEARCHING, *LATER)),
    "a sync into a new database": ([(*RUN, *UNTRACKED)], ("sync", "--quiet")),
    "the writing of artifacts": ([RUN, "artifacts"], ("sync", "--quiet")),
    "a report": ([RUN], ("report", "killed", "-o", "page.html", "--figures", "figures")),
    "PostgreSQL": ([], (*SEARCHING, "--storage", "SEARCHES", "--tracking-uri", "RUNS")),
    "Ray": ([], (*RUN, "--executor", "ray")),
}
MARKS = {"PostgreSQL": pytest.mark.postgres, "Ray": pytest.mark.ray}
KILLS = 3


@pytest.fixture(scope="module")
def program():
    with forked.running() as program:
        yield program


def prepared(folder, program, steps):
    """Make a folder with studies and images, and do what comes before the command that is killed."""
    for name, count in (("photos", 6), ("later", 2)):
        (folder / name).mkdir(parents=True)
        for place in range(count):
            seed = torch.Generator().manual_seed(10 * count + place)
            write(folder / name / f"{place}.png", torch.rand(1, 3, 18, 18, generator=seed))
    (folder / "killed.toml").write_text(STUDY)
    (folder / "search.toml").write_text(SEARCH)
    for step in steps:
        if step == "artifacts":
            shutil.rmtree(folder / "mlruns" / "artifacts")
        else:
            finished(program, step, folder)


def finished(program, words, folder):
    """Run a command to its end and return the seconds."""
    status, seconds = program.run(*words, folder=folder)
    said = (folder / "err").read_text()
    assert status == 0, said
    assert "Traceback" not in said
    return seconds


def table(program, folder):
    """Return the figures of the study, but for what depends on the clock."""

    def plain(value):
        if isinstance(value, dict):
            timed = {key for key in value if "seconds" in key or key == "pareto"}
            return {key: plain(item) for key, item in value.items() if key not in timed}
        return [plain(item) for item in value] if isinstance(value, list) else value

    words = ("report", "killed", "--format", "json", "--no-diagnostics")
    finished(program, words, folder)
    return plain(json.loads((folder / "out").read_text())["conditions"])


def outcome(program, folder, uri):
    """Return all that is stored: table, names of fits, runs with status and files."""
    root = folder / "mlruns"
    store = MlflowStore(root, uri or tracking_uri(root))
    runs = store.runs(store.experiment_id("killed"), "")
    artifacts = root / "artifacts" / "killed"
    inside = {
        run.info.run_id: sorted(
            str(path.relative_to(artifacts / run.info.run_id))
            for path in (artifacts / run.info.run_id).rglob("*")
            if path.is_file()
        )
        for run in runs
    }
    if uri is None:
        assert {path.name for path in artifacts.iterdir()} == set(inside)
    return (
        table(program, folder),
        sorted(path.name for path in (root / "fits").rglob("*.safetensors")),
        sorted((run.info.run_name, run.info.status, inside[run.info.run_id]) for run in runs),
    )


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    "what", [pytest.param(name, marks=MARKS.get(name, [])) for name in SCENARIOS]
)
def test_the_same_command_makes_whole_what_kills_left(
    what, seed, program, tmp_path, request, monkeypatch
):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if what == "Ray":
        pytest.importorskip("ray", reason="needs Ray: pip install 'n2n-ablate[ray]'")
    server = request.getfixturevalue("postgres") if what == "PostgreSQL" else None
    steps, words = SCENARIOS[what]
    rng = random.Random(f"{what} {seed}")
    told, seconds = [], 0.0
    for name, kills in (("calm", 0), ("hurt", KILLS)):
        uri = server.create(uuid.uuid4().hex) if server else None
        # Optuna and MLflow each want a database of their own.
        own = {"SEARCHES": server and server.create(uuid.uuid4().hex), "RUNS": uri}
        given = [own.get(word, word) for word in words]
        folder = tmp_path / name
        prepared(folder, program, steps)
        killed = [
            program.run(*given, folder=folder, kill_after=rng.uniform(0.02, 0.95) * seconds)[0]
            for _ in range(kills)
        ]
        seconds = finished(program, given, folder)
        told.append(outcome(program, folder, uri))
        if uri is None:
            file = sqlite3.connect(folder / "mlruns" / "mlflow.db")
            assert file.execute("pragma integrity_check").fetchone() == ("ok",)
            file.close()
        if what == "a report":
            assert (folder / "page.html").read_text().rstrip().endswith("</html>")
            assert len(list((folder / "figures").iterdir())) > 3
        assert not [path for path in (folder / "mlruns").rglob("*") if files.is_temporary(path)]
    assert forked.KILLED in killed
    assert told[1] == told[0]


class Slow(SimpleHTTPRequestHandler):
    """Sends files in pieces."""

    def log_message(self, *_):
        pass

    def copyfile(self, source, outputfile):
        while piece := source.read(4096):
            outputfile.write(piece)
            time.sleep(0.002)


def test_a_download_that_is_killed_leaves_no_half_file_under_a_name(program, tmp_path):
    (tmp_path / "there").mkdir()
    contents = {f"{n}.png": random.Random(n).randbytes(400_000) for n in range(4)}
    for name, content in contents.items():
        (tmp_path / "there" / name).write_bytes(content)
    lines = [f'"{n}" = "{hashlib.sha256(c).hexdigest()}"' for n, c in contents.items()]
    handler = partial(Slow, directory=str(tmp_path / "there"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        (tmp_path / "image-sets.toml").write_text(
            '[mine]\nkind = "clean"\ntitle = "My set"\ncount = 4\nlayout = "png"\n'
            f'address = "http://127.0.0.1:{server.server_address[1]}/"\n[mine.files]\n'
            + "\n".join(lines)
        )
        rng, words = random.Random(0), ("images", "fetch", "mine")
        run = partial(program.run, *words, folder=tmp_path, N2N_ABLATE_DATA=str(tmp_path / "data"))
        killed = 0
        for _ in range(8):
            killed += run(kill_after=rng.uniform(0.1, 0.6))[0] == forked.KILLED
            for name, content in contents.items():
                path = tmp_path / "data" / "mine" / name
                assert not path.exists() or path.read_bytes() == content
        assert killed >= 2
        assert run()[0] == 0
        server.shutdown()
    found = {path.name: path.read_bytes() for path in (tmp_path / "data" / "mine").iterdir()}
    assert contents.items() <= found.items()
