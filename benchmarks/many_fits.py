"""What a study with 10,000 finished fits costs to open: resume, journal, table.

    python benchmarks/many_fits.py                                 10,000 fits, a few minutes
    python benchmarks/many_fits.py --fits 1000                     quicker
    python benchmarks/many_fits.py --out docs/results/many-fits

Nothing is trained: the results of a grid study are made up, shaped like real ones, and written
through the fit store. Then the study is started as `n2n-ablate study` does, once with one trial and
once with all of them, each in a process of its own; what more the second takes is what finished
fits cost: less than 3 s, or the status of this command is 1.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STEPS, POINTS, IMAGES, SEEDS, LOSSES = 500, 30, 4, 5, 2
CROP = 96
MOST = 3.0
"""Seconds that a study with 10,000 finished fits may take to go on, more than a new one."""
STUDY = """
name = "many"
question = "What do ten thousand finished fits cost?"
design = "grid"

[baseline]
sampler = {{ name = "three-by-three", center = 0.01 }}
backbone = "zs-n2n"
loss = "residual-consistency"
training = "adam"

[[conditions]]
noise = {{ name = "gaussian", sigma = 25.0 }}
label = "sigma 25"

[factors]
"sampler.center" = {centers}
"loss.symmetric" = [true, false]

[profiles.quick]
images = ["builtin:astronaut", "builtin:coffee", "builtin:chelsea", "builtin:rocket"]
crop = {crop}
seeds = {seeds}
set = {{ "training.steps" = {steps} }}
"""


def opened(folder: Path, trials: int | None):
    from n2n_ablate.runner.session import Request, open_session

    return open_session(Request(str(folder / "many.toml"), trials=trials, output=folder / "out"))


def fill(folder: Path, fits: int, crop: int = CROP) -> dict[str, float]:
    """Write the study and a result for each of its fits."""
    import numpy as np

    from n2n_ablate.records import FitResult
    from n2n_ablate.storage.fit_store import FitStore
    from n2n_ablate.storage.output import Output

    count = round(fits / (IMAGES * SEEDS * LOSSES))
    centers = [round(0.5 * place / count, 6) for place in range(count)]
    text = STUDY.format(centers=centers, seeds=list(range(SEEDS)), steps=STEPS, crop=crop)
    (folder / "many.toml").write_text(text)
    session = opened(folder, None)
    store = FitStore(Output(folder / "out"))
    rng = np.random.default_rng(0)
    steps = np.linspace(STEPS / POINTS, STEPS, POINTS).astype(np.int32)
    image = rng.integers(0, 65536, (3, crop, crop)).astype(np.uint16)
    os.fsync = lambda _: None  # ten thousand of them are minutes, and nothing depends on these
    written = 0
    for trial in session.plan.fixed:
        for fit in session.paired_data.fits(trial.recipe):
            psnr = float(rng.normal(26, 0.3))
            curve = (psnr - 6 * np.exp(-steps / 60)).astype(np.float32)
            curves = {"psnr": curve, "ssim": curve / 40, "loss": 1 / curve}
            figures = {"psnr": psnr, "ssim": psnr / 40, "loss": 1 / psnr}
            result = FitResult(fit.key, figures, steps, curves, image, 9.0)
            store.save(result)
            written += 1
    files = [path.stat().st_size for path in (folder / "out" / "fits").glob("*/*.safetensors")]
    return {"fits": written, "size": statistics.mean(files)}


class Clock:
    """Seconds since the last look, on the wall and of the processor (`-cpu`)."""

    def __init__(self) -> None:
        self.seen: dict[str, float] = {}
        self._last = time.perf_counter(), time.process_time()

    def look(self, name: str) -> None:
        now = time.perf_counter(), time.process_time()
        self.seen[name] = now[0] - self._last[0]
        self.seen[f"{name}-cpu"] = now[1] - self._last[1]
        self._last = now


def start(folder: Path, trials: int | None) -> dict[str, float]:
    """Start the study as the command does, and print its table."""
    clock = Clock()
    from rich.console import Console

    from n2n_ablate.analysis.analyse import analyse
    from n2n_ablate.report import live
    from n2n_ablate.report.render.console import print_document
    from n2n_ablate.report.study import study_document
    from n2n_ablate.runner.run import open_runner
    from n2n_ablate.runner.session import RunOptions
    from n2n_ablate.storage.output import Output

    session = opened(folder, trials)
    view = live.Plain(Console(file=io.StringIO()))
    runner = open_runner(session, Output(folder / "out"), view, RunOptions(tracking="none"))
    clock.look("start")
    result = runner.run()
    clock.look("resume")
    assert runner.trained == 0
    print_on = Console(file=io.StringIO(), width=120)
    print_document(print_on, study_document(analyse(result, runner.header)))
    clock.look("table")
    return clock.seen | {"trials": len(result.trials)}


def reopened(folder: Path) -> dict[str, float]:
    """Open the study from disk, as the commands do that show the result."""
    from n2n_ablate.storage import reopen

    clock = Clock()
    found = reopen.reopen(folder / "out", "many")
    assert not found.lost
    clock.look("reopen")
    return clock.seen


def alone(what: str, folder: Path, *more: str) -> dict[str, float]:
    """Measure in a process of its own."""
    words = [sys.executable, __file__, "--one", what, "--folder", str(folder), *more]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def markdown(report: dict[str, object]) -> str:
    one, all_, again = report["one"], report["all"], report["reopened"]
    added = report["added"]
    parts = {
        "start": "start-up: imports, study file, images, new recipes tried",
        "resume": "reference methods; finished fits looked up, read, checked, put together",
        "table": "table, legend and answer",
    }
    lines = "\n".join(
        f"| {told} | {one[key]:.2f} | {all_[key]:.2f} | {one[f'{key}-cpu']:.2f} | "
        f"{all_[f'{key}-cpu']:.2f} |"
        for key, told in parts.items()
    )
    return f"""# What do ten thousand finished fits cost?

A grid of {all_["trials"]:.0f} trials, {IMAGES} images, {SEEDS} seeds, 96x96 pixels, in colour:
{report["fits"]:,} stored fits. The results are made up, shaped like real ones. Medians of
{report["rounds"]} rounds, each in a process of its own, `--tracking none`.

| part | one trial, s | {all_["trials"]:.0f} trials, s | one: processor, s | all: processor, s |
|---|---|---|---|---|
{lines}

Going on with {report["fits"]:,} finished fits takes **{added:.2f} s** more than to start with
{IMAGES * SEEDS} ({report["added-cpu"]:.2f} s of processor time), before the first new fit is trained:
{"less than the" if added < MOST else "**more than the**"} {MOST:g} s that are promised. Opening the
study from disk, as `sync` does, takes {again["reopen"]:.2f} s ({again["reopen-cpu"]:.2f} s).

A stored fit has **{report["size"] / 1000:.1f} kB**: {CROP * CROP * 6 / 1000:.1f} kB are the denoised image
with 16 bits, the rest figures and curves. The image is read only where a picture of it is made.

{report["cores"]} cores, Python {report["python"]}; load average over a minute, before and after:
{report["load"][0]:.1f} and {report["load"][1]:.1f}{report["beside"]}.

Command: `{report["command"]}`
"""


def measured(fits: int, rounds: int) -> dict[str, object]:
    """Fill a store, start the study several times, and return the medians."""
    load = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        filled = alone("fill", folder, "--fits", str(fits))
        alone("start", folder)  # writes the journal
        seen = [
            (
                alone("start", folder, "--trials", "1"),
                alone("start", folder),
                alone("reopen", folder),
            )
            for _ in range(rounds)
        ]
    load.append(os.getloadavg()[0])

    def median(place: int) -> dict[str, float]:
        return {key: statistics.median(one[place][key] for one in seen) for key in seen[0][place]}

    def added(end: str) -> float:
        both = (f"start{end}", f"resume{end}")
        return statistics.median(sum(b[key] - a[key] for key in both) for a, b, _ in seen)

    return {
        **filled,
        "one": median(0),
        "all": median(1),
        "reopened": median(2),
        "added": added(""),
        "added-cpu": added("-cpu"),
        "rounds": rounds,
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "load": load,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fits", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--beside", default="", help="what else ran on the machine, for the page")
    parser.add_argument("--out", type=Path, help="path without ending for .json and .md")
    parser.add_argument("--one", choices=["fill", "start", "reopen"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--trials", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        work = {
            "fill": lambda: fill(asked.folder, asked.fits),
            "start": lambda: start(asked.folder, asked.trials),
            "reopen": lambda: reopened(asked.folder),
        }
        print(json.dumps(work[asked.one]()))
        return
    report = measured(asked.fits, asked.rounds) | {
        "beside": f"; {asked.beside}" if asked.beside else "",
        "command": " ".join(["python", *sys.argv]),
    }
    print(markdown(report))
    if asked.out:
        asked.out.with_suffix(".json").write_text(json.dumps(report, indent=2) + "\n")
        asked.out.with_suffix(".md").write_text(markdown(report))
    sys.exit(report["added"] >= MOST)


if __name__ == "__main__":
    main()
