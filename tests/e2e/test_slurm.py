"""The page about Slurm, run on a Slurm of one node: an array trains the seeds, the study finds them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import slurm
from helpers.program import here
from helpers.small_study import small_study, write_photos

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(slurm.missing()), reason=slurm.missing()),
    pytest.mark.filterwarnings("ignore"),  # of other libraries' imports
]
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "slurm.md"


def blocks(name):
    """The code of the page, about another study."""
    text = PAGE.read_text(encoding="utf-8").replace("samplers", name)
    return [block.split("\n", 1)[1].partition("```")[0] for block in text.split("```sh")[1:]]


def test_an_array_trains_the_seeds_and_the_study_prints_its_table_from_them(tmp_path):
    write_photos(tmp_path, "one", "two")
    (tmp_path / "studies").mkdir()
    text = small_study("pair", '"sampler.center" = [0.2]')
    (tmp_path / "studies" / "pair.toml").write_text(text)
    script, submit, sync = blocks("pair")
    (tmp_path / "pair.sbatch").write_text(script)
    path = f"{Path(sys.executable).parent}:{slurm.SBIN}"
    (tmp_path / "slurm").mkdir()
    with slurm.cluster(tmp_path / "slurm") as environment:
        environment |= {"PATH": path, "MLFLOW_TRACKING_URI": ""}
        done = subprocess.run(
            ["bash", "-ec", submit],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
    said = "".join(file.read_text() for file in tmp_path.glob("slurm-*.out"))
    assert done.returncode == 0, done.stderr + said
    assert "3 seeds, sigma 25" in " ".join(done.stdout.split())
    assert done.stderr.count("  cached") == 2
    words = ("study", "pair", "--seeds", "3", "--tracking", "none", "--json")
    fits = json.loads(here(*words, folder=tmp_path).stdout)["fits"]
    assert fits["total"] == fits["cached"] == 12  # 2 trials, 2 images, 3 seeds
    runs = json.loads(here("studies", "pair", "--json", folder=tmp_path).stdout)
    assert sorted(run["seeds"] for run in runs) == [[0], [0, 1, 2], [1], [2]]
    synced = subprocess.run(
        ["bash", "-ec", sync],
        cwd=tmp_path,
        env=os.environ | {"PATH": path, "MLFLOW_TRACKING_URI": ""},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert synced.returncode == 0, synced.stderr
    assert synced.stdout.count(" runs written") == 4
