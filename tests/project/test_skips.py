"""Where every test has to run, as in CI, none skips because something was not installed."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
FILES = {
    "test_module.py": """
import pytest

pytest.importorskip("nowhere_to_be_found", reason="pip install nowhere")

def test_never():
    pass
""",
    "test_some.py": """
import pytest

@pytest.fixture
def server():
    pytest.skip("no server here: apt-get install -y server")

def test_fixture(server):
    pass

@pytest.mark.skipif(True, reason="installs itself with: apt-get install -y it")
def test_mark():
    pass

@pytest.mark.skipif(True, reason="this machine has a GPU")
def test_other():
    pass

@pytest.mark.xfail(reason="apt-get install -y it", strict=False)
def test_known():
    raise ValueError
""",
}


def test_a_skip_for_want_of_something_to_install_fails_where_every_test_has_to_run(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    words = ["-p", "conftest", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", tmp_path]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", *words, "--continue-on-collection-errors", "."],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(TESTS), "N2N_ABLATE_EVERY_TEST": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    told = done.stdout.splitlines()
    assert "1 skipped, 1 xfailed, 3 errors" in told[-1]
    said = [line for line in told if line.startswith("may not be skipped here: ")]
    for reason in ("pip install nowhere", "no server here", "installs itself with"):
        assert any(reason in line for line in said), reason


def test_ci_asks_for_it():
    assert "export N2N_ABLATE_EVERY_TEST=1" in (TESTS.parent / ".ci" / "run").read_text()
