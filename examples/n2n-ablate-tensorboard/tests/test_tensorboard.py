"""A study, and what TensorBoard's own reader makes of it. Run: pip install -e '.[test]' and pytest."""

import pytest
from n2n_ablate_tensorboard import TensorBoard

import n2n_ablate

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

STUDY = """
name = "small"
question = "Does the weight matter?"
design = "one-at-a-time"

[baseline]
sampler = "diagonal"
backbone = { name = "zs-n2n", width = 4 }
loss = "residual-consistency"
training = { name = "adam", steps = 6 }

[[conditions]]
noise = "gaussian"
label = "sigma 25"

[factors]
"training.lr" = [0.002]

[profiles.quick]
images = ["builtin:coffee"]
crop = 16
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(STUDY)
    return tmp_path


def studied():
    return n2n_ablate.run("small.toml", tracking="none", plugins=[TensorBoard()], progress=False)


def runs(folder):
    return sorted(path for path in (folder / "tensorboard" / "small").iterdir() if path.is_dir())


def read(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(run))
    accumulator.Reload()
    return accumulator


def written(folder):
    return {path: path.stat().st_mtime_ns for path in folder.glob("tensorboard/**/*")}


def test_a_study_becomes_runs_and_the_same_command_adds_nothing(folder):
    result = studied()
    baseline, other = runs(folder)
    assert baseline.name.startswith("baseline-")
    assert other.name.startswith("training.lr=0.002-")
    events = read(baseline)
    tags = events.Tags()
    assert "fits-psnr/sigma 25/coffee/seed-0" in tags["scalars"]
    assert tags["images"] == ["sigma 25/coffee"]
    last = events.Scalars("mean-psnr/sigma 25")[-1]
    assert last.step == 6
    rows = result.to_frame()
    psnr = rows[rows["trial"] == "baseline"]["psnr"].mean()
    assert last.value == pytest.approx(psnr, abs=1e-3)
    before = written(folder)
    studied()
    assert written(folder) == before


def test_a_study_that_ran_without_it_is_told_again(folder):
    from n2n_ablate.registry import Registry
    from n2n_ablate.runner.replay import listener, replay
    from n2n_ablate.storage import reopen
    from n2n_ablate.storage.output import Output

    n2n_ablate.run("small.toml", tracking="none", progress=False)
    assert not (folder / "tensorboard").exists()
    registry = Registry(TensorBoard())
    (name,) = [plugin.origin.plugin for plugin in registry.listeners]
    (contents,) = reopen.every(folder / "mlruns")
    plugin = listener(registry, name)
    for _ in range(2):
        assert replay(contents, Output(folder / "mlruns"), registry, plugin)[1] == []
    assert len(runs(folder)) == 2
    assert read(runs(folder)[0]).Tags()["images"] == ["sigma 25/coffee"]
