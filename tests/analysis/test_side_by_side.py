"""Several studies in one view: contrasted where the protocol is the same, and only there."""

import json

import numpy as np
import pandas as pd
import pytest
from helpers.program import here

import n2n_ablate
from n2n_ablate.analysis.studies import side_by_side

STUDY = """
name = "{name}"
question = "Does it matter?"
design = "one-at-a-time"

[baseline]
sampler = "diagonal"
backbone = {{ name = "zs-n2n", width = 4 }}
loss = "residual-consistency"
training = {{ name = "adam", steps = 4 }}

[[conditions]]
noise = "gaussian"
label = "{label}"

[factors]
{factor}

[profiles.quick]
images = ["builtin:coffee", "builtin:chelsea", "builtin:astronaut"]
crop = 16
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Two studies with one protocol, whatever they call it, and one of them again with other seeds."""
    folder = tmp_path_factory.mktemp("studies")
    first = STUDY.format(name="rates", label="sigma 25", factor='"training.lr" = [0.01]')
    other = STUDY.format(name="symmetry", label="noisy", factor='"loss.symmetric" = [false]')
    (folder / "rates.toml").write_text(first)
    (folder / "symmetry.toml").write_text(other)
    for words in (["rates.toml"], ["symmetry.toml"], ["rates.toml", "--seeds", "2"]):
        done = here("study", *words, "--tracking", "none", "--quiet", folder=folder)
        assert done.returncode == 0, done.stderr
    return folder


def loaded(home, name, run=""):
    return n2n_ablate.load(name, output=home / "mlruns", run=run)


def runs(home):
    """Keys of the runs of `rates` by number of seeds."""
    listed = json.loads(here("studies", "rates", "--json", folder=home).stdout)
    return {len(run["seeds"]): run["run"] for run in listed}


def test_trials_of_two_studies_are_paired_on_their_shared_fits(home):
    rates, symmetry = loaded(home, "rates", runs(home)[1]), loaded(home, "symmetry")
    (table,) = side_by_side(
        {"rates": (rates.record, rates.header), "symmetry": (symmetry.record, symmetry.header)}
    )
    assert (table.studies, table.reference) == (("rates", "symmetry"), "rates")
    assert sorted((row.study, row.trial) for row in table.rows) == [
        ("rates", "baseline"),
        ("rates", "training.lr=0.01"),
        ("symmetry", "baseline"),
        ("symmetry", "loss.symmetric=false"),
    ]
    found = {(row.study, row.trial): row for row in table.rows}
    assert found["rates", "baseline"].contrast is None
    assert found["symmetry", "baseline"].contrast is None  # the same fits
    # Its own declared contrast is about that very baseline, so it keeps verdict and interval.
    (own,) = symmetry.contrasts
    assert found["symmetry", "loss.symmetric=false"].contrast == own
    frame = symmetry.to_frame().merge(rates.to_frame(), on=["image", "seed"])
    pairs = frame[(frame.trial_x == "loss.symmetric=false") & (frame.trial_y == "baseline")]
    assert own.estimate == pytest.approx(float(np.mean(pairs.psnr_x - pairs.psnr_y)))


def test_another_baseline_gives_a_plain_interval_and_no_verdict(home):
    rates, symmetry = loaded(home, "rates", runs(home)[1]), loaded(home, "symmetry")
    done = here("study", "symmetry.toml", "--set", "training.lr=0.01", "--tracking", "none",
                "--quiet", "--output", "mlruns", folder=home)  # fmt: skip
    assert done.returncode == 0, done.stderr
    changed = loaded(home, "symmetry")
    assert changed.run != symmetry.run
    frame = n2n_ablate.compare(rates, changed)
    assert set(frame["protocol"]) == {1}
    rows = frame.set_index(["study", "trial"])
    name = f"symmetry@{changed.run[:8]}"
    other = rows.loc[(name, "baseline")]
    assert pd.isna(other["verdict"])
    assert other["ci_level"] == 0.95
    declared = rates.summary().set_index("trial").loc["training.lr=0.01"]
    assert other["estimate"] == pytest.approx(declared["estimate"])
    assert rows["reference"].nunique() == 1


def test_what_differs_is_said_and_not_contrasted(home):
    keys = runs(home)
    one, two = (f"rates@{keys[seeds]}" for seeds in (1, 2))
    done = here("compare", one, two, "--quiet", folder=home)
    assert done.returncode == 0, done.stderr
    assert f"{two}: seeds 0, 1 instead of seed 0" in done.stdout
    assert "the same fits" not in done.stdout
    both = json.loads(here("compare", one, two, "--json", "--quiet", folder=home).stdout)
    assert [table["studies"] for table in both] == [[one], [two]]
    assert all(row["contrast"]["verdict"] for table in both for row in table["rows"]
               if row["role"] == "declared")  # fmt: skip


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rates", "rates"], "'rates' was named twice: run "),
        (["rates", "symmetry", "--run", "ab"], "--run is for one study. Of several, name a run as"),
        (["rates", "baseline", "symmetry", "rate"], "Not run there: baseline, rate."),
        (["symmetry", "rates@zz"], "study 'rates' has no run 'zz'"),
    ],
)
def test_a_mistake_is_one_line(home, words, message):
    done = here("compare", *words, "--quiet", folder=home)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
