"""No code on a page is left untried: it runs here, in another test, or the reason why not is below."""

import ast
import functools
import importlib
import re
import runpy
import tomllib

import numpy as np
import pytest
from helpers.pages import DOCS, PAGES, ROOT, written_blocks

import n2n_ablate
from n2n_ablate.components import PROTOCOLS

ELSEWHERE = {
    r"n2n-ablate [a-z]|python -m n2n_ablate [a-z]": "test_docs.py: test_every_command_is_one",
    r"make [a-z]": "test_docs.py: test_every_make_target_exists",
    r"ray start |.*mlflow server |--(backend-store-uri|serve-artifacts|artifacts-destination)": (
        "test_docs.py: test_servers_are_started_with_options_that_exist"
    ),
    r"MLFLOW_DISABLE_TELEMETRY=true": "the first line of a server's command",
    r"python benchmarks/": "below: test_every_benchmark_exists",
    r"python -c ": "test_docs.py: test_the_tutorial_works_as_written; torch's own answer",
    r"PYTHONPATH=plugins python -m pytest": "test_docs.py: test_every_example_of_a_test_passes",
    r"python -m build |pip install (build|-e )": "e2e/test_packages.py builds and installs packages",
}
NOT_RUN = {
    r"pip install |.*/pip install |python -m pip (download|install)": "installs from an index",
    r"python3 -m venv ": "makes the environment that the tests run in",
    r"\. \.venv/bin/activate": "changes the reader's shell",
    r"export [A-Z_]+=": "sets a variable of the reader's shell",
    r"apt-get install |sudo -u postgres ": "needs root; the tests start PostgreSQL by themselves",
    r"ray get-auth-token": "writes a secret into the home folder",
    r"optuna-dashboard ": "a program of others; tests/search reads the same database with Optuna",
    r"ssh |tar ": "needs a second machine",
    r"sbatch ": "needs a Slurm cluster; the page says on which it was run",
    r"ONEDNN_MAX_CPU_ISA=": "a benchmark, with the variables that hide instructions",
}


def lines(page):
    for block in written_blocks(page):
        if block.language == "sh":
            for line in block.text.replace("\\\n", " ").splitlines():
                if line.strip() and not line.startswith("#"):
                    yield line.strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_line_runs_or_has_its_reason(page):
    known = [*ELSEWHERE, *NOT_RUN]
    assert [line for line in lines(page) if not any(re.match(one, line) for one in known)] == []


def test_no_reason_is_left_over():
    every = [line for page in PAGES for line in lines(page)]
    for one in (*ELSEWHERE, *NOT_RUN):
        assert any(re.match(one, line) for line in every), one


def test_every_benchmark_exists():
    for page in PAGES:
        for line in lines(page):
            if found := re.search(r"python (benchmarks/\w+\.py)(.*)", line):
                source = (ROOT / found[1]).read_text(encoding="utf-8")
                for option in re.findall(r"--[a-z-]+", found[2].partition("#")[0]):
                    assert f'"{option}"' in source, line


def test_every_block_has_a_language_that_is_tried():
    """Python and TOML with a file name are tried in test_docs.py, Protocols are generated."""
    for page in PAGES:
        for block in written_blocks(page):
            assert block.language in ("sh", "python", "toml", "text", "sql"), block
            if block.language == "python" and page not in (ROOT / "README.md", PYTHON):
                assert block.title.startswith(("plugins/", "test_")) or block.title in {
                    shown.__name__ for shown in PROTOCOLS.values()
                }, block
            if block.language == "toml":
                assert tomllib.loads(block.text) or block.text.startswith("#:schema"), block


PYTHON = DOCS / "reference" / "python.md"


@pytest.mark.slow
@pytest.mark.parametrize("page", [ROOT / "README.md", PYTHON], ids=lambda page: page.name)
def test_python_runs_as_written(page, folder, monkeypatch):
    """With the study's demonstration, and fewer training steps."""
    few = functools.partial(n2n_ablate.run, settings={"training.steps": 3})
    monkeypatch.setattr(n2n_ablate, "run", few)
    monkeypatch.setattr(n2n_ablate, "denoise", functools.partial(n2n_ablate.denoise, steps=3))
    code = [
        block.text
        for block in written_blocks(page)
        if block.language == "python" and not block.title
    ]
    (folder / "page.py").write_text("\n".join(code))
    names = runpy.run_path(str(folder / "page.py"))
    assert (folder / "center-weight.html").is_file()
    assert names["denoised"].shape == names["noisy"].shape
    assert names["denoised"].dtype == names["noisy"].dtype
    assert not np.array_equal(names["denoised"], names["noisy"])


@pytest.mark.parametrize(
    "file", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda file: file.name
)
def test_what_a_benchmark_takes_from_the_program_is_there(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("n2n_ablate"):
            continue
        module = importlib.import_module(node.module)
        for each in node.names:
            if not hasattr(module, each.name):
                importlib.import_module(f"{node.module}.{each.name}")
