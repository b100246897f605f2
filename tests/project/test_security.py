"""What the program never does: run code from files, report to anybody, write where it was not asked to."""

import ast
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from n2n_ablate.errors import StoreError, StudyError
from n2n_ablate.report.figures.axes import panel, plain
from n2n_ablate.report.render.markdown import escape as for_markdown
from n2n_ablate.storage.output import Output
from n2n_ablate.study import plan
from n2n_ablate.study.read import parse
from n2n_ablate.tracking import record

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [
    path
    for folder in ("n2n_ablate", "plugins", "benchmarks", "docs")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib", "yaml"}
CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "torch.hub.load"}
PROOFS = {"torch.load": ("weights_only", True)}
BANNED = {"shell": True, "allow_pickle": True, "trust_remote_code": True}


def dangers(source):
    """Name everything in a source that runs code from data, or listens to the world."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            found.append(node.module)
        elif isinstance(node, ast.Constant) and node.value in ("0.0.0.0", "::"):
            found.append(node.value)
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            given = {item.arg: getattr(item.value, "value", ...) for item in node.keywords}
            if name in CALLS:
                found.append(name)
            if name in PROOFS and given.get(PROOFS[name][0]) is not PROOFS[name][1]:
                found.append(name)
            found += [key for key, value in BANNED.items() if given.get(key, False) is not False]
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_of_ours_runs_code_from_data(path):
    assert not dangers(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import yaml",
        "from cloudpickle import loads",
        "eval('1')",
        "exec(text)",
        "torch.load(file)",
        "torch.load(file, weights_only=False)",
        "numpy.load(file, allow_pickle=True)",
        "subprocess.run(text, shell=True)",
        "subprocess.run(text, shell=maybe)",
        "os.system('ls')",
        "server.bind(('0.0.0.0', 80))",
    ],
)
def test_the_search_for_such_code_finds_it(source):
    assert dangers(source)
    assert not dangers("torch.load(file, weights_only=True); subprocess.run(words, shell=False)")


# Telemetry

# Every Python process reads it when it starts, the children of a study too.
GUARD = """
import os, sys
from urllib.parse import quote

LOOPBACK = ("", "None", "localhost", "::1", "0.0.0.0")
ASKED = {"socket.connect": 1, "socket.sendto": 1, "socket.sendmsg": 1,
         "socket.getaddrinfo": 0, "socket.gethostbyname": 0}

def watch(event, arguments):
    if event not in ASKED:
        return
    whom = arguments[ASKED[event]]
    if event[7] in "cs" and not isinstance(whom, tuple):  # a socket of Unix, or connected already
        return
    host = whom[0] if isinstance(whom, tuple) else whom
    host = host.decode() if isinstance(host, bytes) else str(host)
    if host not in LOOPBACK and not host.startswith("127."):
        with open(os.environ["WATCHED"], "a") as file:
            file.write(f"{event[7:]} {quote(host)}\\n")

sys.addaudithook(watch)
"""
REPORTING = ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK", "RAY_USAGE_STATS_ENABLED", "CI")


@pytest.fixture
def watched(tmp_path_factory):
    """Runs code in a process of its own, as a user who has set nothing; returns whom it talked to."""
    guard = tmp_path_factory.mktemp("guard")
    (guard / "sitecustomize.py").write_text(GUARD)
    (guard / "asked").touch()

    def watch(code, folder):
        clean = {name: value for name, value in os.environ.items() if name not in REPORTING}
        clean.pop("PYTEST_CURRENT_TEST", None)
        own = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(guard), "WATCHED": str(guard / "asked")}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", f"{code}\nimport time; time.sleep(0.2)"],
            cwd=folder,
            env=clean | own,
            capture_output=True,
            text=True,
            timeout=170,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return sorted(set((guard / "asked").read_text().splitlines()))

    return watch


def test_the_guard_sees_whom_a_process_and_its_children_call(watched, folder):
    calls = """
import socket
for where in (("192.0.2.1", 9), ("127.0.0.1", 9)):
    with socket.socket() as one:
        one.settimeout(0.01)
        try:
            one.connect(where)
        except OSError:
            pass
try:
    socket.getaddrinfo("report.invalid", 443)
except OSError:
    pass
"""
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {calls!r}], check=True)"
    for code in (calls, child):
        assert watched(code, folder) == ["connect 192.0.2.1", "getaddrinfo report.invalid"]


HOSTILE = [
    "../../up",
    "/etc/passwd",
    "a/b",
    "..",
    "<img src=x onerror=alert(1)>",
    "$\\frac{$",
    "|x|",
]


EVERY = """
import contextlib, io, sys
from n2n_ablate.cli import main
for words in {commands!r}:
    sys.argv = ["n2n-ablate", *words]
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            main()
        except SystemExit as end:
            assert not end.code, (words, end.code)
from mlflow.telemetry.utils import is_telemetry_disabled
assert is_telemetry_disabled()
"""
ON_RAY = [
    pytest.mark.slow,
    pytest.mark.ray,
    pytest.mark.skipif(not find_spec("ray"), reason="pip install 'n2n-ablate[ray]'"),
]


@pytest.mark.parametrize("executor", ["local", pytest.param("ray", marks=ON_RAY)])
def test_a_study_calls_nobody_and_writes_only_where_it_should(
    executor, folder, tiny, tiny_text, photo, watched
):
    """With MLflow, a search, names that want to get out, and pictures of all of it."""
    label = json.dumps(" ".join(HOSTILE))
    text = tiny_text.replace('label = "sigma 25"', f"label = {label}")
    tiny.write_text(text.replace("diagonal = {", f'"{HOSTILE[0]}" = {{'))
    (folder / "in").mkdir()
    work = folder / "in" / "work"
    work.mkdir()
    photo(work / "-..- $x$ <b>.png")
    images = ["--images", str(work), "--output", "out"]
    few = ["--trials", "2", "--set", "training.steps=2", "--device", "cpu", "--executor", executor]
    commands = [
        ["study", str(tiny), *images, *few, "--quiet"],
        ["sync", *images],
        ["report", "tiny", *images, "--no-diagnostics"],
    ]
    code = EVERY.format(commands=commands)
    before = {path for path in folder.rglob("*") if work not in path.parents}
    assert watched(code, work) == []
    after = {path for path in folder.rglob("*") if path.is_file()} - before
    out = {path for path in after if (work / "out") in path.parents}
    assert after - out == {work / "-..- $x$ <b>.png"}
    assert {"sampler.png", "table.csv", "contact_sheet.png"} <= {path.name for path in out}


@pytest.mark.slow  # Ray starts
@pytest.mark.skipif(not find_spec("ray"), reason="pip install 'n2n-ablate[ray]'")
def test_ray_reports_to_nobody(folder, watched):
    code = """
from n2n_ablate.execute.ray import Ray
from n2n_ablate.engine import Machine
from n2n_ablate.registry import Registry
from ray._common.usage import usage_lib
with Ray(Machine("cpu", "fp32", 1, 1, "test"), Registry(), cpus=1):
    assert not usage_lib.usage_stats_enabled()
"""
    assert watched(code, folder) == []


# Names and paths


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=20) | st.sampled_from(HOSTILE), max_size=8, unique=True))
def test_no_name_leads_out_of_a_folder(names):
    found = record.slugs(names)
    assert len(set(found.values())) == len(names)
    for slug in found.values():
        assert Path("a", slug).parent == Path("a")
        assert slug not in (".", "..")
        assert not set(slug) & set("/\\\0\n")


@pytest.mark.parametrize("name", [*HOSTILE, "", ".hidden", "UP", "x" * 65, "a b", "a\\b"])
def test_a_study_or_a_profile_cannot_be_called_so(tiny, tiny_text, name):
    quoted = json.dumps(name)
    with pytest.raises(StudyError, match="lowercase"):
        parse(tiny_text.replace('name = "tiny"', f"name = {quoted}"), tiny)
    with pytest.raises(StudyError, match="lowercase"):
        parse(tiny_text.replace("[profiles.quick]", f"[profiles.{quoted}]"), tiny)


def test_locks_and_stores_lie_in_the_output_folder(folder):
    output = Output(folder / "out")
    with output.lock("tiny-0123456789", "busy"):
        pass
    assert {path.name for path in folder.iterdir()} == {"out"}


# What is shown


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("text", [*HOSTILE, "$x$", "$$", "\\$", "a_b^c"])
def test_a_figure_shows_a_name_as_it_is(text):
    figure, axes = panel(width=3, height=2)
    axes.plot([0, 1], label=plain(text))
    axes.set_title(plain(text))
    axes.legend()
    figure.canvas.draw()


def test_markdown_shows_a_name_as_it_is():
    assert for_markdown("a|b <b> [x](y) `c`") == r"a\|b &lt;b&gt; \[x\](y) \`c\`"


def test_a_password_is_never_shown(tiny, tiny_text, folder, registry):
    from n2n_ablate.search.search import Search

    asked = plan(parse(tiny_text, tiny), registry)
    url = "nonsense://me:secret@127.0.0.1/x"
    with pytest.raises(StoreError, match=r"//\*\*\*@127.0.0.1") as caught:
        Search(asked, Output(folder), registry, storage=url)
    assert "secret" not in str(caught.value)
