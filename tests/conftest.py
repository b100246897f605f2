"""Shared fixtures: a registry, tiny studies, tiny images. Nothing here needs the network or a GPU."""

import os
import pwd
import tempfile
from pathlib import Path

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="n2n-ablate-state-")
os.environ.pop("MLFLOW_TRACKING_URI", None)  # tests never write to the store of whoever runs them

import numpy as np
import pytest
import torch
from helpers import mlflow_server as mlflow_servers
from helpers import postgres as postgres_servers
from PIL import Image as Pillow

torch.set_num_threads(1)  # small tensors: threads cost more than they give

TINY = """
name = "tiny"
question = "Does the centre matter?"
design = "search"
contrasts = [{ "sampler.center" = 0.2 }]

[baseline]
sampler = { name = "three-by-three", center = 0.01 }
backbone = { name = "zs-n2n", width = 8 }
loss = "residual-consistency"
training = "adam"

[[conditions]]
noise = { name = "gaussian", sigma = 25.0 }
label = "sigma 25"

[factors]
"sampler.center" = { low = 0.0, high = 0.5, levels = [0.2] }

[references]
diagonal = { sampler = { name = "diagonal" } }

[search]
strategy = { name = "tpe", startup = 2 }

[profiles.quick]
images = ["builtin:astronaut", "builtin:coffee"]
crop = 24
trials = 4
set = { "training.steps" = 30 }

[profiles.other]
images = ["builtin:astronaut"]
crop = 24
seeds = [0, 1]
trials = 3
set = { "training.steps" = 20 }
"""


def judged(report):
    """Where every test has to run, one that skips for want of something to install has failed."""
    if report.skipped and os.environ.get("N2N_ABLATE_EVERY_TEST"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        if "install" in reason:
            report.outcome, report.longrepr = "failed", f"may not be skipped here: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    return judged((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    return judged((yield))


@pytest.fixture(scope="session")
def registry():
    from n2n_ablate.registry import Registry

    return Registry()


@pytest.fixture(scope="session")
def postgres():
    """PostgreSQL's server, running."""
    with postgres_servers.running() as server:
        yield server


@pytest.fixture(scope="session")
def mlflow_server(postgres, tmp_path_factory):
    """MLflow's server with PostgreSQL behind it, running."""
    database = postgres.create("mlflow")
    with mlflow_servers.running(tmp_path_factory.mktemp("server"), database) as server:
        yield server


@pytest.fixture
def mortal():
    """A folder of an ordinary user, who this process is meanwhile: root may write anywhere."""
    with tempfile.TemporaryDirectory() as made:  # pytest's own folders are closed to other users
        user = os.geteuid()
        if user == 0:
            nobody = pwd.getpwnam("nobody").pw_uid
            os.chown(made, nobody, -1)
            os.seteuid(nobody)
        try:
            yield Path(made)
        finally:
            os.seteuid(user)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def tiny_text():
    """What a study of seconds says."""
    return TINY


@pytest.fixture
def tiny(tmp_path):
    """A study of seconds, as a file."""
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture
def photo():
    """Write an image file with some structure and return its path."""

    def write(path, *, channels=3, size=24, seed=0):
        rng = np.random.default_rng(seed)
        ramp = np.linspace(40, 200, size)[:, None, None] + rng.normal(0, 20, (size, size, channels))
        array = ramp.clip(0, 255).astype(np.uint8)
        Pillow.fromarray(array[..., 0] if channels == 1 else array).save(path)
        return path

    return write
